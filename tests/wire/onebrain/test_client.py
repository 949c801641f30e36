"""The client's contract: every method of every resource, sync and async, on live servers.

Our server must keep all of it on SQLite and on PostgreSQL. A server like the hosted one keeps what it has routes for; the
recorded exchanges show the rest of its wire. Where the two differ on purpose stands in `Expected`, and nowhere else.
"""

from __future__ import annotations

import asyncio
import http.server
import inspect
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import onebrain
from onebrain import AsyncOneBrain, OneBrain


@dataclass(frozen=True)
class Expected:
    """Where servers differ on purpose.

    Attributes:
        taken: What a name or a link is answered with that is there already.
        tags_of_hits: Whether hits have tags: the hosted server's have no metadata, where the client keeps them.
        plan: The plan of a fresh account.
        dismissed: Whether a deleted skill can still be read, as dismissed.
        first_key: Whether the key in use is listed.
    """

    taken: type[onebrain.OneBrainError] = onebrain.OneBrainConflictError
    tags_of_hits: bool = True
    plan: str = "Team"
    dismissed: bool = True
    first_key: bool = True


OURS = Expected()
HOSTED = Expected(
    taken=onebrain.OneBrainInternalError,
    tags_of_hits=False,
    plan="Pro",
    dismissed=False,
    first_key=False,
)


class Colourless:
    """A client of either colour, called like a synchronous one; iterators come as lists."""

    def __init__(self, target: Any, runner: asyncio.Runner | None, expected: Expected) -> None:
        self._target = target
        self._runner = runner
        self.expected = expected

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found if isinstance(found, str) else Colourless(found, self._runner, self.expected)

        def call(*args: Any, **options: Any) -> Any:
            result = found(*args, **options)
            if isinstance(result, Iterator):
                return list(result)
            if self._runner is None:
                return result
            return self._runner.run(_drained(result) if isinstance(result, AsyncIterator) else result)

        return call


async def _drained(rows: AsyncIterator[Any]) -> list[Any]:
    return [row async for row in rows]


@pytest.fixture(params=["sync", "async"])
def connect(request):
    """Return a function that makes sync or async clients; they are closed when the test ends."""
    opened: list[Any] = []
    with asyncio.Runner() as runner:

        def make(url: str, expected: Expected = OURS, **options: Any) -> Colourless:
            if request.param == "sync":
                opened.append(OneBrain(base_url=url, **options))
                return Colourless(opened[-1], None, expected)
            opened.append(AsyncOneBrain(base_url=url, **options))
            return Colourless(opened[-1], runner, expected)

        yield make
        for client in opened:
            closed = client.close()
            if inspect.isawaitable(closed):
                runner.run(closed)


@pytest.fixture(params=["sqlite", "postgresql"])
def ours(request):
    """Our server on one of the stores."""
    return request.getfixturevalue("onebrain_server" if request.param == "sqlite" else "postgresql_server")


@pytest.fixture
def client(ours, connect):
    """A client of a fresh account on our server: for what the server like the hosted one has no routes for."""
    return connect(ours.url + "/api/eu/v1", api_key=ours.account(f"{uuid.uuid4().hex}@example.com"))


@pytest.fixture(params=["hosted", "sqlite", "postgresql"])
def any_client(request, connect):
    """A client of a fresh account on every server."""
    if request.param == "hosted":
        hosted = request.getfixturevalue("hosted")
        return connect(hosted.url, HOSTED, api_key=hosted.key)
    server = request.getfixturevalue("onebrain_server" if request.param == "sqlite" else "postgresql_server")
    return connect(server.url, api_key=server.account(f"{uuid.uuid4().hex}@example.com"))


# ---- what every server does -----------------------------------------------------------------------------------------


def test_a_client_has_no_method_that_is_not_called_here():
    """A method that is new must be shown to work here before anything else."""
    text = Path(__file__).read_text(encoding="utf-8")
    with OneBrain("ob_a_b", base_url="http://127.0.0.1") as made:
        resources = {name: found for name, found in vars(made).items() if not name.startswith("_")}
        missing = [
            f"{resource}.{name}"
            for resource, found in resources.items()
            for name in dir(type(found))
            if not name.startswith("_")
            and callable(getattr(found, name))
            and f"client.{resource}.{name}(" not in text
        ]
    assert len(resources) == 16
    assert missing == []


def test_health_and_calls_that_have_no_method(any_client):
    assert any_client.health().status == "ok"
    made = any_client.request("POST", "/v1/memory", json={"type": "fact", "title": "t", "body": "b"})
    read = any_client.request("GET", f"/v1/memory/{made['data']['id']}")
    assert (read["data"]["title"], read["data"]["body"]) == ("t", "b")
    assert any_client.request("DELETE", f"/v1/memory/{made['data']['id']}") is None
    with pytest.raises(onebrain.UnsupportedByServer):
        any_client.request("GET", "/v1/nope")


def test_memories_are_stored_read_changed_and_deleted(any_client):
    client = any_client
    made = client.memory.create(
        "Lives in Lisbon, Portugal",
        title="Home town",
        tags=["place", "home"],
        source="chat",
        metadata={"year": 2026, "nested": {"a": [1, None]}},
        confidence=0.75,
    )
    assert (made.content, made.title, made.type, made.status) == (
        "Lives in Lisbon, Portugal",
        "Home town",
        "fact",
        "active",
    )
    read = client.memory.get(made.id)
    for memory in (made, read):
        assert (memory.tags, memory.source, memory.confidence) == (("place", "home"), "chat", 0.75)
        assert memory.metadata == {"year": 2026, "nested": {"a": [1, None]}}
    changed = client.memory.update(made.id, title="Home city", confidence=0.9)
    assert (changed.title, changed.content, changed.tags) == (
        "Home city",
        "Lives in Lisbon, Portugal",
        made.tags,
    )
    other = client.memory.create("Prefers Helix", type="preference")
    assert [memory.id for memory in client.memory.get_many([other.id, made.id])] == [other.id, made.id]
    archived = client.memory.update(other.id, status="archived")
    assert archived.status == "archived"
    assert [memory.id for memory in client.memory.list(status="active").data] == [made.id]
    assert client.memory.delete(made.id) is None
    with pytest.raises(onebrain.OneBrainNotFoundError):
        client.memory.get(made.id)
    with pytest.raises(onebrain.OneBrainNotFoundError):
        client.memory.delete(made.id)


def test_memories_are_listed_page_by_page(any_client):
    client = any_client
    ids = [client.memory.create(f"Fact {n}", title=f"Fact {n}").id for n in range(5)]
    first = client.memory.list(limit=2)
    assert (len(first.data), first.meta.has_more, first.meta.total) == (2, True, 5)
    second = client.memory.list(limit=2, cursor=first.meta.cursor)
    third = client.memory.list(limit=2, cursor=second.meta.cursor)
    assert (len(third.data), third.meta.has_more) == (1, False)
    listed = [memory.id for page in (first, second, third) for memory in page.data]
    assert listed == [memory.id for memory in client.memory.all(limit=2)]
    assert sorted(listed) == sorted(ids)
    goal = client.memory.create("Run a marathon", type="goal")
    assert [memory.id for memory in client.memory.list(type="goal").data] == [goal.id]
    assert [memory.id for memory in client.memory.all(search="marathon")] == [goal.id]


def test_a_search_finds_what_was_stored_and_is_filtered(any_client):
    client = any_client
    ada = client.entity.create("Ada", type="person")
    apollo = client.project.create("Apollo")
    one = client.memory.create(
        "likes the Alps in summer", tags=["a", "b"], entity_id=ada.id, project_id=apollo.id
    )
    client.memory.create("likes the Alps in winter", tags=["b"])
    goal = client.memory.create("likes the Alps at night", type="goal")
    assert len(client.memory.search("likes the Alps", limit=2)) == 2
    for options in ({"tags": ["a"]}, {"entity_id": ada.id}, {"project_id": apollo.id}):
        hits = client.memory.search("likes the Alps", **options)
        assert [hit.id for hit in hits] == [one.id]
        assert hits[0].content == "likes the Alps in summer"
        assert hits[0].tags == (("a", "b") if client.expected.tags_of_hits else ())
        assert 0 < hits[0].score <= 1
    assert [hit.id for hit in client.memory.search("likes the Alps", type="goal")] == [goal.id]
    assert client.memory.search("likes the Alps", mode="keyword").search_mode == "keyword"


def test_many_memories_are_imported_at_once(any_client):
    client = any_client
    apollo = client.project.create("Apollo")
    bulk = client.memory.import_bulk(
        [{"content": f"Fact {n}", "tags": ["imported"]} for n in range(3)], project_id=apollo.id
    )
    assert (bulk.created, bulk.meta.total, bulk.errors) == (3, 3, ())
    assert client.memory.import_memories([{"content": "Plain"}, "Plainer"]).created == 2
    assert sorted(memory.content for memory in client.memory.all()) == [
        "Fact 0",
        "Fact 1",
        "Fact 2",
        "Plain",
        "Plainer",
    ]
    assert len(client.project.get(apollo.id).memory_links) == 3
    with pytest.raises(onebrain.OneBrainValidationError, match=r"memories\[1\].*nothing was stored"):
        client.memory.import_bulk(["fine", {"content": "x", "titel": "y"}])
    assert client.memory.list(limit=1).meta.total == 5


def test_entities(any_client):
    client = any_client
    ada = client.entity.create("Ada", type="person", description="friend", metadata={"k": 1})
    assert (client.entity.get(ada.id).description, ada.metadata) == ("friend", {"k": 1})
    with pytest.raises(client.expected.taken):
        client.entity.create("Ada", type="person")
    assert client.entity.update(ada.id, description="colleague").description == "colleague"
    memory = client.memory.create("Ada likes tea")
    link = client.entity.add_link(ada.id, memory.id, link_type="mentions")
    assert (link.memory_item_id, link.link_type) == (memory.id, "mentions")
    assert [one.id for one in client.entity.get(ada.id).links] == [link.id]
    with pytest.raises(client.expected.taken):
        client.entity.add_link(ada.id, memory.id, link_type="mentions")
    company = client.entity.create("Apollo Limited", type="organization")
    assert [found.id for found in client.entity.list(type="person").data] == [ada.id]
    assert {found.id for found in client.entity.all(limit=1)} == {ada.id, company.id}
    double = client.entity.create("A. Lovelace", type="person")
    client.entity.add_link(double.id, client.memory.create("A. Lovelace writes programs").id)
    merged = client.entity.merge(source_id=double.id, target_id=ada.id)
    assert (merged.merged, merged.links_transferred) == (True, 1)
    assert client.entity.remove_link(ada.id, link.id) is None
    assert link.id not in {one.id for one in client.entity.get(ada.id).links}
    extracted = client.entity.auto_extract(client.memory.create("Grace Hopper met Alan Turing").id)
    assert {found.name for found in extracted.extracted} >= {"Grace Hopper", "Alan Turing"}
    client.entity.delete(company.id)
    with pytest.raises(onebrain.OneBrainNotFoundError):
        client.entity.get(company.id)


def test_projects(any_client):
    client = any_client
    apollo = client.project.create("Apollo", description="moon", metadata={"k": 1})
    memory, other = client.memory.create("The engine works"), client.memory.create("The hull holds")
    link = client.project.link_memory(apollo.id, memory.id, link_type="setup")
    second = client.project.add_memory_link(apollo.id, other.id)
    links = client.project.get(apollo.id).memory_links
    assert {(one.id, one.memory_item_id, one.link_type) for one in links} == {
        (link.id, memory.id, "setup"),
        (second.id, other.id, "context"),
    }
    client.project.unlink_memory(apollo.id, memory.id)
    client.project.remove_memory_link(apollo.id, second.id)
    assert client.project.get(apollo.id).memory_links == ()
    changed = client.project.update(apollo.id, name="Apollo 11")
    assert (changed.name, changed.description, changed.metadata) == ("Apollo 11", "moon", {"k": 1})
    gemini = client.project.create("Gemini")
    assert {found.id for found in client.project.list().data} == {apollo.id, gemini.id}
    assert len(client.project.all(limit=1)) == 2
    client.project.delete(gemini.id)
    with pytest.raises(onebrain.OneBrainNotFoundError):
        client.project.get(gemini.id)


def test_the_brain_and_its_contexts(any_client):
    client = any_client
    assert (client.brain.profile().summary, client.brain.profile().preferences) == ("", {})
    apollo = client.project.create("Apollo")
    client.memory.create("The user prefers type hints in Python code", project_id=apollo.id)
    for context in (
        client.brain.context(),
        client.brain.context(scope="work", project_id=apollo.id, max_tokens=1500),
        client.context.get("deep"),
        client.context.get("brief", max_tokens=500),
    ):
        assert "type hints" in context.system_prompt
        assert context.token_count > 0
    assert client.connect.read().system_prompt


def test_the_plan_and_what_is_used(any_client):
    client = any_client
    client.memory.create("one")
    assert client.billing.plan().name == client.expected.plan
    usage = client.billing.usage("daily")
    assert usage.period == "daily"
    assert usage.memories_created >= 1
    assert client.billing.usage_summary().limits


def test_api_keys(any_client):
    client = any_client
    made = client.api_keys.create("Production Server", scopes=["brain.read"], expires_in_days=90)
    assert made.key.startswith("ob_")
    assert made.key not in repr(made)
    assert made.scopes == ("brain.read",)
    assert about(made.expires_at, days=90)
    names = {key.name for key in client.api_keys.list().data}
    assert names == {"Production Server", *(["test"] if client.expected.first_key else [])}
    assert {key.name for key in client.api_keys.all(limit=1)} == names
    client.api_keys.revoke(made.id)
    assert "Production Server" not in {key.name for key in client.api_keys.all()}


def test_skills(any_client):
    client = any_client
    made = client.skill.create("Deploy", prompt_template="Deploy {{input}}", description="Says how")
    assert (client.skill.get(made.id).name, made.prompt_template) == ("Deploy", "Deploy {{input}}")
    changed = client.skill.update(made.id, name="Deploy it")
    assert (changed.name, changed.description) == ("Deploy it", "Says how")
    assert [skill.id for skill in client.skill.list().data] == [made.id]
    assert [skill.id for skill in client.skill.all()] == [made.id]
    client.skill.delete(made.id)
    if client.expected.dismissed:
        assert client.skill.get(made.id).status == "dismissed"
        assert client.skill.all(status="active") == []


def test_a_wrong_key_is_refused_and_not_repeated(any_client, connect):
    key = "ob_0123456789abcdef_00000000000000000000000000000000000000000000000f"
    with pytest.raises(onebrain.OneBrainAuthenticationError) as raised:
        connect(any_client.base_url, api_key=key).memory.list()
    assert key not in f"{raised.value!r} {raised.value.details}"


def test_ids_that_are_nobodys(any_client):
    for id in (str(uuid.uuid4()), "mem_nonexistent", "ä/ö?#"):
        with pytest.raises(onebrain.OneBrainNotFoundError):
            any_client.memory.get(id)


# ---- what our server does as well -----------------------------------------------------------------------------------


def test_memories_are_extracted_and_tended(client):
    extracted = client.memory.extract(
        "Maria said that she prefers window seats. She lives in Lisbon.", tags=["trip"]
    )
    assert extracted.data
    assert {memory.tags for memory in extracted.data} == {("trip",)}
    assert client.memory.ai_extract("I prefer dark mode. I decided to use Rust.").data
    chat = client.memory.parse_chat("User: I prefer dark mode.\nAssistant: Noted.", format="user-assistant")
    assert any("dark mode" in proposal.content for proposal in chat.data)
    uploaded = client.memory.upload(b"I live in Porto.\n", filename="notes.txt", media_type="text/plain")
    assert any("Porto" in proposal.content for proposal in uploaded.data)
    batch = client.memory.batch(["Has a cat called Tom", {"content": "Owns a red bike"}])
    assert batch.created == 2
    client.memory.create("The office is in the old harbour", title="The office")
    client.memory.create("The office is in the old harbour now", title="The office.")
    [double] = client.memory.duplicates()
    assert double.similarity > 0.8
    assert double.memory_a.id != double.memory_b.id
    assert client.memory.consolidate(dry_run=True, threshold=0.8).groups
    status = client.memory.embedding_status()
    assert status.total_memories == status.embedded > 0
    assert client.memory.reindex(max_items=5).errors == 0
    assert client.memory.expire(ttl_days=3650) == 0


@pytest.fixture
def page():
    """The address of a page to take memories from."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = b"<html><body><p>I prefer window seats on every flight.</p></body></html>"
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/page.html"
        server.shutdown()
        thread.join()


def test_a_page_is_read(client, page):
    proposals = client.memory.ingest_url(page)
    assert any("window seats" in proposal.content for proposal in proposals.data)


def test_entities_are_related(client):
    ada, company = client.entity.create("Ada"), client.entity.create("Apollo Limited", type="organization")
    relation = client.entity.link(ada.id, company.id, relation="works_at")
    assert [one.id for one in client.entity.relations(ada.id)] == [relation.id]
    graph = client.entity.graph(ada.id, depth=1)
    assert {node.name for node in graph.nodes} == {"Ada", "Apollo Limited"}
    assert [(edge.source, edge.relation, edge.target) for edge in graph.edges] == [
        (ada.id, "works_at", company.id)
    ]
    client.entity.unlink(ada.id, relation.id)
    assert client.entity.relations(ada.id) == ()
    client.entity.create("Ada.")
    [double] = client.entity.duplicates()
    assert {double.entity_a.name, double.entity_b.name} == {"Ada", "Ada."}


def test_the_profile_and_the_texts_of_contexts(client):
    client.memory.create("The user prefers type hints in Python code")
    profile = client.brain.update_profile(
        summary="Engineer", traits={"tone": "dry"}, preferences={"lang": "en"}
    )
    assert (profile.summary, profile.traits, profile.preferences) == (
        "Engineer",
        {"tone": "dry"},
        {"lang": "en"},
    )
    assert client.brain.profile().summary == "Engineer"
    assert "type hints" in client.context.text("deep")
    assert "type hints" in client.context.get("coding", language="python").system_prompt
    assert {"brief", "deep", "coding"} <= {scope.name for scope in client.context.list_scopes().data}


def test_agents_read_write_and_stay_in_step(client):
    since = datetime.now(UTC) - timedelta(minutes=1)
    connection = client.connect.register(
        "my-assistant", agent_version="1.0.0", capabilities=["memory_read", "memory_write"]
    )
    assert [one.connection_id for one in client.connect.connections()] == [connection.connection_id]
    synced = client.connect.sync(
        connection.connection_id, memories=["User prefers type hints.", "User has a cat."]
    )
    assert (synced.created, synced.meta.total) == (2, 2)
    pulled = client.connect.pull(connection.connection_id, since=since, limit=1)
    assert (len(pulled.data), pulled.meta.has_more) == (1, True)
    assert {
        change.content for change in client.connect.pull_all(connection.connection_id, since=since, limit=1)
    } == {
        "User prefers type hints.",
        "User has a cat.",
    }
    assert not client.connect.write_memory("Owns a red bike").duplicate
    assert client.connect.write_memory("Owns a red bike").duplicate
    assert client.connect.write_memories(["Has a cat called Tom", "Owns a boat"]).created == 2
    assert client.connect.read("brief").write_back is not None
    assert "type hints" in client.connect.read_text("deep")
    assert {change.action for change in client.connect.delta(since)} == {"created"}
    client.connect.disconnect(connection.connection_id)
    with pytest.raises(onebrain.OneBrainNotFoundError):
        client.connect.pull(connection.connection_id)


def test_keys_are_changed_and_plans_shown(client):
    made = client.api_keys.create("k")
    assert client.api_keys.update_trust_level(made.id, "trusted").trust_level == "trusted"
    changed = client.api_keys.update(made.id, name="other", is_active=False, rate_limit_per_min=5)
    assert (changed.name, changed.is_active, changed.rate_limit_per_min) == ("other", False, 5)
    assert {plan.name for plan in client.billing.plans()} == {"free", "team"}
    assert client.billing.usage_analytics()


def test_a_skill_is_executed_and_judged(client):
    made = client.skill.create("Deploy", prompt_template="Deploy {{input}} to {{place}}")
    run = client.skill.execute(made.id, input="the site", variables={"place": "Lisbon"})
    assert run.output.startswith("Deploy the site to Lisbon")
    assert client.skill.feedback(made.id, "applied", context={"ok": True}) is True
    assert client.skill.get(made.id).usage_count >= 1


def test_briefings(client):
    client.memory.create("Decided to launch on Monday", type="decision")
    assert client.briefing.get().action_items == ("Decided to launch on Monday",)
    assert client.briefing.get(date="2026-03-30").date == "2026-03-30"
    assert client.briefing.config().is_enabled is False
    config = client.briefing.update_config(
        is_enabled=True, timezone="Europe/Lisbon", quiet_hours_start="22:00"
    )
    assert (config.is_enabled, config.timezone, config.quiet_hours_start) == (True, "Europe/Lisbon", "22:00")
    schedule = client.briefing.create_schedule(
        type="morning", cron_expression="0 8 * * *", channels=["in_app"]
    )
    assert [one.id for one in client.briefing.schedules()] == [schedule.id]
    trigger = client.briefing.create_trigger(
        event_type="candidate_threshold", threshold=5, channels=["in_app"]
    )
    assert [(one.id, one.threshold) for one in client.briefing.triggers()] == [(trigger.id, 5)]
    client.briefing.delete_schedule(schedule.id)
    client.briefing.delete_trigger(trigger.id)
    assert (client.briefing.schedules(), client.briefing.triggers()) == ((), ())
    assert list(client.briefing.list(limit=7).data) == client.briefing.all() == []
    assert client.briefing.analytics(days=7).total_briefings == 0
    with pytest.raises(onebrain.OneBrainNotFoundError):
        client.briefing.engage(str(uuid.uuid4()), "opened")


def test_tags(client):
    memory = client.memory.create("Lives in Lisbon")
    home = client.tags.create("home", color="#112233")
    with pytest.raises(onebrain.OneBrainConflictError) as conflict:
        client.tags.create("home")
    assert conflict.value.existing_id == home.id
    tagged = client.tags.add(memory.id, home.id)
    assert (tagged.memory_item_id, tagged.tag_id) == (memory.id, home.id)
    assert [(tag.name, tag.color) for tag in client.tags.list()] == [("home", "#112233")]
    client.tags.remove(memory.id, home.id)
    client.tags.delete(home.id)
    assert client.tags.list() == ()


def test_agents_and_the_review_of_what_they_wrote(client, connect, ours):
    agent = client.agents.register(f"agent-{uuid.uuid4().hex}", description="does things")
    assert agent.key.startswith("ob_")
    writer = client.api_keys.create("writer", scopes=["connect.write", "brain.write"])
    connect(ours.url, api_key=writer.key).connect.write_memory("Owns a red bike")
    assert {found.name for found in client.agents.list()} >= {"writer"}
    assert client.agents.review(writer.id, "approve").action == "approve"
    assert client.agents.summary().total_calls >= 1
    assert client.agents.summary(writer.id).total_calls >= 1
    activity = client.agents.activity(writer.id, limit=1)
    assert activity.data[0].api_key_id == writer.id
    assert len(client.agents.all_activity(limit=1)) >= len(activity.data)


def test_housekeeping_in_versions(client):
    client.memory.batch(["Has a cat called Tom"])
    assert client.merge.run().activated == 1
    [version] = client.merge.history().data
    assert [one.id for one in client.merge.all_history(limit=1)] == [version.id]
    assert client.merge.rollback(version.version).success is True


def test_exports(client):
    client.memory.create("Lives in Lisbon")
    assert "Lives in Lisbon" in client.export.markdown()
    assert "Lives in Lisbon" in client.export.ai_prompt()
    assert b"Lives in Lisbon" in client.export.pdf()
    assert "Lives in Lisbon" in str(client.export.json())
    assert "user" in client.export.user()


def test_an_account_from_its_registration_on(ours, connect):
    email, password = f"{uuid.uuid4().hex}@example.com", "SecurePassword123!"
    client = connect(ours.url, anonymous=True)
    assert client.auth.register(email=email, password=password, name="Jane Doe").email == email
    session = client.auth.login(email=email, password=password)
    again = client.auth.refresh(session.refresh_token)
    client = connect(ours.url, access_token=again.access_token)
    assert client.auth.me().display_name == "Jane Doe"
    assert len(client.auth.sessions()) == 1
    assert client.account.streak().streak_count == 0
    assert client.account.notifications().push_enabled is False
    team = client.account.create_organization("Acme", description="Makes everything")
    assert [one.id for one in client.account.organizations()] == [team.id]


def about(moment: datetime | None, *, days: int) -> bool:
    """Whether a moment is so many days from now."""
    return moment is not None and abs(moment - datetime.now(UTC) - timedelta(days=days)) < timedelta(
        minutes=10
    )

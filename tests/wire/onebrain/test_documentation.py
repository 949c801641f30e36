"""Every code block of the client's documentation runs, on our server with either store and on one like the hosted one."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import onebrain
from onebrain import OneBrain, UnsupportedByServer

TEXT = (Path(__file__).parent / "documentation.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"## ([^\n]+)\n\n```python\n(.*?)```", TEXT, re.DOTALL))
WHOLE = {"Quick start", "Async", "Errors"}
# What the hosted server has no route for, and says so.
ABSENT = {
    "Link two entities",
    "Get entity relationships (graph)",
    "List available scopes",
    "Register an agent connection",
    "Sync memories from the agent to OneBrain",
    "Pull new memories since last sync",
    "Disconnect an agent",
    "Execute a skill",
    "Get today's briefing",
    "Get a briefing for a specific date",
    "Get a briefing scoped to a project",
}


def examples() -> Iterator[tuple[str, str, str]]:
    """Cut the blocks at their comments: one thing shown, one test."""
    for title, code in BLOCKS.items():
        if title in WHOLE:
            yield title, title, code
            continue
        for part in re.split(r"^(?=# )", code, flags=re.MULTILINE):
            if part.strip():
                first = part.splitlines()[0]
                yield (
                    title,
                    first.removeprefix("# ").partition(" (cursor")[0] if first[0] == "#" else title,
                    part,
                )


EXAMPLES = list(examples())


def prepare(client: OneBrain) -> dict[str, str]:
    """Make the things that the documentation takes for granted, and return their ids by the names used there."""
    memory = client.memory.create("User likes to travel.", tags=["preference"])
    project = client.project.create("Apollo")
    client.project.link_memory(project.id, memory.id, link_type="setup")
    made = {"mem_abc123": memory.id, "prj_xyz789": project.id}
    for name in ("ent_abc123", "ent_sarah", "ent_cyberdyne", "ent_duplicate", "ent_primary"):
        made[name] = client.entity.create(f"{name} {uuid.uuid4().hex}", type="person").id
    made["skill_abc123"] = client.skill.create("s", prompt_template="Hello {{input}}").id
    made["key_abc123"] = client.api_keys.create("old").id
    try:
        made["conn_abc123"] = client.connect.register("agent").connection_id
    except UnsupportedByServer:
        made["conn_abc123"] = memory.id
    return made


def live(request: pytest.FixtureRequest, store: str) -> SimpleNamespace:
    """Return a fresh account on our server with one of the stores."""
    server = request.getfixturevalue("onebrain_server" if store == "sqlite" else "postgresql_server")
    return SimpleNamespace(url=server.url, key=server.account(f"{uuid.uuid4().hex}@example.com"))


@pytest.fixture(params=["sqlite", "postgresql"])
def ours(request):
    account = live(request, request.param)
    return account.url, account.key


def run(code: str, where: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    url, key = where
    monkeypatch.setenv("ONEBRAIN_API_KEY", key)
    monkeypatch.setenv("ONEBRAIN_BASE_URL", url)
    with OneBrain() as client:
        for name, id in prepare(client).items():
            code = code.replace(name, id)
        space: dict[str, Any] = {"onebrain": onebrain, "client": client}
        exec(compile(code.replace("ob_xxx:secret", key), "documentation.md", "exec"), space)
        if space["client"] is not client:
            space["client"].close()
    return space


@pytest.mark.parametrize(("title", "what", "code"), EXAMPLES, ids=[what for _, what, _ in EXAMPLES])
def test_an_example_runs(title, what, code, ours, monkeypatch):
    run(code, ours, monkeypatch)


def test_the_documentation_runs_from_top_to_bottom_on_one_account(ours, monkeypatch):
    for _, _, code in EXAMPLES:
        run(code, ours, monkeypatch)


@pytest.mark.parametrize(("title", "what", "code"), EXAMPLES, ids=[what for _, what, _ in EXAMPLES])
def test_an_example_runs_on_a_hosted_server_or_says_that_it_cannot(title, what, code, hosted, monkeypatch):
    if what in ABSENT:
        with pytest.raises(UnsupportedByServer):
            run(code, (hosted.url, hosted.key), monkeypatch)
    else:
        run(code, (hosted.url, hosted.key), monkeypatch)


def test_every_absent_example_is_one():
    assert {what for _, what, _ in EXAMPLES} >= ABSENT


@pytest.fixture(params=["hosted", "sqlite", "postgresql"])
def server(request):
    return request.getfixturevalue("hosted") if request.param == "hosted" else live(request, request.param)


@pytest.fixture
def client(server):
    with OneBrain(server.key, base_url=server.url) as made:
        yield made


@pytest.fixture
def things(client):
    return SimpleNamespace(
        ada=client.entity.create("Ada", type="person").id,
        apollo=client.project.create("Apollo").id,
    )


def test_what_a_memory_was_given_comes_back_on_every_read(client, things):
    made = client.memory.create(
        "User loves hiking in the Alps.",
        tags=["preference", "travel"],
        entity_id=things.ada,
        project_id=things.apollo,
        source="chat",
        metadata={"year": 2026},
    )
    listed = client.memory.list().data[0]
    for memory in (made, client.memory.get(made.id), listed):
        assert memory.content == "User loves hiking in the Alps."
        assert memory.title == "User loves hiking in the Alps."
        assert memory.tags == ("preference", "travel")
        assert (memory.entity_id, memory.project_id, memory.source) == (things.ada, things.apollo, "chat")
        assert memory.metadata == {"year": 2026}


def test_a_search_is_filtered_by_what_memories_were_given(client, things):
    one = client.memory.create(
        "likes the Alps in summer", tags=["a", "b"], entity_id=things.ada, project_id=things.apollo
    )
    client.memory.create("likes the Alps in winter", tags=["b"])
    client.memory.create("likes the Alps at night", type="goal")
    found = {
        "tags": client.memory.search("likes the Alps", tags=["a"], limit=2),
        "entity": client.memory.search("likes the Alps", entity_id=things.ada, limit=2),
        "project": client.memory.search("likes the Alps", project_id=things.apollo, limit=2),
    }
    assert {name: [hit.id for hit in hits.data] for name, hits in found.items()} == {
        name: [one.id] for name in found
    }
    assert all(hit.score > 0 for hits in found.values() for hit in hits)


def test_a_search_by_type_is_done_here_where_the_server_ignores_it(hosted):
    with OneBrain(hosted.key, base_url=hosted.url) as client:
        client.memory.create("likes the Alps in winter")
        goal = client.memory.create("likes the Alps at night", type="goal")
        assert [hit.id for hit in client.memory.search("likes the Alps", type="goal").data] == [goal.id]


def test_an_update_keeps_what_it_does_not_name(client):
    made = client.memory.create("old text", tags=["a"], source="chat", metadata={"k": 1})
    changed = client.memory.update(made.id, content="new text")
    assert (changed.content, changed.title, changed.tags, changed.source, changed.metadata) == (
        "new text",
        "new text",
        ("a",),
        "chat",
        {"k": 1},
    )
    again = client.memory.update(made.id, metadata={"k": 2}, tags=["b"])
    assert (again.metadata, again.tags, again.source) == ({"k": 2}, ("b",), "chat")
    assert client.memory.update(made.id, metadata=None).metadata == {}
    assert client.memory.get(made.id).tags == ("b",)


def test_a_title_of_the_callers_own_survives_new_content(client):
    made = client.memory.create("old text", title="My heading")
    assert client.memory.update(made.id, content="new text").title == "My heading"


def test_a_link_that_fails_leaves_no_memory_behind(hosted):
    with OneBrain(hosted.key, base_url=hosted.url) as own:
        eve = own.entity.create("Eve").id
        hosted.fail = lambda method, path: 500 if path.endswith("/links") else None
        with pytest.raises(onebrain.OneBrainInternalError, match="it was deleted again"):
            own.memory.create("x", entity_id=eve)
        assert own.memory.list().data == ()


def test_a_link_that_fails_and_cannot_be_undone_says_so(hosted):
    with OneBrain(hosted.key, base_url=hosted.url, max_retries=0) as own:
        eve = own.entity.create("Eve").id
        hosted.fail = lambda method, path: 500 if method == "DELETE" or path.endswith("/links") else None
        with pytest.raises(onebrain.OneBrainInternalError, match="could not be deleted again") as raised:
            own.memory.create("x", entity_id=eve)
        (memory,) = own.memory.list().data
        assert memory.id in str(raised.value)


def test_an_import_with_tags_is_whole_on_every_server(client, things):
    items = [{"content": f"Fact {n}", "tags": ["imported"]} for n in range(3)]
    imported = client.memory.import_bulk(items, project_id=things.apollo)
    assert (imported.created, imported.meta.total, imported.errors) == (3, 3, ())
    assert [memory.tags for memory in client.memory.all()] == [("imported",)] * 3


def test_a_plain_import_is_sent_in_chunks_of_a_hundred(hosted):
    with OneBrain(hosted.key, base_url=hosted.url) as client:
        assert client.memory.import_bulk(f"Fact {n}" for n in range(250)).created == 250
    assert [len(body["items"]) for _, path, body in hosted.requests if path.endswith("/import")] == [
        100,
        100,
        50,
    ]


def test_a_bad_item_is_named_before_anything_is_sent(hosted):
    with (
        OneBrain(hosted.key, base_url=hosted.url) as client,
        pytest.raises(onebrain.OneBrainValidationError, match=r"memories\[1\].*nothing was stored"),
    ):
        client.memory.import_bulk(["fine", {"content": "x", "titel": "y"}])
    assert not [path for _, path, _ in hosted.requests if path.endswith("/import")]


def test_a_skill_keeps_its_description_and_scope(client):
    made = client.skill.create(
        name="s", description='Says "hi"', prompt_template="Hi {{input}}\n---\n", context_scope="work"
    )
    for skill in (made, client.skill.get(made.id), client.skill.list()[0]):
        assert (skill.name, skill.description, skill.context_scope) == ("s", 'Says "hi"', "work")
        assert skill.prompt_template == "Hi {{input}}\n---\n"
    changed = client.skill.update(made.id, name="t", prompt_template="Ho")
    assert (changed.name, changed.prompt_template, changed.description) == ("t", "Ho", 'Says "hi"')


def test_a_focused_context_stays_within_its_budget(client, things):
    for n in range(30):
        client.memory.create(f"likes to code in python, lesson {n} " + "x" * 100, project_id=things.apollo)
    client.memory.create("likes to code in python outside of the project")
    context = client.context.get(scope="code", language="python", max_tokens=200)
    assert context.system_prompt
    assert context.token_count <= 200
    inside = client.brain.context(scope="code", project_id=things.apollo, max_tokens=1500)
    assert inside.memories

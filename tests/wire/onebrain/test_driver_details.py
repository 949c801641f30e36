"""What the driver does about the hosted server's shortcomings, seen from outside."""

from __future__ import annotations

import pytest

import onebrain
from onebrain import AsyncBrain, F, OneBrainError, OneBrainValidationError, Scope

MARIA = Scope(user="maria")


@pytest.fixture
def brain(hosted):
    with onebrain.connect(f"onebrain+{hosted.url}", api_key=hosted.key) as made:
        yield made


def connect(account, **options):
    return onebrain.connect(f"onebrain+{account.url}", api_key=account.key, **options)


def test_a_scope_is_found_behind_hundreds_of_other_memories(hosted):
    with connect(hosted, links=False) as brain:
        brain.store("the lighthouse of maria", scope=MARIA)
        brain.store_many(f"the lighthouse number {n}" for n in range(250))
        result = brain.search("lighthouse", scope=MARIA)
        assert [hit.content for hit in result] == ["the lighthouse of maria"]
        assert result.exhausted


def test_a_search_that_stops_at_its_limit_says_so(hosted):
    with connect(hosted, links=False, scan_limit=100) as brain:
        brain.store("the lighthouse of maria", scope=MARIA)
        brain.store_many(f"the lighthouse number {n}" for n in range(250))
        result = brain.search("lighthouse", scope=MARIA)
        assert (len(result), result.exhausted) == (0, False)


def test_a_session_is_listed_by_its_word_in_the_title_and_in_order(brain, hosted):
    brain.store_many([f"message {n}" for n in range(120)], scope=Scope(session="one"))
    brain.store_many([f"noise {n}" for n in range(120)], scope=Scope(session="two"))
    hosted.requests.clear()
    found = [memory.content for memory in brain.list(scope=Scope(session="one"), order="sequence")]
    assert found == [f"message {n}" for n in range(120)]
    lists = [path for _, path, _ in hosted.requests if path == "/v1/memory"]
    # Two pages, and two requests to see whether texts can be searched.
    assert len(lists) <= 4


def test_a_session_is_found_on_a_server_that_encrypts(brain, hosted):
    hosted.encrypted = True
    brain.store("message", scope=Scope(session="one"))
    brain.store("noise", scope=Scope(session="two"))
    assert [memory.content for memory in brain.list(scope=Scope(session="one"))] == ["message"]


def test_a_space_is_a_project_and_a_user_an_entity_made_once(brain, hosted):
    scope = Scope(space="notes", user="maria")
    ids = [brain.store(f"note {n}", scope=scope).id for n in range(3)]
    (project,), (entity,) = hosted.projects.values(), hosted.entities.values()
    assert (project["name"], entity["name"], entity["type"]) == ("notes", "maria", "person")
    assert [link["memoryItemId"] for link in project["memoryLinks"]] == ids
    assert [link["memoryItemId"] for link in entity["links"]] == ids
    # Another process finds them by their names.
    with connect(hosted) as other:
        other.store("note 4", scope=scope)
    assert (len(hosted.projects), len(hosted.entities)) == (1, 1)


def test_a_link_that_fails_leaves_no_memory_behind(brain, hosted):
    hosted.fail = lambda method, path: 500 if path.endswith("/memory-links") else None
    with pytest.raises(OneBrainError, match="it was deleted again"):
        brain.store("note", scope=Scope(space="notes"))
    assert hosted.memories == {}


def test_what_a_memory_says_is_not_in_the_error_of_its_failure(brain, hosted):
    hosted.fail = lambda method, path: 500 if method == "POST" else None
    with pytest.raises(OneBrainError) as raised:
        brain.store("the combination is 31-7-12")
    assert "31-7-12" not in str(raised.value)


def test_a_text_too_long_for_the_wire_is_refused_before_it_is_sent(brain, hosted):
    with pytest.raises(OneBrainValidationError, match="12000 UTF-16 units"):
        brain.store("🪟" * 6000)
    assert hosted.memories == {}


def test_memories_of_other_clients_are_read_as_they_are(brain, hosted):
    row = hosted.create({"type": "goal", "title": "Boat", "body": "Buy a boat", "metadata": {"k": 1}})
    memory = brain.get(row["id"])
    assert (memory.title, memory.type, memory.metadata, memory.scope) == ("Boat", "goal", {"k": 1}, Scope())
    assert brain.update(row["id"], metadata={"l": 2}).metadata == {"k": 1, "l": 2}
    assert brain.get(row["id"]).title == "Boat"


def test_filters_are_evaluated_on_whole_memories(brain):
    brain.store("the lighthouse in 2024", metadata={"year": 2024})
    brain.store("the lighthouse in 2026", metadata={"year": 2026}, tags=["sea"])
    assert [hit.content for hit in brain.search("lighthouse", filter=F("year").ge(2025))] == [
        "the lighthouse in 2026"
    ]
    assert [memory.content for memory in brain.list(filter=F.tags.contains("sea"))] == [
        "the lighthouse in 2026"
    ]


def test_the_additions_need_no_further_request_for_a_scoped_search(additions):
    with connect(additions) as brain:
        brain.store_many([f"the lighthouse number {n}" for n in range(60)])
        brain.store("the lighthouse of maria", scope=MARIA)
        additions.requests.clear()
        assert [hit.content for hit in brain.search("lighthouse", scope=MARIA)] == ["the lighthouse of maria"]
        assert [path for _, path, _ in additions.requests] == ["/v1/memory/search"]


async def test_aiohttp_carries_a_brain(hosted):
    brain = onebrain.connect_async(f"onebrain+{hosted.url}", api_key=hosted.key, transport="aiohttp")
    assert isinstance(brain, AsyncBrain)
    async with brain:
        await brain.store("the lighthouse", scope=MARIA)
        assert [hit.content for hit in await brain.search("lighthouse", scope=MARIA)] == ["the lighthouse"]


@pytest.mark.parametrize("url", ["onebrain+", "onebrain:nonsense", "onebrain+brain.example"])
def test_a_wrong_url_is_refused(url):
    with pytest.raises(onebrain.ConfigurationError):
        onebrain.connect(url, api_key="ob_a_b")


def test_an_unknown_option_is_refused(hosted):
    with pytest.raises(onebrain.ConfigurationError, match="telepathy"):
        connect(hosted, telepathy=True)


def test_the_entity_that_stands_for_a_user_is_no_mention(brain, hosted):
    id = brain.store("Lisbon is warm", scope=MARIA).id
    assert [entity["name"] for entity in hosted.entities.values()] == ["maria"]
    assert brain.entities(scope=MARIA) == []
    assert brain.extract_entities(scope=MARIA) == 1
    assert [entity.name for entity in brain.entities(scope=MARIA)] == ["Lisbon"]
    brain.remove_entity("Lisbon")
    (user,) = hosted.entities.values()
    assert [link["memoryItemId"] for link in user["links"]] == [id]


def test_all_entities_are_found_where_the_graph_shows_only_some(brain, hosted):
    ids = [brain.store(f"Guest{n} came").id for n in range(220)]
    with onebrain.OneBrain(base_url=hosted.url, api_key=hosted.key) as client:
        for n, id in enumerate(ids):
            client.entity.add_link(client.entity.create(f"Guest{n}", type="person").id, id)
    whole = hosted.table
    hosted.table = []
    hosted.route("GET", "/v1/entities/graph", lambda **_: list(hosted.entities.values())[-200:])
    hosted.table += whole
    assert len(brain.entities(limit=1000)) == 220
    assert brain.entity("Guest0").memory_ids == (ids[0],)


def test_what_is_written_about_an_entity_as_a_whole_is_shown_without_a_scope_only(brain, hosted):
    brain.store("Lisbon is warm", scope=MARIA)
    brain.extract_entities()
    entity = next(row for row in hosted.entities.values() if row["name"] == "Lisbon")
    entity["description"], entity["metadata"] = "the office of Paulo", {"by": "paulo"}
    assert brain.entity("Lisbon").description == "the office of Paulo"
    seen = brain.entity("Lisbon", scope=MARIA)
    assert (seen.description, seen.metadata) == (None, {})
    (found,) = brain.entities("Lisbon", scope=MARIA)
    assert (found.description, found.metadata) == (None, {})

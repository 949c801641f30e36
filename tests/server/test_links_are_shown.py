"""What a memory belongs to is read from its links, wherever a memory is shown, and after every change of them."""

from __future__ import annotations

import uuid
from contextlib import ExitStack

import pytest

import onebrain
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server


@pytest.fixture
def api(onebrain_server_url, onebrain_api_key):
    with onebrain.OneBrain(api_key=onebrain_api_key, base_url=onebrain_server_url) as client:
        yield client


def places(api: onebrain.OneBrain, id: str) -> set[tuple[str | None, str | None]]:
    """Return what each way of reading says a memory belongs to."""
    shown = [
        api.memory.get(id),
        *(one for one in api.memory.list().data if one.id == id),
        *(hit for hit in api.memory.search(query="jam").data if hit.id == id),
    ]
    assert len(shown) == 3
    exported = api.request("GET", "/v1/export/json")["data"]["memories"]
    [row] = [row for row in exported if row["id"] == id]
    return {(one.entity_id, one.project_id) for one in shown} | {(row["entityId"], row["projectId"])}


def test_linking_and_unlinking(api):
    ann, trip = api.entity.create(name="Ann", type="person"), api.project.create(name="Trip")
    memory = api.memory.create(content="jam and toast")
    assert places(api, memory.id) == {(None, None)}
    link = api.entity.add_link(ann.id, memory.id)
    api.project.link_memory(project_id=trip.id, memory_id=memory.id)
    assert places(api, memory.id) == {(ann.id, trip.id)}
    api.entity.remove_link(ann.id, link.id)
    api.project.unlink_memory(project_id=trip.id, memory_id=memory.id)
    assert places(api, memory.id) == {(None, None)}


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_link_that_one_server_makes_is_shown_by_the_other(database, request, tmp_path):
    url = (
        f"sqlite:///{tmp_path / 'server.db'}"
        if database == "sqlite"
        else request.getfixturevalue("postgres").new_database()
    )
    settings = Settings(database_url=url, rate_limit_max=0, log_level="error")
    with ExitStack() as stack:
        servers = [stack.enter_context(live_server(settings)) for _ in range(2)]
        key = servers[0].account(f"{uuid.uuid4().hex}@example.com")
        one, other = (
            stack.enter_context(onebrain.OneBrain(api_key=key, base_url=server.url)) for server in servers
        )
        memory = one.memory.create(content="jam and toast")

        def shown():
            [place] = places(one, memory.id) | places(other, memory.id)
            return place

        double, ann = (one.entity.create(name=name, type="person") for name in ("Double", "Ann"))
        trip = one.project.create(name="Trip")
        assert shown() == (None, None)
        other.entity.add_link(double.id, memory.id)
        assert shown() == (double.id, None)
        one.project.link_memory(project_id=trip.id, memory_id=memory.id)
        assert shown() == (double.id, trip.id)
        other.entity.merge(source_id=double.id, target_id=ann.id)
        assert shown() == (ann.id, trip.id)
        one.project.delete(trip.id)
        assert shown() == (ann.id, None)
        other.entity.delete(ann.id)
        assert shown() == (None, None)
        one.memory.delete(memory.id)
        bo = one.entity.create(name="Bo", type="person")
        body = {"id": memory.id, "body": "jam and toast", "entityId": bo.id}
        other.request("POST", "/v1/memory", json=body)
        assert shown() == (bo.id, None)


def test_what_a_memory_was_stored_for_and_what_became_of_it(api):
    ann, trip = api.entity.create(name="Ann", type="person"), api.project.create(name="Trip")
    memory = api.memory.create(content="jam and toast", entity_id=ann.id, project_id=trip.id)
    assert (memory.entity_id, memory.project_id) == (ann.id, trip.id)
    assert places(api, memory.id) == {(ann.id, trip.id)}
    api.memory.update(memory.id, title="Breakfast")
    assert places(api, memory.id) == {(ann.id, trip.id)}
    api.project.unlink_memory(project_id=trip.id, memory_id=memory.id)
    assert places(api, memory.id) == {(ann.id, None)}
    api.entity.delete(ann.id)
    assert places(api, memory.id) == {(None, None)}


def test_a_deleted_project_is_gone_from_its_memories(api):
    trip, other = api.project.create(name="Trip"), api.project.create(name="Other")
    memory = api.memory.create(content="jam and toast", project_id=trip.id)
    api.project.link_memory(project_id=other.id, memory_id=memory.id)
    assert places(api, memory.id) == {(None, trip.id)}
    api.project.delete(trip.id)
    assert places(api, memory.id) == {(None, other.id)}


def test_a_merged_entity_hands_its_memories_on(api):
    double, primary = (api.entity.create(name=name, type="person") for name in ("Double", "Primary"))
    memory = api.memory.create(content="jam and toast", entity_id=double.id)
    api.entity.merge(source_id=double.id, target_id=primary.id)
    assert places(api, memory.id) == {(primary.id, None)}
    assert [one.id for one in api.memory.list(entity_id=primary.id).data] == [memory.id]


def test_being_mentioned_is_not_belonging(api):
    ann = api.entity.create(name="Ann", type="person")
    memory = api.memory.create(content="jam and toast")
    api.entity.add_link(ann.id, memory.id, link_type="mentions")
    assert places(api, memory.id) == {(None, None)}
    api.entity.add_link(ann.id, memory.id, link_type="likes")
    assert places(api, memory.id) == {(ann.id, None)}


def test_an_imported_brain_has_the_links_of_the_exported_one(api, onebrain_server, onebrain_server_url):
    ann, trip = api.entity.create(name="Ann", type="person"), api.project.create(name="Trip")
    memory = api.memory.create(content="jam and toast", entity_id=ann.id, project_id=trip.id)
    unlinked = api.memory.create(content="jam alone", project_id=trip.id)
    api.project.unlink_memory(project_id=trip.id, memory_id=unlinked.id)
    whole = api.request("GET", "/v1/export/json")["data"]
    bare = {**whole, "entities": [{**row, "links": []} for row in whole["entities"]]}
    for exported in (whole, bare):
        key = onebrain_server.account(f"{uuid.uuid4().hex}@example.com")
        with onebrain.OneBrain(api_key=key, base_url=onebrain_server_url) as copy:
            assert copy.request("POST", "/v1/import", json=exported)["data"]["errors"] == []
            assert places(copy, memory.id) == {(ann.id, trip.id)}
            assert places(copy, unlinked.id) == {(None, None)}

"""What a memory belongs to is read from its links, wherever a memory is shown, and after every change of them."""

from __future__ import annotations

import uuid

import pytest

import onebrain


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

"""What the operations share: rows that are read by their models, null where it has no meaning, documents and cursors."""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass

import pytest

from onebrain.memory.driver import ListRequest
from onebrain.memory.models import NewMemory
from onebrain_server.clock import iso_micros
from onebrain_server.http import cursors
from onebrain_server.http.rows import row_of
from onebrain_server.http.wire import CamelWire, Wire
from onebrain_server.listing import every_memory
from onebrain_server.state.records import Record


@dataclass
class _Visit:
    id: str
    place_name: str
    made_at: int
    left_at: int | None = None


class _VisitRow(CamelWire):
    id: str
    place_name: str
    made_at: str
    left_at: str | None
    guests: int


class _NoteRow(Wire):
    id: str
    status: str | None
    text: str
    colour: str | None
    read_at: str | None
    created_at: str


def test_a_row_has_the_fields_of_its_model_by_their_names_on_the_wire():
    row = row_of(_VisitRow, _Visit("1", "Lisbon", 1_000_000), guests=2)
    assert row == {
        "id": "1", "placeName": "Lisbon", "madeAt": iso_micros(1_000_000), "leftAt": None, "guests": 2,
    }  # fmt: skip
    assert _VisitRow.model_validate(row).guests == 2


def test_a_row_of_a_record_reads_its_body_and_what_stands_beside_it():
    record = Record("1", "open", None, 1_000_000, 2_000_000, {"text": "hello", "read_at": 3_000_000})
    row = row_of(_NoteRow, record, time=str)
    # A field that an earlier version did not store is None.
    assert row == {
        "id": "1", "status": "open", "text": "hello", "colour": None, "read_at": "3000000", "created_at": "1000000",
    }  # fmt: skip


def test_a_field_that_an_object_lacks_is_a_mistake():
    with pytest.raises(AttributeError, match="guests"):
        row_of(_VisitRow, _Visit("1", "Lisbon", 1))


def test_a_cursor_gives_its_values_back():
    assert cursors.decode(cursors.encode("memories", 7, None)) == ["memories", 7, None]


@pytest.mark.parametrize("cursor", ["", "!", "Ü", "AAAA", base64.urlsafe_b64encode(b"[" * 100_000).decode()])
def test_what_is_no_cursor_is_refused(cursor):
    with pytest.raises(ValueError):  # noqa: PT011 - some of the messages are Python's
        cursors.decode(cursor)


@pytest.mark.parametrize(("most", "count"), [(None, 7), (3, 3), (7, 7), (9, 7)])
def test_every_memory_of_a_list_is_read_page_by_page(live, monkeypatch, most, count):
    monkeypatch.setattr("onebrain_server.listing._PAGE", 2)
    tenant = live.server.engine.tenant(uuid.uuid4().hex)
    tenant.store([NewMemory.checked(id=str(number), content=f"note {number}") for number in range(7)])
    found = list(every_memory(tenant, ListRequest(order="created_at"), most=most))
    assert len(found) == len({memory.id for memory in found}) == count


def test_a_document_of_a_known_id_is_stored_once_and_then_changed(live):
    records, tenant = live.server.records, uuid.uuid4().hex
    made = records.put(tenant, "note", "one", {"a": 1}, defaults={"a": 0, "b": 0})
    assert made.body == {"a": 1, "b": 0}
    changed = records.put(tenant, "note", "one", {"b": 2}, defaults={"a": 0}, status="open")
    assert (changed.body, changed.status) == ({"a": 1, "b": 2}, "open")
    assert records.count(tenant, "note") == 1


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/projects", "name"), ("/v1/projects", "status"), ("/v1/entities", "type"), ("/v1/memory", "pinned"),
        ("/v1/skills", "promptTemplate"), ("/v1/api-keys", "trustLevel"), ("/v1/api-keys", "isActive"),
        ("/v1/briefings/config", "contentPreferences"), ("/v1/brain/profile", "traits"),
    ],
)  # fmt: skip
def test_null_is_refused_where_it_has_no_meaning(client, path, name):
    bodies = {
        "/v1/projects": {"name": "Move"},
        "/v1/entities": {"name": "Maria", "type": "person"},
        "/v1/memory": {"body": "likes tea"},
        "/v1/skills": {"title": "Greet", "body": "Say hello"},
        "/v1/api-keys": {"name": "agent"},
    }
    if path in bodies:
        made = client.post(path, json=bodies[path]).json()["data"]
        path = f"{path}/{made['id']}"
    method = "PUT" if path.endswith("profile") else "PATCH"
    answer = client.request(method, path, json={name: None})
    assert answer.status_code == 400, answer.text
    [detail] = answer.json()["error"]["details"]
    assert detail["path"] == [name]
    assert "NoneType" not in answer.text


def test_a_profile_that_does_not_fit_is_one_error_of_an_import(client):
    body = {
        "format": "onebrain-export", "version": 1, "profile": {"traits": 5, "summary": "new"},
        "memories": [{"body": "likes tea"}], "projects": [{"id": "p", "name": "Move", "createdAt": "2026-01-01T00:00:00Z"}],
    }  # fmt: skip
    answer = client.post("/v1/import", json=body)
    assert answer.status_code == 201, answer.text
    found = answer.json()["data"]
    assert (found["memories"], found["projects"]) == (1, 1)
    [error] = found["errors"]
    assert error.startswith("profile[0].traits: ")

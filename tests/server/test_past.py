"""As-of reads: memories as they were, whatever changed or deleted them since; how long that is kept, and who forgets it."""

from __future__ import annotations

import re
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from onebrain import OneBrain, OneBrainNotFoundError, OneBrainValidationError
from onebrain.memory.driver import Changes
from onebrain.memory.models import EVERYTHING
from onebrain_server.clock import now_micros
from onebrain_server.dialects import onebrain as dialect
from onebrain_server.settings import Settings
from onebrain_server.state import tables
from onebrain_server.state.database import SERVER
from onebrain_server.state.tables import revision
from onebrain_server.testing import live_server

# The last schema without `server_revision`.
BEFORE_HISTORY = 3


@pytest.fixture(params=["sqlite", "postgresql"])
def live(request):
    return request.getfixturevalue("onebrain_server" if request.param == "sqlite" else "postgresql_server")


@pytest.fixture
def client(live):
    """A client of a fresh account."""
    key = live.account(f"{uuid.uuid4().hex}@example.com")
    with opened(live, key) as found:
        yield found


def opened(live, key):
    return httpx.Client(base_url=live.url, headers={"authorization": f"ApiKey {key}"}, timeout=180)


def data(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json()["data"]


def refused(answer, path, words):
    assert answer.status_code == 400, answer.text
    [issue] = answer.json()["error"]["details"]
    assert (issue["path"], words in issue["message"]) == ([path], True), issue


def moment():
    """A moment after everything that was answered, and before everything that is asked for next."""
    time.sleep(0.003)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    time.sleep(0.003)
    return now


def add(client, body, **fields):
    return data(client.post("/v1/memory", json={"body": body, **fields}), 201)


def everything(client, **query):
    """All pages of a list; each of its pages says how many rows there are."""
    rows, cursor = [], None
    while True:
        answer = client.get("/v1/memory", params={**query, **({"cursor": cursor} if cursor else {})})
        rows += data(answer)
        assert len(rows) < 1000
        pagination = answer.json()["meta"]["pagination"]
        cursor = pagination["cursor"]
        if not pagination["hasMore"]:
            assert cursor is None
            assert pagination["total"] == len(rows)
            return rows


def test_changed_and_deleted_memories_are_answered_as_they_were(client):
    before = moment()
    maria = add(client, "Maria prefers window seats", title="Seat", tags=["travel"])
    pedro = add(client, "Pedro drives", scope={"user": "pedro", "space": "cars"}, metadata={"n": [1, None]})
    at_first = moment()
    changed = data(
        client.patch(f"/v1/memory/{maria['id']}", json={"body": "Maria prefers aisle seats", "tags": []})
    )
    changed_at = moment()
    assert client.delete(f"/v1/memory/{pedro['id']}").status_code == 204
    deleted_at = moment()
    again = data(client.patch(f"/v1/memory/{maria['id']}", json={"status": "archived"}))
    lisbon = add(client, "Lisbon is sunny")

    def bodies(when, **query):
        return [row["body"] for row in everything(client, asOf=when, **query)]

    assert everything(client, asOf=before) == []
    assert everything(client, asOf=at_first) == [pedro, maria]
    assert everything(client, asOf=changed_at) == [pedro, changed]
    assert everything(client, asOf=deleted_at) == [changed]
    assert everything(client, asOf=moment()) == [lisbon, again] == everything(client)
    # Filters look at what memories were.
    assert (
        bodies(at_first, tags="travel") == bodies(at_first, search="WINDOW") == ["Maria prefers window seats"]
    )
    assert bodies(changed_at, tags="travel") == bodies(changed_at, search="window") == []
    assert bodies(changed_at, status="active") == ["Pedro drives", "Maria prefers aisle seats"]
    assert bodies(moment(), status="archived") == ["Maria prefers aisle seats"]
    assert bodies(at_first, type="goal") == []

    def one(id, when):
        answer = client.get(f"/v1/memory/{id}", params={"asOf": when})
        return data(answer) if answer.status_code == 200 else answer.status_code

    assert [one(maria["id"], when) for when in (before, at_first, changed_at, moment())] == [
        404,
        maria,
        changed,
        again,
    ]
    assert [one(pedro["id"], when) for when in (before, changed_at, deleted_at)] == [404, pedro, 404]
    # A time that a row shows is one at which it was so.
    assert one(maria["id"], maria["createdAt"]) in (maria, changed)
    assert one(maria["id"], again["updatedAt"]) == again


CHANGES = {
    "patch": lambda c, ids: c.patch(f"/v1/memory/{ids[0]}", json={"metadata": {"n": 1}, "pinned": True}),
    "delete": lambda c, ids: c.delete(f"/v1/memory/{ids[0]}"),
    "forget ids": lambda c, ids: c.post("/v1/memory/forget", json={"ids": ids[:2]}),
    "forget a filter": lambda c, ids: c.post("/v1/memory/forget", json={"filter": {"$type": "goal"}}),
    "forget a scope": lambda c, ids: c.post("/v1/memory/forget", json={"scope": {"user": "maria"}}),
    "replace": lambda c, ids: c.post("/v1/memory", json={"id": ids[1], "body": "Replaced", "scope": {"user": "maria"}}),
    "import": lambda c, ids: c.post("/v1/memory/import", json={"items": [{"id": ids[0], "body": "One"}, {"body": "Two"}]}),
    "import a brain": lambda c, ids: c.post(
        "/v1/import",
        json={"format": "onebrain-export", "version": 1, "memories": [{"id": ids[0], "body": "One", "status": "conflicted"}]},
    ),
    "extract what is known": lambda c, ids: c.post("/v1/memory/extract", json={"title": "Home", "body": "Maria lives in Lisbon"}),
    "extract a contradiction": lambda c, ids: c.post("/v1/memory/extract", json={"title": "Home", "body": "Pedro sails round Africa"}),
    "extract with an id": lambda c, ids: c.post("/v1/memory/extract", json={"id": ids[0], "body": "Something else"}),
    "batch with an id": lambda c, ids: c.post("/v1/memory/batch", json=[{"id": ids[0], "body": "Something else"}]),
    "connect with an id": lambda c, ids: c.post("/v1/connect/memory", json={"id": ids[0], "body": "Something else"}),
    "consolidate": lambda c, ids: c.post("/v1/memory/consolidate", json={}),
    "merge": lambda c, ids: c.post("/v1/merge/run"),
    "merge and roll back": lambda c, ids: [c.post("/v1/merge/run"), c.post("/v1/merge/rollback/1")][1],
    "tag": lambda c, ids: c.post(f"/v1/memory/{ids[0]}/tags", json={"tagId": _tag(c)}),
    "untag": lambda c, ids: _untag(c, ids[0]),
    "a skill": lambda c, ids: c.post("/v1/skills", json={"title": "Greet", "promptTemplate": "Say hello"}),
}  # fmt: skip


def _tag(client):
    return data(client.post("/v1/tags", json={"name": "travel"}), 201)["id"]


def _untag(client, id):
    tag = _tag(client)
    client.post(f"/v1/memory/{id}/tags", json={"tagId": tag}).raise_for_status()
    return client.delete(f"/v1/tags/{tag}")


def test_memories_are_changed_in_one_place_only():
    changing = re.compile(r"call\.memories\.(?:store\w*|update|delete|purge)\(")
    folder = Path(dialect.__file__).parent
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if changing.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"rules/memories.py"}


@pytest.mark.parametrize("name", CHANGES)
def test_every_way_to_change_memories_keeps_what_they_were(client, name):
    ids = [
        add(client, "Maria lives in Lisbon", title="Home", confidence=0.5)["id"],
        add(client, "I want to learn sailing", type="goal", scope={"user": "maria"})["id"],
        add(client, "Maria lives in Lisbon", title="Home", confidence=0.4)["id"],
    ]
    data(client.post("/v1/memory/batch", json=[{"title": "Car", "body": "Pedro drives a red car"}]), 201)
    then, when = everything(client), moment()
    answer = CHANGES[name](client, ids)
    assert answer.status_code in (200, 201, 204), answer.text
    assert everything(client) != then
    assert everything(client, asOf=when) == then
    for row in then:
        assert data(client.get(f"/v1/memory/{row['id']}", params={"asOf": when})) == row


def test_expiring_keeps_what_memories_were(client, live):
    old = add(client, "Maria prefers window seats")
    tenant = old["userId"]
    with_time = datetime.now(UTC) - timedelta(days=3)
    live.server.engine.tenant(tenant).update(
        old["id"], Changes(fields={"importance": 0.5}), EVERYTHING, at=with_time
    )
    then, when = everything(client), moment()
    assert data(client.post("/v1/memory/expire", json={"ttlDays": 1}))["expired"] == 1
    assert everything(client, status="active") == []
    assert everything(client, asOf=when, status="active") == then


def test_pages_stay_what_they_are_while_memories_change(client):
    same = "2026-01-01T00:00:00.000Z"
    items = [{"body": f"Number {n}", **({"createdAt": same} if n % 2 else {})} for n in range(12)]
    data(client.post("/v1/memory/import", json={"items": items}), 201)
    early = everything(client)
    for row in early[3:8]:
        client.patch(f"/v1/memory/{row['id']}", json={"pinned": True}).raise_for_status()
    then, when = everything(client), moment()
    assert [row["id"] for row in then] == [row["id"] for row in early]
    client.delete(f"/v1/memory/{then[0]['id']}").raise_for_status()
    client.patch(f"/v1/memory/{then[5]['id']}", json={"body": "Changed"}).raise_for_status()
    seen, cursor = [], None
    for page in range(6):
        query = {"asOf": when, "limit": 2, **({"cursor": cursor} if cursor else {})}
        answer = client.get("/v1/memory", params=query)
        seen += data(answer)
        assert answer.json()["meta"]["pagination"]["total"] == 12
        cursor = answer.json()["meta"]["pagination"]["cursor"]
        # One that was seen changes, one that comes next, the last one goes; and there are new ones.
        for place in (2 * page, 2 * page + 2):
            if place < 11:
                client.patch(f"/v1/memory/{then[place]['id']}", json={"body": f"Changed in {page}"})
        client.delete(f"/v1/memory/{then[-1 - page]['id']}")
        add(client, f"New in {page}")
    assert cursor is None
    assert seen == then


def test_much_that_changed_since_is_passed_over(client):
    rows = data(
        client.post("/v1/memory/import", json={"items": [{"body": f"Number {n}"} for n in range(60)]}), 201
    )["data"]
    last = add(client, "The last", createdAt="2020-01-01T00:00:00Z")
    when = moment()
    data(client.post("/v1/memory/forget", json={"ids": [row["id"] for row in rows[:58]]}))
    for row in rows[58:]:
        client.patch(f"/v1/memory/{row['id']}", json={"tags": ["late"]}).raise_for_status()
    found = everything(client, asOf=when, limit=5)
    assert len(found) == 61
    assert found[-1] == last
    assert [row["tags"] for row in found] == [[]] * 61
    assert everything(client, asOf=when, tags="late") == []
    assert [row["body"] for row in everything(client, asOf=when, search="number 7", limit=1)] == ["Number 7"]


def test_an_id_may_have_been_several_memories(client):
    data(client.post("/v1/memory", json={"id": "seat", "body": "Window"}), 201)
    first = moment()
    client.delete("/v1/memory/seat").raise_for_status()
    between = moment()
    data(client.post("/v1/memory", json={"id": "seat", "body": "Aisle"}), 201)
    second = moment()
    client.delete("/v1/memory/seat").raise_for_status()
    for when, expected in ((first, ["Window"]), (between, []), (second, ["Aisle"]), (moment(), [])):
        assert [row["body"] for row in everything(client, asOf=when)] == expected
        answer = client.get("/v1/memory/seat", params={"asOf": when})
        assert [data(answer)["body"]] == expected if expected else answer.status_code == 404


def test_what_cannot_be_read_says_why(client):
    id = add(client, "Maria prefers window seats")["id"]
    add(client, "Pedro drives")
    when = moment()
    future = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    for path in ("/v1/memory", f"/v1/memory/{id}"):
        refused(client.get(path, params={"asOf": future}), "asOf", "in the future")
        refused(
            client.get(path, params={"asOf": "2020-01-01T00:00:00Z"}),
            "asOf",
            "the history that is kept begins",
        )
        refused(client.get(path, params={"asOf": "yesterday"}), "asOf", "ISO 8601")
        refused(client.get(path, params={"asOf": "2026-01-01T00:00:00"}), "asOf", "offset")
    for name in ("entityId", "projectId"):
        refused(client.get("/v1/memory", params={"asOf": when, name: id}), "asOf", "links have no history")
    plain = client.get("/v1/memory", params={"limit": 1}).json()["meta"]["pagination"]["cursor"]
    past = client.get("/v1/memory", params={"limit": 1, "asOf": when}).json()["meta"]["pagination"]["cursor"]
    for query in (
        {"asOf": when, "cursor": plain}, {"cursor": past}, {"asOf": moment(), "cursor": past}, {"asOf": when, "cursor": id},
        {"asOf": when, "cursor": "WyJhc09mIiwgMSwgMSwgInR3byIsIDFd"}, {"asOf": when, "cursor": "WyJhc09mIl0"},
    ):  # fmt: skip
        refused(client.get("/v1/memory", params=query), "cursor", "not a cursor")


def test_another_account_sees_nothing_of_it(live, client):
    id = add(client, "Maria prefers window seats")["id"]
    when = moment()
    client.delete(f"/v1/memory/{id}").raise_for_status()
    with opened(live, live.account(f"{uuid.uuid4().hex}@example.com")) as stranger:
        assert everything(stranger, asOf=when) == []
        assert stranger.get(f"/v1/memory/{id}", params={"asOf": when}).status_code == 404
        data(stranger.post("/v1/memory/forget", json={"ids": [id], "erase": True}))
    assert len(everything(client, asOf=when)) == 1


def kept(live, tenant):
    with live.server.database.reading(tenant) as connection:
        where = revision.c.tenant == tenant
        return connection.execute(sa.select(sa.func.count()).select_from(revision).where(where)).scalar()


def test_what_is_erased_is_gone_with_its_past(live, client):
    rows = [add(client, f"Number {n}") for n in range(4)]
    tenant = rows[0]["userId"]
    # Storing costs nothing.
    assert kept(live, tenant) == 0
    when = moment()
    for row in rows:
        client.patch(f"/v1/memory/{row['id']}", json={"pinned": True}).raise_for_status()
    client.delete(f"/v1/memory/{rows[0]['id']}").raise_for_status()
    assert kept(live, tenant) == 5
    history = data(client.get("/v1/user/export"))["history"]
    assert [one["memory"]["body"] for one in history] == [*(f"Number {n}" for n in range(4)), "Number 0"]
    assert (
        data(client.post("/v1/memory/forget", json={"ids": [rows[1]["id"]], "dryRun": True, "erase": True}))[
            "count"
        ]
        == 1
    )
    assert kept(live, tenant) == 5
    ids = [rows[0]["id"], rows[1]["id"]]
    assert data(client.post("/v1/memory/forget", json={"ids": ids, "erase": True})) == {
        "count": 1, "dryRun": False, "ids": ids[1:],
    }  # fmt: skip
    assert [row["body"] for row in everything(client, asOf=when)] == ["Number 3", "Number 2"]
    data(client.post("/v1/memory/forget", json={"filter": {"$id": rows[2]["id"]}, "erase": True}))
    assert kept(live, tenant) == 1
    email = data(client.get("/v1/auth/me"))["email"]
    assert client.post("/v1/user/delete", json={"confirmEmail": email}).status_code == 204
    assert kept(live, tenant) == 0


def test_the_past_is_kept_for_thirty_days(live, client):
    old, new = add(client, "Old"), add(client, "New")
    for row in (old, new):
        client.delete(f"/v1/memory/{row['id']}").raise_for_status()
    tenant = old["userId"]
    day = 86_400 * 1_000_000
    for row, days in ((old, 31), (new, 29)):
        with live.server.database.writing(tenant) as connection:
            where = (revision.c.tenant == tenant) & (revision.c.memory_id == row["id"])
            connection.execute(revision.update().where(where).values(changed_at=now_micros() - days * day))
    live.server.history.tidy()
    assert [memory.content for _, memory in live.server.history.all(tenant)] == ["New"]
    earliest = live.server.history.earliest()
    assert now_micros() - 31 * day < earliest <= now_micros()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'server.db'}"
    return request.getfixturevalue("postgres").new_database()


def settings(url, **options):
    return Settings(database_url=url, rate_limit_max=0, log_level="error", **options)


def test_where_no_history_is_kept_earlier_history_is_removed(database_url):
    with live_server(settings(database_url)) as live, opened(live, live.key) as client:
        key, row = live.key, add(client, "Maria prefers window seats")
        when = moment()
        client.patch(f"/v1/memory/{row['id']}", json={"pinned": True}).raise_for_status()
        assert everything(client, asOf=when) == [row]
    with live_server(settings(database_url, history_days=0)) as live, opened(live, key) as client:
        client.patch(f"/v1/memory/{row['id']}", json={"body": "Changed"}).raise_for_status()
        refused(client.get("/v1/memory", params={"asOf": moment()}), "asOf", "keeps no history")
        assert kept(live, row["userId"]) == 0
        off = moment()
    with live_server(settings(database_url)) as live, opened(live, key) as client:
        # What was changed in between is not known.
        for earlier in (when, off):
            refused(client.get("/v1/memory", params={"asOf": earlier}), "asOf", "history that is kept begins")
        assert [row["body"] for row in everything(client, asOf=moment())] == ["Changed"]


def test_a_database_of_an_earlier_version_begins_its_history_now(database_url):
    with live_server(settings(database_url)) as live, opened(live, live.key) as client:
        key, row = live.key, add(client, "Maria prefers window seats")
        with live.server.database.writing(SERVER) as connection:
            revision.drop(connection)
            connection.execute(tables.setting.delete().where(tables.setting.c.name == "history"))
            version = tables.schema_version
            connection.execute(version.delete().where(version.c.version > BEFORE_HISTORY))
    before = moment()
    with live_server(settings(database_url)) as live, opened(live, key) as client:
        when = moment()
        client.delete(f"/v1/memory/{row['id']}").raise_for_status()
        assert everything(client, asOf=when) == [row]
        refused(client.get("/v1/memory", params={"asOf": before}), "asOf", "history that is kept begins")
        if live.server.database.postgres:
            for tenant, seen in ((row["userId"], 1), (str(uuid.uuid4()), 0)):
                with live.server.database.reading(tenant) as connection:
                    assert (
                        connection.execute(sa.select(sa.func.count()).select_from(revision)).scalar() == seen
                    )


def test_the_past_is_encrypted_at_rest(tmp_path):
    words = ("xylophonist", "quarterdeckish", "zanzibarian", "wombatology")
    sealed = settings(f"sqlite:///{tmp_path / 'sealed.db'}", memory_encryption_key=bytes(range(32)))
    with live_server(sealed) as live, opened(live, live.key) as client:
        row = add(client, f"Maria is a {words[0]}", title=words[1], tags=[words[2]], metadata={"k": words[3]})
        when = moment()
        client.patch(
            f"/v1/memory/{row['id']}", json={"body": "x", "title": "x", "tags": [], "metadata": None}
        )
        client.delete(f"/v1/memory/{row['id']}").raise_for_status()
        assert everything(client, asOf=when, search=words[0].upper(), tags=words[2]) == [row]
        assert kept(live, row["userId"]) == 2
        stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert [word for word in words if word.encode() in stored] == []


def test_the_client_reads_the_past(live):
    key = live.account(f"{uuid.uuid4().hex}@example.com")
    with OneBrain(key, base_url=live.url) as client:
        made = [client.memory.create(f"Number {n}") for n in range(3)]
        when = datetime.fromisoformat(moment())
        client.memory.update(made[0].id, content="Changed")
        client.memory.delete(made[1].id)
        assert client.memory.get(made[1].id, as_of=when).content == "Number 1"
        with pytest.raises(OneBrainNotFoundError):
            client.memory.get(made[1].id)
        assert [one.content for one in client.memory.all(as_of=when, limit=1)] == [
            "Number 2",
            "Number 1",
            "Number 0",
        ]
        assert client.memory.list(as_of=when.isoformat(), search="number 0").meta.total == 1
        with pytest.raises(OneBrainValidationError, match="in the future"):
            client.memory.list(as_of=when + timedelta(days=1))

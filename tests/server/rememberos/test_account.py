"""The account: who it is, what it uses, its key anew, out and in again, and its end."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest

import onebrain
from onebrain.errors import OneBrainAuthenticationError, OneBrainValidationError

A = "/memory/admin"
C = "/memory/collections/notes"


# ---- me, stats ---------------------------------------------------------------------------------------------------------


def test_me_and_stats(client, add):
    me = client.get(f"{A}/me").json()
    assert me.keys() == {"name", "email", "tier", "limits"}
    assert (me["name"], me["tier"]) == (me["email"], "team")
    assert (me["limits"]["text_characters"], me["limits"]["file_bytes"]) == (10_000, 10 * 1024 * 1024)
    assert client.get(f"{A}/stats").json() == {
        "collections": 0, "memories": 0, "storage_bytes": 0, "added_7d": 0, "added_30d": 0,
    }  # fmt: skip
    add("ä", metadata={"a": 1})
    add("b", "other")
    old = (datetime.now(UTC) - timedelta(days=10)).isoformat()
    client.post(f"{A}/import", json={"memories": [{"text": "c", "collection": "notes", "created_at": old}]})
    assert client.get(f"{A}/stats").json() == {
        "collections": 2, "memories": 3, "storage_bytes": 2 + 7 + 1 + 2 + 1 + 2, "added_7d": 2, "added_30d": 3,
    }  # fmt: skip


# ---- keys --------------------------------------------------------------------------------------------------------------


def test_a_rotated_key_is_dead_at_once_and_the_agent_stays_who_it_is(client, agent, add, client_of):
    add("secret", "private")
    bot = agent("support")
    client.put("/memory/collections/private/grants", json={"agent_key_id": bot.agent_id})
    rotated = bot.post(f"{A}/rotate-key").json()
    assert (rotated["id"], rotated["label"]) == (bot.agent_id, "support")
    assert rotated["key"].startswith("mv_")
    assert bot.get("/memory/collections").status_code == 401
    fresh = client_of(rotated["key"])
    assert [row["text"] for row in fresh.get("/memory/collections/private/memories").json()] == ["secret"]
    # It may do what it could before, and no more.
    assert fresh.post("/memory/keys", json={"label": "x"}).status_code == 403
    assert rotated["key"] not in client.get("/memory/keys").text


def test_the_accounts_own_key_keeps_its_rights(live, client, client_of, key):
    rotated = client.post(f"{A}/rotate-key").json()
    assert rotated["key"].startswith("ob_")
    assert client.get("/memory/collections").status_code == 401
    assert httpx.get(f"{live.url}/v1/memory", headers={"authorization": f"ApiKey {key}"}).status_code == 401
    headers = {"authorization": f"ApiKey {rotated['key']}"}
    assert httpx.get(f"{live.url}/v1/memory", headers=headers).status_code == 200
    assert client_of(rotated["key"]).get("/memory/webhook/config").status_code == 200


def test_a_read_only_key_rotates_nothing(agent):
    reader = agent("reader", read_only=True)
    assert reader.post(f"{A}/rotate-key").status_code == 403
    assert reader.get("/memory/collections").status_code == 200


# ---- export, import ----------------------------------------------------------------------------------------------------


@pytest.fixture
def account(client, add):
    client.post("/memory/collections", json={"name": "notes", "description": "d", "metadata": {"a": [1]}})
    first = add("Maria prefers window seats", category="preference", importance=0.9, container_tag="maria")
    client.post(f"{C}/memories/{first['id']}/pin", json={"pinned": True})
    archived = add("old", "other", metadata={"x": None})
    client.post(f"/memory/collections/other/memories/{archived['id']}/archive", json={"archived": True})
    for content in ("Maria lives in Lisbon.", "Maria moved to Porto."):
        client.post(f"{C}/remember?sync=true", json={"content": content})


def test_an_export_holds_everything_as_text(client, account):
    answer = client.get(f"{A}/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="rememberos-export.json"'
    dump = answer.json()
    assert dump["tenant"]["name"] == client.get(f"{A}/me").json()["name"]
    assert {(one["name"], one["description"]) for one in dump["collections"]} == {
        ("notes", "d"),
        ("other", None),
    }
    assert {row["text"] for row in dump["memories"]} == {
        "Maria prefers window seats", "old", "Maria lives in Lisbon.", "Maria moved to Porto.",
    }  # fmt: skip
    assert "embedding" not in answer.text


def test_an_import_brings_everything_back_under_new_ids(client, stranger, account):
    dump = client.get(f"{A}/export").json()
    assert stranger.post(f"{A}/import", json=dump).json() == {
        "imported": 4, "skipped": 0, "collections": 2, "errors": [],
    }  # fmt: skip
    again = stranger.get(f"{A}/export").json()
    assert not {row["id"] for row in again["memories"]} & {row["id"] for row in dump["memories"]}

    def told(of):
        names = (
            "text",
            "importance",
            "category",
            "source",
            "metadata",
            "container_tag",
            "collection",
            "pinned",
        )
        names += ("archived", "created_at")
        texts = {row["id"]: row["text"] for row in of["memories"]}
        return [[row[name] for name in names] + [texts.get(row["superseded_by"])] for row in of["memories"]]

    assert told(again) == told(dump)

    def described(of):
        return [(one["name"], one["description"], one["metadata"]) for one in of["collections"]]

    assert described(again) == described(dump)
    assert stranger.post("/memory/search", json={"query": "where does Maria live"}).json()["results"]
    [pair] = stranger.get(f"{C}/contradictions").json()
    assert pair["superseded"]["text"] == "Maria lives in Lisbon."
    # Whoever imports has written it.
    assert {row["created_by"]["id"] for row in again["memories"]} == {
        stranger.get("/memory/agents").json()[0]["id"]
    }


def test_what_does_not_fit_is_skipped_and_told(client):
    rows = [
        {"text": "good"}, {"text": ""}, {"no": "text"}, {"text": "x" * 10_001}, {"text": "x", "importance": 7},
        {"text": "x", "created_at": "yesterday"}, {"text": "x", "created_at": "2026-01-01T00:00:00"},
        {"text": "x", "created_at": "0001-01-01T00:00:00+14:00"}, {"text": "kept", "created_by": {"id": "me"}},
    ]  # fmt: skip
    answer = client.post(f"{A}/import", json={"memories": rows, "into_collection": "all"})
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["imported"], made["skipped"], made["collections"]) == (2, 7, 1)
    assert [one["index"] for one in made["errors"]] == [1, 2, 3, 4, 5, 6, 7]
    assert "importance" in made["errors"][3]["error"]
    assert "xxx" not in answer.text
    assert {row["text"] for row in client.get("/memory/collections/all/memories").json()} == {"good", "kept"}


def test_into_one_collection(client, stranger, account):
    dump = client.get(f"{A}/export").json()
    assert stranger.post(f"{A}/import", json={**dump, "into_collection": "all"}).json()["collections"] == 1
    assert [(one["name"], one["memory_count"]) for one in stranger.get("/memory/collections").json()] == [
        ("all", 4)
    ]


def test_an_agent_exports_nothing_and_imports_only_where_it_may_write(client, agent, add):
    add("secret", "private")
    bot, friend = agent("bot"), agent("friend")
    client.put(
        "/memory/collections/private/grants", json={"agent_key_id": friend.agent_id, "can_write": True}
    )
    assert bot.get(f"{A}/export").status_code == 403
    rows = [{"text": "x", "collection": "open"}, {"text": "y", "collection": "private"}]
    for order in (rows, rows[::-1]):
        assert bot.post(f"{A}/import", json={"memories": order}).status_code == 403
        assert bot.get("/memory/collections").json() == []
    assert friend.post(f"{A}/import", json={"memories": rows}).json()["imported"] == 2
    assert agent("reader", read_only=True).post(f"{A}/import", json={"memories": []}).status_code == 403


# ---- the end -----------------------------------------------------------------------------------------------------------


def test_the_account_is_deleted_by_its_name_only(live, client, agent, add, stranger, url):
    add("x")
    bot = agent("bot")
    name = client.get(f"{A}/me").json()["name"]
    assert bot.post(f"{A}/delete-account", json={"confirm": name}).status_code == 403
    assert client.post(f"{A}/delete-account", json={"confirm": "another"}).status_code == 400
    assert client.post(f"{A}/delete-account").status_code == 400
    assert len(client.get(f"{C}/memories").json()) == 1
    other = stranger.get(f"{A}/me").json()
    assert client.post(f"{A}/delete-account", json={"confirm": name}).json() == {"deleted": True}
    for dead in (client, bot):
        assert dead.get("/memory/collections").status_code == 401
    assert stranger.get(f"{A}/me").json() == other
    # Whoever takes the address anew finds nothing.
    with httpx.Client(
        base_url=f"{url}/v1", headers={"authorization": f"Bearer {live.account(name)}"}
    ) as heir:
        assert heir.get("/memory/collections").json() == []
        assert heir.get(f"{A}/stats").json()["memories"] == 0


# ---- our client --------------------------------------------------------------------------------------------------------


def test_the_client_speaks_of_the_account(ask, url, key):
    me = ask(lambda c: c.account.me())
    assert me.tier == "team"
    ask(lambda c: c.memories.create("Maria prefers window seats", collection="notes"))
    stats = ask(lambda c: c.account.stats())
    assert (stats.collections, stats.memories, stats.storage, stats.added_7d) == (1, 1, 28, 1)
    dump = ask(lambda c: c.account.export())
    assert [row["text"] for row in dump.memories] == ["Maria prefers window seats"]
    restored = ask(lambda c: c.account.restore(dump, into_collection="copy"))
    assert (restored.imported, restored.skipped, restored.collections) == (1, 0, 1)
    assert ask(lambda c: c.spend_cap.get()).monthly_usd is None
    assert ask(lambda c: c.spend_cap.set(5)).monthly_usd == 5
    assert ask(lambda c: c.spend_cap.get()).monthly_usd == 5
    assert ask(lambda c: c.spend_cap.set(None)).monthly_usd is None
    with pytest.raises(OneBrainValidationError, match="tenant's name"):
        ask(lambda c: c.account.delete_account(confirm=uuid.uuid4().hex))
    fresh = ask(lambda c: c.account.rotate_key())
    with pytest.raises(OneBrainAuthenticationError):
        ask(lambda c: c.account.me())
    with onebrain.RememberOS(api_key=fresh.key, base_url=url) as client:
        client.account.delete_account(confirm=me.name)
        with pytest.raises(OneBrainAuthenticationError):
            client.account.me()

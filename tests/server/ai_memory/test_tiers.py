"""Tiers: how long memories live, what recalling does to that, and what becomes of two of one title."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from onebrain_server.dialects.ai_memory.mapping import Row
from onebrain_server.dialects.ai_memory.rules import tiers

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD = Row(id="old", title="t", content="x", created_at=NOW, updated_at=NOW)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def expires(memory):
    return datetime.fromisoformat(memory["expires_at"]) - datetime.fromisoformat(memory["created_at"])


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"tier": "short"}, 6 * 3600),
        ({}, 7 * 86400),
        ({"tier": "long", "ttl_secs": 60}, 60),
        ({"tier": "short", "ttl_secs": 60}, 60),
    ],
)
def test_a_tier_or_its_seconds_decide_how_long_a_memory_lives(http, store, fields, seconds):
    id = store("t", **fields)["id"]
    assert expires(http.get(f"/memories/{id}").json()["memory"]) == timedelta(seconds=seconds)


def test_a_long_memory_has_no_expiry(http, store):
    assert "expires_at" not in http.get(f"/memories/{store('t', tier='long')['id']}").json()["memory"]


def test_an_expiry_of_its_own_wins(http, store):
    id = store("t", tier="short", ttl_secs=60, expires_at="2100-01-01T01:00:00+01:00")["id"]
    assert http.get(f"/memories/{id}").json()["memory"]["expires_at"] == "2100-01-01T00:00:00+00:00"


def test_an_expiry_in_the_past_is_refused_when_storing_and_taken_when_changing(http, store):
    past = "2020-01-01T00:00:00+00:00"
    body = {"title": "t", "content": "x", "expires_at": past}
    assert http.post("/memories", json=body).json() == {"error": "expires_at: must be in the future"}
    id = store("t")["id"]
    assert http.put(f"/memories/{id}", json={"expires_at": past}).json()["expires_at"] == past
    assert http.get(f"/memories/{id}").status_code == 404
    assert http.get("/memories").json()["count"] == 0


def test_null_removes_an_expiry_and_leaving_it_out_keeps_it(http, store):
    id = store("t")["id"]
    assert "expires_at" in http.put(f"/memories/{id}", json={"priority": 6}).json()
    assert "expires_at" not in http.put(f"/memories/{id}", json={"expires_at": None}).json()


def test_a_tier_never_falls(http, store):
    id = store("t")["id"]
    assert http.put(f"/memories/{id}", json={"tier": "short"}).json()["tier"] == "mid"
    raised = http.put(f"/memories/{id}", json={"tier": "long"}).json()
    assert raised["tier"] == "long"
    assert "expires_at" in raised
    assert store("t", tier="short")["tier"] == "long"


def test_promote_takes_a_target_that_is_not_lower(http, store):
    id = store("t", tier="short")["id"]
    assert http.post(f"/memories/{id}/promote", json={"tier": "mid"}).json()["tier"] == "mid"
    memory = http.get(f"/memories/{id}").json()["memory"]
    assert expires(memory) >= timedelta(days=7)
    refused = http.post(f"/memories/{id}/promote", json={"tier": "short"})
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("tier: ")


@pytest.mark.parametrize(
    ("tier", "left", "afterwards"),
    [
        ("short", HOUR / 2, HOUR),
        ("short", 5 * HOUR, 5 * HOUR),
        ("mid", HOUR, DAY),
        ("mid", 6 * DAY, 6 * DAY),
    ],
)
def test_recalling_extends_a_life_and_never_shortens_it(tier, left, afterwards):
    row = tiers.recalled(replace(OLD, tier=tier, expires_at=NOW + left), NOW)
    assert row.expires_at == NOW + afterwards
    assert (row.access_count, row.last_accessed_at) == (1, NOW)


def test_the_fifth_recall_keeps_a_mid_memory_for_good_and_a_short_one_not():
    mid = tiers.recalled(replace(OLD, access_count=4, expires_at=NOW + DAY), NOW)
    assert (mid.tier, mid.expires_at) == ("long", None)
    short = tiers.recalled(replace(OLD, tier="short", access_count=4, expires_at=NOW + DAY), NOW)
    assert (short.tier, short.expires_at) == ("short", NOW + DAY)


@pytest.mark.parametrize(("before", "priority", "after"), [(8, 5, 5), (9, 5, 6), (19, 10, 10)])
def test_every_tenth_recall_raises_the_priority_up_to_ten(before, priority, after):
    row = tiers.recalled(replace(OLD, access_count=before, priority=priority), NOW)
    assert row.priority == after


def test_recalling_is_seen_at_once_and_changes_neither_text_nor_date(http, store):
    id = store("Lighthouse", "by the sea", tags=["x"])["id"]
    before = http.get(f"/memories/{id}").json()["memory"]
    for _ in range(5):
        http.post("/recall", json={"context": "lighthouse"})
    after = http.get(f"/memories/{id}").json()["memory"]
    assert (after["access_count"], after["tier"]) == (5, "long")
    assert "last_accessed_at" in after
    for name in ("title", "content", "tags", "metadata", "created_at", "updated_at"):
        assert after[name] == before[name]


def test_what_is_read_or_searched_for_is_not_recalled(http, store):
    id = store("Lighthouse")["id"]
    http.get("/search", params={"q": "lighthouse"})
    http.get("/memories")
    assert http.get(f"/memories/{id}").json()["memory"]["access_count"] == 0


def test_a_key_that_may_only_read_leaves_no_trace(http, store, agent):
    id = store("Lighthouse", scope="collective")["id"]
    reader = agent("ai:reader", "read")
    assert reader.post("/recall", json={"context": "lighthouse"}).json()["count"] == 1
    assert http.get(f"/memories/{id}").json()["memory"]["access_count"] == 0


def test_merging_keeps_who_and_when_and_the_higher_numbers():
    old = replace(
        OLD, priority=8, confidence=0.4, access_count=3, agent="ai:a", readers=("ai:r",), expires_at=NOW + DAY
    )
    later = NOW + HOUR
    new = replace(
        OLD,
        id="new",
        content="y",
        tags=("n",),
        source="user",
        priority=3,
        confidence=0.9,
        agent="ai:b",
        metadata={"n": 1},
        created_at=later,
        expires_at=later + DAY,
    )
    merged = tiers.merged(old, new, later)
    assert (merged.id, merged.agent, merged.created_at, merged.access_count) == ("old", "ai:a", NOW, 3)
    assert (merged.priority, merged.confidence, merged.readers) == (8, 0.9, ("ai:r",))
    assert (merged.content, merged.tags, merged.source, merged.metadata) == ("y", ("n",), "user", {"n": 1})
    assert (merged.expires_at, merged.updated_at) == (later + DAY, later)


@pytest.mark.parametrize(("one", "other"), [("mid", "long"), ("long", "short")])
def test_merging_with_a_long_memory_ends_no_more(one, other):
    old = replace(OLD, tier=one, expires_at=None if one == "long" else NOW + DAY)
    new = replace(OLD, tier=other, expires_at=None if other == "long" else NOW + DAY)
    merged = tiers.merged(old, new, NOW)
    assert (merged.tier, merged.expires_at) == ("long", None)


def test_merging_with_what_nobody_in_particular_wrote_gives_it_an_author():
    assert (
        tiers.merged(replace(OLD, anonymous="anonymous:req-1"), replace(OLD, agent="ai:b"), NOW).agent
        == "ai:b"
    )

"""Our client's every method against the dialect, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from inspect import isawaitable

import pytest

from onebrain import (
    AsyncHeroBrain,
    HeroBrain,
    OneBrainAuthenticationError,
    OneBrainNotFoundError,
    OneBrainPermissionError,
    OneBrainValidationError,
)
from onebrain.services.herobrain import MemoryType, WebhookEvent


@pytest.fixture(params=["sync", "async"])
def ask(request, address, key):
    """Call a client of a fresh account in the test's colour, and return what a sync call would."""
    given = {"api_key": key, "tenant_id": "user_12345", "base_url": address}

    def run(call, **options):
        if request.param == "sync":
            with HeroBrain(**{**given, **options}) as hb:
                result = call(hb)
                return list(result) if isinstance(result, Iterator) else result

        async def main():
            async with AsyncHeroBrain(**{**given, **options}) as hb:
                result = call(hb)
                if isinstance(result, AsyncIterator):
                    return [row async for row in result]
                return await result if isawaitable(result) else result

        return asyncio.run(main())

    return run


def test_a_memory_is_created_got_changed_and_deleted(ask):
    before = datetime.now(UTC) - timedelta(seconds=1)
    made = ask(
        lambda hb: hb.memories.create(
            "Met with Sarah", MemoryType.EPISODIC, importance=0.8, tags=["q4"], metadata={"n": {"deep": [1]}}
        )
    )
    assert (made.type, made.importance, made.tags) == (MemoryType.EPISODIC, 0.8, ("q4",))
    assert made.metadata == {"n": {"deep": [1]}}
    assert before < made.created_at <= made.updated_at
    assert ask(lambda hb: hb.memories.get(made.id)) == made
    changed = ask(
        lambda hb: hb.memories.update(made.id, content="Met Ann", importance=0.1, tags=[], metadata={})
    )
    assert (changed.content, changed.importance, changed.tags, changed.metadata) == ("Met Ann", 0.1, (), {})
    assert changed.created_at == made.created_at
    assert changed.updated_at > made.updated_at
    assert ask(lambda hb: hb.memories.update(made.id)) == changed
    assert ask(lambda hb: hb.memories.delete(made.id)).deleted
    with pytest.raises(OneBrainNotFoundError) as caught:
        ask(lambda hb: hb.memories.get(made.id))
    assert caught.value.code == "RESOURCE_NOT_FOUND"
    assert caught.value.request_id


def test_memories_are_listed_over_pages_and_one_page_at_a_time(ask):
    for n in range(3):
        kind = "task" if n else "decision"
        tags = [f"t{n}", "all"]
        ask(
            lambda hb, n=n, kind=kind, tags=tags: hb.memories.create(
                f"{n}", kind, importance=n / 4, tags=tags
            )
        )
    assert [row.content for row in ask(lambda hb: hb.memories.list())] == ["2", "1", "0"]
    assert [row.content for row in ask(lambda hb: hb.memories.list(limit=2, order="asc"))] == ["0", "1"]
    page = ask(lambda hb: hb.memories.page(page=2, limit=2, sort="importance", order="asc"))
    assert [row.content for row in page] == ["2"]
    where = page.pagination
    assert (where.page, where.limit, where.total, where.pages) == (2, 2, 3, 2)
    assert (where.has_next, where.has_previous) == (False, True)
    assert [row.content for row in ask(lambda hb: hb.memories.page(type="decision"))] == ["0"]
    assert {row.content for row in ask(lambda hb: hb.memories.page(tags=["t0", "t2"]))} == {"0", "2"}


def test_a_search_ranks_and_filters(ask):
    for text, kind in (("Q4 planning meeting", "event"), ("the cat is black", "semantic")):
        ask(lambda hb, text=text, kind=kind: hb.memories.create(text, kind, tags=[kind]))
    found = ask(lambda hb: hb.memories.search("when is the Q4 meeting?"))
    assert found[0].content == "Q4 planning meeting"
    assert found[0].relevance > found[1].relevance >= 0
    assert found.query == "when is the Q4 meeting?"
    assert found.latency >= 0
    for options in ({"type": "event"}, {"tags": ["event", "other"]}, {"min_relevance": 0.5}, {"limit": 1}):
        hits = ask(lambda hb, options=options: hb.memories.search("Q4 meeting", **options))
        assert [hit.content for hit in hits] == ["Q4 planning meeting"], options


def test_keys_are_made_listed_counted_and_revoked(ask):
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    made = ask(
        lambda hb: hb.api_keys.create(
            "ci", environment="development", scopes=["read:memories"], expires_at=end
        )
    )
    assert made.plain_key.startswith("hb_dev_")
    assert made.expires_at == end
    assert ask(lambda hb: hb.memories.page(), api_key=made.plain_key).pagination.total == 0
    with pytest.raises(OneBrainPermissionError) as caught:
        ask(lambda hb: hb.memories.create("x", "task"), api_key=made.plain_key)
    assert caught.value.code == "INSUFFICIENT_SCOPE"
    [row] = ask(lambda hb: hb.api_keys.list())
    assert (row.id, row.name, row.environment, row.scopes) == (
        made.id,
        "ci",
        "development",
        ("read:memories",),
    )
    assert row.last_used_at is not None
    usage = ask(lambda hb: hb.api_keys.usage(made.id, days=7))
    assert datetime.fromisoformat(usage.pop("lastUsedAt")) == row.last_used_at
    assert usage == {"keyId": made.id, "days": 7, "total": 1, "byAction": {"read": 1}}
    assert ask(lambda hb: hb.api_keys.revoke(made.id)) is None
    assert list(ask(lambda hb: hb.api_keys.list())) == []
    with pytest.raises(OneBrainAuthenticationError) as caught:
        ask(lambda hb: hb.memories.get("m"), api_key=made.plain_key)
    assert caught.value.code == "AUTH_INVALID"


def test_webhooks_are_made_listed_tested_and_deleted(ask):
    made = ask(
        lambda hb: hb.webhooks.create(
            "Sync", "https://localhost:1/hook", [WebhookEvent.MEMORY_CREATED], "s3cret", status="inactive"
        )
    )
    assert (made.name, made.status, made.events) == ("Sync", "inactive", (WebhookEvent.MEMORY_CREATED,))
    assert made.secret is None
    assert list(ask(lambda hb: hb.webhooks.list())) == [made]
    assert ask(lambda hb: hb.webhooks.test(made.id)).delivered is False
    assert ask(lambda hb: hb.webhooks.delete(made.id)).deleted
    assert list(ask(lambda hb: hb.webhooks.list())) == []
    with pytest.raises(OneBrainNotFoundError):
        ask(lambda hb: hb.webhooks.delete(made.id))


def test_intelligence_answers_from_the_memories(ask):
    for text in ("We decided to raise prices in Q4", "Q4 revenue is flat", "Q4 needs a plan"):
        ask(lambda hb, text=text: hb.memories.create(text, "semantic", tags=["q4"]))
    chain = ask(
        lambda hb: hb.intelligence.decision_chain("Q4 prices", since=datetime.now(UTC) - timedelta(hours=1))
    ).chain
    link = chain[0]
    assert (link["step"], link["content"], link["role"]) == (
        1,
        "We decided to raise prices in Q4",
        "decision",
    )
    late = {"from": datetime.now(UTC) + timedelta(hours=1)}
    assert ask(lambda hb: hb.intelligence.decision_chain("Q4 prices", time_range=late)).chain == ()
    patterns = ask(lambda hb: hb.intelligence.implicit_patterns()).patterns
    assert ("tag", ["q4"], 3) in [(row["kind"], row["values"], row["occurrences"]) for row in patterns]
    assert ask(lambda hb: hb.intelligence.implicit_patterns(min_occurrences=4)).patterns == ()


def test_usage_counts_requests_memories_and_bytes(ask):
    ask(lambda hb: hb.memories.create("für", "task"))
    found = ask(lambda hb: hb.usage.metrics())
    assert (found.memories.count, found.memories.limit) == (1, None)
    assert (found.storage.used, found.storage.limit) == (4, None)
    assert found.api_calls.today >= 1
    assert found.api_calls.this_month >= found.api_calls.today


def test_what_the_server_refuses_is_an_error_of_ours(ask):
    made = ask(lambda hb: hb.api_keys.create("k"))
    with pytest.raises(OneBrainPermissionError, match="different tenant"):
        ask(lambda hb: hb.memories.page(tenant_id="another"), api_key=made.plain_key)
    with pytest.raises(OneBrainValidationError, match="future"):
        ask(lambda hb: hb.api_keys.create("k", expires_at=datetime(2020, 1, 1, tzinfo=UTC)))

"""Errors of both generations of the documentation, lost answers, batches that fail halfway, and what is never sent."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import onebrain
from onebrain.errors import (
    ConfigurationError,
    OneBrainAuthenticationError,
    OneBrainConflictError,
    OneBrainInternalError,
    OneBrainNotFoundError,
    OneBrainPermissionError,
    OneBrainRateLimitError,
    OneBrainResponseError,
    OneBrainValidationError,
)

KEY = "brr_test_0123456789"
STORED = {"id": "mem_1", "status": "stored"}
LIMITS = {
    "X-RateLimit-Limit": "120",
    "X-RateLimit-Remaining": "0",
    "X-RateLimit-Reset": "1776262920",
    "X-RateLimit-Scope": "token",
}


def overview(status, code="validation_error", message="content is required", **more):
    return {"error": {"code": code, "message": message, "request_id": "req_1", "status": status, **more}}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, OneBrainValidationError),
        (401, OneBrainAuthenticationError),
        (403, OneBrainPermissionError),
        (404, OneBrainNotFoundError),
        (409, OneBrainConflictError),
        (422, OneBrainValidationError),
        (429, OneBrainRateLimitError),
        (500, OneBrainInternalError),
        (502, OneBrainInternalError),
        (503, OneBrainInternalError),
        (504, OneBrainInternalError),
    ],
)
def test_the_overviews_shape_is_read(client, stub, status, kind):
    stub.answer(overview(status), status=status, headers={"Retry-After": "3"})
    with pytest.raises(kind) as caught:
        client(lambda c: c.memory.get("mem_1"), max_retries=0)
    error = caught.value
    assert type(error) is kind
    assert (error.message, error.code, error.request_id) == (
        "content is required",
        "validation_error",
        "req_1",
    )
    assert error.retry_after == 3


def test_problem_json_is_read(client, stub):
    problem = {
        "type": "https://docs.brrain.io/errors#record_not_found",
        "title": "Not found",
        "status": 404,
        "detail": "there is no such record",
        "instance": "/v1/memory/x",
        "request_id": "req_2",
        "hint": "look again",
    }
    stub.answer(problem, status=404)
    with pytest.raises(OneBrainNotFoundError) as caught:
        client(lambda c: c.memory.get("mem_1"))
    error = caught.value
    assert (error.message, error.code) == ("Not found: there is no such record", "record_not_found")
    assert (error.request_id, error.details) == ("req_2", {"hint": "look again"})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"upstream is away", "upstream is away"),
        (b"<html><body>502</body></html>", "GET /memory/mem_1 failed with status 404"),
        ({"error": "gone"}, "gone"),
        ([], "[]"),
    ],
)
def test_other_bodies_still_make_an_error(client, stub, body, message):
    stub.answer(body, status=404)
    with pytest.raises(OneBrainNotFoundError) as caught:
        client(lambda c: c.memory.get("mem_1"))
    assert caught.value.message == message


def test_the_limit_is_on_error_and_client(stub):
    stub.answer(overview(429, "rate_limit_exceeded"), status=429, headers={"Retry-After": "7", **LIMITS})
    with onebrain.Brrain(api_key=KEY, base_url=stub.url, max_retries=0) as client:
        with pytest.raises(OneBrainRateLimitError) as caught:
            client.memory.get("mem_1")
        assert caught.value.retry_after == 7
        assert client.rate_limit == caught.value.rate_limit
        assert client.rate_limit is not None
        assert (client.rate_limit.limit, client.rate_limit.remaining, client.rate_limit.scope) == (
            120,
            0,
            "token",
        )
        assert client.rate_limit.reset == datetime(2026, 4, 15, 14, 22, tzinfo=UTC)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed_with_the_key(client, stub, status):
    stub.answer(None, status=status, headers={"location": stub.url + "/v1/memory/mem_1"})
    with pytest.raises(OneBrainResponseError, match="never followed"):
        client(lambda c: c.memory.get("mem_1"))
    assert len(stub.got) == 1


# ---- idempotency ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["lost", 500, 503])
def test_a_store_that_may_be_lost_is_sent_again_under_the_same_key(client, stub, first):
    stub.answer(stub.lost if first == "lost" else overview(first), status=first if first != "lost" else 200)
    stub.answer(STORED, status=201)
    stored = client(lambda c: c.memory.store("x"))
    assert (stored.id, stored.replayed) == ("mem_1", False)
    one, two = stub.got
    assert one.json == two.json
    assert one.json["idempotency_key"]


def test_a_conflict_on_our_own_retry_is_a_success(client, stub):
    stub.answer(stub.lost)
    stub.answer(overview(409, "conflict", existing_id="mem_7"), status=409)
    stored = client(lambda c: c.memory.store("x"))
    assert (stored.id, stored.status, stored.replayed) == ("mem_7", "stored", True)


def test_a_conflict_on_our_own_retry_without_an_id_is_an_error(client, stub):
    stub.answer(stub.lost)
    stub.answer(overview(409, "conflict"), status=409)
    with pytest.raises(OneBrainConflictError) as caught:
        client(lambda c: c.memory.store("x"))
    assert caught.value.in_doubt


def test_a_conflict_at_once_is_an_error_that_names_the_memory(client, stub):
    stub.answer(overview(409, "conflict", existing_id="mem_7"), status=409)
    with pytest.raises(OneBrainConflictError) as caught:
        client(lambda c: c.memory.store("x"))
    assert caught.value.existing_id == "mem_7"
    assert not caught.value.in_doubt


def test_a_conflict_after_a_refusal_for_the_rate_is_no_success(client, stub):
    stub.answer(overview(429), status=429, headers={"Retry-After": "0"})
    stub.answer(overview(409, "conflict", existing_id="mem_7"), status=409)
    with pytest.raises(OneBrainConflictError):
        client(lambda c: c.memory.store("x"))


def test_two_stores_have_two_keys(client, stub):
    stub.answer(STORED, status=201)
    stub.answer(STORED, status=201)
    client(lambda c: c.memory.store("x"))
    client(lambda c: c.memory.store("x"))
    assert stub.got[0].json["idempotency_key"] != stub.got[1].json["idempotency_key"]


# ---- batches --------------------------------------------------------------------------------------------------------


def _stored(start, size):
    return {
        "stored": size,
        "failed": 0,
        "results": [{"id": f"mem_{n}", "status": "stored"} for n in range(start, start + size)],
    }


def test_many_are_sent_a_hundred_at_a_time(client, stub):
    stub.answer(_stored(0, 100), status=201)
    stub.answer(_stored(100, 50), status=201)
    done: list[int] = []
    result = client(lambda c: c.memory.batch([f"text {n}" for n in range(150)], on_progress=done.append))
    assert (result.stored, result.failed) == (150, 0)
    assert [item.id for item in result.results] == [f"mem_{n}" for n in range(150)]
    assert [len(got.json["memories"]) for got in stub.got] == [100, 50]
    assert done == [100, 150]


def test_one_memory_of_a_batch_fails_alone(client, stub):
    stub.answer(
        {
            "stored": 1,
            "failed": 1,
            "results": [
                {"id": "mem_1", "status": "stored"},
                {
                    "status": "failed",
                    "error": {"code": "conflict", "message": "duplicate", "existing_id": "mem_9"},
                    "index": 1,
                },
            ],
        }
    )
    result = client(lambda c: c.memory.batch(["one", "two"]))
    assert (result.stored, result.failed) == (1, 1)
    assert [item.ok for item in result.results] == [True, False]
    assert result.results[1].error.existing_id == "mem_9"


def test_a_batch_that_was_stored_by_a_lost_attempt_is_a_success(client, stub):
    stub.answer(stub.lost)
    conflict = {"code": "conflict", "message": "duplicate", "existing_id": "mem_9"}
    stub.answer({"stored": 0, "failed": 1, "results": [{"status": "failed", "error": conflict, "index": 0}]})
    result = client(lambda c: c.memory.batch(["one"]))
    assert (result.stored, result.results[0].id, result.results[0].replayed) == (1, "mem_9", True)
    assert stub.got[0].json == stub.got[1].json


def test_a_later_chunk_that_fails_says_what_was_stored(client, stub):
    stub.answer(_stored(0, 100), status=201)
    stub.answer(overview(403, "forbidden", "read only"), status=403)
    with pytest.raises(OneBrainPermissionError, match="100 memories were stored before") as caught:
        client(lambda c: c.memory.batch([f"text {n}" for n in range(250)]))
    details = caught.value.details
    assert (details["stored"], details["failed_from"], details["failed_to"]) == (100, 100, 199)
    assert details["results"][99] == {"index": 99, "id": "mem_99", "status": "stored"}
    assert len(stub.got) == 2


def test_a_batch_with_a_result_missing_is_refused(client, stub):
    stub.answer(_stored(0, 1), status=201)
    with pytest.raises(OneBrainResponseError):
        client(lambda c: c.memory.batch(["one", "two"]))


# ---- refused before anything is sent --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.memory.get("retrieve"),
        lambda c: c.memory.get("store"),
        lambda c: c.memory.delete("batch"),
        lambda c: c.memory.get(""),
        lambda c: c.memory.get(".."),
        lambda c: c.memory.store(""),
        lambda c: c.memory.store("ü" * 524_289),
        lambda c: c.memory.store("lone \ud800"),
        lambda c: c.memory.store("x", ttl_seconds=0),
        lambda c: c.memory.store("x", ttl_seconds=True),
        lambda c: c.memory.store("x", tags="one"),
        lambda c: c.memory.store("x", category="a", metadata={"category": "b"}),
        lambda c: c.memory.store("x", metadata={"n": float("inf")}),
        lambda c: c.memory.store("x", idempotency_key=""),
        lambda c: c.memory.batch(["x", {"content": "y", "ttl": 5}]),
        lambda c: c.memory.batch(["x", ""]),
        lambda c: c.memory.batch([{"content": "x", "metadata": []}]),
        lambda c: c.memory.retrieve(),
        lambda c: c.memory.retrieve(" ", keyword=""),
        lambda c: c.memory.retrieve("q", limit=101),
        lambda c: c.memory.retrieve("q", limit=0),
        lambda c: c.memory.retrieve("q", min_relevance=1.1),
        lambda c: c.memory.retrieve("q", mode="vector"),
        lambda c: c.memory.retrieve("q", tags=["a,b"]),
        lambda c: c.memory.retrieve("q", tags="a"),
        lambda c: c.memory.retrieve("q", created_after="2026-01-01"),
        lambda c: c.keys.revoke(" "),
    ],
)
def test_a_wrong_argument_is_refused_and_nothing_is_sent(client, stub, call):
    with pytest.raises(OneBrainValidationError):
        client(call)
    assert stub.got == []


def test_one_megabyte_of_utf8_is_allowed(client, stub):
    stub.answer(STORED, status=201)
    client(lambda c: c.memory.store("ü" * 524_288))
    assert len(stub.only.json["content"].encode()) == 1_048_576


def test_without_a_key_there_is_no_client(monkeypatch):
    monkeypatch.delenv("BRRAIN_API_KEY", raising=False)
    with pytest.raises(OneBrainAuthenticationError, match="BRRAIN_API_KEY"):
        onebrain.Brrain()


@pytest.mark.parametrize(
    "options",
    [{"base_url": "http://api.brrain.io/v1"}, {"base_url": "api.brrain.io"}, {"max_retries": -1}],
    ids=str,
)
def test_a_wrong_option_is_refused(options):
    with pytest.raises(ConfigurationError):
        onebrain.Brrain(**{"api_key": KEY, **options})

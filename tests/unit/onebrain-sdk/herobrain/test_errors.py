"""Every documented error code has its error; limits are checked before anything is sent; the published package's defects are not ours."""

from __future__ import annotations

import time

import pytest

from onebrain import (
    ConfigurationError,
    OneBrainAuthenticationError,
    OneBrainConflictError,
    OneBrainConnectionError,
    OneBrainInternalError,
    OneBrainNotFoundError,
    OneBrainPermissionError,
    OneBrainRateLimitError,
    OneBrainResponseError,
    OneBrainValidationError,
    QuotaExceeded,
)

ENVELOPE = {"request_id": "req_1234567890", "timestamp": "2025-11-19T10:30:00Z", "version": "v1"}
MEMORY = {"id": "mem_1", "content": "c", "type": "episodic"}


def failure(code, message="it failed", **more):
    return {"success": False, "errors": [{"code": code, "message": message, **more}], "metadata": ENVELOPE}


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("VALIDATION_ERROR", 400, OneBrainValidationError),
        ("AUTH_REQUIRED", 401, OneBrainAuthenticationError),
        ("AUTH_INVALID", 401, OneBrainAuthenticationError),
        ("INSUFFICIENT_QUOTA", 402, QuotaExceeded),
        ("TENANT_MISMATCH", 403, OneBrainPermissionError),
        ("INSUFFICIENT_SCOPE", 403, OneBrainPermissionError),
        ("RESOURCE_NOT_FOUND", 404, OneBrainNotFoundError),
        ("DUPLICATE_RESOURCE", 409, OneBrainConflictError),
        ("RATE_LIMIT_EXCEEDED", 429, OneBrainRateLimitError),
        ("DATABASE_ERROR", 500, OneBrainInternalError),
        ("EXTERNAL_SERVICE_ERROR", 502, OneBrainInternalError),
    ],
)
def test_each_code_has_its_error(ask, stub, code, status, kind):
    for _ in range(3):
        stub.answer(failure(code), status)
    with pytest.raises(kind, match="it failed") as caught:
        ask(lambda hb: hb.memories.get("m"))
    error = caught.value
    assert type(error) is kind
    assert (error.code, error.status_code, error.request_id) == (code, status, "req_1234567890")
    assert error.service == "herobrain"


def test_the_documented_error_body_is_read_whole(ask, stub):
    said = {
        "success": False,
        "errors": [
            {"code": "VALIDATION_ERROR", "message": "The 'content' field is required", "field": "content"},
            {"code": "VALIDATION_ERROR", "message": "The 'type' field is required", "field": "type"},
        ],
        "metadata": ENVELOPE,
    }
    stub.answer(said, 400)
    with pytest.raises(OneBrainValidationError, match=r"content.*required.*field content.*1 more") as caught:
        ask(lambda hb: hb.memories.get("m"))
    assert [issue["field"] for issue in caught.value.details] == ["content", "type"]


def test_an_error_without_metadata_is_read_too(ask, stub):
    stub.answer({"success": False, "errors": [{"code": "AUTH_INVALID", "message": "no"}]}, 401)
    with pytest.raises(OneBrainAuthenticationError) as caught:
        ask(lambda hb: hb.memories.get("m"))
    assert (caught.value.code, caught.value.request_id) == ("AUTH_INVALID", None)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("upstream is down", "upstream is down"),
        (b"<html>down</html>", "down"),
        ({"error": "x"}, "x"),
        (None, "404"),
    ],
)
def test_a_body_in_no_known_form_becomes_the_message(ask, stub, body, message):
    stub.answer(body, 404)
    with pytest.raises(OneBrainNotFoundError, match=message):
        ask(lambda hb: hb.memories.get("m"))


def test_a_success_that_says_that_it_failed_is_an_error(ask, stub):
    stub.answer(failure("DATABASE_ERROR", "disk"), 200)
    with pytest.raises(OneBrainResponseError, match="disk"):
        ask(lambda hb: hb.memories.get("m"))


@pytest.mark.parametrize("answer", [{"memories": []}, [1], "text", {"success": True, "data": None}])
def test_an_answer_in_another_shape_is_a_response_error(ask, stub, answer):
    stub.answer(answer)
    with pytest.raises(OneBrainResponseError):
        ask(lambda hb: hb.memories.page())


# ---- waiting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "0"},
        {"X-RateLimit-Retry-After": "0.0"},
        {"X-RateLimit-Reset": "1638360000"},
        {"Retry-After": "0", "X-RateLimit-Retry-After": "50"},
    ],
    ids=str,
)
def test_a_rate_limit_is_waited_out(ask, stub, headers):
    stub.answer(failure("RATE_LIMIT_EXCEEDED"), 429, headers)
    stub.answer({"success": True, "data": MEMORY, "metadata": ENVELOPE})
    assert ask(lambda hb: hb.memories.get("m")).id == "mem_1"
    assert len(stub.requests) == 2


@pytest.mark.parametrize(
    ("headers", "wait"), [({"Retry-After": "1.5"}, 1.5), ({"X-RateLimit-Retry-After": "90.5"}, 90.5)], ids=str
)
def test_a_wait_may_have_a_fraction(ask, stub, headers, wait):
    for _ in range(3):
        stub.answer(failure("RATE_LIMIT_EXCEEDED"), 429, {**headers, "X-RateLimit-Limit": "60"})
    from onebrain._core.retry import RetryPolicy

    with pytest.raises(OneBrainRateLimitError) as caught:
        ask(lambda hb: hb.memories.get("m"), retry=RetryPolicy(max_retries=0))
    assert caught.value.retry_after == wait
    assert caught.value.rate_limit.limit == 60


def test_a_window_that_ends_in_weeks_is_a_quota(ask, stub):
    stub.answer(
        failure("RATE_LIMIT_EXCEEDED"), 429, {"X-RateLimit-Reset": str(int(time.time()) + 20 * 86400)}
    )
    with pytest.raises(QuotaExceeded):
        ask(lambda hb: hb.memories.get("m"))
    assert len(stub.requests) == 1


def test_a_quota_is_never_tried_again(ask, stub):
    stub.answer(failure("INSUFFICIENT_QUOTA"), 402, {"Retry-After": "0"})
    with pytest.raises(QuotaExceeded):
        ask(lambda hb: hb.memories.get("m"))
    assert len(stub.requests) == 1


def test_a_memory_is_not_created_twice(ask, stub):
    stub.hang_up()
    with pytest.raises(OneBrainConnectionError):
        ask(lambda hb: hb.memories.create("c", "task"))
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda hb: hb.memories.get("m"),
        lambda hb: hb.memories.update("m", importance=0.5),
        lambda hb: hb.memories.delete("m"),
        lambda hb: hb.memories.search("q"),
    ],
)
def test_what_changes_nothing_when_repeated_is_sent_again(ask, stub, call):
    stub.hang_up()
    stub.answer({"success": True, "data": {**MEMORY, "results": []}, "metadata": ENVELOPE})
    ask(call)
    assert len(stub.requests) == 2


# ---- before anything is sent ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    {
        "empty content": lambda hb: hb.memories.create("", "task"),
        "long content": lambda hb: hb.memories.create("x" * 10_001, "task"),
        "unknown type": lambda hb: hb.memories.create("x", "preference"),
        "no type": lambda hb: hb.memories.create("x", None),
        "importance": lambda hb: hb.memories.create("x", "task", importance=1.1),
        "tags as text": lambda hb: hb.memories.create("x", "task", tags="a"),
        "metadata as list": lambda hb: hb.memories.create("x", "task", metadata=[1]),
        "empty id": lambda hb: hb.memories.get(""),
        "dots": lambda hb: hb.memories.delete(".."),
        "limit 0": lambda hb: hb.memories.page(limit=0),
        "limit 101": lambda hb: hb.memories.page(limit=101),
        "page 0": lambda hb: hb.memories.page(page=0),
        "sort": lambda hb: hb.memories.page(sort="size"),
        "order": lambda hb: hb.memories.page(order="up"),
        "list type": lambda hb: hb.memories.list(type="a&limit=1"),
        "comma in a listed tag": lambda hb: hb.memories.page(tags=["a,b"]),
        "update to None": lambda hb: hb.memories.update("m", tags=None),
        "blank query": lambda hb: hb.memories.search(" "),
        "search limit": lambda hb: hb.memories.search("q", limit=101),
        "relevance": lambda hb: hb.memories.search("q", min_relevance=2),
        "key name": lambda hb: hb.api_keys.create("x" * 256),
        "key environment": lambda hb: hb.api_keys.create("x", environment="staging"),
        "key scopes": lambda hb: hb.api_keys.create("x", scopes="read:memories"),
        "key id": lambda hb: hb.api_keys.revoke(" "),
        "webhook over http": lambda hb: hb.webhooks.create("n", "http://x.example", ["memory.created"], "s"),
        "webhook event": lambda hb: hb.webhooks.create("n", "https://x.example", ["memory.read"], "s"),
        "webhook without events": lambda hb: hb.webhooks.create("n", "https://x.example", [], "s"),
        "webhook without secret": lambda hb: hb.webhooks.create(
            "n", "https://x.example", ["memory.created"], ""
        ),
        "blank topic": lambda hb: hb.intelligence.decision_chain(" "),
        "odd range": lambda hb: hb.intelligence.decision_chain("t", time_range={"since": "x"}),
        "occurrences": lambda hb: hb.intelligence.implicit_patterns(min_occurrences=0),
        "blank tenant": lambda hb: hb.usage.metrics(tenant_id=" "),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_the_reference_rules_out_is_not_sent(ask, stub, call):
    with pytest.raises(OneBrainValidationError):
        ask(call[1])
    assert stub.requests == []


def test_a_call_without_any_tenant_says_what_is_missing(ask, stub, monkeypatch):
    monkeypatch.delenv("HEROBRAIN_TENANT_ID", raising=False)
    with pytest.raises(ConfigurationError, match="HEROBRAIN_TENANT_ID"):
        ask(lambda hb: hb.memories.get("m"), tenant_id=None)


def test_content_at_its_limit_is_sent(ask, stub):
    stub.answer({"success": True, "data": MEMORY, "metadata": ENVELOPE}, 201)
    ask(lambda hb: hb.memories.create("ü" * 10_000, "task"))
    assert len(stub.requests) == 1


# ---- what the published package gets wrong --------------------------------------------------------------------------


def test_a_parameter_cannot_smuggle_in_another(ask, stub):
    stub.answer({"success": True, "data": {"memories": [], "pagination": {}}, "metadata": ENVELOPE})
    ask(lambda hb: hb.memories.page(tags="a&limit=1"))
    assert (stub.last.query["tags"], stub.last.query["limit"]) == ("a&limit=1", "50")


def test_an_id_is_one_segment_of_the_path(ask, stub):
    stub.answer({"success": True, "data": MEMORY, "metadata": ENVELOPE})
    ask(lambda hb: hb.memories.get("../api-keys?x=%2F"))
    assert stub.last.path == "/api/v1/memories/..%2Fapi-keys%3Fx%3D%252F"


def test_results_are_found_inside_the_envelope(ask, stub):
    stub.answer({"success": True, "data": {"results": [{**MEMORY, "relevance": 0.5}]}, "metadata": ENVELOPE})
    assert [row.id for row in ask(lambda hb: hb.memories.search("q"))] == ["mem_1"]

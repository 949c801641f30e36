"""What goes wrong is told by an error of our tree; what cannot be repeated is not."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest

import onebrain
from onebrain.errors import (
    ConfigurationError,
    OneBrainAuthenticationError,
    OneBrainConnectionError,
    OneBrainInternalError,
    OneBrainNotFoundError,
    OneBrainPermissionError,
    OneBrainRateLimitError,
    OneBrainResponseError,
    OneBrainTimeoutError,
    OneBrainValidationError,
    QuotaExceeded,
    Unsupported,
)

KEY = "mv_0123456789abcdef"
MEMORY = {"id": "m1", "text": "x"}
LIMITS = {"RateLimit-Limit": "600", "RateLimit-Remaining": "7", "RateLimit-Reset": "1776262920"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, OneBrainValidationError),
        (401, OneBrainAuthenticationError),
        (403, OneBrainPermissionError),
        (404, OneBrainNotFoundError),
        (422, OneBrainValidationError),
        (500, OneBrainInternalError),
    ],
)
def test_a_detail_is_the_message(client, stub, status, kind):
    stub.answer({"detail": "no such thing"}, status=status, headers={"X-Request-Id": "r1"})
    with pytest.raises(kind) as caught:
        client(lambda c: c.memories.get("m1"), max_retries=0)
    error = caught.value
    assert type(error) is kind
    assert (error.message, error.status_code, error.service) == ("no such thing", status, "rememberos")
    assert error.request_id == "r1"


def test_a_list_of_details_says_where_and_never_quotes_the_input(client, stub):
    issue = {
        "loc": ["body", "importance"],
        "msg": "Input should be less than or equal to 1",
        "type": "less_than_equal",
        "input": "the secret text",
    }
    stub.answer({"detail": [issue]}, status=422)
    with pytest.raises(OneBrainValidationError) as caught:
        client(lambda c: c.memories.create("the secret text"))
    error = caught.value
    assert error.message == "body.importance: Input should be less than or equal to 1"
    assert error.code == "less_than_equal"
    assert error.details == [
        {
            "where": "body.importance",
            "msg": "Input should be less than or equal to 1",
            "type": "less_than_equal",
        }
    ]


@pytest.mark.parametrize(
    "body", [{"detail": {"message": "m", "code": "c"}}, {"detail": 7}, [], b"<html>", None]
)
def test_an_unusual_body_still_makes_an_error(client, stub, body):
    stub.answer(body, status=403)
    with pytest.raises(OneBrainPermissionError) as caught:
        client(lambda c: c.account.me())
    assert len(caught.value.message) > 0
    assert "<html>" not in str(caught.value)


def test_a_rate_limit_says_when_and_is_waited_for(client, stub):
    stub.answer({"detail": "slow down"}, status=429, headers={"Retry-After": "0", **LIMITS})
    stub.answer(MEMORY, status=201)
    assert client(lambda c: c.memories.create("x")).id == "m1"
    assert len(stub.got) == 2


def test_a_rate_limit_is_on_the_error(client, stub):
    stub.answer({"detail": "slow down"}, status=429, headers={"Retry-After": "2", **LIMITS})
    with pytest.raises(OneBrainRateLimitError) as caught:
        client(lambda c: c.memories.create("x"), max_retries=0)
    error = caught.value
    assert error.retry_after == 2
    assert error.rate_limit is not None
    assert (error.rate_limit.limit, error.rate_limit.remaining) == (600, 7)
    assert error.rate_limit.reset == datetime(2026, 4, 15, 14, 22, tzinfo=UTC)


def test_a_wait_of_hours_is_no_rate(client, stub):
    stub.answer({"detail": "month used up"}, status=429, headers={"Retry-After": "90000"})
    with pytest.raises(QuotaExceeded):
        client(lambda c: c.account.me())


def test_the_limit_of_the_latest_answer_is_on_the_client(stub):
    stub.answer(MEMORY, headers=LIMITS)
    with onebrain.RememberOS(api_key=KEY, base_url=stub.url) as client:
        assert client.rate_limit is None
        client.memories.get("m1")
        assert client.rate_limit is not None
        assert client.rate_limit.remaining == 7


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_create_is_not_repeated_after_a_failure_of_the_server(client, stub, status):
    stub.answer({"detail": "oops"}, status=status, headers={"Retry-After": "0"})
    with pytest.raises(OneBrainInternalError):
        client(lambda c: c.memories.create("x"))
    assert len(stub.got) == 1


def test_a_create_whose_answer_is_lost_is_not_repeated(client, stub):
    stub.answer(stub.lost)
    with pytest.raises(OneBrainConnectionError) as caught:
        client(lambda c: c.memories.create("x"))
    assert not caught.value.never_sent
    assert len(stub.got) == 1


def test_reads_and_searches_are_repeated(client, stub):
    stub.answer({"detail": "oops"}, status=503, headers={"Retry-After": "0"})
    stub.answer({"results": []})
    assert client(lambda c: c.search("x")).results == ()
    assert len(stub.got) == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.memories.detach("m1", 0),
        lambda c: c.webhook.set("https://x.example"),
        lambda c: c.account.rotate_key(),
        lambda c: c.account.reveal("t"),
    ],
)
def test_what_must_happen_once_is_sent_once(client, stub, call):
    stub.answer({"detail": "oops"}, status=502)
    with pytest.raises(OneBrainInternalError):
        client(call)
    assert len(stub.got) == 1


def test_an_unconfigured_provider_is_unsupported_and_asked_once(client, stub):
    stub.answer({"detail": "notion OAuth is not configured"}, status=503)
    with pytest.raises(Unsupported, match="pass a token") as caught:
        client(lambda c: c.connections.oauth_start("notion", collection="notes"))
    assert caught.value.status_code == 503
    assert len(stub.got) == 1


def test_a_redirect_is_never_followed(client, stub):
    stub.answer(None, status=301, headers={"location": stub.url + "/elsewhere"})
    with pytest.raises(OneBrainResponseError, match="never followed"):
        client(lambda c: c.memories.get("m1"))
    assert len(stub.got) == 1


def test_an_answer_of_another_shape_names_the_field_and_not_its_value(client, stub):
    stub.answer({"id": 7, "text": ["the secret text"]})
    with pytest.raises(OneBrainResponseError) as caught:
        client(lambda c: c.memories.get("m1"))
    assert "text" in caught.value.message
    assert "the secret text" not in str(caught.value)


def test_html_is_no_answer(client, stub):
    stub.answer(b"<html>welcome</html>", headers={"content-type": "text/html"})
    with pytest.raises(OneBrainResponseError, match="base URL"):
        client(lambda c: c.account.me())


def test_no_listener_is_a_connection_error(client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OneBrainConnectionError) as caught:
        client(lambda c: c.health(), base_url=f"http://127.0.0.1:{port}", max_retries=0)
    assert caught.value.never_sent


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.configuration.storage.set(
            bucket="b", access_key="AKIA-visible", secret_key="very-secret"
        ),
        lambda c: c.configuration.extraction.set(base_url="u", model="m", api_key="very-secret"),
        lambda c: c.configuration.database.set("host=db password=very-secret"),
        lambda c: c.connections.create("linear", collection="notes", credentials={"token": "very-secret"}),
    ],
)
def test_credentials_in_an_answer_do_not_reach_the_error(client, stub, call):
    stub.answer({"detail": f"failed with {KEY}: host=db password=very-secret / very-secret"}, status=400)
    with pytest.raises(OneBrainValidationError) as caught:
        client(call)
    assert "very-secret" not in f"{caught.value!s} {caught.value!r} {caught.value.details}"
    assert KEY not in str(caught.value)


# ---- refused before anything is sent --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.memories.create(""),
        lambda c: c.memories.create("x" * 10_001),
        lambda c: c.memories.create("x", importance=1.1),
        lambda c: c.memories.create("x", importance=-0.1),
        lambda c: c.memories.create("x", metadata={"n": float("nan")}),
        lambda c: c.memories.create("x", collection=""),
        lambda c: c.memories.create("x", collection=".."),
        lambda c: c.memories.create_many(["ok", "x" * 10_001]),
        lambda c: c.memories.create_many([{"text": "x", "importence": 1}]),
        lambda c: c.memories.update("m1"),
        lambda c: c.memories.update("m1", text=""),
        lambda c: c.memories.get(""),
        lambda c: c.memories.page(limit=201),
        lambda c: c.memories.forget(" "),
        lambda c: c.search("x", limit=51),
        lambda c: c.search("x", limit=0),
        lambda c: c.search("x", min_score=2),
        lambda c: c.search("x", mode="semantic"),
        lambda c: c.search(" "),
        lambda c: c.graph.remember(" "),
        lambda c: c.connections.create("dropbox", collection="n", credentials={}),
        lambda c: c.files.presign([{"filename": "a", "size": 1}]),
        lambda c: c.files.presign([]),
        lambda c: c.email.set_senders("a@b.example"),
        lambda c: c.account.signup("nobody"),
        lambda c: c.account.delete_account(confirm=""),
        lambda c: c.chat([]),
        lambda c: c.keys.revoke("k", placed="body"),
        lambda c: c.spend_cap.set(-1),
        lambda c: c.grants.put("notes", agent_key_id=""),
        lambda c: c.operator.audit(days=0),
        lambda c: c.intelligence.dedup(threshold=1.5),
    ],
)
def test_a_wrong_argument_is_refused_and_nothing_is_sent(client, stub, call):
    with pytest.raises(OneBrainValidationError):
        client(call)
    assert stub.got == []


def test_ten_thousand_characters_are_allowed(client, stub):
    stub.answer(MEMORY, status=201)
    client(lambda c: c.memories.create("ü" * 10_000))
    assert stub.only.json["text"] == "ü" * 10_000


# ---- many at once ---------------------------------------------------------------------------------------------------


def _chunk(start, size):
    return {"created": size, "ids": [f"id{n}" for n in range(start, start + size)]}


def test_many_are_sent_a_hundred_at_a_time(client, stub):
    stub.answer(_chunk(0, 100), status=201)
    stub.answer(_chunk(100, 50), status=201)
    done: list[int] = []
    texts = [f"text {n}" for n in range(150)]
    result = client(lambda c: c.memories.create_many(texts, on_progress=done.append))
    assert result.ids == tuple(f"id{n}" for n in range(150))
    assert [len(request.json) for request in stub.got] == [100, 50]
    assert done == [100, 150]


def test_a_later_chunk_that_is_refused_says_what_was_stored(client, stub):
    stub.answer(_chunk(0, 100), status=201)
    stub.answer({"detail": "read-only key"}, status=403)
    with pytest.raises(OneBrainPermissionError, match="100 memories were stored before") as caught:
        client(lambda c: c.memories.create_many([f"text {n}" for n in range(250)]))
    details = caught.value.details
    assert details["created"] == 100
    assert details["ids"] == [f"id{n}" for n in range(100)]
    assert (details["failed_from"], details["failed_to"], details["failed_stored"]) == (100, 199, "no")
    assert len(stub.got) == 2


def test_a_later_chunk_whose_answer_is_lost_may_be_stored_and_the_error_says_so(client, stub):
    stub.answer(_chunk(0, 100), status=201)
    stub.answer(stub.lost)
    with pytest.raises(OneBrainConnectionError) as caught:
        client(lambda c: c.memories.create_many([f"text {n}" for n in range(150)]))
    assert caught.value.details["failed_stored"] == "unknown"
    assert caught.value.details["ids"] == [f"id{n}" for n in range(100)]


# ---- jobs -----------------------------------------------------------------------------------------------------------


def test_a_job_is_followed_to_its_end(client, stub):
    stub.answer({"job_id": "j1"}, status=202)
    stub.answer({"state": "queued"})
    stub.answer({"state": "processing", "facts": 1, "complete": False})
    stub.answer({"state": "done", "facts": 2, "complete": True})
    result = client(lambda c: c.graph.remember("Maria moved", collection="notes"))
    assert (result.job_id, result.state, result.facts) == ("j1", "done", 2)
    assert {request.path for request in stub.got[1:]} == {"/v1/memory/extract/job/j1"}


def test_a_job_need_not_be_followed(client, stub):
    stub.answer({"job_id": "j1"}, status=202)
    result = client(lambda c: c.graph.remember("Maria moved", sync=False, wait=False))
    assert (result.job_id, result.state) == ("j1", "queued")
    assert stub.only.query == []


def test_a_job_that_fails_is_an_error(client, stub):
    stub.answer({"job_id": "j1"}, status=202)
    stub.answer({"state": "failed", "complete": True})
    with pytest.raises(OneBrainInternalError, match="failed") as caught:
        client(lambda c: c.graph.remember("Maria moved"))
    assert caught.value.details == {"job_id": "j1"}


def test_a_job_that_never_ends_is_given_up_and_named(client, stub):
    stub.answer({"job_id": "j1"}, status=202)
    stub.answer({"state": "processing"})
    with pytest.raises(OneBrainTimeoutError, match="still 'processing'") as caught:
        client(lambda c: c.graph.remember("Maria moved", timeout=0))
    assert caught.value.details == {"job_id": "j1"}


# ---- keys -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_environment(monkeypatch):
    for name in ("REMEMBEROS_API_KEY", "LONGMEM_API_KEY", "REMEMBEROS_BASE_URL", "LONGMEM_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_a_key_there_is_no_client(no_environment):
    with pytest.raises(OneBrainAuthenticationError, match="REMEMBEROS_API_KEY"):
        onebrain.RememberOS()


@pytest.mark.parametrize("prefix", ["REMEMBEROS", "LONGMEM"])
def test_key_and_address_come_from_the_environment(no_environment, stub, prefix):
    no_environment.setenv(f"{prefix}_API_KEY", "mv_of_environment")
    no_environment.setenv(f"{prefix}_BASE_URL", stub.url + "/v1/")
    stub.answer(MEMORY)
    with onebrain.RememberOS() as client:
        client.memories.get("m1")
    assert stub.only.headers["authorization"] == "Bearer mv_of_environment"
    assert stub.only.path.startswith("/v1/memory/")


def test_an_anonymous_client_asks_public_endpoints_only(client, stub, no_environment):
    stub.answer({"status": "healthy"})
    assert client(lambda c: c.health(), api_key=None, anonymous=True).status == "healthy"
    with pytest.raises(OneBrainAuthenticationError, match="needs an API key"):
        client(lambda c: c.account.me(), api_key=None, anonymous=True)
    assert len(stub.got) == 1


@pytest.mark.parametrize(
    "options", [{"base_url": "rememberos.ai"}, {"max_retries": -1}, {"anonymous": True}], ids=str
)
def test_a_wrong_option_is_refused(options):
    with pytest.raises(ConfigurationError):
        onebrain.RememberOS(**{"api_key": KEY, **options})


def test_a_key_is_in_no_repr(stub):
    with onebrain.RememberOS(api_key=KEY, base_url=stub.url) as client:
        assert KEY not in f"{client!r} {client._service!r} {vars(client)!r}"

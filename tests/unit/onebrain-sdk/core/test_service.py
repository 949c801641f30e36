"""`Service.ask`: what is sent, when again, and what becomes of failures. The plan is driven by hand: no network."""

from __future__ import annotations

import json

import pytest

from onebrain import (
    OneBrainAuthenticationError,
    OneBrainConflictError,
    OneBrainConnectionError,
    OneBrainError,
    OneBrainInternalError,
    OneBrainNotFoundError,
    OneBrainPermissionError,
    OneBrainRateLimitError,
    OneBrainResponseError,
    OneBrainValidationError,
    QuotaExceeded,
    UnsupportedByServer,
)
from onebrain._core.codec import UNSET
from onebrain._core.retry import RetryPolicy
from onebrain._core.service import DELETE, GET, PATCH, POST, PUT, Explanation, Service, path
from onebrain._core.steps import Send, Sleep
from onebrain._core.transport import Response

KEY = "hb_live_0123456789abcdef"


def explain(response, body):
    error = (body or {}).get("error", {}) if isinstance(body, dict) else {}
    return Explanation(
        message=error.get("message", ""),
        code=error.get("code"),
        details=error.get("details"),
        existing_id=error.get("existing_id"),
        unknown_route=error.get("code") == "NO_ROUTE",
    )


def service(**options):
    return Service(
        "test",
        "http://localhost/api/",
        explain=explain,
        headers={"Authorization": f"Bearer {KEY}"},
        secrets=[KEY],
        **options,
    )


def answer(status=200, body=None, **headers):
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def drive(plan, *outcomes):
    """Run a plan against prepared outcomes; return its result, the requests and the waits."""
    left = list(outcomes)
    requests, waits = [], []
    try:
        effect = next(plan)
        while True:
            if isinstance(effect, Sleep):
                waits.append(effect.seconds)
                effect = plan.send(None)
                continue
            assert isinstance(effect, Send)
            requests.append(effect.request)
            outcome = left.pop(0)
            effect = plan.throw(outcome) if isinstance(outcome, Exception) else plan.send(outcome)
    except StopIteration as finished:
        assert left == []
        return finished.value, requests, waits


def failure(spec, *outcomes, **options):
    with pytest.raises(OneBrainError) as caught:
        drive(service(**options).ask(spec), *outcomes)
    return caught.value


def test_a_read_carries_its_query_and_no_body():
    spec = GET("/v1/things", q="a b&c", flag=True, n=3, tags=["x", "y"], none=None, unset=UNSET)
    reply, [request], _ = drive(service().ask(spec), answer(body={"ok": 1}))
    assert request.url == "http://localhost/api/v1/things?q=a+b%26c&flag=true&n=3&tags=x&tags=y"
    assert request.content is None
    assert "content-type" not in request.headers
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert (reply.data, reply.status, reply.attempts) == ({"ok": 1}, 200, 1)


def test_a_write_carries_json_and_leaves_out_what_is_unset():
    _, [post], _ = drive(service().ask(POST("/x", a="ü", none=None, unset=UNSET)), answer(204))
    assert json.loads(post.content) == {"a": "ü"}
    assert post.headers["content-type"] == "application/json"
    for short in (PUT, PATCH):
        _, [request], _ = drive(service().ask(short("/x", none=None, unset=UNSET)), answer(204))
        assert json.loads(request.content) == {"none": None}
    _, [empty], _ = drive(service().ask(POST("/x")), answer(204))
    assert empty.content is None
    assert "content-type" not in empty.headers
    _, [delete], _ = drive(service().ask(DELETE("/x")), answer(204))
    assert (delete.method, delete.content) == ("DELETE", None)


@pytest.mark.parametrize("id", ["a/b", "ü", "a b", "a?b=c#d", "%2e%2e", "..x", "a\\b"])
def test_an_id_stays_one_segment_of_a_path(id):
    filled = path("/v1/x/{}/y", id)
    assert filled.count("/") == 4
    assert not {"?", "#", " "} & set(filled)


@pytest.mark.parametrize("id", ["", " ", ".", "..", " .. ", None, True, 1.5, "\ud800"])
def test_an_id_that_would_address_something_else_is_refused(id):
    with pytest.raises(OneBrainValidationError):
        path("/v1/x/{}", id)


def test_a_read_is_tried_again_and_a_write_is_not():
    reply, requests, waits = drive(service().ask(GET("/x")), answer(503), answer(502), answer(body=[]))
    assert (len(requests), len(waits), reply.attempts) == (3, 2, 3)
    assert isinstance(failure(POST("/x"), answer(500)), OneBrainInternalError)
    reply, requests, _ = drive(service().ask(POST("/x").but(safe=True)), answer(500), answer(body=[]))
    assert len(requests) == 2


def test_a_key_makes_a_write_repeatable_and_stays_the_same():
    spec = POST("/x", a=1).but(idempotency_header="Idempotency-Key")
    _, requests, _ = drive(service().ask(spec), OneBrainConnectionError("lost"), answer(body={}))
    first, second = (request.headers["idempotency-key"] for request in requests)
    assert first == second
    _, [other], _ = drive(service().ask(spec), answer(body={}))
    assert other.headers["idempotency-key"] != first


def test_a_wait_that_the_server_asks_for_is_kept_and_one_too_long_is_not():
    _, _, waits = drive(service().ask(POST("/x")), answer(429, retry_after="7"), answer(body={}))
    assert 7.0 <= waits[0] <= 7.5
    error = failure(POST("/x"), answer(429, retry_after="100"))
    assert type(error) is OneBrainRateLimitError
    assert error.retry_after == 100
    assert isinstance(failure(GET("/x"), answer(429, retry_after="2592000")), QuotaExceeded)


def test_attempts_end():
    error = failure(GET("/x"), answer(500), answer(500), retry=RetryPolicy(max_retries=1))
    assert error.status_code == 500


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, OneBrainValidationError),
        (401, OneBrainAuthenticationError),
        (402, QuotaExceeded),
        (403, OneBrainPermissionError),
        (404, OneBrainNotFoundError),
        (409, OneBrainConflictError),
        (410, OneBrainNotFoundError),
        (418, OneBrainValidationError),
        (422, OneBrainValidationError),
        (501, UnsupportedByServer),
        (405, UnsupportedByServer),
    ],
)
def test_a_failure_becomes_the_error_of_its_status(status, kind):
    said = {"error": {"message": "said so", "code": "CODE", "details": [{"path": "a"}], "existing_id": "e"}}
    error = failure(POST("/x"), answer(status, said, x_request_id="r-1"))
    assert type(error) is kind
    assert (error.service, error.status_code, error.code, error.request_id) == ("test", status, "CODE", "r-1")
    assert error.details == [{"path": "a"}]
    if kind is OneBrainConflictError:
        assert error.existing_id == "e"


def test_an_unknown_route_is_told_from_an_unknown_thing():
    assert type(failure(GET("/x"), answer(404, {"error": {"code": "NO_ROUTE"}}))) is UnsupportedByServer
    assert type(failure(GET("/x"), answer(404, {"error": {"code": "GONE"}}))) is OneBrainNotFoundError


def test_no_error_shows_the_key_wherever_the_server_repeats_it():
    said = {"error": {"message": f"bad key {KEY}", "details": {"key": KEY, KEY: [f"Bearer {KEY}"]}}}
    error = failure(GET("/x"), answer(401, said))
    assert KEY not in f"{error} {error!r} {error.details} {error.__dict__}"
    assert "bad key ***" in str(error)


def test_an_answer_that_is_no_json_says_what_it_was():
    error = failure(GET("/x"), answer(200, b"<html>login</html>", content_type="text/html"))
    assert type(error) is OneBrainResponseError
    assert "text/html" in str(error)
    assert "login" not in str(error)
    assert isinstance(failure(POST("/x"), answer(502, b"<html>bad gateway</html>")), OneBrainInternalError)


def test_a_redirect_is_not_followed():
    error = failure(GET("/x"), answer(302, location="http://elsewhere"))
    assert "redirected" in str(error)


def test_other_answers_than_json_can_be_expected():
    reply, [request], _ = drive(service().ask(GET("/x").but(expect="text")), answer(200, b"plain \xff"))
    assert (reply.data, request.headers["accept"]) == ("plain \ufffd", "text/plain")
    reply, _, _ = drive(service().ask(GET("/x").but(expect="bytes")), answer(200, b"\x00\x01"))
    assert reply.data == b"\x00\x01"


def test_what_cannot_be_sent_exactly_is_refused_before_anything_is_sent():
    for spec in (
        POST("/x", a=float("nan")),
        POST("/x", a="\ud800"),
        GET("/x", q="\ud800"),
        POST("/x", a=object()),
    ):
        with pytest.raises(OneBrainValidationError):
            next(service().ask(spec))


def test_a_service_does_not_show_its_key():
    assert KEY not in repr(service())

"""Against a misbehaving server: every error is one of ours, nothing is stored twice, and the client stays usable."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from onebrain import (
    AsyncOneBrain,
    ConfigurationError,
    OneBrain,
    OneBrainConflictError,
    OneBrainConnectionError,
    OneBrainError,
    OneBrainInternalError,
    OneBrainRateLimitError,
    OneBrainResponseError,
    OneBrainTimeoutError,
    QuotaExceeded,
)
from onebrain._core.retry import RetryPolicy
from onebrain._core.transport import HttpOptions

KEY = "ob_0123456789abcdef_aabbccddeeff00112233445566778899"
ID = "7911a591-d041-4b30-b2a4-b8818d4132ab"
QUICK = RetryPolicy(max_retries=2, base_delay=0.001, max_delay=0.002)
LENGTHY = RetryPolicy(max_retries=0)
# Seconds for an answer that comes.
PATIENCE = 120.0
# Seconds for one that never comes, and for a request to be sent.
SHORT = 1.0

GOOD = json.dumps({"data": {"id": ID, "body": "b"}, "meta": {"requestId": "r-1"}}).encode()


def http(status: int, body: bytes = GOOD, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(body)}"]
    return (
        "\r\n".join(lines + [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]).encode()
        + b"\r\n\r\n"
        + body
    )


LIMITED = b'{"error": {"code": "REQUEST_ERROR", "message": "Rate limit exceeded, retry in 1 minute"}}'
CRASHED = b'{"error": {"code": "INTERNAL_ERROR", "message": "Internal server error"}}'


@pytest.fixture(params=["sync", "async", "aiohttp"])
def run(request, server):
    """Call functions with a client, one after the other on the same client, and return the last result."""

    def go(*calls, retry=QUICK, timeout=PATIENCE):
        if request.param == "sync":
            with OneBrain(KEY, base_url=server.url, retry=retry, timeout=timeout) as client:
                return [attempt(call, client) for call in calls][-1].out()

        async def main():
            transport = "aiohttp" if request.param == "aiohttp" else None
            async with AsyncOneBrain(
                KEY, base_url=server.url, retry=retry, timeout=timeout, transport=transport
            ) as client:
                return [await aattempt(call, client) for call in calls][-1].out()

        return asyncio.run(main())

    return go


class Outcome:
    def __init__(self, value=None, error=None):
        self.value, self.error = value, error

    def out(self):
        if self.error is not None:
            raise self.error
        return self.value


def attempt(call, client):
    try:
        return Outcome(call(client))
    except OneBrainError as error:
        return Outcome(error=error)


async def aattempt(call, client):
    try:
        return Outcome(await call(client))
    except OneBrainError as error:
        return Outcome(error=error)


def read(client):
    return client.memory.get(ID)


def write(client):
    return client.memory.create("a secret text")


BROKEN = ["reset", "hang_up", "truncate", "truncate_chunks", "not HTTP", "bad status"]
UNREADABLE = [
    "html",
    "html under JSON's name",
    "empty",
    "no envelope",
    "a list",
    "another shape",
    "wrong types",
    "null meta",
    "invalid UTF-8",
    "unzipped gzip",
    "broken gzip",
]
REFUSED = ["redirect", "string error", "error with null", "error of a list"]
LATE = ["stall", "slow_headers"]


@pytest.mark.parametrize("call", [read, write])
@pytest.mark.parametrize("name", BROKEN + UNREADABLE + REFUSED + LATE)
def test_every_failure_is_one_of_ours_and_tells_no_secret(name, call, run, server, step):
    server.script = [step(name)] * 3
    with pytest.raises(OneBrainError) as raised:
        run(call, retry=LENGTHY, timeout=SHORT if name in LATE else PATIENCE)
    told = f"{raised.value} {raised.value!r} {raised.value.details}"
    assert "secret text" not in told
    assert KEY not in told
    assert raised.value.service == "onebrain"


@pytest.mark.parametrize("name", BROKEN)
def test_a_read_is_tried_again_after_a_broken_connection(name, run, server, step):
    server.script = [step(name)]
    assert run(read, timeout=PATIENCE).id == ID
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", [*BROKEN, *LATE, *UNREADABLE])
def test_a_write_that_was_sent_is_never_sent_again(name, run, server, step):
    server.script = [step(name)] * 3
    with pytest.raises(OneBrainError):
        run(write, timeout=SHORT if name in LATE else PATIENCE)
    server.heard(1)
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", BROKEN + UNREADABLE)
def test_the_client_works_after_a_failure(name, run, server, step):
    server.script = [step(name)]
    assert run(read, read, retry=LENGTHY, timeout=PATIENCE).id == ID


@pytest.mark.parametrize("name", LATE)
def test_a_server_that_does_not_answer_is_a_timeout(name, run, server, step):
    server.script = [step(name)] * 3
    with pytest.raises(OneBrainTimeoutError) as raised:
        run(read, retry=LENGTHY, timeout=SHORT)
    assert not raised.value.never_sent


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_answer_that_cannot_be_read_is_said_so(name, run, server, step):
    server.script = [step(name)]
    with pytest.raises(OneBrainResponseError):
        run(read, retry=LENGTHY, timeout=PATIENCE)


def test_a_refused_connection_is_tried_again_even_for_a_write(run, server):
    server.close()
    with pytest.raises(OneBrainConnectionError) as raised:
        run(write)
    assert raised.value.never_sent
    assert raised.value.status_code is None


def test_compressed_answers_are_read(run, server):
    server.script = [http(200, gzip.compress(GOOD), content_encoding="gzip")]
    assert run(read).content == "b"


def test_any_content_type_will_do_where_the_body_is_json(run, server):
    server.script = [http(200).replace(b"application/json", b"text/html")]
    assert run(read).content == "b"


def test_a_204_with_a_body_is_an_empty_answer_and_harms_nobody(run, server):
    server.script = [http(204, b"surplus")]
    assert run(lambda client: client.memory.delete(ID), read, timeout=PATIENCE).id == ID


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_reads_outlast_a_burst_of_failures(status, run, server):
    server.script = [http(status, CRASHED)] * 2
    assert run(read).id == ID
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_writes_do_not_repeat_what_the_server_may_have_done(status, run, server):
    server.script = [http(status, CRASHED)] * 3
    with pytest.raises(OneBrainInternalError):
        run(write)
    assert len(server.requests) == 1


def test_a_write_with_an_idempotency_key_is_repeated_with_the_same_key(run, server):
    server.script = [http(500, CRASHED)]
    assert run(lambda client: client.memory.create("x", idempotency_key="k-1")).id == ID
    assert len(server.requests) == 2


def test_retries_are_bounded(run, server):
    server.script = [http(503, CRASHED)] * 10
    with pytest.raises(OneBrainInternalError):
        run(read)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "asked",
    ["0", "0.01", "soon", "-5", "nan", "inf", format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)],
)
def test_a_rate_limit_is_waited_out_by_reads_and_writes(asked, run, server):
    server.script = [http(429, LIMITED, retry_after=asked)] * 2
    assert run(write).id == ID
    assert len(server.requests) == 3


def test_a_plan_limit_is_raised_at_once_with_its_time(run, server):
    body = b'{"error": {"code": "LIMIT_EXCEEDED", "message": "Monthly limit reached"}}'
    server.script = [http(429, body, retry_after="2592000")] * 3
    with pytest.raises(QuotaExceeded) as raised:
        run(write)
    assert raised.value.retry_after == 2592000
    assert len(server.requests) == 1


def test_a_wait_that_is_too_long_is_raised_at_once_with_its_time(run, server):
    server.script = [http(429, LIMITED, retry_after="61")] * 3
    with pytest.raises(OneBrainRateLimitError) as raised:
        run(read)
    assert raised.value.retry_after == 61
    assert len(server.requests) == 1


def test_a_date_far_away_is_not_waited_for(run, server):
    when = format_datetime(datetime.now(UTC) + timedelta(days=30), usegmt=True)
    server.script = [http(429, LIMITED, retry_after=when)] * 3
    with pytest.raises(OneBrainRateLimitError) as raised:
        run(read)
    assert raised.value.retry_after > 86400


@pytest.mark.parametrize(("status", "kind"), [(409, OneBrainConflictError), (500, OneBrainInternalError)])
def test_a_status_has_its_own_error(status, kind, run, server):
    server.script = [http(status, CRASHED)] * 3
    with pytest.raises(kind) as raised:
        run(write)
    assert (type(raised.value), raised.value.status_code, raised.value.code) == (
        kind,
        status,
        "INTERNAL_ERROR",
    )


def test_a_key_that_the_server_echoes_is_not_repeated(run, server):
    example = f"Authorization: ApiKey {KEY}"
    body = json.dumps(
        {
            "error": {
                "code": "WRONG_AUTH_SCHEME",
                "message": f"Use {example}",
                "details": [{"example": example}],
            }
        }
    ).encode()
    server.script = [http(401, body)]
    with pytest.raises(OneBrainError) as raised:
        run(read)
    told = f"{raised.value} {raised.value.details}"
    assert "***" in told
    assert KEY not in told
    assert KEY.rpartition("_")[2] not in told


def test_a_redirect_is_not_followed_because_it_would_carry_the_key(run, server):
    server.script = [http(307, b"", location=server.url + "/elsewhere")]
    with pytest.raises(OneBrainResponseError, match="redirected"):
        run(read)
    assert len(server.requests) == 1


def test_a_wrong_certificate_bundle_is_a_configuration_error(tmp_path):
    options = HttpOptions(verify=str(tmp_path / "absent.pem"))
    with (
        OneBrain(KEY, base_url="https://127.0.0.1:9", http=options) as client,
        pytest.raises(ConfigurationError, match="verify"),
    ):
        read(client)

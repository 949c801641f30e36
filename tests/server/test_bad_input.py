"""Bad input of every kind: each service's format answers with the status and the shape that its document has."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import httpx
import pytest

from onebrain_server.dialects import DIALECTS
from onebrain_server.testing import live_server

LARGEST = 20_000


@pytest.fixture(scope="module")
def small(settings):
    """A server that takes small requests."""
    with live_server(replace(settings, max_body_bytes=LARGEST)) as live:
        yield live


@pytest.fixture(scope="module")
def key(small):
    return small.account(f"{uuid.uuid4().hex}@example.com")


# ---- the shapes -------------------------------------------------------------------------------------------------------


def onebrain(answer):
    body = answer.json()
    assert set(body) == {"error", "meta"}
    assert set(body["error"]) <= {"code", "message", "details"}
    assert body["error"]["code"].isupper()
    assert body["error"]["message"]
    assert body["meta"]["requestId"] == answer.headers["x-request-id"]


def onebrain_framework(answer):
    body = answer.json()
    assert set(body) == {"message", "error", "statusCode"}
    assert body["statusCode"] == answer.status_code
    assert isinstance(body["error"], str)


def ai_memory(answer):
    body = answer.json()
    assert set(body) <= {"error", "code", "existing_id"}
    assert isinstance(body["error"], str)


def text(answer):
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text


def empty(answer):
    assert answer.content == b""


def herobrain(answer):
    body = answer.json()
    assert set(body) == {"success", "errors", "metadata"}
    assert body["success"] is False
    assert body["errors"]
    for error in body["errors"]:
        assert set(error) <= {"code", "message", "field"}
        assert error["code"].isupper()
        assert error["message"]
    assert set(body["metadata"]) == {"request_id", "timestamp", "version"}


def rememberos(answer):
    body = answer.json()
    assert set(body) == {"detail"}
    assert isinstance(body["detail"], str)
    assert body["detail"]


def brrain(answer):
    body = answer.json()
    assert set(body) == {"error"}
    error = body["error"]
    assert {"code", "message", "request_id", "status"} <= set(error)
    assert error["status"] == answer.status_code
    assert error["code"].islower()


Shape = Callable[[httpx.Response], None]


@dataclass(frozen=True, slots=True)
class Format:
    """Where a service's format stores a memory, lists, and shows one; and what each kind of bad input is answered with."""

    store: str
    fields: dict[str, object]
    # The field of the text.
    text: str
    listed: str
    one: str
    shape: Shape
    # The status of a field that is not known; None where it is dropped, as documented.
    unknown: int | None
    differing: dict[str, tuple[int, Shape]] = field(default_factory=dict)


FORMATS = {
    "onebrain": Format(
        "/v1/memory", {}, "body", "/v1/memory?limit={limit}", "/v1/memory/{id}", onebrain, None,
        {"no route": (404, onebrain_framework), "wrong method": (405, onebrain_framework), "no body": (400, onebrain)},
    ),
    "ai-memory": Format(
        "/compat/ai-memory/api/v1/memories", {"title": "t"}, "content",
        "/compat/ai-memory/api/v1/memories?limit={limit}", "/compat/ai-memory/api/v1/memories/{id}", ai_memory, None,
        {
            "no JSON": (400, text), "no body": (400, text), "wrong kind of body": (422, text), "wrong type": (422, text),
            "null": (422, text), "missing": (422, text), "media type": (415, text), "query": (400, text), "path": (400, text),
            "too large": (413, text), "no route": (404, empty), "wrong method": (405, empty),
        },
    ),
    "herobrain": Format(
        "/compat/herobrain/api/v1/memories", {"type": "task"}, "content",
        "/compat/herobrain/api/v1/memories?limit={limit}", "/compat/herobrain/api/v1/memories/{id}", herobrain, None,
    ),
    "rememberos": Format(
        "/compat/rememberos/v1/memory/collections/c/memories", {}, "text",
        "/compat/rememberos/v1/memory/collections/c/memories?limit={limit}",
        "/compat/rememberos/v1/memory/collections/c/memories/{id}", rememberos, None,
    ),
    "brrain": Format(
        "/compat/brrain/v1/memory/store", {}, "content", "/compat/brrain/v1/memory/retrieve?q=x&limit={limit}",
        "/compat/brrain/v1/memory/{id}", brrain, 400, {"too large": (400, brrain)},
    ),
}  # fmt: skip

STATUSES = {
    "no JSON": 400,
    "no body": 400,
    "wrong kind of body": 400,
    "wrong type": 400,
    "null": 400,
    "missing": 400,
    "media type": 415,
    "query": 400,
    "path": 400,
    "no such memory": 404,
    "too large": 413,
    "no route": 404,
    "wrong method": 405,
    "no key": 401,
    "bad key": 401,
}


def sent(client, form, kind):
    """Send one kind of bad input."""
    whole = {**form.fields, form.text: "Maria prefers window seats"}
    json_type = {"content-type": "application/json"}
    match kind:
        case "no JSON":
            return client.post(form.store, content=b'{"a": ', headers=json_type)
        case "no body":
            return client.post(form.store, content=b"", headers=json_type)
        case "wrong kind of body":
            return client.post(form.store, json="text")
        case "wrong type":
            return client.post(form.store, json={**whole, form.text: ["list"]})
        case "null":
            return client.post(form.store, json={**whole, form.text: None})
        case "missing":
            return client.post(form.store, json={name: whole[name] for name in form.fields})
        case "media type":
            return client.post(form.store, content=json.dumps(whole), headers={"content-type": "text/csv"})
        case "query":
            return client.get(form.listed.format(limit="many"))
        case "path":
            return client.get(form.one.format(id="a%00b"))
        case "no such memory":
            return client.get(form.one.format(id="00000000-0000-4000-8000-000000000000"))
        case "too large":
            return client.post(form.store, json={**whole, form.text: "x" * (LARGEST + 1)})
        case "no route":
            return client.get(form.one.format(id="a/b/c/d/e"))
        case "wrong method":
            return client.put(form.store, json=whole)
        case "no key":
            client.headers.clear()
            return client.get(form.listed.format(limit=1))
        case "bad key":
            bad = "ob_deadbeefdeadbeef_00"
            return client.get(
                form.listed.format(limit=1), headers={"authorization": f"Bearer {bad}", "x-api-key": bad}
            )
    raise AssertionError(kind)


def test_every_format_is_asked():
    assert list(FORMATS) == [dialect.name for dialect in DIALECTS]


@pytest.mark.parametrize("kind", STATUSES)
@pytest.mark.parametrize("name", FORMATS)
def test_bad_input_is_answered_as_documented(small, key, name, kind):
    form = FORMATS[name]
    status, shape = form.differing.get(kind, (STATUSES[kind], form.shape))
    headers = {"authorization": f"Bearer {key}", "x-api-key": key}
    with httpx.Client(base_url=small.url, headers=headers) as client:
        answer = sent(client, form, kind)
    assert answer.status_code == status, answer.text
    shape(answer)
    assert "window seats" not in answer.text


@pytest.mark.parametrize("name", FORMATS)
def test_a_field_that_is_not_known_is_dropped_or_refused_as_documented(small, key, name):
    form = FORMATS[name]
    headers = {"authorization": f"Bearer {key}", "x-api-key": key}
    with httpx.Client(base_url=small.url, headers=headers) as client:
        fields = {**form.fields, form.text: f"Maria {uuid.uuid4().hex}", "unicorn": 1}
        answer = client.post(form.store, json=fields)
    assert answer.status_code == (form.unknown or 201), answer.text
    if form.unknown is not None:
        form.shape(answer)

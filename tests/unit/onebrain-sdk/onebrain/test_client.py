"""Where a client goes and what it sends along."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime

import pytest

from onebrain import ConfigurationError, OneBrain, OneBrainError, OneBrainValidationError, UnsupportedByServer
from onebrain.memory.envelope import KEY
from onebrain.services.onebrain.models import RESERVED

ID = "7911a591-d041-4b30-b2a4-b8818d4132ab"


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "https://onebrain.rocks/api/eu"),
        ({"region": "eu"}, "https://onebrain.rocks/api/eu"),
        ({"region": "us"}, "https://onebrain.rocks/api/us"),
        ({"region": "global"}, "https://onebrain.rocks/api/us"),
        ({"base_url": "https://brain.example/api/v1"}, "https://brain.example/api"),
        ({"base_url": "https://brain.example/api/v1/"}, "https://brain.example/api"),
        ({"base_url": "https://brain.example/v1"}, "https://brain.example"),
        ({"base_url": "https://brain.example/"}, "https://brain.example"),
        ({"base_url": "http://localhost:8000/apiv1"}, "http://localhost:8000/apiv1"),
    ],
)
def test_a_base_url_is_taken_with_and_without_its_version(options, url, monkeypatch):
    monkeypatch.delenv("ONEBRAIN_BASE_URL", raising=False)
    assert OneBrain("ob_a_b", **options).base_url == url


def test_the_environment_names_server_and_key(monkeypatch, stub, says):
    monkeypatch.setenv("ONEBRAIN_API_KEY", "ob_env:secret")
    monkeypatch.setenv("ONEBRAIN_BASE_URL", stub.url + "/v1")
    says({"id": ID})
    with OneBrain() as client:
        client.memory.get(ID)
    assert stub.last.path == f"/v1/memory/{ID}"
    assert stub.last.headers["authorization"] == "ApiKey ob_env:secret"


@pytest.mark.parametrize("key", ["ob_xxx:secret", "ob_0123456789abcdef_aabbccdd", " ob_xxx:secret\n"])
def test_both_spellings_of_a_key_travel_as_they_are(key, stub, says):
    says({"id": ID})
    with OneBrain(key, base_url=stub.url) as client:
        client.memory.get(ID)
    assert stub.last.headers["authorization"] == f"ApiKey {key.strip()}"


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "brain.example"},
        {"base_url": "ftp://brain.example"},
        {"base_url": "https://user:pass@brain.example"},
        {"base_url": "https://brain.example", "region": "eu"},
        {"region": "mars"},
        {"api_key": "ob_a_b", "access_token": "eyJ"},
        {"api_key": "ob_a_b", "anonymous": True},
        {"api_key": "ob a b"},
        {"api_key": "ob_ä"},
        {"api_key": "ob_a\r\nx: y"},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"timeout": "10"},
        {"headers": {"x": "a\r\nb: c"}},
        {"headers": {"x y": "a"}},
    ],
)
def test_a_wrong_option_is_a_configuration_error_that_tells_no_secret(options):
    with pytest.raises(ConfigurationError) as raised:
        OneBrain(
            **{
                "api_key": None if "access_token" in options or "anonymous" in options else "ob_a_b",
                **options,
            }
        )
    assert "pass@" not in str(raised.value)


def test_headers_are_sent_and_json_is_asked_for(ask, says, stub):
    says({"id": ID})
    ask(lambda c: c.memory.get(ID), headers={"X-Custom-Header": "value"})
    assert stub.last.headers["x-custom-header"] == "value"
    assert stub.last.headers["accept"] == "application/json"
    assert stub.last.headers["user-agent"].startswith("onebrain-python/")
    assert "content-type" not in stub.last.headers


def test_a_token_or_nothing_can_stand_for_the_key(ask, says, stub):
    says({"id": "u", "email": "a@b.c"})
    assert ask(lambda c: c.auth.me(), api_key=None, access_token="eyJabc").email == "a@b.c"
    assert stub.last.headers["authorization"] == "Bearer eyJabc"
    says({"user": {"id": "u"}}, 201)
    user = ask(
        lambda c: c.auth.register(email="a@b.c", password="SecurePassword123!", name="Jane Doe"),
        api_key=None,
        anonymous=True,
    )
    assert user.id == "u"
    assert "authorization" not in stub.last.headers
    assert stub.last.body["displayName"] == "Jane Doe"


def test_secrets_that_answers_hold_are_in_no_repr(ask, says):
    says({"accessToken": "eyJsecret", "refreshToken": "rt-secret", "user": {"id": "u"}})
    session = ask(lambda c: c.auth.login(email="a@b.c", password="x" * 8), api_key=None, anonymous=True)
    assert session.access_token == "eyJsecret"
    assert "secret" not in repr(session)
    says({"apiKey": {"fullKey": "ob_1_secret"}}, 201)
    agent = ask(lambda c: c.agents.register("a1", description="does things"), api_key=None, anonymous=True)
    assert agent.key == "ob_1_secret"
    assert "secret" not in repr(agent)


def test_a_route_without_a_method_can_be_called(ask, says, stub):
    says([1])
    assert ask(lambda c: c.request("get", "/v1/new", query={"a": True, "b": None})) == {
        "data": [1],
        "meta": {"requestId": "r-1"},
    }
    assert stub.last.query == {"a": "true"}
    with pytest.raises(OneBrainValidationError):
        ask(lambda c: c.request("GET", "v1/new"))


def test_a_file_is_uploaded_as_a_form(ask, says, stub):
    says({"candidates": [{"title": "t", "body": "b"}], "sourceEventId": "s"})
    found = ask(lambda c: c.memory.upload(b"hello", filename="a.txt", media_type="text/plain"))
    assert [proposal.content for proposal in found] == ["b"]
    assert stub.last.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="file"; filename="a.txt"' in stub.last.content
    assert b"hello" in stub.last.content


def test_batches_are_cut_to_ten_and_a_failure_says_what_was_stored(ask, says, stub):
    says({"created": 10, "duplicates": 0, "items": []}, 201)
    stub.answer({"error": {"code": "LIMIT_EXCEEDED", "message": "Monthly limit reached"}}, 429)
    with pytest.raises(OneBrainError, match="10 of 15 memories were stored before"):
        ask(lambda c: c.memory.batch([f"fact {n}" for n in range(15)]))
    assert [len(request.body) for request in stub.requests] == [10, 5]


def test_a_usage_of_a_month_is_not_taken_from_another_period(ask, says):
    says({"period": "monthly", "usage": []})
    with pytest.raises(UnsupportedByServer, match="past month"):
        ask(lambda c: c.billing.usage(period="2026-01"))
    says({"period": "2026-01", "usage": [{"type": "POST /v1/memory", "count": 3}]})
    assert ask(lambda c: c.billing.usage(period="2026-01")).memories_created == 3
    with pytest.raises(OneBrainValidationError):
        ask(lambda c: c.billing.usage(period="last week"))


@pytest.mark.parametrize("day", ["2026-03-30", date(2026, 3, 30), datetime(2026, 3, 30, 8, tzinfo=UTC)])
def test_a_briefing_is_asked_for_by_its_day(day, ask, says, stub):
    says({"summary": "s", "highlights": ["h"], "date": "2026-03-30", "generatedAt": "2026-03-30T06:00:00Z"})
    briefing = ask(lambda c: c.briefing.get(date=day, project_id="p"))
    assert (stub.last.path, stub.last.query) == ("/v1/briefings/daily/2026-03-30", {"projectId": "p"})
    assert (briefing.summary, briefing.highlights, briefing.generated_at.hour) == ("s", ("h",), 6)


def test_a_delivered_briefing_has_the_documented_names(ask, says):
    row = {"id": ID, "title": "Morning", "contentText": "All quiet.", "createdAt": "2026-03-30T06:00:00.000Z"}
    says({"items": [row], "pagination": {"cursor": ID, "hasMore": False}})
    (briefing,) = ask(lambda c: c.briefing.list(limit=7)).data
    assert (briefing.date, briefing.summary[:80]) == ("2026-03-30", "All quiet.")


def test_names_of_the_documentation_and_of_the_wire_exclude_each_other(ask, stub):
    for call in (
        lambda c: c.memory.create("x", body="y"),
        lambda c: c.memory.create(),
        lambda c: c.memory.search("x", limit=1, top_k=2),
        lambda c: c.memory.update(ID, content="x", body="y"),
        lambda c: c.entity.merge(source_id="a", remove_id="b", keep_id="c"),
        lambda c: c.skill.create("a", title="b", prompt_template="x"),
        lambda c: c.memory.create("x", tags="abc"),
        lambda c: c.memory.create("x", metadata={"onebrain": 1}),
    ):
        with pytest.raises(OneBrainValidationError):
            ask(call)
    assert stub.requests == []


def test_a_merge_by_documented_names_keeps_the_target(ask, says, stub):
    says({"merged": True, "linksTransferred": 2})
    assert ask(lambda c: c.entity.merge(source_id="dup", target_id="main")).links_transferred == 2
    assert stub.last.body == {"keepId": "main", "removeId": "dup"}


def test_client_and_driver_keep_their_things_under_one_key():
    assert RESERVED == KEY


def test_importing_onebrain_loads_no_client():
    program = "import onebrain, sys; print([m for m in sys.modules if m.startswith('onebrain.services')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

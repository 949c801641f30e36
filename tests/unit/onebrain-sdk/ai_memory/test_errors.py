"""Every way in which a daemon fails becomes an error that says what happened; limits are checked before anything is sent."""

from __future__ import annotations

import pytest

from onebrain import (
    AiMemoryClient,
    AsyncAiMemoryClient,
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
    UnsupportedByServer,
)
from onebrain.services import ai_memory

ID = "b2a14b5c-406d-4974-86be-7defb8bcfdc7"
OTHER = "a9df891c-1fe5-427a-9205-f7e91bdc5da0"
SECRET = "Maria's diagnosis"


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (400, {"error": "title cannot be empty"}, OneBrainValidationError, "title cannot be empty"),
        (
            400,
            "Failed to deserialize query string: tier: unknown variant",
            OneBrainValidationError,
            "unknown variant",
        ),
        (401, {"error": "invalid API key"}, OneBrainAuthenticationError, "invalid API key"),
        (403, {"error": "store denied by governance: owner"}, OneBrainPermissionError, "governance"),
        (404, {"error": "not found"}, OneBrainNotFoundError, "not found"),
        (409, {"error": "x", "code": "CONFLICT", "existing_id": OTHER}, OneBrainConflictError, "on_conflict"),
        (413, "length limit exceeded", OneBrainValidationError, "length limit exceeded"),
        (415, "Expected request with `Content-Type`", OneBrainValidationError, "Content-Type"),
        (422, "missing field `title` at line 1", OneBrainValidationError, "missing field"),
        (429, {"error": "slow down"}, OneBrainRateLimitError, "slow down"),
        (500, {"error": "internal server error"}, OneBrainInternalError, "internal server error"),
        (503, {"status": "error"}, OneBrainInternalError, "503"),
        (404, None, UnsupportedByServer, "does not support GET"),
        (405, None, UnsupportedByServer, "does not support GET"),
        (501, {"error": "not here"}, UnsupportedByServer, "does not support GET"),
        (502, b"<html>bad gateway</html>", OneBrainInternalError, "502"),
    ],
)
def test_each_failure_has_its_error(ask, stub, status, body, kind, says):
    for _ in range(3):
        stub.answer(body, status)
    with pytest.raises(kind) as caught:
        ask(lambda c: c.memories.get(ID))
    error = caught.value
    assert type(error) is kind
    assert says in str(error)
    assert (error.service, error.status_code) == ("ai-memory", status)


def test_the_errors_have_the_names_of_the_sdk():
    names = {
        "AiMemoryError": OneBrainError,
        "ValidationError": OneBrainValidationError,
        "AuthError": OneBrainAuthenticationError,
        "ForbiddenError": OneBrainPermissionError,
        "NotFoundError": OneBrainNotFoundError,
        "ConflictError": OneBrainConflictError,
        "RateLimitError": OneBrainRateLimitError,
        "ServerError": OneBrainInternalError,
        "TransportError": OneBrainConnectionError,
    }
    assert {name: getattr(ai_memory, name) for name in names} == names


def test_a_conflict_names_the_other_memory_and_not_its_title(ask, stub):
    said = f"memory with title '{SECRET}' already exists in namespace 'global'"
    stub.answer({"code": "CONFLICT", "error": said, "existing_id": OTHER}, 409)
    with pytest.raises(OneBrainConflictError) as caught:
        ask(lambda c: c.memories.store(SECRET, "c", on_conflict="error"))
    assert (caught.value.existing_id, caught.value.code) == (OTHER, "CONFLICT")
    assert SECRET not in f"{caught.value} {caught.value.details}"


def test_a_conflict_of_an_update_names_the_other_memory_too(ask, stub):
    stub.answer({"error": f"title '{SECRET}' already exists in namespace 'global' (memory {OTHER})"}, 409)
    with pytest.raises(OneBrainConflictError) as caught:
        ask(lambda c: c.memories.update(ID, title=SECRET))
    assert caught.value.existing_id == OTHER
    assert SECRET not in str(caught.value)


def test_what_the_http_library_quotes_is_left_out(ask, stub):
    stub.answer(f'Failed to deserialize: invalid type: string "{SECRET}", expected i32', 422)
    with pytest.raises(OneBrainValidationError, match="expected i32") as caught:
        ask(lambda c: c.memories.store("t", "c"))
    assert SECRET not in str(caught.value)


def test_a_key_that_a_server_echoes_is_not_shown(ask, stub):
    stub.answer({"error": "bad key opensesame"}, 401)
    with pytest.raises(OneBrainAuthenticationError) as caught:
        ask(lambda c: c.stats(), api_key="opensesame")
    assert "opensesame" not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize("name", ["grant", "revoke"])
def test_what_no_daemon_has_is_unsupported_and_not_found(ask, stub, name):
    stub.answer(None, 404)
    with pytest.raises(UnsupportedByServer) as caught:
        ask(lambda c: getattr(c.memories, name)(ID, "bob"))
    assert isinstance(caught.value, OneBrainNotFoundError)


def test_a_cluster_is_unsupported_too(ask, stub):
    stub.answer(None, 404)
    with pytest.raises(UnsupportedByServer):
        ask(lambda c: c.cluster({}))


@pytest.mark.parametrize("answer", [{"memory": {"title": "no id"}}, {"memory": 7}, b"<html></html>", [1]])
def test_an_answer_that_is_no_memory_is_a_response_error(ask, stub, answer):
    stub.answer(answer)
    with pytest.raises(OneBrainResponseError) as caught:
        ask(lambda c: c.memories.get(ID))
    assert caught.value.service == "ai-memory"


def test_another_memory_than_the_one_asked_for_is_not_returned(ask, stub):
    """The daemon finds ids by their beginning."""
    stub.answer({"memory": {"id": ID + "-and-more", "title": "t", "content": "c"}, "links": []})
    with pytest.raises(OneBrainNotFoundError):
        ask(lambda c: c.memories.get(ID))


@pytest.mark.parametrize(
    "call",
    {
        "short id": lambda c: c.memories.get("b2a1"),
        "empty id": lambda c: c.memories.delete(""),
        "id of another route": lambda c: c.memories.delete("../memories"),
        "long id": lambda c: c.memories.get("x" * 129),
        "blank title": lambda c: c.memories.store(" ", "c"),
        "long title": lambda c: c.memories.store("x" * 513, "c"),
        "blank content": lambda c: c.memories.store("t", "\n"),
        "large content": lambda c: c.memories.store("t", "ü" * 32_769),
        "control character": lambda c: c.memories.store("t", "bell\x07"),
        "windows line ends": lambda c: c.memories.store("t", "a\r\nb"),
        "namespace with a space": lambda c: c.memories.store("t", "c", namespace="a b"),
        "namespace with a dot segment": lambda c: c.memories.store("t", "c", namespace="a/../b"),
        "deep namespace": lambda c: c.memories.store("t", "c", namespace="/".join("abcdefghi")),
        "source": lambda c: c.memories.store("t", "c", source="me"),
        "too many tags": lambda c: c.memories.store("t", "c", tags=["x"] * 51),
        "long tag": lambda c: c.memories.store("t", "c", tags=["x" * 129]),
        "tags as text": lambda c: c.memories.store("t", "c", tags="x"),
        "priority": lambda c: c.memories.store("t", "c", priority=11),
        "confidence": lambda c: c.memories.store("t", "c", confidence=1.1),
        "ttl": lambda c: c.memories.store("t", "c", ttl_secs=0),
        "long ttl": lambda c: c.memories.store("t", "c", ttl_secs=31_536_001),
        "large metadata": lambda c: c.memories.store("t", "c", metadata={"x": "y" * 65_536}),
        "deep metadata": lambda c: c.memories.store("t", "c", metadata=_deep(33)),
        "agent": lambda c: c.memories.store("t", "c", agent_id="not an agent"),
        "scope": lambda c: c.memories.store("t", "c", scope="everybody"),
        "bulk row": lambda c: c.memories.bulk_store([{"title": "t", "content": "c"}, {"title": "t"}]),
        "unknown field": lambda c: c.memories.bulk_store([{"title": "t", "content": "c", "titel": "x"}]),
        "list limit": lambda c: c.memories.page(limit=1001),
        "negative offset": lambda c: c.memories.page(offset=-1),
        "recall limit": lambda c: c.memories.recall("x", limit=51),
        "blank recall": lambda c: c.memories.recall("  "),
        "blank search": lambda c: c.memories.search(""),
        "forget nothing": lambda c: c.memories.forget(),
        "forget blank": lambda c: c.memories.forget(pattern=" "),
        "self link": lambda c: c.links.create(ID, ID),
        "truncated link": lambda c: c.links.create(ID, "a9df"),
        "subscribe to nothing": lambda c: c.subscriptions.create(events="*"),
        "subscribe to both": lambda c: c.subscriptions.create(url="https://x.example", namespace="n"),
        "unsubscribe from nothing": lambda c: c.subscriptions.delete(" "),
        "notify without body": lambda c: c.messages.send(to="bob", subject="hi"),
        "notify nobody": lambda c: c.messages.send(to="not an agent", subject="hi", body="x"),
        "inbox limit": lambda c: c.messages.inbox(limit=501),
        "changes twice": lambda c: c.memories.update(ID, {"title": "x"}, content="y"),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_the_daemon_would_refuse_is_not_sent(ask, stub, call):
    with pytest.raises(OneBrainValidationError):
        ask(call[1])
    assert stub.requests == []


def _deep(levels):
    value = {}
    for _ in range(levels - 1):
        value = {"x": value}
    return value


def test_limits_are_met_exactly(ask, stub):
    stub.answer({"id": ID}, 201)
    ask(
        lambda c: c.memories.store(
            "x" * 512, "ü" * 32_768, tags=["x" * 128] * 50, metadata=_deep(32), namespace="/".join("abcdefgh")
        )
    )
    assert len(stub.requests) == 1


@pytest.mark.parametrize("kind", [AiMemoryClient, AsyncAiMemoryClient])
def test_an_agent_that_is_none_is_refused_at_once(kind):
    with pytest.raises(OneBrainValidationError, match="agent_id"):
        kind("http://localhost:1", agent_id="not an agent\n")


# ---- what is written when something fails ----------------------------------------------------------------------------


def test_bulk_is_cut_by_rows(ask, stub):
    stub.answer({"created": 1000, "errors": []})
    stub.answer({"created": 499, "errors": ["x: bad"]})
    done = ask(lambda c: c.memories.bulk_store({"title": str(n), "content": "c"} for n in range(1500)))
    assert (done.created, done.errors, done.requests) == (1499, ("x: bad",), 2)
    assert [len(sent.body) for sent in stub.requests] == [1000, 500]
    assert [row["title"] for sent in stub.requests for row in sent.body] == [str(n) for n in range(1500)]


def test_bulk_and_import_stay_below_the_daemons_two_megabytes(ask, stub):
    rows = [{"id": f"{n:036d}", "title": str(n), "content": "ü" * 30_000} for n in range(50)]
    for _ in range(4):
        stub.answer({"created": 1, "imported": 1, "errors": []})
    ask(lambda c: c.memories.bulk_store([{key: row[key] for key in ("title", "content")} for row in rows]))
    sent = [request.content for request in stub.requests]
    assert len(sent) == 2
    assert all(len(content) < 2 * 1024 * 1024 for content in sent)
    ask(lambda c: c.transfer.import_(rows))
    assert all(len(request.content) < 2 * 1024 * 1024 for request in stub.requests)
    assert sum(len(request.body["memories"]) for request in stub.requests[2:]) == 50


def test_a_failure_halfway_says_what_was_written(ask, stub):
    stub.answer({"created": 998, "errors": ["7: bad", "8: bad"]})
    stub.answer({"error": "no"}, 403)
    with pytest.raises(
        OneBrainPermissionError, match="rows 1000 to 1999 of 2100 failed, rows 0 to 999 were written"
    ) as caught:
        ask(lambda c: c.memories.bulk_store({"title": str(n), "content": "c"} for n in range(2100)))
    assert caught.value.details["written"] == {
        "created": 998,
        "errors": ["7: bad", "8: bad"],
        "requests": 1,
        "rows": 1000,
    }
    assert caught.value.details["failed"] == {"request": 1, "first_row": 1000, "rows": 1000}
    assert caught.value.details["not_sent"] == {"rows": 100}


def test_an_import_sends_its_links_when_all_memories_are_there(ask, stub):
    stub.answer({"imported": 2, "errors": []})
    stub.answer({"imported": 0, "errors": []})
    memories = [{"id": id, "title": id, "content": "c"} for id in (ID, OTHER)]
    links = [
        {"source_id": ID, "target_id": OTHER, "relation": "related_to", "created_at": "2026-01-01T00:00:00Z"}
    ]
    done = ask(lambda c: c.transfer.import_({"memories": memories, "links": links}))
    assert (done.imported, done.requests) == (2, 2)
    assert stub.requests[1].body == {"memories": [], "links": links}


def test_an_export_can_be_imported_as_it_is(ask, stub):
    row = {
        "id": ID,
        "tier": "long",
        "namespace": "global",
        "title": "t",
        "content": "c",
        "tags": [],
        "priority": 5,
        "confidence": 1.0,
        "source": "api",
        "access_count": 3,
        "created_at": "2026-05-04T10:11:12.123456+00:00",
        "updated_at": "2026-05-04T10:11:12.123456+00:00",
        "metadata": {"k": 1},
    }
    stub.answer({"memories": [row], "links": [], "count": 1, "exported_at": row["created_at"]})
    stub.answer({"imported": 1, "errors": []})
    exported = ask(lambda c: c.transfer.export())
    ask(lambda c: c.transfer.import_(exported))
    assert stub.last.body == {"memories": [row]}


# ---- retries --------------------------------------------------------------------------------------------------------


def test_a_merging_store_is_sent_again_when_no_answer_came(ask, stub):
    stub.hang_up()
    stub.answer({"id": ID}, 201)
    assert ask(lambda c: c.memories.store("t", "c")).id == ID
    assert [sent.body for sent in stub.requests] == [stub.last.body] * 2


@pytest.mark.parametrize("on_conflict", ["error", "version"])
def test_a_store_that_could_happen_twice_is_not_sent_again(ask, stub, on_conflict):
    stub.hang_up()
    with pytest.raises(OneBrainConnectionError):
        ask(lambda c: c.memories.store("t", "c", on_conflict=on_conflict))
    assert len(stub.requests) == 1


def test_a_missing_quorum_is_tried_again_where_that_is_safe(ask, stub):
    """The daemon that answers has kept the write, so a store that would make a second copy is not repeated."""
    quorum = {"error": "quorum_not_met", "got": 1, "needed": 2, "reason": "timeout"}
    stub.answer(quorum, 503, {"Retry-After": "0"})
    stub.answer({"id": ID}, 201)
    assert ask(lambda c: c.memories.store("t", "c")).id == ID
    stub.answer(quorum, 503, {"Retry-After": "0"})
    with pytest.raises(OneBrainInternalError, match="1 of 2 peers"):
        ask(lambda c: c.memories.store("t", "c", on_conflict="version"))
    assert len(stub.requests) == 3


def test_a_link_is_not_repeated_after_a_500(ask, stub):
    """That is how the daemon says that a memory does not exist."""
    stub.answer({"error": "internal server error"}, 500)
    with pytest.raises(OneBrainInternalError):
        ask(lambda c: c.links.create(ID, OTHER))
    assert len(stub.requests) == 1


def test_a_notification_is_not_repeated(ask, stub):
    stub.hang_up()
    with pytest.raises(OneBrainConnectionError):
        ask(lambda c: c.messages.send(to="bob", subject="hi", body="x"))
    assert len(stub.requests) == 1


# ---- what the published SDK gets wrong ------------------------------------------------------------------------------


def test_unsubscribing_from_what_is_not_there_is_an_error(ask, stub):
    stub.answer({"id": "s", "removed": False})
    with pytest.raises(OneBrainNotFoundError):
        ask(lambda c: c.subscriptions.delete("s"))
    assert (stub.last.path, stub.last.query) == ("/api/v1/subscriptions", {"id": "s"})


def test_forgetting_sends_a_body_and_no_query(ask, stub):
    stub.answer({"deleted": 1})
    ask(lambda c: c.memories.forget(pattern="x"))
    assert (stub.last.query, stub.last.body) == ({}, {"pattern": "x"})
    assert stub.last.headers["content-type"] == "application/json"


def test_bulk_errors_may_be_objects(ask, stub):
    stub.answer({"created": 0, "ids": [], "errors": [{"title": "a", "error": "bad"}]})
    assert ask(lambda c: c.memories.bulk_store([{"title": "a", "content": "1"}])).errors == ("a: bad",)


def test_a_list_of_subscriptions_with_text_events_is_read(ask, stub):
    stub.answer({"count": 1, "subscriptions": [{"id": "s", "url": "u", "events": "*"}]})
    assert ask(lambda c: c.subscriptions.list())[0].events == ("*",)


def test_a_tier_that_we_do_not_know_is_kept_as_text(ask, stub):
    stub.answer({"memory": {"id": ID, "title": "t", "content": "c", "tier": "eternal", "shiny": 1}})
    memory = ask(lambda c: c.memories.get(ID))
    assert (memory.tier, memory.shiny, memory["shiny"]) == ("eternal", 1, 1)

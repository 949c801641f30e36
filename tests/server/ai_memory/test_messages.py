"""Messages from agent to agent."""

from __future__ import annotations

import pytest


def send(http, title="Hello", to="ai:bob", sender="ai:alice", **fields):
    body = {"target_agent_id": to, "title": title, "payload": "Read this", **fields}
    return http.post("/notify", json=body, headers={"x-agent-id": sender}).json()


def inbox(http, agent="ai:bob", **options):
    return http.get("/inbox", params={"agent_id": agent, **options}).json()["messages"]


@pytest.mark.parametrize(
    "body",
    [
        {"target_agent_id": "ai:bob", "title": "Hello", "payload": "Read this"},
        {"target_agent_id": "ai:bob", "title": "Hello", "content": "Read this"},
        {"to": "ai:bob", "subject": "Hello", "body": "Read this"},
    ],
)
def test_both_shapes_of_a_message_are_taken(http, body):
    assert http.post("/notify", json={**body, "agent_id": "ai:alice"}).status_code == 201
    [message] = inbox(http)
    assert (message["title"], message["payload"], message["from"]) == ("Hello", "Read this", "ai:alice")


def test_a_message_of_the_same_title_does_not_replace_the_first(http):
    first, second = send(http), send(http)
    assert [message["id"] for message in inbox(http)] == [second["id"], first["id"]]


def test_a_message_is_unread_until_it_is_marked(http):
    first, second = send(http, "one"), send(http, "two")
    assert [message["read"] for message in inbox(http)] == [False, False]
    for _ in range(2):
        marked = http.post(f"/inbox/{first['id']}/read")
        assert (marked.status_code, marked.json()) == (200, {"read": True, "id": first["id"]})
    assert [message["read"] for message in inbox(http)] == [False, True]
    assert [message["id"] for message in inbox(http, unread_only="true", limit=1)] == [second["id"]]


def test_only_a_message_can_be_marked_as_read(http, store):
    assert http.post(f"/inbox/{store('t')['id']}/read").status_code == 404


def test_messages_are_in_no_list_and_no_search_but_the_inboxs_own(http):
    send(http, "Lighthouse")
    assert http.get("/memories").json()["count"] == 0
    assert http.get("/search", params={"q": "lighthouse"}).json()["count"] == 0
    assert http.post("/recall", json={"context": "lighthouse"}).json()["count"] == 0
    assert http.get("/namespaces").json() == {"namespaces": []}
    assert http.get("/stats").json()["total"] == 0
    assert http.get("/memories", params={"namespace": "_messages/ai:bob"}).json()["count"] == 1


def test_a_message_cannot_be_stored_as_a_memory(http, store):
    forged = {"title": "t", "content": "x", "namespace": "_messages/ai:bob", "source": "notify"}
    assert http.post("/memories", json=forged).status_code == 400
    assert http.put(f"/memories/{store('t')['id']}", json={"namespace": "_x"}).status_code == 400
    assert inbox(http) == []


def test_an_inbox_needs_an_agent(http):
    refused = http.get("/inbox")
    assert refused.status_code == 400
    assert "X-Agent-Id" in refused.json()["error"]


def test_messages_move_with_an_export(http, stranger):
    sent = send(http)
    whole = http.get("/export").json()
    assert stranger.post("/import", json={"memories": whole["memories"]}).json()["imported"] == 1
    [moved] = inbox(stranger)
    assert (moved["id"], moved["from"]) == (sent["id"], "ai:alice")


def test_an_agent_with_slashes_in_its_name_has_an_inbox(http):
    send(http, to="ai/acme/team/a/b/c/d/e/f")
    assert len(inbox(http, "ai/acme/team/a/b/c/d/e/f")) == 1

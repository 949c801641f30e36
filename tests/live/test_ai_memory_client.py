"""What only a running daemon can show: its webhooks, its limits, and what it does to what is stored."""

from __future__ import annotations

import http.server
import queue
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from onebrain import AiMemoryClient, Brain, OneBrainValidationError, Scope, Tier, WebhookVerificationError
from onebrain.services.ai_memory import service as rules
from onebrain.services.ai_memory.driver import driver
from onebrain.webhooks import verify_ai_memory


@pytest.fixture
def receiver():
    """A server that puts every delivery into a queue."""
    deliveries = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            deliveries.put((body, dict(self.headers)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", deliveries
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_real_delivery_verifies(ai_memory, receiver):
    url, deliveries = receiver
    hook = ai_memory.subscriptions.create(url=url, events=["memory_delete"], secret="correct horse")
    try:
        id = ai_memory.memories.store("Gone soon", "x").id
        ai_memory.memories.delete(id)
        body, headers = deliveries.get(timeout=10)
    finally:
        ai_memory.subscriptions.delete(hook.id)
    event = verify_ai_memory(body, headers, secret="correct horse")
    assert (event.event, event.memory_id) == ("memory_delete", id)
    with pytest.raises(WebhookVerificationError):
        verify_ai_memory(body, headers, secret="another")
    with pytest.raises(WebhookVerificationError):
        verify_ai_memory(body + b" ", headers, secret="correct horse")


def test_a_full_chunk_is_below_the_daemons_limit(ai_memory):
    rows = [{"title": f"Large {n}", "content": "x" * 60_000} for n in range(70)]
    done = ai_memory.memories.bulk_store(rows)
    assert (done.created, done.errors, done.requests) == (70, (), 3)
    assert len(list(ai_memory.memories.list())) == 70


def test_content_at_the_limit_is_taken(ai_memory):
    id = ai_memory.memories.store("Limit", "x" * rules.MOST_CONTENT_BYTES).id
    assert len(ai_memory.memories.get(id).content) == rules.MOST_CONTENT_BYTES


@pytest.mark.parametrize("content", ["x" * (rules.MOST_CONTENT_BYTES + 1), "bell\x07", " \n"], ids=len)
def test_what_we_refuse_the_daemon_refuses_too(ai_memory, ai_memory_url, content):
    with pytest.raises(OneBrainValidationError):
        ai_memory.memories.store("Limit", content)
    answer = httpx.post(f"{ai_memory_url}/api/v1/memories", json={"title": "Limit", "content": content})
    assert answer.status_code == 400


def test_recalling_does_not_move_the_expiry_of_what_the_driver_stores(ai_memory, ai_memory_url):
    ends = datetime.now(UTC) + timedelta(days=90)
    with Brain(driver(f"ai-memory+{ai_memory_url}")) as brain:
        id = brain.store("the lighthouse", expires_at=ends).id
        for _ in range(6):
            assert brain.search("lighthouse")[0].memory.expires_at == ends
        assert brain.get(id).expires_at == ends
    assert ai_memory.memories.get(id).tier is Tier.LONG


def test_what_the_driver_stores_is_readable_by_other_clients(ai_memory, ai_memory_url):
    with Brain(driver(f"ai-memory+{ai_memory_url}?agent_id=ai:planner")) as brain:
        id = brain.store(
            "Maria prefers window seats", scope=Scope(space="trips", user="maria"), tags=["travel"]
        ).id
    with AiMemoryClient(ai_memory_url) as client:
        row = client.memories.get(id)
    assert row.title.startswith("Maria prefers window seats [")
    assert (row.namespace, row.content, row.tags[0]) == ("trips", "Maria prefers window seats", "travel")
    assert row.metadata["agent_id"] == "ai:planner"
    assert row.metadata["onebrain"]["scope"] == {"space": "trips", "user": "maria"}


def test_agents_and_messages_are_no_memories(ai_memory, ai_memory_url):
    ai_memory.agents.register("bob", "human")
    ai_memory.messages.send(to="bob", subject="hi", body="the lighthouse")
    with Brain(driver(f"ai-memory+{ai_memory_url}")) as brain:
        id = brain.store("the lighthouse").id
        assert [memory.id for memory in brain.list()] == [id]
        assert [hit.id for hit in brain.search("lighthouse")] == [id]
        assert brain.forget(everything=True).count == 1
    assert len(ai_memory.messages.inbox(agent_id="bob")) == 1


def test_memories_of_other_clients_are_read_and_changed(ai_memory, ai_memory_url):
    ai_memory.memories.store(
        "Plan", "the old lighthouse", namespace="team", metadata={"n": 1}, agent_id="bob", scope="team"
    )
    with Brain(driver(f"ai-memory+{ai_memory_url}")) as brain:
        [memory] = brain.list(scope=Scope(space="team"))
        assert (memory.title, memory.metadata, memory.scope) == (
            "Plan",
            {"n": 1},
            Scope(space="team", agent="bob"),
        )
        assert memory.extra["scope"] == "team"
        assert brain.search("lighthouse", scope=Scope(user="maria")).hits == ()
        changed = brain.update(memory.id, content="the new lighthouse", metadata={"m": 2})
        assert (changed.title, changed.metadata, changed.scope) == ("Plan", {"n": 1, "m": 2}, memory.scope)
    row = ai_memory.memories.get(memory.id)
    assert (row.title, row.content, row.metadata["scope"]) == ("Plan", "the new lighthouse", "team")
    assert row.metadata["agent_id"] == "bob"

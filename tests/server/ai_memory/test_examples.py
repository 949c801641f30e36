"""Every example and every row of ai-memory's own README, run over a socket, with the answers that its wire documents."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import ssl
import threading
import time
import uuid

import httpx
import pytest
import trustme
import uvicorn

from onebrain._core.retry import RetryPolicy
from onebrain.services.ai_memory import (
    AiMemoryClient,
    AiMemoryError,
    AsyncAiMemoryClient,
    AuthError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RateLimitError,
    ServerError,
    Tier,
    TransportError,
    ValidationError,
)
from onebrain_server.app import create_app
from onebrain_server.server import Server
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

ROW = {
    "id": str,
    "tier": str,
    "namespace": str,
    "title": str,
    "content": str,
    "tags": list,
    "priority": int,
    "confidence": (int, float),
    "source": str,
    "access_count": int,
    "created_at": str,
    "updated_at": str,
    "metadata": dict,
}
LINK = {"source_id": str, "target_id": str, "relation": str, "created_at": str}
NOTHING = type(None)


def has_shape(found, shape, optional=()):
    """Assert that an object has exactly these keys, each of its type."""
    assert shape.keys() <= found.keys() <= {*shape, *optional}, sorted(found)
    for name, kind in shape.items():
        assert isinstance(found[name], kind), (name, found[name])
        assert not isinstance(found[name], bool) or kind is bool, name


def is_row(found, **more):
    has_shape(found, {**ROW, **more}, ("last_accessed_at", "expires_at"))
    assert found["created_at"].endswith("+00:00")


# ---- quickstart ---------------------------------------------------------------------------------------------------------


def test_the_quickstart_stores_and_recalls(base, key, monkeypatch, capsys):
    monkeypatch.setenv("AI_MEMORY_API_KEY", key)
    with AiMemoryClient(base_url=base) as client:
        created = client.memories.store(
            title="BIND9 build notes",
            content="Use --with-openssl=/opt/openssl, disable DoH for the lab.",
            tier=Tier.LONG,
            tags=["dns", "bind9"],
        )
        print(created["id"])
        hits = client.memories.recall(context="how do I build BIND9?")
        for memory in hits.memories:
            print(memory.title, memory.confidence)
    assert capsys.readouterr().out.splitlines() == [created["id"], "BIND9 build notes 1.0"]


def test_the_async_example_prints_titles(base, key, monkeypatch, capsys, store):
    monkeypatch.setenv("AI_MEMORY_API_KEY", key)
    store("Greetings", "hello everyone")

    async def main() -> None:
        async with AsyncAiMemoryClient(base_url=base) as client:
            resp = await client.memories.recall(context="hello")
            for memory in resp.memories:
                print(memory.title)

    asyncio.run(main())
    assert capsys.readouterr().out == "Greetings\n"


# ---- authentication -----------------------------------------------------------------------------------------------------


def test_the_api_key_is_sent_as_a_header_and_only_health_needs_none(base, key, monkeypatch):
    monkeypatch.delenv("AI_MEMORY_API_KEY", raising=False)
    with AiMemoryClient(base_url=base, api_key=key) as client:
        assert client.stats().total == 0
    with AiMemoryClient(base_url=base) as client:
        assert client.health().status == "ok"
        for call in (client.stats, client.metrics, client.agents.list):
            with pytest.raises(AuthError):
                call()


def test_the_api_key_may_stand_in_the_query(base, key):
    assert httpx.get(base + "/api/v1/stats", params={"api_key": key}).json()["total"] == 0
    assert httpx.get(base + "/api/v1/stats", params={"api_key": "ob_0000_0"}).status_code == 401


def test_a_client_certificate_is_presented(tmp_path, monkeypatch):
    authority = trustme.CA()
    own, client_cert = authority.issue_cert("127.0.0.1"), authority.issue_cert("client@example.com")
    paths = {name: str(tmp_path / name) for name in ("ca.pem", "server.pem", "client.pem", "client.key")}
    authority.cert_pem.write_to_path(paths["ca.pem"])
    own.private_key_and_cert_chain_pem.write_to_path(paths["server.pem"])
    client_cert.cert_chain_pems[0].write_to_path(paths["client.pem"])
    client_cert.private_key_pem.write_to_path(paths["client.key"])
    server = Server(Settings(database_url="sqlite://", log_level="error"))
    key = server.accounts.first_key()
    configuration = uvicorn.Config(
        create_app(server=server),
        log_level="critical",
        ssl_certfile=paths["server.pem"],
        ssl_ca_certs=paths["ca.pem"],
        ssl_cert_reqs=ssl.CERT_REQUIRED,
    )
    runner = uvicorn.Server(configuration)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=runner.run, kwargs={"sockets": [listening]})
        thread.start()
        while not runner.started:
            assert thread.is_alive()
            time.sleep(0.01)
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/compat/ai-memory"
        try:
            with AiMemoryClient(
                base_url=url,
                api_key=key,
                verify=paths["ca.pem"],
                cert=(paths["client.pem"], paths["client.key"]),
            ) as client:
                assert client.stats().total == 0
            with (
                AiMemoryClient(base_url=url, api_key=key, verify=paths["ca.pem"]) as client,
                pytest.raises(TransportError),
            ):
                client.stats()
        finally:
            runner.should_exit = True
            thread.join()
            server.close()


def test_the_agent_id_is_stamped_on_what_is_stored(base, key):
    with AiMemoryClient(base_url=base, api_key=key, agent_id="ai:claude-opus-4.7@host") as client:
        id = client.memories.store("Title", "Text").id
        assert client.memories.get(id).metadata == {"agent_id": "ai:claude-opus-4.7@host"}
    with AiMemoryClient(base_url=base, api_key=key) as client:
        agent = client.memories.get(client.memories.store("Other", "Text").id).metadata["agent_id"]
        assert agent.startswith("anonymous:req-")


# ---- all methods --------------------------------------------------------------------------------------------------------


def test_health(base):
    answer = httpx.get(base + "/api/v1/health")
    assert answer.status_code == 200
    flags = {"embedder_ready": bool, "federation_enabled": bool, "import_embeds": bool}
    has_shape(answer.json(), {"status": str, "service": str, "version": str, **flags})
    assert answer.json()["service"] == "ai-memory"


@pytest.mark.parametrize("path", ["/api/v1/metrics", "/metrics"])
def test_metrics(base, key, path):
    answer = httpx.get(base + path, headers={"x-api-key": key})
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "# TYPE " in answer.text
    assert httpx.get(base + path).status_code == 401


def test_store(http, store):
    answer = http.post("/memories", json={"title": "A plan", "content": "First this"})
    assert answer.status_code == 201
    has_shape(answer.json(), {"id": str, "tier": str, "namespace": str, "title": str, "agent_id": str})
    assert uuid.UUID(answer.json()["id"]).version == 4
    again = http.post("/memories", json={"title": "A plan", "content": "Then that"})
    assert (again.status_code, again.json()["id"]) == (201, answer.json()["id"])
    assert store("Plan")["potential_contradictions"] == [answer.json()["id"]]


def test_bulk_store(http):
    answer = http.post("/memories/bulk", json=[{"title": "a", "content": "b"}, {"title": "", "content": "b"}])
    assert (answer.status_code, answer.json()) == (
        200,
        {"created": 1, "errors": [": title: must not be blank"]},
    )
    row = {"title": "a", "content": "b"}
    assert http.post("/memories/bulk", json=[row] * 1001).status_code == 400
    assert http.post("/memories/bulk", json=[row, {"title": 1, "content": "b"}]).status_code == 422


def test_get(http, store):
    id = store("One", tier="short")["id"]
    answer = http.get(f"/memories/{id}")
    assert answer.status_code == 200
    has_shape(answer.json(), {"memory": dict, "links": list})
    is_row(answer.json()["memory"])
    missing = http.get(f"/memories/{uuid.uuid4()}")
    assert missing.status_code == 404
    assert missing.json().keys() == {"error"}


def test_update(http, store):
    id = store("One")["id"]
    answer = http.put(f"/memories/{id}", json={"priority": 9})
    assert answer.status_code == 200
    is_row(answer.json())
    assert answer.json()["priority"] == 9
    store("Two")
    taken = http.put(f"/memories/{id}", json={"title": "Two"})
    assert taken.status_code == 409
    has_shape(taken.json(), {"error": str, "code": str, "existing_id": str})


def test_delete(http, store):
    id = store("One")["id"]
    answer = http.delete(f"/memories/{id}")
    assert (answer.status_code, answer.json()) == (200, {"deleted": True})
    assert http.delete(f"/memories/{id}").status_code == 404


def test_promote(http, store):
    id = store("One", tier="short")["id"]
    answer = http.post(f"/memories/{id}/promote")
    assert (answer.status_code, answer.json()) == (200, {"promoted": True, "id": id, "tier": "long"})
    assert "expires_at" not in http.get(f"/memories/{id}").json()["memory"]


def test_list(http, store):
    store("One", namespace="team", tier="long", tags=["x"])
    answer = http.get("/memories", params={"namespace": "team", "tier": "long", "tags": "x"})
    assert answer.status_code == 200
    has_shape(answer.json(), {"memories": list, "count": int})
    is_row(answer.json()["memories"][0])
    assert http.get("/memories", params={"tier": "bogus"}).status_code == 400
    assert http.get("/memories", params={"limit": -1}).status_code == 400


def test_search(http, store):
    store("Red lighthouse", "by the sea")
    store("Blue lighthouse", "on a hill")
    answer = http.get("/search", params={"q": "lighthouse sea"})
    assert answer.status_code == 200
    has_shape(answer.json(), {"results": list, "count": int, "query": str})
    assert [row["title"] for row in answer.json()["results"]] == ["Red lighthouse"]
    is_row(answer.json()["results"][0])
    blank = http.get("/search", params={"q": " "})
    assert (blank.status_code, blank.json()) == (400, {"error": "q: must not be blank"})


def test_recall(http, store):
    store("Red lighthouse", "by the sea")
    for answer in (
        http.post("/recall", json={"context": "where is the lighthouse?"}),
        http.get("/recall", params={"context": "where is the lighthouse?"}),
    ):
        assert answer.status_code == 200
        has_shape(answer.json(), {"memories": list, "count": int, "tokens_used": int, "mode": str})
        is_row(answer.json()["memories"][0], score=float)
        assert answer.json()["mode"] == "hybrid"
    assert http.post("/recall", json={"context": ""}).json() == {"error": "context: must not be blank"}


def test_recall_with_a_budget(http, store):
    store("Red lighthouse", "by the sea " * 10)
    answer = http.post("/recall", json={"context": "lighthouse", "budget_tokens": 5}).json()
    has_shape(
        answer,
        {
            "memories": list,
            "count": int,
            "tokens_used": int,
            "mode": str,
            "budget_tokens": int,
            "meta": dict,
        },
    )
    has_shape(
        answer["meta"],
        {
            "budget_tokens_used": int,
            "budget_tokens_remaining": int,
            "memories_dropped": int,
            "budget_overflow": bool,
        },
    )


def test_forget(http, store):
    store("One", namespace="old")
    answer = http.post("/forget", json={"namespace": "old"})
    assert (answer.status_code, answer.json()) == (200, {"deleted": 1})
    assert http.post("/forget").status_code == 400
    assert http.post("/forget", json={}).json().keys() == {"error"}


def test_link_and_get_links(http, store):
    one, two = store("One")["id"], store("Two")["id"]
    body = {"source_id": one, "target_id": two, "relation": "derived_from"}
    for _ in range(2):
        answer = http.post("/links", json=body)
        assert (answer.status_code, answer.json()) == (201, {"linked": True})
    for id in (one, two):
        found = http.get(f"/links/{id}").json()
        has_shape(found["links"][0], LINK)
        assert [(row["source_id"], row["target_id"]) for row in found["links"]] == [(one, two)]
    assert http.get(f"/links/{uuid.uuid4()}").json() == {"links": []}
    assert http.post("/links", json={**body, "relation": "likes"}).status_code == 400
    assert http.post("/links", json={**body, "target_id": one}).status_code == 400
    assert http.post("/links", json={**body, "target_id": str(uuid.uuid4())}).status_code == 404
    gone = http.request("DELETE", "/links", json={"source_id": one, "target_id": two})
    assert (gone.status_code, gone.json()) == (200, {"deleted": True})
    again = http.request("DELETE", "/links", json={"source_id": one, "target_id": two})
    assert again.json() == {"deleted": False}


def test_stats(http, store):
    store("One", tier="short", ttl_secs=60)
    found = http.get("/stats").json()
    numbers = ("total", "expiring_soon", "links_count", "db_size_bytes")
    has_shape(
        found,
        {
            **dict.fromkeys(numbers, int),
            "by_tier": list,
            "by_namespace": list,
            "dim_violations": int,
            "index_evictions_total": int,
        },
    )
    assert (found["total"], found["expiring_soon"], found["links_count"]) == (1, 1, 0)
    assert {"tier": "short", "count": 1} in found["by_tier"]
    assert found["by_namespace"] == [{"namespace": "global", "count": 1}]
    assert found["db_size_bytes"] > 0


def test_namespaces(http, store):
    for title, namespace in (("a", "few"), ("b", "many"), ("c", "many")):
        store(title, namespace=namespace)
    assert http.get("/namespaces").json() == {
        "namespaces": [{"namespace": "many", "count": 2}, {"namespace": "few", "count": 1}]
    }


def test_gc(http):
    answer = http.post("/gc")
    assert (answer.status_code, answer.json()) == (200, {"expired_deleted": 0})


def test_export_and_import(http, stranger, store):
    one, two = store("One")["id"], store("Two")["id"]
    http.post("/links", json={"source_id": one, "target_id": two})
    whole = http.get("/export").json()
    has_shape(whole, {"memories": list, "links": list, "count": int, "exported_at": str})
    is_row(whole["memories"][0])
    has_shape(whole["links"][0], LINK)
    answer = stranger.post("/import", json={"memories": whole["memories"], "links": whole["links"]})
    assert (answer.status_code, answer.json()) == (200, {"imported": 2, "errors": []})
    moved = stranger.get("/export").json()
    assert moved["links"] == whole["links"]
    # What was changed within the minute counts as changed by the import.
    for row in (*moved["memories"], *whole["memories"]):
        del row["updated_at"]
    assert moved["memories"] == whole["memories"]


def test_subscriptions(http, receiver):
    answer = http.post("/subscriptions", json={"url": receiver.url, "events": ["memory_delete"]})
    assert answer.status_code == 201
    shape = {
        "id": str,
        "url": str,
        "events": str,
        "namespace_filter": NOTHING,
        "agent_filter": NOTHING,
        "created_by": NOTHING,
        "agent_id": NOTHING,
    }
    has_shape(answer.json(), shape)
    assert answer.json()["events"] == "memory_delete"
    found = http.get("/subscriptions").json()
    has_shape(found, {"count": int, "subscriptions": list})
    counts = {"dispatch_count": int, "failure_count": int}
    has_shape(found["subscriptions"][0], {**shape, "namespace": NOTHING, "created_at": str, **counts})
    id = answer.json()["id"]
    assert http.delete(f"/subscriptions/{id}").json() == {"id": id, "removed": True}
    gone = http.delete("/subscriptions", params={"id": id})
    assert (gone.status_code, gone.json()) == (200, {"id": id, "removed": False})


def test_notify_and_inbox(http):
    body = {"target_agent_id": "ai:bob", "title": "Hello", "payload": "Read this"}
    sent = http.post("/notify", json=body, headers={"x-agent-id": "ai:alice"})
    assert sent.status_code == 201
    parts = dict.fromkeys(("id", "from", "to", "namespace", "tier", "delivered_at"), str)
    has_shape(sent.json(), parts)
    assert sent.json()["namespace"] == "_messages/ai:bob"
    found = http.get("/inbox", params={"agent_id": "ai:bob"}).json()
    has_shape(found, {"agent_id": str, "namespace": str, "count": int, "unread_only": bool, "messages": list})
    texts = dict.fromkeys(("id", "from", "title", "payload", "tier", "created_at"), str)
    has_shape(found["messages"][0], {**texts, "priority": int, "read": bool, "access_count": int})


def test_grant_and_revoke(http, store):
    id = store("One")["id"]
    given = http.post(f"/memories/{id}/grant", json={"agent_id": "ai:bob", "permission": "read"})
    assert given.json() == {"granted": True, "id": id, "agent_id": "ai:bob", "permission": "read"}
    taken = http.post(f"/memories/{id}/revoke", json={"agent_id": "ai:bob"})
    assert taken.json() == {"revoked": True, "id": id, "agent_id": "ai:bob"}


def test_cluster_is_not_offered(http):
    answer = http.post("/cluster", json={"action": "join"})
    assert answer.status_code == 501
    assert answer.json().keys() == {"error"}


def test_agents(http):
    body = {"agent_id": "ai:bob", "agent_type": "ai:claude", "capabilities": ["recall"]}
    answer = http.post("/agents", json=body)
    assert answer.status_code == 201
    assert {**answer.json(), "id": ""} == {"registered": True, "id": "", **body}
    found = http.get("/agents").json()
    has_shape(found, {"count": int, "agents": list})
    texts = dict.fromkeys(("agent_id", "agent_type", "registered_at", "last_seen_at"), str)
    has_shape(found["agents"][0], {**texts, "capabilities": list})


# ---- errors -------------------------------------------------------------------------------------------------------------


def test_every_error_of_the_table_is_raised(base, key, agent, client, store):
    for error in (ValidationError, AuthError, ForbiddenError, NotFoundError, ConflictError):
        assert issubclass(error, AiMemoryError)
    taken = store("Taken")
    with pytest.raises(ValidationError):
        client.memories.store("", "x")
    with pytest.raises(NotFoundError):
        client.memories.get(str(uuid.uuid4()))
    with pytest.raises(ConflictError) as conflict:
        client.memories.store("Taken", "x", on_conflict="error")
    assert conflict.value.existing_id == taken["id"]
    with AiMemoryClient(base, api_key=key[:-1] + "x") as other, pytest.raises(AuthError):
        other.stats()
    reader = agent("ai:reader", "read").headers["x-api-key"]
    with AiMemoryClient(base, api_key=reader) as other, pytest.raises(ForbiddenError):
        other.memories.store("x", "y")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with AiMemoryClient(address, api_key=key) as other, pytest.raises(TransportError):
            other.stats()


def test_too_many_requests_are_told_so():
    with live_server(Settings(database_url="sqlite://", rate_limit_max=2, log_level="error")) as limited:
        limited.server.limiter.clock = lambda: 0.0  # no window ends during the test
        address = limited.url + "/compat/ai-memory/api/v1/stats"
        answers = [httpx.get(address, headers={"x-api-key": limited.key}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[-1].json().keys() == {"error"}
        assert int(answers[-1].headers["retry-after"]) > 0
        once = RetryPolicy(max_retries=0)
        with (
            AiMemoryClient(limited.url + "/compat/ai-memory", api_key=limited.key, retry=once) as client,
            pytest.raises(RateLimitError),
        ):
            client.stats()


def test_a_server_that_fails_is_told_so(tmp_path):
    file = tmp_path / "server.db"
    settings = Settings(database_url=f"sqlite:///{file}", rate_limit_max=0, log_level="error")
    with live_server(settings) as broken:
        address = broken.url + "/compat/ai-memory"
        with sqlite3.connect(file) as connection:
            connection.execute("ALTER TABLE server_account RENAME TO lost")
            connection.execute("ALTER TABLE server_record RENAME TO lost_as_well")
            connection.execute("ALTER TABLE server_setting RENAME TO lost_too")
        connection.close()
        health = httpx.get(address + "/api/v1/health")
        assert (health.status_code, health.json()["status"]) == (503, "error")
        with AiMemoryClient(address, api_key=broken.key, retry=RetryPolicy(max_retries=0)) as client:
            with pytest.raises(ServerError):
                client.health()
            with pytest.raises(ServerError):
                client.agents.list()


# ---- what is refused before any handler ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"title": "x", "content": "y"}', "text/plain", 415),
        (b'{"title": "x"}', "application/json", 422),
        (b'{"title": 1, "content": "y"}', "application/json", 422),
        (b'{"title": "x", "content": "y", "tier": "bogus"}', "application/json", 422),
        (b'{"title": "' + b"x" * (12 * 1024 * 1024) + b'"}', "application/json", 413),
    ],
    ids=["malformed", "media type", "missing", "type", "tier", "size"],
)
def test_what_cannot_be_read_is_refused_in_plain_text(http, content, media_type, status):
    answer = http.post("/memories", content=content, headers={"content-type": media_type})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text


def test_unknown_routes_and_methods_answer_nothing(http):
    for method, path, status in (("GET", "/nowhere", 404), ("PATCH", "/memories", 405)):
        answer = http.request(method, path)
        assert (answer.status_code, answer.content) == (status, b"")
        assert "content-type" not in answer.headers
    assert set(http.request("PATCH", "/memories").headers["allow"].split(", ")) == {"GET", "POST"}

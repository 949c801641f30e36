"""MCP: JSON-RPC over POST, ten tools, the same rights as everywhere."""

from __future__ import annotations

import json

import httpx
import pytest

from onebrain.errors import OneBrainValidationError, Unsupported

C = "/memory/collections/notes"
TOOLS = {
    "search_memory": ({"query"}, {"collection", "limit"}),
    "store_memory": ({"text"}, {"collection"}),
    "get_memory": ({"memory_id", "collection"}, set()),
    "list_collections": (set(), set()),
    "related_memory": ({"id"}, {"limit"}),
    "what_changed": ({"collection"}, {"limit"}),
    "collection_health": ({"collection"}, {"stale_days"}),
    "summarize_collection": ({"collection"}, {"limit"}),
    "find_duplicates": ({"collection"}, {"threshold"}),
    "archive_stale": ({"collection"}, {"older_than_days", "dry_run"}),
}


def rpc(client, method, params=None, id=1):
    body = {"jsonrpc": "2.0", "id": id, "method": method, **({} if params is None else {"params": params})}
    answer = client.post("/mcp", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    said = answer.json()
    assert (said["jsonrpc"], said["id"]) == ("2.0", id)
    return said


def tool(client, name, **arguments):
    """Call a tool and return what it says; a failure as its text."""
    said = rpc(client, "tools/call", {"name": name, "arguments": arguments})
    assert "error" not in said, said
    [part] = said["result"]["content"]
    assert part["type"] == "text"
    return part["text"] if said["result"]["isError"] else json.loads(part["text"])


# ---- the protocol --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [("2025-06-18", "2025-06-18"), ("2024-11-05", "2024-11-05"), ("1999-01-01", "2025-06-18")],
)
def test_initialize(client, wanted, spoken):
    params = {"protocolVersion": wanted, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    result = rpc(client, "initialize", params)["result"]
    assert (result["protocolVersion"], result["capabilities"]) == (spoken, {"tools": {"listChanged": False}})
    assert result["serverInfo"]["name"] == "onebrain-server"


def test_ping_and_ids_of_both_kinds(client):
    assert rpc(client, "ping", id="abc")["result"] == {}
    assert rpc(client, "ping", {}, id=7)["result"] == {}


def test_the_ten_tools_with_their_arguments(client):
    tools = {one["name"]: one for one in rpc(client, "tools/list")["result"]["tools"]}
    assert set(tools) == set(TOOLS)
    for name, (required, optional) in TOOLS.items():
        schema = tools[name]["inputSchema"]
        assert schema["type"] == "object"
        assert set(schema.get("required", ())) == required
        assert set(schema["properties"]) == required | optional
        assert tools[name]["description"]
        assert tools[name]["annotations"]["readOnlyHint"] is (name not in ("store_memory", "archive_stale"))


@pytest.mark.parametrize("method", ["notifications/initialized", "notifications/cancelled", "ping"])
def test_notifications_are_taken_and_not_answered(client, method):
    for body in ({"jsonrpc": "2.0", "method": method}, [{"jsonrpc": "2.0", "method": method}] * 2):
        answer = client.post("/mcp", json=body)
        assert (answer.status_code, answer.content) == (202, b"")


def test_a_batch_is_answered_as_one(client):
    calls = [
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "x/y"},
    ]
    first, second = client.post("/mcp", json=calls).json()
    assert first == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert (second["id"], second["error"]["code"]) == (2, -32601)
    for wrong in ([], calls * 10):
        answer = client.post("/mcp", json=wrong)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32600)
    answer = client.post("/mcp", json=[7, calls[0]])
    assert answer.status_code == 400
    assert [one.get("error", {}).get("code") for one in answer.json()] == [-32600, None]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", -32700), (b"{", -32700), (b"\xff", -32700), (b"7", -32600), (b"null", -32600), (b"{}", -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 7}', -32600),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "resources/list"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call"}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": []}}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "drop_tables"}}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search_memory"}}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ping", "arguments": []}}', -32602),
    ],
)  # fmt: skip
def test_what_is_wrong_is_an_error_of_json_rpc(client, content, code):
    answer = client.post("/mcp", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == (400 if code in (-32700, -32600) else 200)
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "arguments",
    [{"query": 7}, {"query": "x", "limit": 0}, {"query": "x", "tag": "y"}, [], {"query": "", "limit": "5"}],
)
def test_arguments_that_do_not_fit_are_refused_and_not_quoted(client, arguments):
    said = rpc(client, "tools/call", {"name": "search_memory", "arguments": arguments})
    assert said["error"]["code"] == -32602
    assert "arguments" in said["error"]["message"]


def test_without_a_key_there_is_nothing(url):
    answer = httpx.post(f"{url}/v1/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert (answer.status_code, list(answer.json())) == (401, ["detail"])
    assert httpx.get(f"{url}/v1/mcp").status_code == 405


# ---- tools ---------------------------------------------------------------------------------------------------------------


def test_store_get_search_and_list(client):
    made = tool(client, "store_memory", text="Maria prefers window seats", collection="notes")
    assert (made["collection"], made["source"]) == ("notes", "mcp")
    assert tool(client, "get_memory", memory_id=made["id"], collection="notes") == made
    assert (
        tool(client, "search_memory", query="where does Maria sit?", limit=3)["results"][0]["id"]
        == made["id"]
    )
    found = tool(client, "search_memory", query="window", collection="notes")["results"]
    assert [row["id"] for row in found] == [made["id"]]
    assert tool(client, "store_memory", text="x")["collection"] == "default"
    assert [row["name"] for row in tool(client, "list_collections")] == ["default", "notes"]
    assert len(client.get(f"{C}/memories").json()) == 1


def test_related_what_changed_health_summary(client, add):
    one, other = add("Maria prefers window seats"), add("Maria likes to sit at the window")
    assert [row["id"] for row in tool(client, "related_memory", id=one["id"], limit=1)["results"]] == [
        other["id"]
    ]
    for content in ("Maria lives in Lisbon.", "Maria moved to Porto.", "Maria moved to Faro."):
        client.post(f"{C}/remember?sync=true", json={"content": content})
    pairs = tool(client, "what_changed", collection="notes", limit=1)
    assert [(pair["current"]["text"], pair["superseded"]["text"]) for pair in pairs] == [
        ("Maria moved to Faro.", "Maria moved to Porto."),
    ]
    health = tool(client, "collection_health", collection="notes")
    assert (health["total"], health["supersessions"]) == (5, 2)
    assert health == client.get(f"{C}/health").json()
    assert (
        tool(client, "collection_health", collection="none")
        == client.get("/memory/collections/none/health").json()
    )
    assert tool(client, "summarize_collection", collection="notes")["based_on"] == 3


def test_duplicates_and_stale_memories(client, add):
    twins = {add("Maria prefers window seats")["id"] for _ in range(2)}
    [cluster] = tool(client, "find_duplicates", collection="notes")["clusters"]
    assert {cluster["keeper"]["id"], *(row["id"] for row in cluster["duplicates"])} == twins
    assert len(client.get(f"{C}/memories").json()) == 2
    assert tool(client, "archive_stale", collection="notes", older_than_days=0) == {"would_archive": 2}
    assert tool(client, "archive_stale", collection="notes", older_than_days=0, dry_run=False) == {
        "archived": 2
    }
    assert client.get(f"{C}/memories").json() == []


def test_a_tool_that_fails_says_so_in_its_result(client, add):
    made = add("x")
    assert tool(client, "get_memory", memory_id="none", collection="notes") == "Memory not found"
    assert tool(client, "get_memory", memory_id=made["id"], collection="other") == "Collection not found"
    assert tool(client, "related_memory", id="none") == "Memory not found"
    assert tool(client, "search_memory", query="x", collection="other") == "Collection not found"


# ---- rights --------------------------------------------------------------------------------------------------------------

CALLS = {
    "search_memory": {"query": "window", "collection": "notes"},
    "store_memory": {"text": "stolen", "collection": "notes"},
    "get_memory": {"memory_id": None, "collection": "notes"},
    "related_memory": {"id": None},
    "what_changed": {"collection": "notes"},
    "collection_health": {"collection": "notes"},
    "summarize_collection": {"collection": "notes"},
    "find_duplicates": {"collection": "notes"},
    "archive_stale": {"collection": "notes", "older_than_days": 0, "dry_run": False},
}


def filled(name, id):
    return {key: id if value is None else value for key, value in CALLS[name].items()}


@pytest.mark.parametrize("name", CALLS)
def test_an_agent_without_a_grant_is_kept_out(client, agent, add, name):
    made, friend, other = add("Maria prefers window seats"), agent("friend"), agent("other")
    client.put(f"{C}/grants", json={"agent_key_id": friend.agent_id, "can_write": True})
    before = friend.get(f"{C}/memories").json()
    said = tool(other, name, **filled(name, made["id"]))
    assert "grants say who may" in said
    assert "window" not in said
    assert friend.get(f"{C}/memories").json() == before
    assert tool(other, "list_collections") == []
    assert tool(other, "search_memory", query="window")["results"] == []


@pytest.mark.parametrize(
    "name", [name for name in CALLS if name not in ("store_memory", "collection_health")]
)
def test_another_tenants_ids_are_as_missing(client, stranger, add, name):
    made = add("Maria prefers window seats")
    before = client.get(f"{C}/memories").json()
    assert tool(stranger, name, **filled(name, made["id"])) in ("Memory not found", "Collection not found")
    assert client.get(f"{C}/memories").json() == before


def test_a_read_only_key_writes_nothing(client, agent, add):
    made, reader = add("Maria prefers window seats"), agent("reader", read_only=True)
    for name in ("store_memory", "archive_stale"):
        assert tool(reader, name, **filled(name, made["id"])) == "This key may read and not write"
    assert client.get(f"{C}/memories").json() == [made]
    assert tool(reader, "find_duplicates", collection="notes") == {"clusters": []}


# ---- our client ----------------------------------------------------------------------------------------------------------


def test_the_client_calls_tools(ask):
    assert {one["name"] for one in ask(lambda c: c.mcp.tools())} == set(TOOLS)
    done = ask(
        lambda c: c.mcp.call("store_memory", {"text": "Maria prefers window seats", "collection": "notes"})
    )
    assert done.is_error is False
    id = json.loads(done.text)["id"]
    assert ask(lambda c: c.memories.get(id, collection="notes")).text == "Maria prefers window seats"
    failed = ask(lambda c: c.mcp.call("get_memory", {"memory_id": "none", "collection": "notes"}))
    assert (failed.is_error, failed.text) == (True, "Memory not found")
    with pytest.raises(OneBrainValidationError, match="no such tool"):
        ask(lambda c: c.mcp.call("drop_tables"))
    with pytest.raises(Unsupported):
        ask(lambda c: c.mcp.request("resources/list"))


# ---- active memories only ------------------------------------------------------------------------------------------------


def test_no_tool_shows_an_archived_memory_but_by_its_id(client, add):
    add("Maria likes to sit at the window")
    hidden = add("Maria said the word XYZZY")
    old = add("Maria lives in Lisbon XYZZY")
    client.post(f"{C}/remember?sync=true", json={"content": "Maria lives in Porto."})
    for row in (hidden, old):
        assert client.post(f"{C}/memories/{row['id']}/archive", json={"archived": True}).status_code == 200
    asked = {
        "search_memory": [{"query": "XYZZY"}, {"query": "XYZZY", "collection": "notes"}],
        "related_memory": [{"id": hidden["id"]}],
        "what_changed": [{"collection": "notes"}],
        "summarize_collection": [{"collection": "notes"}],
        "find_duplicates": [{"collection": "notes", "threshold": 0}],
        "list_collections": [{}],
        "collection_health": [{"collection": "notes"}],
    }
    assert set(asked) == set(TOOLS) - {"store_memory", "archive_stale", "get_memory"}
    for name, calls in asked.items():
        for arguments in calls:
            assert "XYZZY" not in json.dumps(tool(client, name, **arguments)), name
    for path in (f"{C}/memories", f"{C}/profile", f"{C}/summary", f"{C}/contradictions"):
        assert "XYZZY" not in client.get(path).text, path

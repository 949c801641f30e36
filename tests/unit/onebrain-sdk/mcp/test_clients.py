"""The messages that known clients send, as they stand on the wire, and the command over both transports."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager

import anyio
import httpx
import pytest
from mcp import Client, types
from mcp.shared.message import SessionMessage

import onebrain
import onebrain.mcp
from onebrain import ConfigurationError
from onebrain.frameworks.connection import Connection
from onebrain.mcp import Listening

# What clients send first: their name, the version of the protocol, and their capabilities, some in a form of their own.
CLIENTS = {
    "Claude Desktop": ("claude-ai", "0.1.0", "2025-06-18", {}),
    "Claude Code": ("claude-code", "2.0.14", "2025-06-18", {"roots": {}}),
    "Cursor": (
        "cursor-vscode", "1.0.0", "2025-06-18",
        {"tools": True, "prompts": True, "resources": True, "logging": False, "elicitation": {},
         "roots": {"listChanged": False}},
    ),
    "VS Code": (
        "Visual Studio Code", "1.104.0", "2025-11-25",
        {"roots": {"listChanged": True}, "sampling": {}, "elicitation": {"form": {}, "url": {}}, "tasks": {"list": {}}},
    ),
    "earlier": ("old-client", "1", "2024-11-05", {"experimental": {}}),
    "unknown version": ("new-client", "9", "2031-01-01", {}),
}  # fmt: skip


def request(id, method, params=None):
    message = {"method": method, "jsonrpc": "2.0"}
    return message | ({} if params is None else {"params": params}) | ({} if id is None else {"id": id})


def hello(client):
    name, version, protocol, capabilities = CLIENTS[client]
    info = {"name": name, "version": version}
    return {"protocolVersion": protocol, "capabilities": capabilities, "clientInfo": info}


class Wire:
    """Lines of JSON to and from a server in this process."""

    def __init__(self, sending, receiving):
        self._sending, self._receiving = sending, receiving

    async def send(self, message):
        await self._sending.send(SessionMessage(types.jsonrpc_message_adapter.validate_python(message)))

    async def ask(self, id, method, params=None):
        await self.send(request(id, method, params))
        with anyio.fail_after(30):
            answer = (await self._receiving.receive()).message
        found = json.loads(answer.model_dump_json(by_alias=True, exclude_unset=True))
        assert (found["id"], found["jsonrpc"]) == (id, "2.0")
        return found["result"] if "result" in found else found["error"]


@pytest.fixture
def brain():
    with onebrain.connect("sqlite://") as brain:
        yield brain


@pytest.fixture
def wired(brain):
    @asynccontextmanager
    async def open():
        server = onebrain.mcp.server(brain, scope={"user": "maria"})
        to_server, server_reads = anyio.create_memory_object_stream(10)
        server_writes, from_server = anyio.create_memory_object_stream(10)
        with server_reads, server_writes, from_server, to_server:
            async with anyio.create_task_group() as group:
                options = server.create_initialization_options()
                group.start_soon(server.run, server_reads, server_writes, options)
                yield Wire(to_server, from_server)
                to_server.close()

    return open


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_begins_lists_and_calls(wired, client):
    async with wired() as wire:
        answer = await wire.ask(0, "initialize", hello(client))
        asked = CLIENTS[client][2]
        assert answer["protocolVersion"] == (asked if asked < "2031" else "2025-11-25")
        assert set(answer["capabilities"]) >= {"tools", "resources", "prompts"}
        assert answer["serverInfo"]["name"] == "onebrain"
        await wire.send(request(None, "notifications/initialized"))
        # Some send no params, some empty ones, some a null cursor.
        for number, params in enumerate((None, {}, {"cursor": None}), 1):
            tools = await wire.ask(number, "tools/list", params)
            assert len(tools["tools"]) == 9
            assert "nextCursor" not in tools
        assert (await wire.ask(4, "tools/list", {"cursor": "abc"}))["code"] == -32602
        more = {"_meta": {"progressToken": "p-1", "vscode.conversationId": "5f0e"}}
        stored = {"name": "onebrain_write", "arguments": {"content": "Maria prefers window seats."}, **more}
        assert "Stored with id=" in (await wire.ask("s", "tools/call", stored))["content"][0]["text"]
        found = await wire.ask(
            6, "tools/call", {"name": "onebrain_search", "arguments": {"query": "window", "top_k": "3"}}
        )
        assert "window seats" in found["content"][0]["text"]
        assert not found.get("isError")
        # A call without arguments.
        assert "window seats" in str(await wire.ask(7, "tools/call", {"name": "onebrain_context"}))
        assert await wire.ask(8, "ping") == {}


async def test_what_else_comes_over_the_wire(wired, brain):
    async with wired() as wire:
        # Before the handshake a client may only ping.
        assert (await wire.ask(1, "tools/list"))["code"] == -32602
        await wire.ask(2, "initialize", hello("VS Code"))
        await wire.send(request(None, "notifications/initialized"))
        for notification, params in (
            ("notifications/roots/list_changed", None),
            ("notifications/cancelled", {"requestId": 99, "reason": "the user went on"}),
            ("notifications/progress", {"progressToken": 1, "progress": 0.5}),
            ("notifications/of-the-future", {"x": 1}),
        ):
            await wire.send(request(None, notification, params))
        for method, params in (
            ("logging/setLevel", {"level": "debug"}),
            ("completion/complete", {"ref": {"type": "ref/prompt", "name": "recall"}, "argument": {"name": "a", "value": ""}}),
            ("resources/subscribe", {"uri": "onebrain://context"}),
            ("roots/list", None),
            ("of/the/future", None),
        ):  # fmt: skip
            assert (await wire.ask(method, method, params))["code"] == -32601
        for params in (
            {},
            {"name": 7},
            {"name": "onebrain_search", "arguments": "window"},
            {"name": "drop_tables"},
        ):
            assert (await wire.ask(3, "tools/call", params))["code"] == -32602
        assert len((await wire.ask(4, "resources/templates/list", {}))["resourceTemplates"]) == 1
        assert len((await wire.ask(5, "prompts/list"))["prompts"]) == 2


async def test_a_cancelled_write_is_whole(wired, brain, monkeypatch):
    began, go_on = asyncio.Event(), asyncio.Event()
    arun = Connection.arun

    async def slow(connection, plan):
        began.set()
        await go_on.wait()
        return await arun(connection, plan)

    monkeypatch.setattr(Connection, "arun", slow)
    async with wired() as wire:
        await wire.ask(1, "initialize", hello("Cursor"))
        await wire.send(request(None, "notifications/initialized"))
        call = {"name": "onebrain_write", "arguments": {"content": "Maria prefers window seats."}}
        await wire.send(request(2, "tools/call", call))
        await began.wait()
        await wire.send(request(None, "notifications/cancelled", {"requestId": 2}))
        await asyncio.sleep(0.01)
        go_on.set()
    assert brain.count() == 1


# ---- HTTP ----------------------------------------------------------------------------------------------------------------

TOKEN = "a-token-of-enough-characters"
JSON = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


@asynccontextmanager
async def served(brain, **options):
    server = onebrain.mcp.server(brain)
    app = onebrain.mcp.http_app(server, Listening(**options))
    transport = httpx.ASGITransport(app)
    async with server.session_manager.run(), httpx.AsyncClient(transport=transport) as client:

        async def post(url="http://127.0.0.1:8765/mcp", **headers):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            message = request(1, "initialize", hello("VS Code"))
            return await client.post(url, json=message, headers={**JSON, **named})

        yield post


async def test_a_page_of_another_origin_is_refused(brain):
    async with served(brain) as post:
        assert (await post()).status_code == 200
        assert (await post("http://localhost:1234/mcp")).status_code == 200
        assert (await post(origin="http://localhost:6274")).status_code == 200
        assert (await post(host="attacker.example:8765")).status_code == 421
        assert (await post(origin="https://attacker.example")).status_code == 403
        assert (await post(origin="http://localhost.attacker.example")).status_code == 403
        assert (await post(origin="null")).status_code == 403


async def test_a_token_is_asked_for(brain):
    async with served(brain, token=TOKEN) as post:
        for headers in (
            {},
            {"authorization": TOKEN},
            {"authorization": f"Bearer {TOKEN}x"},
            {"authorization": "Bearer"},
        ):
            answer = await post(**headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert TOKEN not in answer.text
        assert (await post(authorization=f"Bearer {TOKEN}")).status_code == 200
        assert (await post(authorization=f"bearer {TOKEN}")).status_code == 200


async def test_a_server_in_the_network_needs_a_token_and_its_names(brain):
    for options, said in (
        ({"host": "0.0.0.0"}, "ONEBRAIN_MCP_TOKEN"),
        ({"host": "0.0.0.0", "token": TOKEN}, "--allow-host"),
        ({"token": "short"}, "16 characters"),
        ({"hosts": ["https://memory.example"]}, "without a scheme"),
        ({"hosts": ["*"]}, "wildcard"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            Listening(**options).check()
    assert TOKEN not in repr(Listening(token=TOKEN))
    async with served(brain, host="0.0.0.0", token=TOKEN, hosts=["memory.example"]) as post:
        key = {"authorization": f"Bearer {TOKEN}"}
        assert (await post("https://memory.example/mcp", **key)).status_code == 200
        assert (await post("http://127.0.0.1:8765/mcp", **key)).status_code == 421
    assert Listening("::1").names[0] == "127.0.0.1"
    assert Listening("fd00::1", token=TOKEN).names == ["[fd00::1]"]
    # Browsers send names in lower case.
    assert Listening("0.0.0.0", token=TOKEN, hosts=["Memory.Example:443", "FD00::1"]).names == [
        "memory.example:443",
        "[fd00::1]",
    ]


# ---- the command ---------------------------------------------------------------------------------------------------------


def command(*options):
    return [sys.executable, "-m", "onebrain.cli", "mcp", *options]


def environment(**more):
    return {name: value for name, value in os.environ.items() if not name.startswith("ONEBRAIN_")} | more


def test_the_command_speaks_on_standard_input_and_output(tmp_path):
    url = onebrain.sqlite_url(tmp_path / "brain.db")
    call = {"name": "onebrain_write", "arguments": {"content": "Maria prefers window seats."}}
    lines = [
        json.dumps(request(0, "initialize", hello("Claude Desktop"))),
        "this is no JSON",
        json.dumps(request(None, "notifications/initialized")),
        json.dumps(request(1, "tools/call", call)),
    ]
    with subprocess.Popen(
        command("--url", url, "--user", "maria"),
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        process.stdin.write("\n".join(lines) + "\n")
        process.stdin.flush()
        answers = {}
        while 1 not in answers:
            answer = json.loads(process.stdout.readline())
            answers[answer.get("id")] = answer
        # The client leaves.
        process.stdin.close()
        assert (process.wait(60), process.stdout.read()) == (0, "")
        assert "Traceback" not in process.stderr.read()
    assert "Stored with id=" in answers[1]["result"]["content"][0]["text"]
    with onebrain.connect(url) as brain:
        assert [memory.scope.user for memory in brain.list()] == ["maria"]


@contextmanager
def serving(*options, **more):
    with subprocess.Popen(
        command("--http", "--port", "0", *options),
        env=environment(**more), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            line = process.stderr.readline()
            assert line.startswith("MCP at http://127.0.0.1:")
            yield line.split()[-1]
        finally:
            process.terminate()
            process.communicate(timeout=60)


async def test_the_command_serves_over_http(tmp_path):
    with serving("--url", onebrain.sqlite_url(tmp_path / "brain.db"), "--user", "maria") as url:
        async with Client(url) as one, Client(url) as other:
            await one.call_tool("onebrain_write", {"content": "Maria prefers window seats."})
            found = await other.call_tool("onebrain_search", {"query": "where does Maria sit?"})
    assert "window seats" in found.content[0].text


FASTMCP = """
import asyncio, sys
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

async def main():
    async with Client(StdioTransport(sys.argv[1], sys.argv[2:])) as client:
        assert len(await client.list_tools()) == 9
        await client.call_tool("onebrain_write", {"content": "Maria prefers window seats."})
        found = await client.call_tool("onebrain_search", {"query": "where does Maria sit?"})
        print(found.content[0].text)
        print((await client.read_resource("onebrain://context"))[0].text)
        print((await client.get_prompt("recall", {"about": "seats"})).messages[0].content.text)

asyncio.run(main())
"""


@pytest.mark.skipif(
    "FASTMCP_PYTHON" not in os.environ,
    reason="fastmcp is in an environment of its own: uv venv F; uv pip install -p F fastmcp; FASTMCP_PYTHON=F/bin/python",
)
def test_fastmcp_calls_the_command(tmp_path):
    url = onebrain.sqlite_url(tmp_path / "brain.db")
    done = subprocess.run(
        [os.environ["FASTMCP_PYTHON"], "-c", FASTMCP, *command("--url", url, "--user", "maria")],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.count("window seats")) == (0, 3), done.stderr

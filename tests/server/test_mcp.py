"""``onebrain mcp --tools account``: the tools of an account, driven by a real MCP client, on a live server."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from onebrain import AsyncOneBrain
from onebrain.mcp.account import account_server

TOOLS = {
    "get_user_context", "search_memory", "write_memory", "write_memory_batch", "upsert_entity", "get_project_context",
    "deep_search", "list_skills", "skill_feedback", "get_briefing_config", "list_briefings",
}  # fmt: skip
COMMAND = [sys.executable, "-m", "onebrain.cli", "mcp", "--tools", "account"]


@pytest.fixture
def opened(onebrain_server, onebrain_api_key):
    @asynccontextmanager
    async def open(key=onebrain_api_key, **options):
        async with (
            AsyncOneBrain(key, base_url=onebrain_server.url) as account,
            Client(account_server(account, **options)) as client,
        ):
            yield client

    return open


async def call(agent, tool, **arguments):
    result = await agent.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def failure(agent, tool, **arguments):
    result = await agent.call_tool(tool, arguments)
    assert result.is_error
    return result.content[0].text


def bodies(found):
    return [memory["body"] for memory in found["memories"]]


async def test_a_client_finds_the_eleven_tools_of_the_command(onebrain_server, onebrain_api_key):
    parameters = StdioServerParameters(
        command=COMMAND[0],
        args=COMMAND[1:],
        env={
            "ONEBRAIN_API_URL": onebrain_server.url,
            "ONEBRAIN_API_KEY": onebrain_api_key,
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        },
    )
    async with Client(stdio_client(parameters)) as agent:
        tools = {tool.name: tool for tool in (await agent.list_tools()).tools}
        assert agent.server_info.name == "onebrain"
    assert set(tools) == TOOLS
    assert {name for name, tool in tools.items() if not tool.annotations.read_only_hint} == {
        "write_memory", "write_memory_batch", "upsert_entity", "skill_feedback",
    }  # fmt: skip
    assert all(tool.description and tool.output_schema for tool in tools.values())
    assert tools["search_memory"].input_schema["properties"].keys() == {"query", "type", "status", "limit"}


async def test_what_is_written_is_found_by_the_next_search(opened):
    async with opened() as agent:
        made = await call(agent, "write_memory", body="Maria prefers window seats.", type="preference")
        assert made["status"] == "active"
        assert bodies(await call(agent, "search_memory", query="window")) == ["Maria prefers window seats."]
        again = await call(agent, "write_memory", body="Maria prefers window seats.", type="preference")
        assert again["status"] == "archived"


async def test_with_review_it_waits_and_is_found_afterwards(opened):
    async with opened(review=True) as agent:
        made = await call(agent, "write_memory", body="Maria prefers window seats.", type="preference")
        assert made["status"] == "candidate"
        both = [
            {"body": "Pedro drives.", "title": "Car"},
            {"body": "Lisbon is sunny.", "source_type": "user_confirmed"},
        ]
        many = await call(agent, "write_memory_batch", memories=both)
        assert [(one["title"], one["status"]) for one in many["memories"]] == [
            ("Car", "candidate"), ("Lisbon is sunny.", "candidate"),
        ]  # fmt: skip
        assert (await call(agent, "search_memory", query="window"))["memories"] == []
        waiting = await call(agent, "search_memory", status="candidate")
        assert set(bodies(waiting)) == {"Maria prefers window seats.", "Pedro drives.", "Lisbon is sunny."}
        assert bodies(await call(agent, "search_memory", query="WINDOW", status="candidate")) == [
            "Maria prefers window seats."
        ]
        for id in (made["id"], *(one["id"] for one in many["memories"])):
            assert (await call(agent, "approve_memory", id=id))["status"] == "active"
        assert "waits for review" in await failure(agent, "approve_memory", id=made["id"])
        assert bodies(await call(agent, "search_memory", query="window", limit=1)) == [
            "Maria prefers window seats."
        ]


@pytest.fixture
def three(client):
    """Three active memories: two facts and a preference."""
    for body, type in (
        ("The cat sleeps on the roof.", "fact"),
        ("Maria prefers window seats.", "preference"),
        ("The train to Lisbon leaves at nine.", "fact"),
    ):
        client.post("/v1/memory", json={"body": body, "type": type}).raise_for_status()


@pytest.mark.usefixtures("three")
async def test_a_search_goes_by_the_query_too(opened):
    async with opened() as agent:
        found = await call(agent, "search_memory", query="when does the train leave?", limit=1)
        assert bodies(found) == ["The train to Lisbon leaves at nine."]
        assert found["more"] is True
        assert found["memories"][0]["score"] > 0
        assert "Maria prefers window seats." not in bodies(
            await call(agent, "search_memory", query="Maria's window seat", type="fact")
        )
        newest = await call(agent, "search_memory", type="fact", limit=1)
        assert (bodies(newest), newest["more"]) == (["The train to Lisbon leaves at nine."], True)
        assert newest["memories"][0]["score"] is None
        words = await call(agent, "deep_search", query="window seats", mode="keyword", top_k=1)
        assert bodies(words) == ["Maria prefers window seats."]


async def test_an_entity_is_found_again(opened, client):
    async with opened() as agent:
        made = await call(agent, "upsert_entity", name="Maria", type="Person", description="A friend")
        assert (made["type"], made["created"]) == ("person", True)
        changed = await call(agent, "upsert_entity", name="Maria", type="person", description="A colleague")
        assert changed == {**made, "description": "A colleague", "created": False}
        kept = await call(agent, "upsert_entity", name="Maria", type="PERSON", metadata={"team": "blue"})
        assert (kept["id"], kept["description"]) == (made["id"], "A colleague")
        assert (await call(agent, "upsert_entity", name="Maria", type="person"))["created"] is False
        ship = await call(agent, "upsert_entity", name="Maria", type="ship")
        assert ship["id"] != made["id"]
    rows = client.get("/v1/entities").json()["data"]
    assert {(row["type"], row["description"]) for row in rows} == {("person", "A colleague"), ("ship", None)}
    assert next(row for row in rows if row["type"] == "person")["metadata"] == {"team": "blue"}


async def test_contexts_of_the_user_and_of_a_project(opened, client):
    project = client.post("/v1/projects", json={"name": "Moving"}).json()["data"]
    client.post(
        "/v1/memory", json={"body": "The lift is broken.", "projectId": project["id"]}
    ).raise_for_status()
    client.post("/v1/memory", json={"body": "Maria prefers window seats."}).raise_for_status()
    async with opened() as agent:
        known = await call(agent, "get_user_context", scope="brief")
        assert "The lift is broken." in known["text"]
        assert "Maria prefers window seats." in known["text"]
        assert 0 < known["token_count"] <= 500
        for name in ("moving", project["id"]):
            text = (await call(agent, "get_project_context", project=name))["text"]
            assert "The lift is broken." in text
            assert "window seats" not in text
        assert "Moving" in (await call(agent, "get_project_context"))["text"]
        assert "no project with this name" in await failure(agent, "get_project_context", project="Holiday")


async def test_skills_and_briefings(opened, client):
    prompt = {"title": "Greet", "promptTemplate": "Say hello to {{input}}", "confidenceScore": 0.5}
    skill = client.post("/v1/skills", json=prompt).json()["data"]
    client.patch(
        "/v1/briefings/config", json={"timezone": "Europe/Lisbon", "webhookUrl": "https://example.com/t0ken"}
    ).raise_for_status()
    async with opened() as agent:
        [one] = (await call(agent, "list_skills"))["skills"]
        assert (one["name"], one["prompt"], one["confidence"]) == ("Greet", "Say hello to {{input}}", 0.5)
        assert await call(agent, "skill_feedback", skill_id=skill["id"], event_type="applied") == {
            "recorded": True
        }
        [one] = (await call(agent, "list_skills", sort_by="usage"))["skills"]
        assert (one["usage_count"], one["confidence"]) == (1, 0.55)
        settings = await call(agent, "get_briefing_config")
        assert (settings["timezone"], settings["webhook"]) == ("Europe/Lisbon", True)
        assert "t0ken" not in str(settings)
        assert (await call(agent, "list_briefings", type="morning"))["briefings"] == []


async def test_failures_are_told_to_the_agent_and_show_no_key(opened, client):
    id = client.get("/v1/api-keys").json()["data"][0]["id"]
    assert "Skill not found" in await _failed(opened, "skill_feedback", skill_id=id, event_type="applied")
    assert "limit" in await _failed(opened, "search_memory", limit=51)
    made = client.post("/v1/api-keys", json={"name": "reader", "scopes": ["brain.read"]}).json()["data"]
    async with opened(made["fullKey"]) as agent:
        said = await failure(agent, "write_memory", body="Maria prefers window seats.")
        assert "memory.extract.write" in said
        assert "window" not in said
    async with opened("ob_0123456789abcdef_" + "ab" * 24) as agent:
        said = await failure(agent, "get_user_context")
        assert "INVALID_API_KEY" in said
        assert "ab" * 24 not in said


async def test_a_key_of_four_scopes_is_enough_for_all_tools_but_one(opened, client):
    scopes = ["brain.read", "memory.extract.write", "entity.read", "entity.write"]
    made = client.post("/v1/api-keys", json={"name": "agent", "scopes": scopes}).json()["data"]
    client.post("/v1/projects", json={"name": "Moving"}).raise_for_status()
    arguments = {
        "search_memory": {"query": "seat"}, "deep_search": {"query": "seat"}, "get_project_context": {"project": "Moving"},
        "write_memory": {"body": "A seat."}, "write_memory_batch": {"memories": [{"body": "A window."}]},
        "upsert_entity": {"name": "Maria", "type": "person"},
    }  # fmt: skip
    async with opened(made["fullKey"]) as agent:
        assert (await call(agent, "write_memory", body="A roof."))["status"] == "candidate"
        for tool in sorted(TOOLS - {"skill_feedback"}):
            await call(agent, tool, **arguments.get(tool, {}))
        await call(agent, "upsert_entity", name="Maria", type="person", description="A friend")
        said = await failure(agent, "skill_feedback", skill_id=made["id"], event_type="applied")
        assert "brain.write" in said


async def _failed(opened, tool, **arguments):
    async with opened() as agent:
        return await failure(agent, tool, **arguments)


def started(environment, *options):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ONEBRAIN_")}
    return subprocess.run(
        [sys.executable, *options, *COMMAND[1:]],
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_key_it_says_so_at_once():
    done = started({})
    assert (done.returncode, done.stdout) == (4, "")
    assert "ONEBRAIN_API_KEY" in done.stderr


def test_without_the_extra_it_says_what_to_install(tmp_path):
    (tmp_path / "mcp.py").write_text("raise ImportError('no module', name='mcp')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = started({"ONEBRAIN_API_KEY": "ob_x", "PYTHONPATH": path}, "-P")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'pip install "onebrain-sdk[mcp]>=2"' in done.stderr

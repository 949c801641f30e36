"""The MCP tools on a server like the hosted one, which answers 500 where an entity is there already and ranks poorly."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from mcp import Client

from onebrain import AsyncOneBrain
from onebrain.mcp.account import account_server


@pytest.fixture
def opened(hosted):
    @asynccontextmanager
    async def open():
        async with (
            AsyncOneBrain(hosted.key, base_url=hosted.url) as client,
            Client(account_server(client)) as agent,
        ):

            async def call(tool, **arguments):
                result = await agent.call_tool(tool, arguments)
                assert not result.is_error, result.content
                return result.structured_content

            yield client, call

    return open


async def test_an_entity_is_found_again_behind_pages_of_others(opened, hosted):
    async with opened() as (_, call):
        made = await call("upsert_entity", name="Maria", type="Person")
        for number in range(120):
            await call("upsert_entity", name=f"Person {number}", type="person")
        again = await call("upsert_entity", name="Maria", type="person", description="A friend")
        assert again == {**made, "description": "A friend", "created": False}
        assert len(hosted.entities) == 121


async def test_a_search_goes_by_query_type_and_status(opened):
    async with opened() as (client, call):
        await client.memory.create("Maria prefers window seats.", type="preference")
        await client.memory.create("The window is broken.")
        old = await client.memory.create("The window was painted.")
        await client.memory.update(old.id, status="archived")
        for arguments, expected in (
            ({"type": "fact"}, "The window is broken."),
            ({"status": "archived"}, "The window was painted."),
            ({"type": "preference", "status": "active"}, "Maria prefers window seats."),
        ):
            found = await call("search_memory", query="window", **arguments)
            assert [memory["body"] for memory in found["memories"]] == [expected]


async def test_a_project_has_a_context_of_its_own(opened):
    async with opened() as (client, call):
        project = await client.project.create("Moving")
        await client.memory.create("The lift is broken.", project_id=project.id)
        await client.memory.create("Maria prefers window seats.")
        text = (await call("get_project_context", project="Moving"))["text"]
    assert "The lift is broken." in text
    assert "window" not in text

"""Code as users of the OneBrain client write it: the checkers accept what is right, and what is wrong is an error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import onebrain
from onebrain import AsyncOneBrain, OneBrain, Page
from onebrain.services.onebrain.models import (
    Briefing,
    Context,
    Entity,
    Graph,
    ImportResult,
    Memory,
    MemoryHit,
    NewApiKey,
    SearchResults,
)


def sync_code(client: OneBrain) -> None:
    assert_type(client.memory.create("text", tags=["a"], source="chat"), Memory)
    assert_type(client.memory.create(content="text"), Memory)
    assert_type(client.memory.get("id"), Memory)
    assert_type(client.memory.list(limit=20), Page[Memory])
    assert_type(client.memory.list(limit=20).meta.cursor, str | None)
    assert_type(client.memory.all(type="fact"), Iterator[Memory])
    found = client.memory.search("query", limit=5)
    assert_type(found, SearchResults)
    assert_type(found.data, tuple[MemoryHit, ...])
    assert_type(found[0], MemoryHit)
    for hit in found:
        assert_type(hit.score, float)
    assert_type(client.memory.import_bulk([{"content": "x"}, "y"]), ImportResult)
    assert_type(client.memory.delete("id"), None)
    assert_type(client.entity.update("id", description=None), Entity)
    assert_type(client.entity.graph("id", depth=2), Graph)
    assert_type(client.brain.context(scope="work"), Context)
    assert_type(client.api_keys.create("name", expires_in_days=90), NewApiKey)
    assert_type(client.briefing.get(date="2026-03-30"), Briefing)

    client.memory.create("text", colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.memory.create("text", type="poem")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.memory.create("text", tags=[1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    client.memory.search("query", "keyword")  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    client.memory.search("query", mode="psychic")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.memory.all(limits=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.memory.get(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.memory.update("id", content=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.skill.feedback("id", "loved")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.memories  # type: ignore[attr-defined]  # pyright: ignore  # noqa: B018


async def async_code(client: AsyncOneBrain) -> None:
    assert_type(await client.memory.create("text"), Memory)
    assert_type(await client.memory.list(), Page[Memory])
    assert_type(client.memory.all(), AsyncIterator[Memory])
    async for memory in client.memory.all():
        assert_type(memory, Memory)
    for hit in (await client.memory.search("query")).data:
        assert_type(hit, MemoryHit)
    assert_type(await client.brain.context(), Context)

    await client.memory.create("text", colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await client.memory.search("query", mode="psychic")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.memory.get("id").content  # type: ignore[attr-defined]  # pyright: ignore  # noqa: B018
    for _ in client.memory.all():  # type: ignore[attr-defined]  # pyright: ignore
        pass


def construction() -> None:
    OneBrain("ob_key", base_url="https://brain.example/api/v1", timeout=None, headers={"x": "y"}).close()
    onebrain.AsyncOneBrain(region="us", transport="aiohttp")
    OneBrain("ob_key", "https://b.example")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    OneBrain(region="mars")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    OneBrain(transport="aiohttp")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    AsyncOneBrain(transport="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

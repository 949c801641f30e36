"""The components over each of the other four services, through its driver and a live socket, as far as it goes."""

from __future__ import annotations

import inspect

import pytest
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from onebrain import Scope
from onebrain_llamaindex import OneBrainChatStore, OneBrainRetriever, OneBrainVectorStore

MESSAGES = [
    ChatMessage(role="user", content="Which seat is this?"),
    ChatMessage(
        role="assistant",
        blocks=[ToolCallBlock(tool_call_id="t1", tool_name="find_seat", tool_kwargs={"row": 12})],
    ),
    ChatMessage(role="tool", content="12A", additional_kwargs={"tool_call_id": "t1"}),
    ChatMessage(role="assistant", content="It is 12A."),
]


@pytest.fixture(params=["ai-memory", "herobrain", "rememberos", "brrain"])
def brain(request, connect_to):
    with connect_to(request.param) as brain:
        yield brain


@pytest.fixture(params=["sync", "async"])
def call(request):
    async def call(component, name, *args, **kwargs):
        if request.param == "sync":
            return getattr(component, name)(*args, **kwargs)
        result = getattr(component, f"async_{name}", None) or getattr(component, f"a{name}")
        answer = result(*args, **kwargs)
        return await answer if inspect.isawaitable(answer) else answer

    return call


async def test_the_retriever_finds_what_is_in_its_scope(brain, call):
    maria, mario = Scope(user="maria"), Scope(user="mario")
    brain.store("Maria prefers window seats", scope=maria, wait=True)
    brain.store("Mario prefers aisle seats", scope=mario, wait=True)
    retriever = OneBrainRetriever(brain=brain, scope=maria)
    assert [node.text for node in await call(retriever, "retrieve", "prefers seats")] == [
        "Maria prefers window seats"
    ]


async def test_nodes_are_stored_found_and_deleted(brain, call):
    if not (brain.capabilities.client_ids and brain.capabilities.list):
        pytest.skip(f"{brain.capabilities.service} takes no ids of the caller's own, or cannot list")
    store = OneBrainVectorStore(brain=brain)
    nodes = [TextNode(id_="n1", text="window seats are quiet"), TextNode(id_="n2", text="the boat is green")]
    await call(store, "add", nodes)
    mode = (
        VectorStoreQueryMode.DEFAULT
        if "vector" in brain.capabilities.modes
        else VectorStoreQueryMode.TEXT_SEARCH
    )
    found = await call(
        store, "query", VectorStoreQuery(query_str="window seats", similarity_top_k=1, mode=mode)
    )
    assert found.ids == ["n1"]
    assert found.nodes[0].text == "window seats are quiet"
    await call(store, "delete_nodes", ["n1"])
    found = await call(
        store, "query", VectorStoreQuery(query_str="green boat", similarity_top_k=5, mode=mode)
    )
    assert found.ids == ["n2"]


async def test_a_conversation_comes_back_in_order(brain, call):
    if not brain.capabilities.list:
        pytest.skip(f"{brain.capabilities.service} cannot list its memories")
    store = OneBrainChatStore(brain=brain)
    for message in MESSAGES:
        await call(store, "add_message", "s1", message)
    assert await call(store, "get_messages", "s1") == MESSAGES
    assert await call(store, "get_messages", "s2") == []

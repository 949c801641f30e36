"""Async methods block no event loop, outlive loops, and survive cancellation."""

from __future__ import annotations

import asyncio
import gc

import pytest
from blockbuster import BlockBuster, BlockingError
from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.messages import AIMessage, HumanMessage

import onebrain
from onebrain import Scope
from onebrain_langchain import (
    OneBrainChatMessageHistory,
    OneBrainIndex,
    OneBrainLoader,
    OneBrainMemory,
    OneBrainMiddleware,
    OneBrainRetriever,
    OneBrainStore,
    OneBrainToolkit,
    OneBrainVectorStore,
)

EMBEDDING = DeterministicFakeEmbedding(size=8)


@pytest.fixture
def guard():
    """Raises where a coroutine makes a call that blocks."""
    blockbuster = BlockBuster()
    blockbuster.activate()
    yield
    blockbuster.deactivate()


@pytest.fixture
def components(url):
    made = []

    def make(kind, *args, **options):
        component = kind(*args, url=url, **options)
        made.append(component)
        return component

    yield make
    for component in made:
        component.close()


async def retriever(make):
    await make(OneBrainRetriever).ainvoke("x")


async def vectorstore(make):
    store = make(OneBrainVectorStore, EMBEDDING)
    await store.aadd_documents([Document("a", id="1"), Document("b", id="2")])
    await store.asimilarity_search_with_relevance_scores("a")
    await store.amax_marginal_relevance_search("a", k=1)
    await store.asimilarity_search_by_vector([1.0] * 8)
    await store.as_retriever().ainvoke("a")
    await store.aget_by_ids(["1"])
    await store.adelete(["1"])


async def own_vectors(make):
    store = make(OneBrainVectorStore, space="own")
    await store.aadd_texts(["window seats"])
    await store.asimilarity_search("window")


async def history(make):
    history = make(OneBrainChatMessageHistory, "s")
    await history.aadd_messages([HumanMessage("hi"), AIMessage("ho")])
    assert len(await history.aget_messages()) == 2
    await history.aclear()


async def store(make):
    store = make(OneBrainStore)
    await store.aput(("a",), "k", {"text": "x"}, ttl=5)
    assert (await store.aget(("a",), "k")).value == {"text": "x"}
    await store.asearch(("a",), query="x")
    await store.alist_namespaces()
    await store.adelete(("a",), "k")


async def tools(make):
    toolkit = make(OneBrainToolkit, model=lambda prompt: '{"facts": []}')
    arguments = {
        "onebrain_search": {"query": "x"},
        "onebrain_context": {"query": "x"},
        "onebrain_entity": {"entity": "x"},
        "onebrain_write": {"content": "x"},
        "onebrain_update": {"id": "x", "content": "y"},
        "onebrain_forget": {"ids": ["x"]},
        "onebrain_supersede": {"id": "x", "content": "y"},
        "onebrain_remember": {"text": "x"},
    }
    for tool in toolkit.get_tools():
        await tool.ainvoke(arguments[tool.name])


async def loader(make):
    await make(OneBrainLoader).aload()


async def index(make):
    index = make(OneBrainIndex)
    await index.aupsert([Document("a", id="1")])
    await index.aget(["1"])
    await index.ainvoke("a")
    await index.adelete(["1"])


async def classic(make):
    memory = make(OneBrainMemory, session_id="s")
    await memory.asave_context({"input": "a"}, {"output": "b"})
    await memory.aload_memory_variables({"input": "a"})
    await memory.aclear()


COMPONENTS = [retriever, vectorstore, own_vectors, history, store, tools, loader, index, classic]


@pytest.mark.parametrize("use", COMPONENTS)
async def test_nothing_blocks_the_event_loop(components, guard, use):
    await use(components)


async def test_the_guard_sees_what_blocks(components, guard):
    store = components(OneBrainStore)
    with pytest.raises(BlockingError):
        store.put(("a",), "k", {"n": 1})


async def test_an_agent_does_not_block_the_event_loop(components, guard, scripted):
    memory = components(OneBrainMiddleware, scope=Scope(user="maria"))
    agent = create_agent(scripted("ok", "ok"), middleware=[memory], store=components(OneBrainStore))
    for _ in range(2):
        await agent.ainvoke({"messages": [("user", "window seats")]})


@pytest.mark.parametrize("use", COMPONENTS)
def test_a_component_outlives_event_loops(url, use):
    made = {}

    def make(kind, *args, **options):
        key = (kind, *map(str, args))
        return made.setdefault(key, kind(*args, url=url, **options))

    # Each run has a new loop, and closes it.
    for _ in range(3):
        asyncio.run(use(make))
    for component in made.values():
        asyncio.run(component.aclose())
    gc.collect()


async def test_calls_run_together(url):
    store = OneBrainVectorStore(EMBEDDING, url=url)
    await asyncio.gather(*(store.aadd_texts([f"t{n}"], ids=[str(n)]) for n in range(40)))
    found = await asyncio.gather(*(store.asimilarity_search(f"t{n}", k=1) for n in range(40)))
    assert [documents[0].id for documents in found] == [str(n) for n in range(40)]
    await store.aclose()


async def test_a_cancelled_call_leaves_everything_usable(url):
    store, history = OneBrainVectorStore(EMBEDDING, url=url), OneBrainChatMessageHistory("s", url=url)
    for attempt in range(10):
        tasks = [
            asyncio.create_task(store.aadd_texts([f"t{attempt}"])),
            asyncio.create_task(history.aadd_messages([HumanMessage("hi")])),
            asyncio.create_task(store.asimilarity_search("t")),
        ]
        for _ in range(attempt):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(await store.aadd_texts(["after"], ids=["after"])) == 1
    assert (await store.aget_by_ids(["after"]))[0].page_content == "after"
    await history.aadd_messages([HumanMessage("after", id="after")])
    assert (await history.aget_messages())[-1].content == "after"
    await store.aclose()
    await history.aclose()


async def test_sync_and_async_calls_share_one_memory_even_without_a_file():
    store = OneBrainVectorStore(EMBEDDING, url="sqlite://")
    store.add_texts(["one"], ids=["1"])
    await store.aadd_texts(["two"], ids=["2"])
    assert len(store.similarity_search("x")) == len(await store.asimilarity_search("x")) == 2
    await store.aclose()


async def test_a_brain_that_was_given_stays_open():
    with onebrain.connect("sqlite://") as brain:
        for component in (OneBrainVectorStore(brain=brain), OneBrainRetriever(brain=brain)):
            component.close()
            await component.aclose()
        assert brain.store("still open").status == "created"

"""The framework's own pipelines, end to end over our components, sync and async, with a scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from llama_index.core import SimpleDirectoryReader, StorageContext, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.chat_engine import ContextChatEngine, SimpleChatEngine
from llama_index.core.ingestion import DocstoreStrategy, IngestionCache, IngestionPipeline
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer, Memory
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import Document
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.storage.docstore.keyval_docstore import KVDocumentStore
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters
from llama_index.core.workflow import Context

import onebrain
from onebrain.testing.reference import reference_brain
from onebrain_llamaindex import (
    AsyncOneBrainChatStore,
    BrainEmbedding,
    OneBrainChatStore,
    OneBrainKVStore,
    OneBrainMemory,
    OneBrainMemoryBlock,
    OneBrainRetriever,
    OneBrainToolSpec,
    OneBrainVectorStore,
)

# The framework's agents look at every attribute of themselves, pydantic's deprecated ones included.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")

# The framework reads its tokenizer and its templates from disk at first use, and some of its async methods call sync
# ones of its own; those paths are watched up to our components only.
DOCUMENTS = [
    Document(id_="maria", text="Maria prefers window seats on every flight.", metadata={"person": "maria"}),
    Document(id_="mario", text="Mario is allergic to peanuts and to cats.", metadata={"person": "mario"}),
    Document(id_="trip", text="The flight to Lisbon leaves on Monday at nine.", metadata={"person": "both"}),
]


@pytest.fixture(params=["reference", "sqlite"])
def brain(request: pytest.FixtureRequest) -> Iterator[onebrain.Brain]:
    with reference_brain() if request.param == "reference" else onebrain.connect("sqlite://") as opened:
        yield opened


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    async def use(thing: Any, method: str, *args: Any, watched: bool = True, **kwargs: Any) -> Any:
        if request.param == "sync":
            # In a thread of its own, because the framework's sync methods may start an event loop.
            return await asyncio.to_thread(getattr(thing, method), *args, **kwargs)
        twin = next(
            getattr(thing, name) for name in (f"a{method}", f"async_{method}") if hasattr(thing, name)
        )
        with blockbuster_ctx() if watched else nullcontext():
            return await twin(*args, **kwargs)

    return use


class Script:
    """A model that answers from a script, and remembers what it was given."""

    def __init__(self, *answers: ChatMessage | Callable[[Sequence[ChatMessage]], ChatMessage]) -> None:
        self.answers = list(answers)
        self.seen: list[list[ChatMessage]] = []
        self.llm = MockFunctionCallingLLM(response_generator=self.answer, is_chat_model=True)

    def answer(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatMessage:
        self.seen.append(list(messages))
        answer = self.answers.pop(0)
        return answer if isinstance(answer, ChatMessage) else answer(messages)


def reply(text: str) -> ChatMessage:
    return ChatMessage(role="assistant", content=text)


def use_tool(name: str, **arguments: Any) -> ChatMessage:
    return ChatMessage(
        role="assistant",
        blocks=[ToolCallBlock(tool_call_id=f"{name}-1", tool_name=name, tool_kwargs=arguments)],
    )


# ---- indexes ---------------------------------------------------------------------------------------------------------


async def test_an_index_retrieves_inserts_and_deletes(brain, call):
    store = OneBrainVectorStore(brain=brain)
    index = VectorStoreIndex.from_documents(
        DOCUMENTS,
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=BrainEmbedding(),
        transformations=[SentenceSplitter()],
    )
    retriever = index.as_retriever(similarity_top_k=1)
    [found] = await call(retriever, "retrieve", "Which seats does Maria prefer?")
    assert found.node.ref_doc_id == "maria"
    assert found.metadata == {"person": "maria"}

    only = MetadataFilters(filters=[MetadataFilter(key="person", value="mario")])
    filtered = index.as_retriever(similarity_top_k=9, filters=only)
    assert {each.node.ref_doc_id for each in await call(filtered, "retrieve", "Mario or Maria")} == {"mario"}

    await call(index, "insert", Document(id_="new", text="Maria bought a red kayak."), watched=False)
    await call(index, "delete_ref_doc", "maria", delete_from_docstore=True)
    everything = await call(index.as_retriever(similarity_top_k=9), "retrieve", "Maria")
    assert "maria" not in {each.node.ref_doc_id for each in everything}
    assert "new" in {each.node.ref_doc_id for each in everything}


async def test_a_second_process_finds_what_the_first_indexed(tmp_path, call):
    url = f"sqlite:///{tmp_path / 'brain.db'}"
    first = OneBrainVectorStore(url=url)
    VectorStoreIndex.from_documents(
        DOCUMENTS,
        storage_context=StorageContext.from_defaults(vector_store=first),
        embed_model=BrainEmbedding(),
        transformations=[SentenceSplitter()],
    )
    first.close()
    second = OneBrainVectorStore(url=url)
    index = VectorStoreIndex.from_vector_store(second, embed_model=BrainEmbedding())
    [found] = await call(index.as_retriever(similarity_top_k=1), "retrieve", "Who is allergic to peanuts?")
    assert found.node.ref_doc_id == "mario"
    second.close()


async def test_a_query_engine_answers_from_what_it_found(brain, call):
    index = VectorStoreIndex.from_vector_store(OneBrainVectorStore(brain=brain), embed_model=BrainEmbedding())
    index.insert_nodes(DOCUMENTS)
    # This model repeats its prompt.
    engine = index.as_query_engine(llm=MockLLM(), similarity_top_k=1)
    answer = await call(engine, "query", "Which seats does Maria prefer?", watched=False)
    assert "Maria prefers window seats" in str(answer)
    assert [each.node.node_id for each in answer.source_nodes] == ["maria"]


async def test_our_retriever_serves_query_engines_and_fusion(brain, call):
    brain.store_many([document.text for document in DOCUMENTS], scope=onebrain.Scope(user="u"))
    retriever = OneBrainRetriever(brain=brain, scope={"user": "u"}, similarity_top_k=2)
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM())
    answer = await call(engine, "query", "Which seats does Maria prefer?", watched=False)
    assert answer.source_nodes[0].text == DOCUMENTS[0].text

    words = OneBrainRetriever(brain=brain, scope={"user": "u"}, mode="keyword", similarity_top_k=2)
    fused = QueryFusionRetriever(
        [retriever, words],
        llm=MockLLM(),
        num_queries=1,
        similarity_top_k=2,
        mode="reciprocal_rerank",
        use_async=False,
    )
    found = await call(fused, "retrieve", "Which seats does Maria prefer?", watched=False)
    assert found[0].text == DOCUMENTS[0].text
    assert len({each.node_id for each in found}) == len(found)


# ---- ingestion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("docstore", ["simple", "ours"])
async def test_a_pipeline_upserts_and_deletes_documents(brain, call, docstore):
    store = OneBrainVectorStore(brain=brain)
    pipeline = IngestionPipeline(
        transformations=[SentenceSplitter(chunk_size=64, chunk_overlap=0), BrainEmbedding()],
        vector_store=store,
        docstore=SimpleDocumentStore()
        if docstore == "simple"
        else KVDocumentStore(OneBrainKVStore(brain=brain)),
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
    )

    def stored() -> dict[str, list[str]]:
        texts: dict[str, list[str]] = {}
        for node in store.get_nodes():
            texts.setdefault(node.ref_doc_id, []).append(node.text)
        return texts

    assert len(await call(pipeline, "run", documents=DOCUMENTS, watched=False)) == 3
    assert stored() == {document.doc_id: [document.text] for document in DOCUMENTS}
    assert await call(pipeline, "run", documents=DOCUMENTS, watched=False) == []
    assert len(stored()) == 3

    changed = Document(id_="maria", text="Maria prefers the aisle now.", metadata={"person": "maria"})
    await call(pipeline, "run", documents=[changed, DOCUMENTS[1]], watched=False)
    assert stored() == {"maria": [changed.text], "mario": [DOCUMENTS[1].text]}


async def test_a_pipeline_keeps_its_cache_in_the_brain(brain, call):
    runs = []

    class Counting(SentenceSplitter):
        def _parse_nodes(self, nodes, *args, **kwargs):
            runs.append(len(nodes))
            return super()._parse_nodes(nodes, *args, **kwargs)

    def pipeline():
        return IngestionPipeline(
            transformations=[Counting()],
            cache=IngestionCache(cache=OneBrainKVStore(brain=brain), collection="c"),
        )

    first = await call(pipeline(), "run", documents=DOCUMENTS, watched=False)
    again = await call(pipeline(), "run", documents=DOCUMENTS, watched=False)
    assert [node.text for node in again] == [node.text for node in first]
    assert runs == [3]


async def test_a_folder_of_markdown_is_indexed(brain, call, tmp_path):
    (tmp_path / "seats.md").write_text("# Seats\n\nMaria prefers window seats.\n")
    (tmp_path / "food.md").write_text("# Food\n\nMario is allergic to peanuts.\n")
    store = OneBrainVectorStore(brain=brain)
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(), BrainEmbedding()], vector_store=store)
    await call(pipeline, "run", documents=SimpleDirectoryReader(tmp_path).load_data(), watched=False)
    index = VectorStoreIndex.from_vector_store(store, embed_model=BrainEmbedding())
    [found] = await call(index.as_retriever(similarity_top_k=1), "retrieve", "peanuts allergic")
    assert found.metadata["file_name"] == "food.md"


# ---- memory and agents -----------------------------------------------------------------------------------------------


async def test_chat_memory_buffer_keeps_its_messages_in_the_brain(brain, call):
    def buffer() -> ChatMemoryBuffer:
        return ChatMemoryBuffer.from_defaults(
            chat_store=OneBrainChatStore(brain=brain),
            chat_store_key="monday",
            token_limit=100,
            tokenizer_fn=str.split,
        )

    await call(buffer(), "put", ChatMessage("hello"))
    await call(buffer(), "put", reply("hi"))
    assert [message.content for message in await call(buffer(), "get")] == ["hello", "hi"]
    await call(buffer(), "set", [ChatMessage("new")])
    assert [message.content for message in await call(buffer(), "get_all")] == ["new"]
    await call(buffer(), "reset")
    assert await call(buffer(), "get_all") == []


@pytest.mark.parametrize("memory", ["ours", "buffer"])
async def test_a_chat_engine_goes_on_where_it_stopped(brain, call, memory):
    def engine(script: Script) -> SimpleChatEngine:
        kept = (
            OneBrainMemory(brain=brain, session_id="monday")
            if memory == "ours"
            else ChatMemoryBuffer.from_defaults(
                chat_store=OneBrainChatStore(brain=brain), tokenizer_fn=str.split
            )
        )
        return SimpleChatEngine.from_defaults(llm=script.llm, memory=kept)

    first = Script(reply("Noted."))
    assert (await call(engine(first), "chat", "My seat is 14A", watched=False)).response == "Noted."
    second = Script(reply("14A"))
    await call(engine(second), "chat", "Which seat is mine?", watched=False)
    assert [message.content for message in second.seen[0]][-3:] == [
        "My seat is 14A",
        "Noted.",
        "Which seat is mine?",
    ]


async def test_a_context_chat_engine_uses_our_retriever_and_our_memory(brain, call):
    brain.store("Maria prefers window seats", scope=onebrain.Scope(user="u"))
    script = Script(reply("A window seat."))
    engine = ContextChatEngine.from_defaults(
        retriever=OneBrainRetriever(brain=brain, scope={"user": "u"}),
        memory=OneBrainMemory(brain=brain, scope={"user": "u"}, recall_tokens=0),
        llm=script.llm,
    )
    answer = await call(engine, "chat", "Which seats does Maria prefer?", watched=False)
    assert answer.response == "A window seat."
    assert any("Maria prefers window seats" in (message.content or "") for message in script.seen[0])


async def test_memory_with_the_block_flushes_recalls_and_survives(brain):
    block = OneBrainMemoryBlock(
        brain=brain, scope={"user": "maria"}, count_tokens=lambda text: len(text.split())
    )

    def memory(session: str) -> Memory:
        return Memory.from_defaults(
            session_id=session,
            token_limit=80,
            token_flush_size=20,
            chat_history_token_ratio=0.5,
            memory_blocks=[block],
            chat_store=AsyncOneBrainChatStore(brain=brain, scope={"user": "maria"}),
            tokenizer_fn=str.split,
        )

    monday = memory("monday")
    with blockbuster_ctx():
        await monday.aput_messages([ChatMessage("My locker code is tangerine"), reply("Noted.")])
        for number in range(12):
            await monday.aput_messages(
                [ChatMessage(f"Tell me about city number {number}"), reply("It is lovely.")]
            )
        active = await memory("monday").aget_all(status=None)
        assert len(active) == 26
        recalled = await memory("tuesday").aget(input="What is my locker code?")
    assert "tangerine" in recalled[0].content
    flushed = [each.content for each in brain.list(scope=onebrain.Scope(user="maria", session="monday"))]
    # The chat's own copy, and the block's.
    assert flushed.count("My locker code is tangerine") == 2


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_agent_with_tools_and_memory_writes_and_recalls(brain, streaming):
    scope = {"user": "maria"}
    tools = OneBrainToolSpec(brain=brain, scope=scope).to_tool_list()

    def agent(script: Script) -> FunctionAgent:
        return FunctionAgent(
            tools=tools, llm=script.llm, system_prompt="You help Maria.", streaming=streaming
        )

    monday = Script(
        use_tool("write_memory", content="Maria prefers window seats", tags=["travel"]),
        reply("I will remember that."),
    )
    memory = OneBrainMemory(brain=brain, scope=scope, session_id="monday")
    answer = await agent(monday).run("I always want the window seat", memory=memory)
    assert str(answer) == "I will remember that."
    assert [each.content for each in brain.list(scope=onebrain.Scope(user="maria")) if each.tags] == [
        "Maria prefers window seats"
    ]
    roles = [message.role.value for message in await memory.aget_all()]
    assert roles == ["user", "assistant", "tool", "assistant"]

    tuesday = Script(use_tool("search_memory", query="seat Maria prefers"), reply("The window seat."))
    answer = await agent(tuesday).run(
        "Which seat should you book?", memory=OneBrainMemory(brain=brain, scope=scope, session_id="tuesday")
    )
    assert str(answer) == "The window seat."
    # What was recalled stood in the first prompt already, and the tool's answer in the second.
    assert any("window seat" in (message.content or "") for message in tuesday.seen[0][:-1])
    results = [message.content for message in tuesday.seen[1] if message.role == "tool"]
    assert len(results) == 1
    assert "Maria prefers window seats" in results[0]


async def test_an_agent_goes_on_with_the_same_memory_turn_after_turn(brain):
    script = Script(reply("Hello Maria."), reply("You are Maria."))
    agent = FunctionAgent(llm=script.llm)
    memory = OneBrainMemory(brain=brain, session_id="monday", recall_tokens=0)
    await agent.run("I am Maria", memory=memory)
    await agent.run("Who am I?", memory=memory)
    assert [message.content for message in script.seen[1]] == ["I am Maria", "Hello Maria.", "Who am I?"]


async def test_an_agents_saved_context_finds_its_memory_again(tmp_path):
    url = f"sqlite:///{tmp_path / 'brain.db'}"
    script = Script(reply("Hello Maria."), reply("You are Maria."))
    agent = FunctionAgent(llm=script.llm)
    context = Context(agent)
    memory = OneBrainMemory(url=url, session_id="monday", recall_tokens=0)
    await agent.run("I am Maria", memory=memory, ctx=context)
    saved = context.to_dict()
    restored = Context.from_dict(agent, saved)
    await agent.run("Who am I?", ctx=restored)
    assert [message.content for message in script.seen[1]] == ["I am Maria", "Hello Maria.", "Who am I?"]
    memory.close()


async def test_an_agent_uses_the_frameworks_memory_with_our_block(brain):
    block = OneBrainMemoryBlock(brain=brain, scope={"user": "maria"})
    await block.asave([ChatMessage("I always take the window seat")], session_id="last year")
    script = Script(reply("The window seat."))
    memory = Memory.from_defaults(
        session_id="today",
        memory_blocks=[block],
        chat_store=AsyncOneBrainChatStore(brain=brain),
        tokenizer_fn=str.split,
    )
    await FunctionAgent(llm=script.llm).run("Which seat do I take?", memory=memory)
    assert any("I always take the window seat" in (message.content or "") for message in script.seen[0])
    await block.asave(memory)
    assert brain.count(scope=onebrain.Scope(user="maria", session="today")) == 2

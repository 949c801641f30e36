"""Ids as frameworks have them, and numbers of results: what every component takes, and what it refuses."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.base import InvalidNamespaceError
from pydantic import Field

import onebrain
from onebrain import OneBrainValidationError, Scope
from onebrain_langchain import (
    OneBrainChatMessageHistory,
    OneBrainIndex,
    OneBrainMiddleware,
    OneBrainRetriever,
    OneBrainStore,
    OneBrainVectorStore,
)


@pytest.fixture
def brain():
    with onebrain.connect("sqlite://") as brain:
        yield brain


@pytest.fixture
def store(brain):
    store = OneBrainVectorStore(brain=brain, space="s")
    store.add_texts(["one", "two", "three"])
    return store


class Counting(GenericFakeChatModel):
    """A model that says how often it was called."""

    calls: list[int] = Field(default_factory=list)

    def _generate(self, *args, **kwargs):
        self.calls.append(1)
        return super()._generate(*args, **kwargs)


def agent_of(brain, **options):
    model = Counting(messages=iter([AIMessage("Noted.")]))
    memory = OneBrainMiddleware(brain=brain, scope_from={"user": "user_id"}, **options)
    return model, create_agent(model, middleware=[memory], context_schema=dict, checkpointer=InMemorySaver())


@pytest.mark.parametrize("make", [uuid4, lambda: 7, lambda: "maria"], ids=["uuid", "int", "str"])
def test_a_run_s_user_and_thread_may_be_every_kind_of_id(brain, make):
    user, thread = make(), make()
    _, agent = agent_of(brain)
    config = {"configurable": {"thread_id": thread}}
    agent.invoke({"messages": [("user", "My bus is the 14.")]}, config, context={"user_id": user})
    assert brain.count(scope=Scope(user=str(user), session=str(thread))) == 2


@pytest.mark.parametrize("recall", [True, False])
@pytest.mark.parametrize("user", [True, 1.5, b"maria", " "], ids=repr)
def test_a_wrong_id_is_refused_before_the_model_is_called(brain, user, recall):
    model, agent = agent_of(brain, recall=recall)
    config = {"configurable": {"thread_id": "t"}}
    with pytest.raises(OneBrainValidationError, match="user: must"):
        agent.invoke({"messages": [("user", "My bus is the 14.")]}, config, context={"user_id": user})
    assert model.calls == []
    assert brain.count() == 0


def test_a_history_s_session_may_be_every_kind_of_id(brain):
    for session in (uuid4(), 7):
        OneBrainChatMessageHistory(session, brain=brain).add_message(HumanMessage("hello"))
        again = OneBrainChatMessageHistory(str(session), brain=brain)
        assert again.session_id == str(session)
        assert len(again.messages) == 1
    with pytest.raises(OneBrainValidationError, match="session"):
        OneBrainChatMessageHistory(True, brain=brain)


def test_documents_may_have_every_kind_of_id(brain):
    store, known = OneBrainVectorStore(brain=brain, space="ids"), uuid4()
    assert store.add_texts(["one", "two", "three"], ids=[1, known, None])[:2] == ["1", str(known)]
    assert [found.id for found in store.get_by_ids([known, 1, "1"])] == [str(known), "1", "1"]
    assert asyncio.run(store.aget_by_ids([1]))[0].page_content == "one"
    store.add_documents([Document("new", id="1")])
    assert store.get_by_ids([1])[0].page_content == "new"
    assert store.delete([known])
    assert store.get_by_ids([known]) == []
    index = OneBrainIndex(brain=brain, space="ids")
    assert [found.page_content for found in index.get([1])] == ["new"]
    assert index.delete([1])["num_deleted"] == 1


@pytest.mark.parametrize("wrong", [[1, "1"], [True, "b"], [1.5, "b"], "ab", 7, [b"a", "b"]], ids=repr)
def test_ids_that_are_none_are_refused_and_nothing_is_stored(brain, wrong):
    store = OneBrainVectorStore(brain=brain, space="ids")
    with pytest.raises(OneBrainValidationError, match="ids: "):
        store.add_texts(["one", "two"], ids=wrong)
    with pytest.raises(OneBrainValidationError, match="ids: "):
        asyncio.run(store.aadd_texts(["one", "two"], ids=wrong))
    assert brain.count() == 0
    if wrong != [1, "1"]:
        for call in (store.get_by_ids, store.delete):
            with pytest.raises(OneBrainValidationError, match="ids: "):
                call(wrong)


def test_a_namespace_may_hold_every_kind_of_id(brain):
    store, user = OneBrainStore(brain=brain), uuid4()
    store.put(("users", 1, user), "seat", {"text": "window"})
    assert store.get(("users", "1", str(user)), "seat").value == {"text": "window"}
    assert store.get(("users", 1, user), "seat").namespace == ("users", "1", str(user))
    assert len(store.search(("users", 1))) == len(store.search(("users", "1"))) == 1
    assert store.search(("users", 2)) == []
    assert store.list_namespaces(prefix=("users", 1), suffix=(user,)) == [("users", "1", str(user))]
    store.delete(("users", 1, user), "seat")
    assert store.search(()) == []

    async def asynchronous():
        await store.aput(("users", 2), "seat", {"text": "aisle"})
        assert (await store.aget(("users", 2), "seat")).value == {"text": "aisle"}
        assert len(await store.asearch(("users", 2))) == 1
        assert await store.alist_namespaces(suffix=(2,)) == [("users", "2")]
        await store.adelete(("users", 2), "seat")
        assert await store.aget(("users", 2), "seat") is None

    asyncio.run(asynchronous())
    for wrong in (True, 1.5, None, "", "a.b"):
        with pytest.raises(InvalidNamespaceError):
            store.put(("users", wrong), "seat", {})


WRONG = [-1, 1.5, True, "3", None]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_every_search_agrees_on_which_numbers_of_results_are_valid(brain, store, wrong):
    vector = brain.search("one", scope=store.scope, with_embeddings=True)[0].memory.embedding
    by_query = [
        "similarity_search",
        "similarity_search_with_score",
        "similarity_search_with_relevance_scores",
    ]
    diverse = ["max_marginal_relevance_search", "max_marginal_relevance_search_with_score"]
    for name in (*by_query, *diverse):
        with pytest.raises(OneBrainValidationError, match="k: must be a whole number"):
            getattr(store, name)("one", k=wrong)
        with pytest.raises(OneBrainValidationError, match="k: must be a whole number"):
            asyncio.run(getattr(store, "a" + name)("one", k=wrong))
    for name in ("similarity_search_by_vector", *(f"{name}_by_vector" for name in diverse)):
        with pytest.raises(OneBrainValidationError, match="k: must be a whole number"):
            getattr(store, name)(vector, k=wrong)
    for name in diverse:
        with pytest.raises(OneBrainValidationError, match="fetch_k: must be a whole number"):
            getattr(store, name)("one", k=1, fetch_k=wrong)
        with pytest.raises(OneBrainValidationError, match="lambda_mult: must be"):
            getattr(store, name)("one", lambda_mult=wrong)
    with pytest.raises(OneBrainValidationError, match="limit: must be a whole number"):
        OneBrainStore(brain=brain).search((), limit=wrong)
    with pytest.raises(OneBrainValidationError, match="offset: must be a whole number"):
        OneBrainStore(brain=brain).list_namespaces(offset=wrong)
    if wrong is not None:
        with pytest.raises(OneBrainValidationError, match="must be a whole number"):
            OneBrainRetriever(brain=brain).invoke("one", k=wrong)
        with pytest.raises(ValueError, match="k"):
            OneBrainRetriever(brain=brain, k=wrong)
        with pytest.raises(ValueError, match="window"):
            OneBrainChatMessageHistory("s", brain=brain, window=wrong)


def test_no_results_are_asked_for_by_0(brain, store):
    assert store.similarity_search("one", k=0) == []
    assert store.max_marginal_relevance_search("one", k=0) == []
    assert store.max_marginal_relevance_search("one", k=2, fetch_k=0) != []
    assert OneBrainRetriever(brain=brain, k=0).invoke("one") == []
    assert OneBrainStore(brain=brain).search((), limit=0) == []


def test_a_diverse_search_by_vector_has_scores(brain, store):
    vector = brain.search("one", scope=store.scope, with_embeddings=True)[0].memory.embedding
    scored = store.max_marginal_relevance_search_with_score_by_vector(vector, k=2, fetch_k=3, lambda_mult=1.0)
    assert scored == store.similarity_search_with_score_by_vector(vector, k=2)
    assert [found for found, _ in scored] == store.max_marginal_relevance_search_by_vector(
        vector, k=2, lambda_mult=1.0
    )
    assert scored == asyncio.run(
        store.amax_marginal_relevance_search_with_score_by_vector(vector, k=2, fetch_k=3, lambda_mult=1.0)
    )
    first, second = store.max_marginal_relevance_search_with_score("one", k=2)
    assert first[0].page_content == "one"
    assert 0 <= second[1] <= first[1] <= 1

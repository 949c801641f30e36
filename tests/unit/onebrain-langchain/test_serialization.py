"""Configured components can be copied, pickled and written as JSON, and never with a secret."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from datetime import UTC, datetime

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.load import dumpd, dumps, load

import onebrain
from onebrain import F, Scope
from onebrain_langchain import (
    OneBrainChatMessageHistory,
    OneBrainIndex,
    OneBrainLoader,
    OneBrainMemory,
    OneBrainMiddleware,
    OneBrainRetriever,
    OneBrainSearchTool,
    OneBrainStore,
    OneBrainToolkit,
    OneBrainVectorStore,
)

KEY = "ob_live_q7Zr4TtHidden"
SERVICE = "onebrain+https://memory.example/api/eu"

MAKERS = {
    "retriever": lambda **where: OneBrainRetriever(**where, k=3, scope=Scope(user="maria"), filter={"n": 1}),
    "index": lambda **where: OneBrainIndex(**where, space="docs"),
    "tool": lambda **where: OneBrainSearchTool(**where, scope=Scope(user="maria")),
    "toolkit": lambda **where: OneBrainToolkit(**where, read_only=True),
    "shared tool": lambda **where: OneBrainToolkit(**where).get_tools()[0],
    "memory": lambda **where: OneBrainMemory(**where, session_id="s1"),
    "vector store": lambda **where: OneBrainVectorStore(DeterministicFakeEmbedding(size=3), **where),
    "vector store's retriever": lambda **where: OneBrainVectorStore(**where).as_retriever(),
    "history": lambda **where: OneBrainChatMessageHistory("s1", **where),
    "store": lambda **where: OneBrainStore(**where, ttl={"default_ttl": 5}),
    "middleware": lambda **where: OneBrainMiddleware(**where, scope={"user": "maria"}),
    "loader": lambda **where: OneBrainLoader(**where, filter=F("n").eq(1)),
}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


@pytest.mark.parametrize("where", [{"url": SERVICE}, {"base_url": "https://memory.example/api/eu"}, {}])
def test_no_form_of_a_component_shows_its_key(make, where):
    component = make(api_key=KEY, **where)
    forms = [repr(component), json.dumps(dumpd(component)), dumps(component)]
    forms += [repr(copy.deepcopy(component)), repr(copy.copy(component))]
    blobs = [pickle.dumps(component), pickle.dumps(copy.deepcopy(component))]
    for form in forms:
        assert "Hidden" not in form
    for blob in blobs:
        assert b"Hidden" not in blob


def test_a_pickle_leads_back_to_the_same_place_with_the_key_of_the_environment(make, url):
    with onebrain.connect(url) as brain:
        brain.store("Maria likes window seats", scope=Scope(user="maria"), metadata={"n": 1})
    component = make(url=url)
    again = pickle.loads(pickle.dumps(component))
    assert type(again) is type(component)
    assert repr(again) == repr(component)
    if hasattr(again, "close"):
        again.close()


def test_a_key_without_a_url_still_leads_to_the_service(monkeypatch):
    monkeypatch.delenv("ONEBRAIN_URL", raising=False)
    again = pickle.loads(pickle.dumps(OneBrainRetriever(api_key=KEY)))
    assert again.url == "onebrain+https://onebrain.rocks/api/eu"
    assert again.api_key is None


def test_a_pickled_component_works_in_its_new_process(url):
    with onebrain.connect(url) as brain:
        brain.store("Maria likes window seats", scope=Scope(user="maria"), metadata={"n": 1})
    retriever = OneBrainRetriever(url=url, scope=Scope(user="maria"), filter={"n": 1})
    # Open already.
    retriever.invoke("window")
    again = pickle.loads(pickle.dumps(retriever))
    assert [document.page_content for document in again.invoke("window")] == ["Maria likes window seats"]
    retriever.close()
    again.close()


def test_copies_share_one_memory():
    store = OneBrainVectorStore(url="sqlite://")
    copied = copy.deepcopy(store)
    copied.add_texts(["x"], ids=["1"])
    assert len(store.get_by_ids(["1"])) == 1
    retriever = OneBrainRetriever(url="sqlite://")
    copied = copy.deepcopy(retriever)
    assert copied.model_copy(update={"k": 1}).invoke("x") == []
    store.close()
    retriever.close()


@pytest.mark.parametrize(
    "filter",
    [
        None,
        {"n": 1},
        F("n").ge(2) & ~F("tag").in_(["a", "b"]) | F("deep.x").exists(),
        F("list").eq([1, {"a": None}]),
        F("text").starts_with("x") & F("text").icontains("y"),
    ],
)
def test_a_retriever_comes_back_from_json(filter):
    retriever = OneBrainRetriever(
        url=SERVICE, api_key=KEY, k=3, scope=Scope(user="maria"), filter=filter, min_score=0.2, tags=["t"]
    )
    form = json.loads(json.dumps(dumpd(retriever)))
    assert form["kwargs"]["api_key"] == {"lc": 1, "type": "secret", "id": ["ONEBRAIN_API_KEY"]}
    with warnings.catch_warnings():
        # `load` is still beta.
        warnings.simplefilter("ignore")
        again = load(
            form,
            allowed_objects=[OneBrainRetriever],
            valid_namespaces=["onebrain_langchain"],
            secrets_map={"ONEBRAIN_API_KEY": KEY},
        )
    assert again.api_key.get_secret_value() == KEY
    assert (again.url, again.k, again.scope, again.min_score, again.tags) == (
        SERVICE,
        3,
        Scope(user="maria"),
        0.2,
        ["t"],
    )
    from onebrain.memory.filters import parse

    assert parse(again.filter) == parse(filter)


def test_a_retriever_of_another_time_comes_back_from_json(url):
    then = datetime(2024, 5, 6, 10, tzinfo=UTC)
    form = json.loads(json.dumps(dumpd(OneBrainRetriever(url=url, at=then))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # load is marked as beta
        again = load(form, valid_namespaces=["onebrain_langchain"], allowed_objects=[OneBrainRetriever])
    assert datetime.fromisoformat(str(again.at)) == then


def test_what_has_no_json_form_says_so():
    from datetime import date

    with onebrain.connect("sqlite://") as brain:
        assert dumpd(OneBrainRetriever(brain=brain))["type"] == "not_implemented"
    dated = OneBrainRetriever(url=SERVICE, filter=F.created_at.gt(date(2025, 1, 1)))
    assert dumpd(dated)["type"] == "not_implemented"
    assert dumpd(OneBrainSearchTool(url=SERVICE))["type"] == "not_implemented"


@pytest.mark.parametrize("url", ["postgresql://me:hunter2@db/brain"])
def test_a_password_in_a_url_is_never_written(make, url):
    component = make(url=url)
    assert "hunter2" not in repr(component)
    assert "hunter2" not in json.dumps(dumpd(component))
    with pytest.raises(TypeError, match="ONEBRAIN_URL"):
        pickle.dumps(component)


def test_a_wrong_key_is_not_shown_by_the_error():
    with pytest.raises(ValueError, match="api_key") as caught:
        OneBrainRetriever(api_key=["Secret"])
    assert "Secret" not in str(caught.value)


def test_an_in_memory_brain_cannot_be_pickled():
    with onebrain.connect("sqlite://") as brain, pytest.raises(TypeError, match="pickled"):
        pickle.dumps(OneBrainRetriever(brain=brain))

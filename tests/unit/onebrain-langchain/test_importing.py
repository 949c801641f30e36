"""What LangChain and LangGraph hold in memory is copied into a brain."""

from __future__ import annotations

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore
from langgraph.store.memory import InMemoryStore

import onebrain
from onebrain import importing


def test_the_items_of_a_langgraph_store_are_copied_once():
    store = InMemoryStore()
    for number in range(501):
        store.put(("users", "maria"), f"k{number}", {"text": f"Fact {number}", "sure": True})
    with onebrain.connect("sqlite://", embedder=None) as brain:
        assert importing.import_from(brain, importing.langgraph(store)).stored == 501
        assert importing.import_from(brain, importing.langgraph(store)).already_there == 501
        found = brain.get('["users","maria","k7"]', scope=onebrain.Scope(user="maria"))
        item = store.get(("users", "maria"), "k7")
        assert (found.content, found.metadata["sure"], found.created_at) == ("Fact 7", True, item.created_at)


def test_the_documents_of_a_vector_store_are_copied():
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=4))
    store.add_documents([Document("Likes tea", metadata={"year": 2026}, id="d1")])
    with onebrain.connect("sqlite://", embedder=None) as brain:
        assert importing.import_from(brain, importing.langchain(store)).stored == 1
        assert (brain.get("d1").content, brain.get("d1").metadata) == ("Likes tea", {"year": 2026})

"""The key-value store, and the framework's stores over it."""

from __future__ import annotations

import pytest
from llama_index.core.data_structs.data_structs import IndexDict
from llama_index.core.ingestion import IngestionCache
from llama_index.core.schema import Document, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.storage.docstore.keyval_docstore import KVDocumentStore
from llama_index.core.storage.index_store.keyval_index_store import KVIndexStore

from onebrain import OneBrainValidationError
from onebrain_llamaindex import OneBrainKVStore

VALUE = {"text": "ü 🧠", "n": 1, "f": 1.0, "list": [1, None, {"a.b": True}], "$x": {}, "big": 2**70}


async def test_values_come_back_equal_and_are_replaced_and_removed(brain, call):
    store = OneBrainKVStore(brain=brain)
    assert await call(store, "get", "a") is None
    assert await call(store, "delete", "a") is False
    await call(store, "put", "a", VALUE)
    assert await call(store, "get", "a") == VALUE
    await call(store, "put", "a", {"new": True})
    assert await call(store, "get_all") == {"a": {"new": True}}
    assert await call(store, "delete", "a") is True
    assert await call(store, "get", "a") is None
    assert await call(store, "get_all") == {}


async def test_collections_and_scopes_are_apart(brain, call):
    maria, mario = (OneBrainKVStore(brain=brain, scope={"user": name}) for name in ("maria", "mario"))
    await call(maria, "put", "k", {"v": 1})
    await call(maria, "put", "k", {"v": 2}, "other")
    await call(maria, "put", "b/k", {"v": 3}, "a")
    await call(maria, "put", "k", {"v": 4}, "a/b")
    await call(mario, "put", "k", {"v": 5})
    assert await call(maria, "get", "k") == {"v": 1}
    assert await call(maria, "get", "k", "other") == {"v": 2}
    assert await call(maria, "get", "b/k", "a") == {"v": 3}
    assert await call(maria, "get", "k", "a/b") == {"v": 4}
    await call(maria, "delete", "k")
    assert await call(mario, "get_all") == {"k": {"v": 5}}


async def test_many_pairs_go_in_batches_and_the_last_of_a_key_stays(brain, call):
    store = OneBrainKVStore(brain=brain)
    await call(
        store, "put_all", [*((str(n), {"n": n}) for n in range(250)), ("7", {"n": "last"})], batch_size=10
    )
    everything = await call(store, "get_all")
    assert len(everything) == 250
    assert everything["7"] == {"n": "last"}
    await call(store, "put_all", [])


@pytest.mark.parametrize("key", ["", " ", "a\nb", "ключ", "k" * 900])
async def test_any_text_is_a_key(brain, call, key):
    store = OneBrainKVStore(brain=brain)
    await call(store, "put", key, {"v": 1})
    assert await call(store, "get", key) == {"v": 1}
    assert await call(store, "get_all") == {key: {"v": 1}}


async def test_a_value_that_is_not_json_raises(brain, call):
    with pytest.raises(OneBrainValidationError, match="not JSON"):
        await call(OneBrainKVStore(brain=brain), "put", "a", {"v": object()})


def test_entries_are_not_met_by_searches(sqlite):
    OneBrainKVStore(brain=sqlite).put("window seats", {"window": "seats"})
    sqlite.store("window seats are nice")
    assert [hit.content for hit in sqlite.search("window seats")] == ["window seats are nice"]


async def test_a_document_store_works_over_it(brain):
    store = KVDocumentStore(OneBrainKVStore(brain=brain))
    node = TextNode(
        id_="n1",
        text="x",
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="d1")},
        metadata={"a": 1},
    )
    store.add_documents([Document(id_="d1", text="doc"), node])
    assert store.get_document("n1") == node
    assert await store.aget_document("d1") == store.get_document("d1")
    assert store.get_ref_doc_info("d1").node_ids == ["n1"]
    store.set_document_hash("d1", "hash")
    assert await store.aget_document_hash("d1") == "hash"
    await store.adelete_ref_doc("d1")
    assert store.get_document("n1", raise_error=False) is None
    await store.async_add_documents([node])
    assert store.docs["n1"] == node


def test_an_index_store_works_over_it(brain):
    store = KVIndexStore(OneBrainKVStore(brain=brain))
    struct = IndexDict(index_id="i1", summary="s")
    store.add_index_struct(struct)
    assert store.get_index_struct("i1") == struct
    store.delete_index_struct("i1")
    assert store.index_structs() == []


def test_an_ingestion_cache_works_over_it(brain):
    cache = IngestionCache(cache=OneBrainKVStore(brain=brain))
    nodes = [TextNode(id_="n1", text="x")]
    cache.put("hash", nodes)
    assert cache.get("hash") == nodes
    assert cache.get("other") is None

"""The vector store's verbs, modes, scopes and refusals; test_nodes has what comes back, and the differential test the filters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from llama_index.core import Settings, VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

import onebrain
from onebrain import ConfigurationError, EmbedderMismatch, OneBrainValidationError, Scope, Unsupported
from onebrain.testing.reference import REFERENCE, reference_brain
from onebrain_llamaindex import BrainEmbedding, OneBrainVectorStore

Mode = VectorStoreQueryMode


def node(id: str, text: str = "text", *, doc: str | None = None, embedding=None, **metadata) -> TextNode:
    relations = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=doc)} if doc else {}
    return TextNode(id_=id, text=text, metadata=metadata, relationships=relations, embedding=embedding)


def where(key, value, operator=FilterOperator.EQ):
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])


TRIP = [
    node("seat", "Maria prefers window seats", doc="maria", year=2025),
    node("food", "Maria is allergic to peanuts", doc="maria", year=2024),
    node("height", "Mario is afraid of heights", doc="mario", year=2025),
    node("lone", "The flight to Lisbon leaves on Monday"),
]


@pytest.fixture
def store(brain):
    store = OneBrainVectorStore(brain=brain)
    store.add(TRIP)
    return store


def ids(nodes) -> list[str]:
    return [found.node_id for found in nodes]


async def test_a_query_finds_by_text_with_scores_from_0_to_1_best_first(store, call):
    result = await call(
        store, "query", VectorStoreQuery(query_str="Which seats does Maria like?", similarity_top_k=3)
    )
    assert result.ids[0] == "seat"
    assert ids(result.nodes) == result.ids
    assert len(result.similarities) == len(result.ids) <= 3
    assert all(0 <= score <= 1 for score in result.similarities)
    assert result.similarities == sorted(result.similarities, reverse=True)


async def test_empty_lists_of_node_ids_and_doc_ids_restrict_nothing(store, call):
    query = VectorStoreQuery(query_str="Maria", similarity_top_k=9, node_ids=[], doc_ids=[])
    assert {"seat", "food"} <= set((await call(store, "query", query)).ids)


async def test_node_ids_doc_ids_and_filters_restrict_together(store, call):
    async def found(**restrictions):
        query = VectorStoreQuery(query_str="Maria Mario", similarity_top_k=9, **restrictions)
        return set((await call(store, "query", query)).ids)

    assert await found(node_ids=["seat", "height"]) == {"seat", "height"}
    assert await found(doc_ids=["maria"]) == {"seat", "food"}
    assert await found(filters=where("year", 2025)) == {"seat", "height"}
    assert await found(filters=where("year", 2025), doc_ids=["maria"]) == {"seat"}
    assert await found(node_ids=["gone"]) == set()
    assert await found(filters=where("ref_doc_id", "mario")) == {"height"}


async def test_nodes_are_listed_by_id_and_filter_in_the_order_of_adding(store, call):
    assert ids(await call(store, "get_nodes")) == ids(TRIP)
    assert ids(await call(store, "get_nodes", ["height", "seat", "gone"])) == ["seat", "height"]
    assert ids(await call(store, "get_nodes", filters=where("year", 2025))) == ["seat", "height"]
    assert ids(await call(store, "get_nodes", ["seat", "food"], where("year", 2025))) == ["seat"]
    assert await call(store, "get_nodes", []) == []


async def test_adding_a_node_again_replaces_it(store, call):
    await call(store, "add", [node("seat", "Maria prefers the aisle now", doc="maria", year=2026)])
    [found] = await call(store, "get_nodes", ["seat"])
    assert found.text == "Maria prefers the aisle now"
    assert len(await call(store, "get_nodes")) == len(TRIP)


async def test_of_two_nodes_with_one_id_the_last_stays(brain, call):
    store = OneBrainVectorStore(brain=brain)
    assert await call(store, "add", [node("1", "first"), node("1", "second")]) == ["1", "1"]
    assert [found.text for found in await call(store, "get_nodes")] == ["second"]


async def test_delete_removes_the_nodes_of_one_document(store, call):
    await call(store, "delete", "maria")
    assert ids(await call(store, "get_nodes")) == ["height", "lone"]
    await call(store, "delete", "never there")
    assert len(await call(store, "get_nodes")) == 2


@pytest.mark.parametrize("nothing", [None, ""])
async def test_delete_without_a_document_raises_instead_of_removing_nodes_without_one(store, call, nothing):
    with pytest.raises(OneBrainValidationError, match="ref_doc_id"):
        await call(store, "delete", nothing)
    await call(store, "delete", "None")
    assert len(await call(store, "get_nodes")) == len(TRIP)


async def test_nodes_are_deleted_by_id_and_filter(store, call):
    await call(store, "delete_nodes", ["seat", "height"], where("year", 2025))
    assert ids(await call(store, "get_nodes")) == ["food", "lone"]
    await call(store, "delete_nodes", filters=where("year", 2024))
    assert ids(await call(store, "get_nodes")) == ["lone"]
    await call(store, "delete_nodes", [])
    assert ids(await call(store, "get_nodes")) == ["lone"]
    with pytest.raises(OneBrainValidationError, match=r"clear\(\)"):
        await call(store, "delete_nodes", filters=MetadataFilters(filters=[]))
    await call(store, "delete_nodes")
    assert ids(await call(store, "get_nodes")) == ["lone"]


async def test_clear_empties_this_store_and_no_other(brain, store, call):
    other = OneBrainVectorStore(brain=brain, space="other")
    await call(other, "add", TRIP[:1])
    brain.store("a memory beside them")
    await call(store, "clear")
    assert await call(store, "get_nodes") == []
    assert ids(await call(other, "get_nodes")) == ["seat"]
    assert [memory.content for memory in brain.list(filter={"$content": "a memory beside them"})] != []


async def test_stores_of_one_brain_may_hold_the_same_node_ids(brain, call):
    scopes = [
        Scope(space="a"),
        Scope(space="b"),
        Scope(space="a", user="maria"),
        Scope(space="a", user="mario"),
        Scope(space="a", user="maria", agent="planner"),
        Scope(space="a", user="maria", session="monday"),
    ]
    stores = [OneBrainVectorStore(brain=brain, scope=scope) for scope in scopes]
    for number, store in enumerate(stores):
        await call(store, "add", [node("1", f"text {number}")])
    for number, store in enumerate(stores[1:], start=1):
        found = [each.text for each in await call(store, "get_nodes", ["1"])]
        assert f"text {number}" in found
    assert [each.text for each in await call(stores[3], "get_nodes")] == ["text 3"]
    await call(stores[3], "clear")
    assert len(await call(stores[0], "get_nodes")) == 4


async def test_a_user_never_sees_the_nodes_of_another(brain, call):
    names = ["user_1", "user_10", "userX1", "user%"]
    for name in names:
        await call(
            OneBrainVectorStore(brain=brain, scope={"user": name}), "add", [node(name, "the same words")]
        )
    for name in names:
        store = OneBrainVectorStore(brain=brain, scope={"user": name})
        result = await call(store, "query", VectorStoreQuery(query_str="the same words", similarity_top_k=9))
        assert result.ids == [name]


VECTORS = [
    node("east", "one", embedding=[1.0, 0.0, 0.0]),
    node("north", "two", embedding=[0.0, 1.0, 0.0]),
    node("northeast", "three", embedding=[0.7, 0.7, 0.0]),
    node("almost east", "four", embedding=[0.9, 0.1, 0.0]),
]


@pytest.fixture
def vectors(brain):
    store = OneBrainVectorStore(brain=brain, use_embeddings=True)
    store.add(VECTORS)
    return store


async def test_with_use_embeddings_the_queries_own_vector_decides(vectors, call):
    assert vectors.is_embedding_query
    query = VectorStoreQuery(query_embedding=[1.0, 0.05, 0.0], query_str="two", similarity_top_k=3)
    result = await call(vectors, "query", query)
    assert result.ids == ["east", "almost east", "northeast"]
    assert result.similarities[0] == pytest.approx(0.99875, abs=1e-3)


async def test_with_use_embeddings_a_node_or_query_without_one_raises(vectors, call):
    with pytest.raises(OneBrainValidationError, match="has no embedding"):
        await call(vectors, "add", [node("bare")])
    with pytest.raises(OneBrainValidationError, match="needs query_embedding"):
        await call(vectors, "query", VectorStoreQuery(query_str="two"))


async def test_vectors_of_another_dimension_raise_and_name_both(vectors, call):
    with pytest.raises(EmbedderMismatch, match=r"(?s)3.*2|2.*3"):
        await call(vectors, "add", [node("flat", embedding=[1.0, 0.0])])


async def test_with_use_embeddings_false_vectors_are_left_to_the_memory(brain, call):
    store = OneBrainVectorStore(brain=brain, use_embeddings=False)
    assert not store.is_embedding_query
    await call(
        store, "add", [node("1", "window seats", embedding=[1.0]), node("2", "peanuts", embedding=[0.1, 0.2])]
    )
    query = VectorStoreQuery(query_str="window", query_embedding=[0.3], similarity_top_k=1)
    assert (await call(store, "query", query)).ids == ["1"]
    with pytest.raises(OneBrainValidationError, match="use_embeddings=True"):
        await call(store, "query", VectorStoreQuery(query_embedding=[1.0]))


# ---- who embeds ------------------------------------------------------------------------------------------------------


@pytest.fixture
def by_model(brain):
    store = OneBrainVectorStore(brain=brain)
    store.add(VECTORS)
    return store


EAST = {"query_embedding": [1.0, 0.05, 0.0], "similarity_top_k": 3}


@pytest.mark.parametrize(
    ("mode", "more", "expected"),
    [
        (Mode.DEFAULT, {}, ["east", "almost east", "northeast"]),
        (Mode.DEFAULT, {"query_str": "two"}, ["east", "almost east", "northeast"]),
        (Mode.MMR, {"mmr_threshold": 1.0}, ["east", "almost east", "northeast"]),
        (Mode.HYBRID, {"query_str": "three", "alpha": 1.0}, ["east", "almost east", "northeast"]),
        (Mode.SPARSE, {"query_str": "two"}, ["north"]),
        (Mode.TEXT_SEARCH, {"query_str": "two"}, ["north"]),
    ],
)
async def test_nodes_with_a_models_vectors_are_found_by_a_models_vector(by_model, call, mode, more, expected):
    result = await call(by_model, "query", VectorStoreQuery(mode=mode, **EAST, **more))
    assert result.ids[: len(expected)] == expected
    assert all(found.embedding is None for found in result.nodes)


async def test_nodes_come_back_with_the_vectors_that_they_came_with(by_model, call):
    found = await call(by_model, "get_nodes")
    assert [each.embedding for each in found] == [pytest.approx(each.embedding) for each in VECTORS]
    assert "_onebrain" not in found[0].metadata


async def test_the_space_and_not_the_object_says_who_embeds(tmp_path, call):
    url = f"sqlite:///{tmp_path / 'brain.db'}"
    for name, nodes in (("model", VECTORS), ("memory", TRIP)):
        filling = OneBrainVectorStore(url=url, space=name)
        filling.add(nodes)
        filling.close()
    model = OneBrainVectorStore(url=url, space="model")
    memory = OneBrainVectorStore(url=url, space="memory")
    assert (await call(model, "query", VectorStoreQuery(**EAST))).ids == ["east", "almost east", "northeast"]
    by_text = VectorStoreQuery(query_str="Which seats does Maria like?", similarity_top_k=1)
    assert (await call(memory, "query", by_text)).ids == ["seat"]
    with pytest.raises(EmbedderMismatch, match=r"query has none.*embed_model"):
        await call(model, "query", by_text)
    # The memory's own have 256.
    for dimension in (3, 256):
        with pytest.raises(EmbedderMismatch, match=r"BrainEmbedding\(\)"):
            await call(
                memory, "query", VectorStoreQuery(query_embedding=[1.0] * dimension, query_str="seats")
            )
    with pytest.raises(EmbedderMismatch, match=r"BrainEmbedding\(\)"):
        await call(memory, "add", VECTORS)
    with pytest.raises(EmbedderMismatch, match="embed_model"):
        await call(model, "add", TRIP)
    assert len(await call(model, "get_nodes")) == len(VECTORS)
    assert len(await call(memory, "get_nodes")) == len(TRIP)
    for store in (model, memory):
        store.close()


async def test_nodes_with_and_without_a_vector_are_not_added_together(brain, call):
    store = OneBrainVectorStore(brain=brain)
    with pytest.raises(OneBrainValidationError, match="embed all or none"):
        await call(store, "add", [*VECTORS, node("bare")])
    assert await call(store, "get_nodes") == []


async def test_an_emptied_space_may_be_filled_by_the_other(brain, call, by_model):
    await call(by_model, "clear")
    other = OneBrainVectorStore(brain=brain, space="other")
    await call(other, "add", TRIP)
    assert (await call(other, "query", VectorStoreQuery(query_str="peanuts", similarity_top_k=1))).ids == [
        "food"
    ]


async def test_a_service_that_embeds_says_that_a_models_vectors_are_not_kept(call):
    with reference_brain(replace(REFERENCE, embeddings=False)) as brain:
        store = OneBrainVectorStore(brain=brain)
        assert store.is_embedding_query
        with pytest.warns(UserWarning, match=r"makes its own vectors.*BrainEmbedding"):
            await call(store, "add", VECTORS)
        assert not store.is_embedding_query
        query = VectorStoreQuery(query_str="two", query_embedding=[1.0, 0.0, 0.0], similarity_top_k=1)
        assert (await call(store, "query", query)).ids == ["north"]
        with pytest.raises(OneBrainValidationError, match="makes its own vectors; pass query_str"):
            await call(store, "query", VectorStoreQuery(**EAST))
        assert [each.embedding for each in await call(store, "get_nodes")] == [None] * 4
        with pytest.raises(Unsupported):
            await call(OneBrainVectorStore(brain=brain, use_embeddings=True), "add", VECTORS)


@pytest.mark.parametrize("mode", [Mode.TEXT_SEARCH, Mode.SPARSE])
async def test_text_modes_search_by_words(sqlite, call, mode):
    store = OneBrainVectorStore(brain=sqlite)
    await call(store, "add", TRIP)
    query = VectorStoreQuery(query_str="peanuts", similarity_top_k=5, sparse_top_k=1, mode=mode)
    assert (await call(store, "query", query)).ids == ["food"]
    with pytest.raises(OneBrainValidationError, match="needs query_str"):
        await call(store, "query", VectorStoreQuery(mode=mode))


async def test_hybrid_weighs_words_against_the_vector_by_alpha(sqlite, call):
    store = OneBrainVectorStore(brain=sqlite, use_embeddings=True)
    await call(
        store,
        "add",
        [
            node("vector", "nothing alike", embedding=[1.0, 0.0]),
            node("words", "window seats", embedding=[0.0, 1.0]),
        ],
    )

    async def best(alpha):
        query = VectorStoreQuery(
            query_str="window seats",
            query_embedding=[1.0, 0.0],
            mode=Mode.HYBRID,
            alpha=alpha,
            hybrid_top_k=1,
        )
        return (await call(store, "query", query)).ids

    assert await best(1.0) == ["vector"]
    assert await best(0.0) == ["words"]


async def test_mmr_trades_relevance_for_difference(vectors, call):
    query = VectorStoreQuery(query_embedding=[1.0, 0.05, 0.0], similarity_top_k=2, mode=Mode.MMR)
    relevant = await call(vectors, "query", query, mmr_threshold=1.0)
    assert relevant.ids == ["east", "almost east"]
    different = await call(vectors, "query", query, mmr_threshold=0.0)
    assert different.ids[1] == "north"
    assert (await call(vectors, "query", query, mmr_threshold=0.0, mmr_prefetch_k=2)).ids == relevant.ids


async def test_mmr_works_on_the_memorys_own_vectors(sqlite, call):
    store = OneBrainVectorStore(brain=sqlite)
    await call(store, "add", [*TRIP, node("seat again", "Maria prefers window seats")])
    query = VectorStoreQuery(
        query_str="Maria's window seats", similarity_top_k=2, mode=Mode.MMR, mmr_threshold=0.3
    )
    first, second = (await call(store, "query", query)).ids
    assert {first, second} != {"seat", "seat again"}


async def test_mmr_without_vectors_raises(call):
    from onebrain.testing.reference import reference_brain

    store = OneBrainVectorStore(brain=reference_brain())
    await call(store, "add", TRIP)
    with pytest.raises(Unsupported, match="mmr"):
        await call(store, "query", VectorStoreQuery(query_str="Maria", mode=Mode.MMR))


@pytest.mark.parametrize(
    "mode", [Mode.SEMANTIC_HYBRID, Mode.SVM, Mode.LINEAR_REGRESSION, Mode.LOGISTIC_REGRESSION]
)
async def test_another_mode_raises_and_names_the_ones_there_are(store, call, mode):
    with pytest.raises(ValueError, match=r"not supported.*hybrid.*mmr"):
        await call(store, "query", VectorStoreQuery(query_str="x", mode=mode))


async def test_nothing_is_ignored_in_silence(store, call):
    for query in (
        VectorStoreQuery(query_str="x", output_fields=["a"]),
        VectorStoreQuery(query_str="x", embedding_field="a"),
    ):
        with pytest.raises(OneBrainValidationError, match="not supported"):
            await call(store, "query", query)
    with pytest.raises(TypeError, match="refresh"):
        await call(store, "query", VectorStoreQuery(query_str="x"), refresh=True)
    with pytest.raises(TypeError, match="batch"):
        await call(store, "add", [], batch=3)
    with pytest.raises(OneBrainValidationError, match="mmr_threshold"):
        await call(store, "query", VectorStoreQuery(query_str="x", mode=Mode.MMR), mmr_threshold=2)
    with pytest.raises(ConfigurationError, match="scop_e"):
        OneBrainVectorStore(scop_e="x")
    with pytest.raises(ConfigurationError, match="space"):
        OneBrainVectorStore(space="a", scope=Scope(space="b"))


async def test_many_nodes_are_stored_in_batches(brain, call):
    store = OneBrainVectorStore(brain=brain, batch_size=64)
    nodes = [node(str(number), f"note {number}") for number in range(300)]
    assert await call(store, "add", nodes) == [str(number) for number in range(300)]
    assert ids(await call(store, "get_nodes")) == ids(nodes)


# ---- the framework's embedding model ---------------------------------------------------------------------------------


@pytest.fixture
def no_embedding_model(monkeypatch):
    monkeypatch.delenv("IS_TESTING", raising=False)
    monkeypatch.setattr(Settings, "_embed_model", None)


@pytest.mark.usefixtures("no_embedding_model")
async def test_an_index_works_where_no_embedding_model_is_set_up(sqlite, call):
    index = VectorStoreIndex.from_vector_store(OneBrainVectorStore(brain=sqlite))
    await call(index, "insert_nodes", TRIP)
    found = await call(index.as_retriever(similarity_top_k=1), "retrieve", "Which seats does Maria like?")
    assert ids(found) == ["seat"]


@pytest.mark.usefixtures("no_embedding_model")
def test_another_vector_store_that_meets_the_stand_in_model_fails_with_a_message(sqlite):
    OneBrainVectorStore(brain=sqlite)
    index = VectorStoreIndex(nodes=TRIP)
    with pytest.raises(ConfigurationError, match=r"Settings\.embed_model"):
        index.as_retriever().retrieve("Maria")


@pytest.mark.usefixtures("no_embedding_model")
def test_an_embedding_model_that_was_set_is_never_touched(sqlite):
    Settings.embed_model = mine = MockEmbedding(embed_dim=4)
    OneBrainVectorStore(brain=sqlite)
    assert Settings.embed_model is mine


@pytest.mark.usefixtures("no_embedding_model")
def test_a_store_with_use_embeddings_offers_no_stand_in_model(sqlite):
    OneBrainVectorStore(brain=sqlite, use_embeddings=True)
    with pytest.raises(ImportError):
        _ = Settings.embed_model


async def test_a_mock_embedding_is_no_model_so_the_memory_embeds(sqlite, call):
    store = OneBrainVectorStore(brain=sqlite)
    index = VectorStoreIndex.from_vector_store(store, embed_model=MockEmbedding(embed_dim=8))
    await call(index, "insert_nodes", TRIP)
    found = await call(index.as_retriever(similarity_top_k=1), "retrieve", "Which seats does Maria like?")
    assert ids(found) == ["seat"]


class Letters(MockEmbedding):
    """Counts vowels: enough to see that this model, and no other, decided."""

    def __init__(self) -> None:
        super().__init__(embed_dim=5)

    def _get_text_embedding(self, text):
        return [float(text.lower().count(vowel)) + 0.001 for vowel in "aeiou"]

    _get_query_embedding = _get_text_embedding

    async def _aget_text_embedding(self, text):
        return self._get_text_embedding(text)

    _aget_query_embedding = _aget_text_embedding


@pytest.mark.parametrize("use_embeddings", [None, True])
async def test_the_users_embedding_model_decides(brain, call, use_embeddings):
    store = OneBrainVectorStore(brain=brain, use_embeddings=use_embeddings)
    index = VectorStoreIndex.from_vector_store(store, embed_model=Letters())
    await call(index, "insert_nodes", [node("a", "banana"), node("u", "hummus"), node("o", "tofu soong doo")])
    found = await call(index.as_retriever(similarity_top_k=1), "retrieve", "lulu dudu")
    assert ids(found) == ["u"]


@pytest.mark.parametrize("mode", ["default", "hybrid", "mmr", "sparse", "text_search"])
async def test_the_model_of_an_index_serves_every_query_mode(sqlite, call, mode):
    index = VectorStoreIndex.from_vector_store(OneBrainVectorStore(brain=sqlite), embed_model=Letters())
    await call(
        index, "insert_nodes", [node("a", "banana"), node("u", "hummus lulu"), node("o", "tofu soong doo")]
    )
    again = VectorStoreIndex.from_vector_store(OneBrainVectorStore(brain=sqlite), embed_model=Letters())
    retriever = again.as_retriever(similarity_top_k=1, vector_store_query_mode=mode)
    assert ids(await call(retriever, "retrieve", "lulu")) == ["u"]


async def test_a_pipeline_that_embeds_keeps_its_vectors(sqlite, call):
    store = OneBrainVectorStore(brain=sqlite)
    pipeline = IngestionPipeline(transformations=[Letters()], vector_store=store)
    await pipeline.arun(nodes=[node("a", "banana"), node("u", "hummus")])
    assert [each.embedding for each in await call(store, "get_nodes")] == [
        pytest.approx(Letters()._get_text_embedding(text)) for text in ("banana", "hummus")
    ]
    index = VectorStoreIndex.from_vector_store(store, embed_model=Letters())
    assert ids(await call(index.as_retriever(similarity_top_k=1), "retrieve", "lulu dudu")) == ["u"]


async def test_brain_embedding_makes_no_vectors_and_refuses_queries():
    model = BrainEmbedding()
    assert model.get_text_embedding_batch(["a", "b"]) == [[], []]
    assert await model.aget_text_embedding("a") == []
    for attempt in (lambda: model.get_query_embedding("a"),):
        with pytest.raises(ConfigurationError, match="makes no vectors"):
            attempt()
    with pytest.raises(ConfigurationError, match="makes no vectors"):
        await model.aget_query_embedding("a")
    assert model.to_dict()["class_name"] == "BrainEmbedding"


def test_client_is_the_brain(sqlite):
    assert OneBrainVectorStore(brain=sqlite).client is sqlite
    with OneBrainVectorStore(url="sqlite://").client as opened:
        assert isinstance(opened, onebrain.Brain)

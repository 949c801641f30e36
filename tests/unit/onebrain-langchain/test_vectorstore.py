from __future__ import annotations

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.vectorstores import InMemoryVectorStore

import onebrain
from onebrain import F, OneBrainValidationError, Scope
from onebrain.testing.reference import REFERENCE, reference_brain
from onebrain_langchain import OneBrainIndex, OneBrainVectorStore

EMBEDDING = DeterministicFakeEmbedding(size=8)
DOCUMENTS = [
    Document(f"note {n}", id=str(n), metadata={"n": n, "even": n % 2 == 0, "deep": {"tag": f"t{n % 3}"}})
    for n in range(12)
]


@pytest.fixture
def store(brain):
    return OneBrainVectorStore(EMBEDDING, brain=brain)


def ids(documents):
    return [document.id for document in documents]


async def test_a_document_comes_back_exactly(store, call):
    document = Document(
        "text\n日本", id="x", metadata={"id": "mine", "score": 7, "list": [1, None], "created_at": "?"}
    )
    await call(store.add_documents, [document])
    assert await call(store.get_by_ids, ["x"]) == [document]
    assert await call(store.similarity_search, "anything", k=1) == [document]


async def test_blank_documents_are_kept(store, call):
    documents = [Document("", id="a"), Document(" \n", id="b", metadata={"page": 2})]
    assert await call(store.add_documents, documents) == ["a", "b"]
    assert await call(store.get_by_ids, ["a", "b"]) == documents


async def test_ids_may_be_given_for_some_documents_only(store, call):
    added = await call(store.add_documents, [Document("a", id="1"), Document("b"), Document("c", id="3")])
    assert (added[0], added[2]) == ("1", "3")
    (document,) = await call(store.get_by_ids, [added[1]])
    assert (document.page_content, document.id) == ("b", added[1])


@pytest.mark.parametrize("id", ["a/b", ":::", "%", "#1", "@item:/x", "é", "a" * 450, " ", "x\u0000"])
async def test_an_id_may_hold_anything(store, call, id):
    await call(store.add_texts, ["one", "other"], ids=[id, "plain"])
    assert ids(await call(store.get_by_ids, [id])) == [id]
    await call(store.delete, [id])
    assert await call(store.get_by_ids, [id]) == []
    assert ids(await call(store.get_by_ids, ["plain"])) == ["plain"]


async def test_an_id_that_is_too_long_is_refused_and_never_found(store, call):
    with pytest.raises(OneBrainValidationError, match="at most"):
        await call(store.add_texts, ["x"], ids=["a" * 600])
    assert await call(store.get_by_ids, ["a" * 600]) == []
    assert await call(store.delete, ["a" * 600]) is True


async def test_equal_ids_in_other_spaces_and_scopes_are_other_documents(brain, call):
    stores = [
        OneBrainVectorStore(EMBEDDING, brain=brain, space="one"),
        OneBrainVectorStore(EMBEDDING, brain=brain, space="two"),
        OneBrainVectorStore(EMBEDDING, brain=brain, space="two", scope={"user": "maria"}),
        OneBrainVectorStore(EMBEDDING, brain=brain, space="two", scope={"user": "mario"}),
    ]
    for place, store in enumerate(stores):
        await call(store.add_texts, [f"text {place}"], ids=["1"])
    for place, store in enumerate(stores):
        (document,) = await call(store.get_by_ids, ["1"])
        assert document.page_content == f"text {place}"
    await call(stores[2].delete, ["1"])
    assert await call(stores[2].similarity_search, "text", k=9) == []
    assert [len(await call(store.get_by_ids, ["1"])) for store in stores] == [1, 1, 0, 1]
    # Whoever looks at the whole space sees the documents of all its users, and can remove them by what it sees.
    seen = ids(await call(stores[1].similarity_search, "text", k=9))
    assert len(seen) == 2
    await call(stores[1].delete, seen)
    assert await call(stores[3].get_by_ids, ["1"]) == []


async def test_a_memory_that_was_stored_otherwise_is_a_document_of_its_space(brain, store, call):
    brain.store(
        "by hand", id="raw", scope=Scope(space="langchain"), embedding=EMBEDDING.embed_query("by hand")
    )
    assert ids(await call(store.similarity_search, "by hand", k=1)) == ["raw"]
    assert ids(await call(store.get_by_ids, ["raw"])) == ["raw"]
    await call(store.delete, ["raw"])
    assert await call(store.get_by_ids, ["raw"]) == []


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"n": 3}, [3]),
        ({"n": {"$gte": 10}}, [10, 11]),
        ({"n": {"$in": [1, 99]}}, [1]),
        ({"$or": [{"n": 1}, {"n": 2}]}, [1, 2]),
        ({"even": True, "n": {"$lt": 5}}, [0, 2, 4]),
        ({"deep.tag": "t0", "n": {"$gt": 3}}, [6, 9]),
        (F("n").ge(5) & ~F("even").eq(True), [5, 7, 9, 11]),
        ({"missing": {"$exists": True}}, []),
        (None, list(range(12))),
    ],
)
async def test_filters_keep_what_matches(store, call, filter, expected):
    await call(store.add_documents, DOCUMENTS)
    found = await call(store.similarity_search, "note", k=50, filter=filter)
    assert sorted(int(document.id) for document in found) == expected
    hybrid = await call(store.similarity_search, "note", k=50, filter=filter, search_mode="hybrid")
    assert {int(document.id) for document in hybrid} <= set(expected)


async def test_deleting_by_filter_removes_exactly_what_matches(store, call):
    await call(store.add_documents, DOCUMENTS)
    await call(store.delete, filter={"even": True})
    assert sorted(map(int, ids(await call(store.similarity_search, "note", k=50)))) == [1, 3, 5, 7, 9, 11]
    await call(store.delete, delete_all=True)
    assert await call(store.similarity_search, "note", k=50) == []


@pytest.mark.parametrize("arguments", [{}, {"ids": None}, {"ids": ["1"], "delete_all": True}])
async def test_deleting_without_saying_what_is_an_error(store, call, arguments):
    await call(store.add_documents, DOCUMENTS)
    with pytest.raises(ValueError, match="delete_all"):
        await call(store.delete, **arguments)
    assert len(await call(store.similarity_search, "note", k=50)) == 12


async def test_deleting_no_ids_deletes_nothing(store, call):
    await call(store.add_documents, DOCUMENTS)
    assert await call(store.delete, []) is True
    assert len(await call(store.similarity_search, "note", k=50)) == 12


async def test_scores_are_relevance_and_thresholds_apply(store, call):
    await call(store.add_documents, DOCUMENTS)
    scored = await call(store.similarity_search_with_score, "note 7", k=12)
    scores = [score for _, score in scored]
    assert scored[0][0].id == "7"
    assert scores[0] == pytest.approx(1, abs=1e-5)
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    relevant = await call(store.similarity_search_with_relevance_scores, "note 7", k=12, score_threshold=0.99)
    assert [document.id for document, _ in relevant] == ["7"]
    assert ids(await call(store.similarity_search, "note 7", k=12, min_score=0.99)) == ["7"]


async def test_vectors_search_like_the_text_that_they_stand_for(store, call):
    await call(store.add_documents, DOCUMENTS)
    vector = EMBEDDING.embed_query("note 4")
    assert ids(await call(store.similarity_search_by_vector, vector, k=3)) == ids(
        await call(store.similarity_search, "note 4", k=3)
    )
    filtered = await call(store.similarity_search_by_vector, vector, k=3, filter={"even": False})
    assert all(not document.metadata["even"] for document in filtered)


@pytest.mark.parametrize("lambda_mult", [0.0, 0.3, 0.5, 1.0])
async def test_diverse_search_chooses_what_langchains_own_store_chooses(store, call, lambda_mult):
    await call(store.add_documents, DOCUMENTS)
    theirs = InMemoryVectorStore(EMBEDDING)
    theirs.add_documents(DOCUMENTS)
    options = {"k": 4, "fetch_k": 9, "lambda_mult": lambda_mult}
    ours = await call(store.max_marginal_relevance_search, "note 2", **options)
    # Negative cosines are all 0 as scores, so only candidates above that come in one order in both stores.
    candidates = theirs.similarity_search_with_score("note 2", k=9)
    if all(score > 0 for _, score in candidates):
        assert ids(ours) == ids(theirs.max_marginal_relevance_search("note 2", **options))
    assert ours[0].id == "2"
    assert len(set(ids(ours))) == 4
    vector = EMBEDDING.embed_query("note 2")
    assert ids(await call(store.max_marginal_relevance_search_by_vector, vector, **options)) == ids(ours)


def test_diversity_is_chosen_as_langchain_chooses_it():
    from langchain_core.embeddings import Embeddings

    vectors = {"q": [1.0, 0.1], "a": [1.0, 0.0], "b": [0.99, 0.05], "c": [0.5, 0.8], "d": [0.2, 1.0]}

    class Fixed(Embeddings):
        def embed_documents(self, texts):
            return [vectors[text] for text in texts]

        def embed_query(self, text):
            return vectors[text]

    ours = OneBrainVectorStore(Fixed(), brain=reference_brain())
    theirs = InMemoryVectorStore(Fixed())
    for store in (ours, theirs):
        store.add_texts(list("abcd"), ids=list("abcd"))
    for weight in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        options = {"k": 3, "fetch_k": 4, "lambda_mult": weight}
        assert ids(ours.max_marginal_relevance_search("q", **options)) == ids(
            theirs.max_marginal_relevance_search("q", **options)
        )


async def test_the_brain_makes_the_vectors_where_no_embedding_is_given(call):
    with onebrain.connect("sqlite://") as brain:
        store = OneBrainVectorStore(brain=brain)
        assert store.embeddings is None
        await call(
            store.add_texts, ["Maria likes the window", "The train leaves at nine", "Pasta needs salt"]
        )
        (first, *_) = await call(store.similarity_search, "which seat does Maria like?", k=2)
        assert first.page_content == "Maria likes the window"
        diverse = await call(store.max_marginal_relevance_search, "window seat", k=2)
        assert len(diverse) == 2


async def test_the_brain_makes_the_vectors_where_it_takes_none(call):
    from dataclasses import replace

    brain = reference_brain(replace(REFERENCE, embeddings=False))
    store = OneBrainVectorStore(EMBEDDING, brain=brain)
    await call(store.add_texts, ["window seats", "aisle"])
    assert [d.page_content for d in await call(store.similarity_search, "window", k=2)] == ["window seats"]
    with pytest.raises(onebrain.Unsupported, match="vectors"):
        await call(store.similarity_search_by_vector, [1.0] * 8)


async def test_vectors_of_another_dimension_are_refused(store, call):
    await call(store.add_documents, DOCUMENTS)
    other = OneBrainVectorStore(DeterministicFakeEmbedding(size=5), brain=store._connection.sync)
    with pytest.raises(onebrain.EmbedderMismatch, match="8") as caught:
        await call(other.add_texts, ["x"])
    assert "5" in str(caught.value)


async def test_batches_report_progress_and_failures_say_what_was_stored(store, call):
    seen = []
    added = await call(store.add_texts, [f"t{n}" for n in range(10)], batch_size=4, on_progress=seen.append)
    assert seen == [4, 8, 10]
    assert len(set(added)) == 10
    with pytest.raises(OneBrainValidationError) as caught:
        await call(
            store.add_texts,
            ["a", "b", "c"],
            [{}, {"n": float("nan")}, {}],
            ids=["a", "b", "c"],
        )
    assert "position 1" in caught.value.__notes__[0]
    with pytest.raises(OneBrainValidationError, match="metadatas"):
        await call(store.add_texts, ["a"], [{}, {}])
    with pytest.raises(OneBrainValidationError, match="ids"):
        await call(store.add_texts, ["a"], ids=["1", "2"])


async def test_it_is_made_from_texts_and_documents(brain, call):
    store = await call(
        OneBrainVectorStore.from_texts,
        ["a", "b"],
        EMBEDDING,
        [{"n": 1}, {"n": 2}],
        ids=["1", "2"],
        brain=brain,
    )
    assert (await call(store.get_by_ids, ["2"]))[0].metadata == {"n": 2}
    store = await call(OneBrainVectorStore.from_documents, DOCUMENTS, EMBEDDING, brain=brain, space="docs")
    assert len(await call(store.get_by_ids, ids(DOCUMENTS))) == 12


@pytest.mark.parametrize(
    "options",
    [
        {"search_kwargs": {"k": 3}},
        {"search_type": "mmr", "search_kwargs": {"k": 3, "fetch_k": 6}},
        {"search_type": "similarity_score_threshold", "search_kwargs": {"k": 3, "score_threshold": 0.0}},
    ],
)
async def test_it_is_a_retriever(store, call, options):
    await call(store.add_documents, DOCUMENTS)
    retriever = store.as_retriever(**options)
    documents = await call(retriever.invoke, "note 5")
    assert len(documents) == 3
    assert documents[0].id == "5"
    assert len(await call(retriever.invoke, "note 5", filter={"n": 5})) == 1


async def test_langchains_indexing_keeps_it_in_step_with_a_source(store, call):
    records = InMemoryRecordManager("test")
    records.create_schema()
    sources = [Document(f"page {n}", metadata={"source": f"s{n}"}) for n in range(3)]
    run = aindex if call.asynchronous else index

    async def step(documents):
        result = run(documents, records, store, cleanup="full", source_id_key="source", key_encoder="sha256")
        result = await result if run is aindex else result
        return result["num_added"], result["num_skipped"], result["num_deleted"]

    assert await step(sources) == (3, 0, 0)
    assert await step(sources) == (0, 3, 0)
    assert await step([sources[0], Document("page new", metadata={"source": "s1"})]) == (1, 1, 2)
    found = await call(store.similarity_search, "page", k=10)
    assert sorted(document.page_content for document in found) == ["page 0", "page new"]


@pytest.mark.parametrize("method", ["similarity_search", "add_texts", "delete"])
async def test_an_unknown_argument_is_an_error(store, call, method):
    with pytest.raises(TypeError, match="filters"):
        await call(getattr(store, method), ["x"] if method != "similarity_search" else "x", filters={"n": 1})


async def test_a_wrong_filter_is_an_error(store, call):
    with pytest.raises(OneBrainValidationError, match="operator"):
        await call(store.similarity_search, "x", filter={"n": {"$near": 1}})
    with pytest.raises(OneBrainValidationError, match="filter"):
        await call(store.similarity_search, "x", filter=lambda document: True)


def test_options_must_make_sense(brain):
    with pytest.raises(onebrain.ConfigurationError, match="Embeddings"):
        OneBrainVectorStore("text-embedding", brain=brain)
    with pytest.raises(onebrain.ConfigurationError, match="differ"):
        OneBrainVectorStore(brain=brain, space="a", scope=Scope(space="b"))
    with pytest.raises(onebrain.ConfigurationError, match="batch_size"):
        OneBrainVectorStore(brain=brain, batch_size=0)
    with pytest.raises(onebrain.ConfigurationError, match="not both"):
        OneBrainVectorStore(brain=brain, url="sqlite://")


async def test_an_index_shares_its_documents_with_the_store_of_its_space(brain, call):
    index = OneBrainIndex(brain=brain, space="shared", embedding=EMBEDDING, k=2)
    store = OneBrainVectorStore(EMBEDDING, brain=brain, space="shared")
    await call(index.upsert, DOCUMENTS)
    assert ids(await call(store.get_by_ids, ["3"])) == ["3"]
    assert ids(await call(index.invoke, "note 3"))[0] == "3"
    assert len(await call(index.invoke, "note 3", k=5, filter={"even": True})) == 5
    assert (await call(index.delete, ["3", "x"]))["succeeded"] == ["3"]


@pytest.mark.parametrize("extra", [-1, 1])
async def test_a_model_that_returns_another_number_of_vectors_stores_nothing(extra):
    class Odd(Embeddings):
        def embed_documents(self, texts):
            return [[float(n), 1.0] for n in range(len(texts) + extra)]

        def embed_query(self, text):
            return [0.0, 1.0]

    with onebrain.connect("sqlite://") as brain:
        store = OneBrainVectorStore(Odd(), brain=brain, space="s")
        with pytest.raises(onebrain.ConfigurationError, match="Odd must return one list"):
            store.add_texts(["one", "two", "three"])
        with pytest.raises(onebrain.ConfigurationError, match="Odd must return one list"):
            await store.aadd_texts(["one", "two", "three"])
        assert brain.count() == 0

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from pydantic import ValidationError

import onebrain
from onebrain import F, Scope
from onebrain_langchain import OneBrainLoader, OneBrainRetriever


@pytest.fixture
def brain(brain):
    for user in ("maria", "mario"):
        for year in range(2020, 2026):
            brain.store(
                f"{user} likes window seats in {year}",
                id=f"{user}-{year}",
                scope=Scope(user=user, session=str(year)),
                metadata={"year": year},
                created_at=datetime(year, 1, 1, tzinfo=UTC),
                tags=["seat"],
            )
    return brain


async def found(call, retriever, query="window seats", **options):
    return sorted(document.id for document in await call(retriever.invoke, query, **options))


async def test_every_option_works_at_construction_and_in_a_call(brain, call):
    plain = OneBrainRetriever(brain=brain, k=50)
    cases = [
        ({"scope": Scope(user="maria"), "filter": {"year": {"$gte": 2024}}}, ["maria-2024", "maria-2025"]),
        ({"scope": {"user": "maria"}, "filter": F("year").eq(2020)}, ["maria-2020"]),
        ({"scope": Scope(user="mario", session="2021")}, ["mario-2021"]),
        ({"filter": F.tags.contains("bed")}, []),
        ({"k": 0}, []),
        ({"search_mode": "keyword", "filter": {"year": 2023}}, ["maria-2023", "mario-2023"]),
    ]
    for options, expected in cases:
        assert await found(call, plain, **options) == expected
        own = OneBrainRetriever(**{"brain": brain, "k": 50, **options})
        assert await found(call, own) == expected


async def test_a_scope_of_a_call_keeps_what_it_leaves_open(brain, call):
    retriever = OneBrainRetriever(brain=brain, scope=Scope(user="maria"))
    assert await found(call, retriever, scope=Scope(session="2021")) == ["maria-2021"]


async def test_a_search_by_words_alone_is_said_where_vectors_were_asked_for(call, recwarn):
    own, rest = Scope(space="own"), Scope(space="rest")
    with onebrain.connect("sqlite://") as brain:
        brain.store("window seats", scope=own, embedding=[1.0, 0.0])
        brain.store("aisle seats", scope=rest)
        retriever = OneBrainRetriever(brain=brain)
        for options, count in (({"scope": own}, 1), ({}, 2)):
            with pytest.warns(UserWarning, match="another embedder.*'own'"):
                assert len(await found(call, retriever, "seats", **options)) == count
        assert len(await found(call, retriever, "seats", search_mode="keyword")) == 2
        assert len(await found(call, retriever, "seats", scope=rest)) == 1
    assert not list(recwarn)


async def test_top_k_is_k(brain, call):
    assert OneBrainRetriever(brain=brain, top_k=3).k == 3
    assert len(await found(call, OneBrainRetriever(brain=brain, top_k=3))) == 3
    assert len(await found(call, OneBrainRetriever(brain=brain), top_k=2)) == 2
    with pytest.raises(ValidationError, match="same option"):
        OneBrainRetriever(brain=brain, k=2, top_k=3)
    with pytest.raises(TypeError, match="same option"):
        await found(call, OneBrainRetriever(brain=brain), k=1, top_k=2)


async def test_a_document_says_what_is_known_about_the_memory(brain, call):
    brain.store("only this one", id="own", metadata={"score": "mine", "year": 1}, title="T", source="chat")
    retriever = OneBrainRetriever(brain=brain, k=1)
    (document,) = await call(retriever.invoke, "window seats", scope=Scope(user="maria", session="2020"))
    assert document.metadata["created_at"] == "2020-01-01T00:00:00+00:00"
    assert document.metadata["year"] == 2020
    assert 0 < document.metadata["score"] <= 1
    assert document.metadata["tags"] == ["seat"]
    assert (document.metadata["user"], document.metadata["session"]) == ("maria", "2020")
    (document,) = await call(retriever.invoke, "only this one", filter={"year": 1})
    # The caller's key is never hidden.
    assert document.metadata["score"] == "mine"
    assert (document.metadata["title"], document.metadata["source"]) == ("T", "chat")


async def test_min_score_leaves_out_what_is_worse(brain, call):
    retriever = OneBrainRetriever(brain=brain, k=50, min_score=0.5)
    documents = await call(retriever.invoke, "maria window 2023")
    assert documents
    assert all(document.metadata["score"] >= 0.5 for document in documents)


async def test_a_misspelt_option_is_an_error(brain, call):
    with pytest.raises(TypeError, match="limit"):
        await call(OneBrainRetriever(brain=brain).invoke, "x", limit=3)
    with pytest.raises(ValidationError, match="limit"):
        OneBrainRetriever(brain=brain, limit=3)
    with pytest.raises(ValidationError, match="operator"):
        OneBrainRetriever(brain=brain, filter={"year": {"$near": 1}})
    with pytest.raises(onebrain.ConfigurationError):
        await call(OneBrainRetriever(brain=brain).invoke, "x", scope={"users": "maria"})


async def test_it_takes_an_async_brain_or_both(brain, call):
    for given in (brain.to_async(), (brain, brain.to_async())):
        assert len(await found(call, OneBrainRetriever(brain=given, k=2))) == 2


async def test_it_runs_in_batches_and_chains(brain):
    retriever = OneBrainRetriever(brain=brain, k=1)
    chain = retriever | (lambda documents: [document.id for document in documents])
    questions = ["maria 2020", "mario 2025"]
    assert [len(ids) for ids in chain.batch(questions)] == [1, 1]
    assert await chain.abatch(questions) == chain.batch(questions)


async def test_traces_name_the_retriever(brain, call):
    class Handler(BaseCallbackHandler):
        seen = None

        def on_retriever_start(self, serialized, query, *, metadata=None, **kwargs):
            self.seen = metadata

    handler = Handler()
    await call(OneBrainRetriever(brain=brain).invoke, "x", {"callbacks": [handler]})
    assert handler.seen["ls_retriever_name"] == "onebrain"
    assert handler.seen["ls_vector_store_provider"] == "OneBrain"


async def test_a_loader_yields_every_memory(brain):
    brain.store_many([f"filler {n}" for n in range(450)]).raise_for_failures()
    loader = OneBrainLoader(brain=brain, order="sequence")
    assert [document.page_content for document in loader.load()][-450:] == [f"filler {n}" for n in range(450)]
    assert [document.id async for document in loader.alazy_load()] == [d.id for d in loader.lazy_load()]
    some = OneBrainLoader(
        brain=brain, scope={"user": "maria"}, filter={"year": {"$lt": 2022}}, order="-created_at", limit=1
    )
    (document,) = some.load()
    assert (document.id, document.metadata["year"]) == ("maria-2021", 2021)
    assert "score" not in document.metadata
    assert await some.aload() == [document]


async def test_superseded_memories_and_other_times(brain, call):
    scope = Scope(user="ewa")
    old = brain.store("Ewa lives in Gdynia", scope=scope, created_at=datetime(2021, 1, 1, tzinfo=UTC)).id
    new = brain.supersede(
        old, "Ewa lives in Utrecht", scope=scope, valid_from=datetime(2022, 1, 1, tzinfo=UTC)
    ).id
    retriever = OneBrainRetriever(brain=brain, scope=scope)
    assert await found(call, retriever, "Ewa lives") == [new]
    assert await found(call, retriever, "Ewa lives", at="2021-06-01") == [old]
    assert await found(call, retriever, "Ewa lives", include_superseded=True) == sorted([old, new])
    past = OneBrainRetriever(brain=brain, scope=scope, at=datetime(2021, 6, 1), include_superseded=True)
    (document,) = await call(past.invoke, "Ewa lives")
    assert document.metadata["superseded_by"] == new
    (document,) = await call(retriever.invoke, "Ewa lives")
    assert document.metadata["valid_from"] == "2022-01-01T00:00:00+00:00"

"""The same calls on SQLite, on PostgreSQL, encrypted and not, and on the reference driver: the same answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onebrain import Brain, F, NewMemory, Scope
from onebrain.errors import OneBrainError
from onebrain.memory.filters import Filter
from onebrain.testing.reference import reference_brain
from onebrain_engine import Engine
from onebrain_engine.driver import EngineDriver, driver

KEY = "00ff" * 16
START = datetime(2024, 1, 1, tzinfo=UTC)

# Words that no stemmer changes and no list of stop words holds, so that every driver finds the same memories by them.
WORDS = ("lamp", "river", "piano", "kiwi", "tulip", "amber", "cobalt", "zebra")
HARD = "\0\x10\x100'%\\\"é🪟"

words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
parts = st.none() | st.sampled_from(("a", "b", "c\0d"))
scopes = st.builds(
    Scope, space=parts, user=parts, agent=st.none() | st.just("bot"), session=st.none() | st.just("s")
)
ids = st.sampled_from([f"id{n}" for n in range(12)] + [f"id{HARD}"])
values = st.sampled_from((1, 2, 2.5, True, None, "x", "X", f"y{HARD}", ["x", 1], {"k": "v"}))
metadata = st.dictionaries(st.sampled_from(("n", "m", f"key{HARD}")), values, max_size=2)
moments = st.none() | st.integers(0, 5).map(lambda day: START + timedelta(days=day))
tags = st.lists(st.sampled_from(("red", "blue", HARD)), max_size=2, unique=True)

memories = st.fixed_dictionaries(
    {
        "id": ids,
        "content": words | words.map(lambda text: f"{text} {HARD}"),
        "scope": scopes,
        "tags": tags,
        "metadata": metadata,
        "importance": st.none() | st.sampled_from((0.0, 0.25, 1.0)),
        "archived": st.booleans(),
        "created_at": moments,
        "title": st.none() | words,
        "type": st.none() | st.just("fact"),
        "source": st.none() | st.just(f"chat{HARD}"),
    }
)


def filters() -> st.SearchStrategy[Filter]:
    comparisons = st.one_of(
        st.builds(lambda value: F("n").eq(value), values),
        st.builds(lambda value: F("n").ne(value), values),
        st.builds(lambda value: F("n").ge(value), st.sampled_from((1, 2.5))),
        st.builds(lambda value: F("m").in_([value, 1]), values),
        st.just(F("m").exists()),
        st.builds(lambda tag: F("$tags").contains(tag), st.sampled_from(("red", HARD))),
        st.builds(lambda moment: F("$created_at").lt(moment), moments.filter(bool)),
        st.just(F("$type").eq("fact")),
        st.builds(lambda word: F("$content").contains(word), st.sampled_from(WORDS)),
    )
    return st.recursive(
        comparisons,
        lambda inner: st.one_of(
            st.builds(lambda a, b: a & b, inner, inner),
            st.builds(lambda a, b: a | b, inner, inner),
            st.builds(lambda a: ~a, inner),
        ),
        max_leaves=3,
    )


Call = Callable[[Brain], Any]
optional_filters = st.none() | filters()
orders = st.sampled_from(("created_at", "-created_at", "importance", "-importance", "sequence", "-sequence"))


def facts(memory: Any) -> tuple[Any, ...]:
    """Return all of a memory but the times of this machine."""
    return (
        memory.id, memory.content, memory.scope, memory.title, memory.type, memory.tags, memory.metadata,
        memory.importance, memory.source, memory.pinned, memory.archived,
    )  # fmt: skip


def store(items: Sequence[dict[str, Any]]) -> Call:
    # A moment of this machine is different on each driver: every memory gets one of its own.
    given = [NewMemory(**{**item, "created_at": item["created_at"] or START}) for item in items]
    return lambda brain: [(result.id, result.status) for result in brain.store_many(given)]


def update(id: str, scope: Scope, fields: dict[str, Any]) -> Call:
    return lambda brain: facts(brain.update(id, scope=scope, **fields))


def listed(scope: Scope, filter: Filter | None, order: Any, limit: int, archived: bool) -> Call:
    def call(brain: Brain) -> Any:
        found: list[Any] = []
        cursor = None
        while True:
            page = brain.page(
                scope=scope, filter=filter, order=order, limit=limit, cursor=cursor, include_archived=archived
            )
            found.append(([facts(memory) for memory in page.data], page.meta.total))
            cursor = page.meta.cursor
            if not page.meta.has_more:
                return found

    return call


def searched(query: str | None, scope: Scope, filter: Filter | None, archived: bool) -> Call:
    def call(brain: Brain) -> Any:
        found = brain.search(
            query, scope=scope, filter=filter, mode="keyword", include_archived=archived, limit=200
        )
        # How well a memory matches is each driver's own affair; which ones match is not, nor the order without a query.
        hits = [facts(hit.memory) for hit in found]
        return hits if query is None else sorted(hits, key=repr)

    return call


calls = st.one_of(
    st.builds(store, st.lists(memories, min_size=1, max_size=6)),
    st.builds(store, st.lists(memories, min_size=1, max_size=6)),
    st.builds(
        update,
        ids,
        scopes,
        st.fixed_dictionaries(
            {},
            optional={
                "content": words,
                "metadata": metadata,
                "tags": tags,
                "archived": st.booleans(),
                "importance": st.sampled_from((0.0, 0.5)),
                "title": st.none() | words,
                "source": st.none() | st.just("mail"),
            },
        ).filter(bool),
    ),
    st.builds(lambda id, scope: lambda brain: brain.delete(id, scope=scope), ids, scopes),
    st.builds(
        lambda filter, scope, dry: (
            lambda brain: sorted(brain.forget(filter=filter, scope=scope, dry_run=dry).ids)
        ),
        filters(),
        scopes,
        st.booleans(),
    ),
    st.builds(lambda id, scope: lambda brain: facts(brain.get(id, scope=scope)), ids, scopes),
    st.builds(listed, scopes, optional_filters, orders, st.integers(1, 8), st.booleans()),
    st.builds(
        lambda scope, filter, archived: (
            lambda brain: brain.count(scope=scope, filter=filter, include_archived=archived)
        ),
        scopes,
        optional_filters,
        st.booleans(),
    ),
    st.builds(searched, st.none() | words, scopes, optional_filters, st.booleans()),
)


def outcome(call: Call, brain: Brain) -> Any:
    """Return what a call returns, or the kind of error that it raises."""
    try:
        return call(brain)
    except OneBrainError as error:
        return type(error)


@pytest.fixture(scope="module")
def new_brains(postgres, postgres_url, connect_large) -> Iterator[Callable[..., dict[str, Brain]]]:
    """Return a maker of fresh brains on all drivers: new tenants on the same engines, and one on the database's indexes."""
    numbers = itertools.count()
    large: list[Brain] = []
    drivers = {
        "sqlite": driver("sqlite://"),
        "sqlite, encrypted": driver("sqlite://", encryption_key=KEY),
        "postgresql": driver(postgres_url),
        "postgresql, encrypted": driver(postgres.new_database(), encryption_key=KEY),
    }

    def make(*, embedder: bool = False, large: list[Brain] = large) -> dict[str, Brain]:
        while large:
            large.pop().close()
        tenant = f"congruence-{next(numbers)}"
        brains: dict[str, Brain] = {}
        for name, opened in drivers.items():
            engine = opened.engine if embedder else Engine(opened.engine.store, embedder=None)
            brains[name] = Brain(EngineDriver(engine, engine.tenant(tenant), service=name))
        # Scores differ where statistics do.
        if not embedder:
            more = {"indexes": False, "embedder": None}
            large.append(connect_large(postgres_url, next(numbers) % 3, f"{tenant}-large", **more))
            brains["postgresql, large"] = large[0]
        return brains

    yield make
    for opened in [*drivers.values(), *large]:
        opened.close()


quick = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@quick
@given(sequence=st.lists(calls, min_size=3, max_size=14))
def test_the_same_calls_have_the_same_outcome_on_every_driver(new_brains, sequence):
    brains, reference = new_brains(), reference_brain()
    for call in sequence:
        expected = outcome(call, reference)
        for name, brain in brains.items():
            assert (name, outcome(call, brain)) == (name, expected)


vectors = st.lists(st.floats(-1, 1, width=32).filter(lambda x: abs(x) > 1e-3), min_size=3, max_size=3).map(
    tuple
)


@quick
@given(
    stored=st.lists(st.tuples(memories, vectors), min_size=1, max_size=20),
    query=vectors,
    limit=st.integers(1, 10),
)
def test_vectors_of_the_callers_own_are_ranked_alike(new_brains, stored, query, limit):
    items = [
        NewMemory(**{**memory, "id": f"id{n}"}, embedding=vector) for n, (memory, vector) in enumerate(stored)
    ]
    brains = {**new_brains(), "reference": reference_brain()}
    ranked: dict[str, list[float]] = {}
    kept: dict[str, list[Any]] = {}
    for name, brain in brains.items():
        brain.store_many(items).raise_for_failures()
        hits = brain.search(
            embedding=query, mode="vector", limit=limit, include_archived=True, with_embeddings=True
        )
        ranked[name] = [hit.score for hit in hits]
        kept[name] = [(hit.id, hit.memory.embedding) for hit in hits]
    assert ranked["sqlite"] == pytest.approx(ranked.pop("reference"), abs=1e-5)
    for name, scores in ranked.items():
        assert kept[name] == kept["sqlite"]
        assert scores == pytest.approx(ranked["sqlite"], abs=1e-6)


SENTENCES = (
    "Maria: I moved to Porto in March 2023", "Maria: my cat is called Tofu", "Jon: where do you work now?",
    "Maria: I work at the harbour, in a small office", "Jon: I bought a red bicycle last week",
    "Jon: the bicycle has three gears", "Maria: we should cycle along the river", "Jon: on Sunday I play the piano",
    "The train to Lisbon leaves at nine", "Water the plants on Friday", "Tofu does not like the rain",
)  # fmt: skip
QUESTIONS = (
    "When did Maria move?", "what is the name of Maria's cat", "Who bought a bicycle?", "how many gears", "piano",
    "plants and rain", "where does Maria work",
)  # fmt: skip


@pytest.fixture(scope="module")
def conversations(new_brains) -> dict[str, Brain]:
    brains = new_brains(embedder=True)
    for brain in brains.values():
        for session in range(3):
            brain.store_many(
                [
                    NewMemory(
                        id=f"{session}-{n}",
                        content=sentence,
                        scope=Scope(user="u", session=str(session)),
                        created_at=START + timedelta(days=session),
                    )
                    for n, sentence in enumerate(SENTENCES[session:])
                ]
            ).raise_for_failures()
    return brains


@pytest.mark.parametrize("mode", ["hybrid", "keyword", "vector"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_hits_and_scores_are_the_same_on_every_store(conversations, question, mode):
    found = {
        name: [(hit.id, hit.score) for hit in brain.search(question, mode=mode, limit=20)]
        for name, brain in conversations.items()
    }
    assert found["sqlite"]
    for hits in found.values():
        assert [id for id, _ in hits] == [id for id, _ in found["sqlite"]]
        assert [score for _, score in hits] == pytest.approx(
            [score for _, score in found["sqlite"]], abs=1e-6
        )

"""A selection that memories are added to: it answers as one that is made anew."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onebrain
from onebrain import F, NewMemory, Scope
from onebrain_engine import Engine, SqliteStore
from onebrain_engine.driver import EngineDriver
from onebrain_engine.index import growing, ranker
from onebrain_engine.index.growing import GrowingIndex
from onebrain_engine.index.ranking import (
    ForwardIndex,
    information,
    log_rarity,
    mean_information,
    means_of_rows,
    shares,
)

WORDS = [
    "harbour",
    "boiler",
    "window",
    "violin",
    "glacier",
    "ticket",
    "marathon",
    "seat",
    "wedding",
    "lighthouse",
]
rows = st.lists(st.dictionaries(st.integers(0, 9), st.integers(1, 5), max_size=5), min_size=1, max_size=12)


def forward(texts: list[dict[int, int]]) -> ForwardIndex:
    starts = np.cumsum([0, *map(len, texts)])
    terms = [term for text in texts for term in text]
    counts = [count for text in texts for count in text.values()]
    return ForwardIndex.of(starts, np.array(terms, np.int32), np.array(counts, np.uint16))


@given(rows, rows, st.lists(st.integers(-1, 12), unique=True, max_size=5))
@settings(max_examples=60, deadline=None)
def test_words_in_two_parts_are_those_of_one(old, new, query):
    whole, parts = forward(old + new), GrowingIndex(forward(old).inverted())
    for text in new:
        parts.add(np.array(list(text), np.int32), np.array(list(text.values()), np.uint16))
    terms = np.array(query, np.int64)

    def found(index):
        hits = index.hits(terms)
        held = zip(hits.term.tolist(), hits.row.tolist(), hits.count.tolist(), strict=True)
        return sorted(held), hits.frequency.tolist()

    assert parts.size == whole.size
    assert found(parts) == found(whole)
    sums = whole.sums(log_rarity(whole.frequency()))
    informative = mean_information(sums, shares(whole.lengths()), whole.size)
    assert np.allclose(parts.informative(), informative, atol=1e-6)
    starts = np.cumsum([0, *map(len, old + new)])
    rarities = information(whole.frequency(), whole.size)
    means = means_of_rows(starts, whole.terms, np.arange(whole.size), rarities)
    assert np.allclose(means, whole.informative(rarities), atol=1e-6)
    assert np.allclose(means, informative, atol=1e-6)


@pytest.mark.parametrize("latest", [1, 64])
def test_an_index_that_grows_answers_as_a_fresh_one(tmp_path, monkeypatch, latest):
    monkeypatch.setattr(growing, "_LATEST", latest)
    choose = random.Random(latest)

    def brain() -> onebrain.Brain:
        engine = Engine(SqliteStore(str(tmp_path / "brain.db")))
        return onebrain.Brain(EngineDriver(engine, engine.tenant(), service="sqlite"))

    def memory() -> NewMemory:
        label = choose.choice(["", "", "Maria: ", "Jon: "])
        user, session = choose.choice(["maria", "jon"]), choose.choice([None, None, "one", "two"])
        text = label + " ".join(choose.choices(WORDS, k=choose.randint(1, 7)))
        return NewMemory(
            content=text,
            scope=Scope(user=user, session=session),
            metadata={"n": choose.randrange(9)},
            archived=choose.random() < 0.1,
            importance=choose.choice([None, 0.2, 0.8]),
        )

    def answers(one: onebrain.Brain) -> list[object]:
        asked = [
            one.search("Maria and the window seat", mode=mode, scope=scope, filter=filter, limit=20)
            for mode in ("hybrid", "keyword")
            for scope, filter in (
                (Scope(), None),
                (Scope(user="maria"), None),
                (Scope(user="jon", session="one"), None),
                (Scope(), F("n").ge(4)),
            )
        ]
        listed = [
            list(one.list(order=order, limit=30)) for order in ("-created_at", "importance", "-sequence")
        ]
        return [
            *([(hit.id, round(hit.score, 4)) for hit in found] for found in asked),
            *([one.id for one in page] for page in listed),
            one.count(scope=Scope(user="maria"), filter=F("n").ge(4)),
        ]

    with brain() as living:
        living.store_many([memory() for _ in range(20)]).raise_for_failures()
        answers(living)
        for step in range(12):
            living.store_many([memory() for _ in range(choose.choice([1, 1, 2, 9]))]).raise_for_failures()
            if step % 3 == 0:
                with brain() as fresh:
                    assert answers(living) == answers(fresh)
            else:
                living.search(
                    "Maria and the window seat", scope=choose.choice([Scope(), Scope(user="maria")])
                )


def test_a_caller_may_change_the_metadata_that_it_was_given(tmp_path):
    with onebrain.connect(f"sqlite:///{tmp_path}/brain.db") as brain:
        brain.store("flat", metadata={"n": 1})
        brain.store("nested", metadata={"tags": ["a"], "of": {"n": 1}})
        brain.search("flat")
        for _ in range(3):
            nested, flat = brain.list()
            assert (nested.metadata, flat.metadata) == ({"tags": ["a"], "of": {"n": 1}}, {"n": 1})
            nested.metadata["tags"].append("b")
            nested.metadata["of"]["n"] = 2
            flat.metadata["n"] = 2


def test_a_change_beside_the_text_keeps_words_and_vector(tmp_path):
    """A changed memory takes its words and vector from the index, also from one that waits there, and from the store."""
    texts = [
        "Maria: I moved to Porto last week",
        "¿Dónde están las llaves de la casa?",
        "harbour " * 3,
        "no vector",
    ]
    with onebrain.connect(f"sqlite:///{tmp_path}/brain.db") as brain:
        for number, text in enumerate(texts):
            brain.store(text, id=str(number), embedding=False if text == "no vector" else None)
        brain.search("warm")
        brain.update("0", importance=0.5)
        brain.update("1", content="¿Dónde está la casa de Ana?")
        brain.update("1", pinned=True)
        brain.update("1", importance=0.1)
        brain.update("3", tags=["a"])
        brain.update("2", importance=0.3)
        with onebrain.connect(f"sqlite:///{tmp_path}/brain.db") as fresh:
            for query in ("where did Maria move?", "casa", "harbour", "vector"):
                for mode in ("hybrid", "keyword", "vector"):
                    seen = [
                        [(hit.id, round(hit.score, 5)) for hit in one.search(query, mode=mode)]
                        for one in (brain, fresh)
                    ]
                    assert seen[0] == seen[1]
            order = [[memory.id for memory in one.list(order="importance")] for one in (brain, fresh)]
            assert order[0] == order[1]


def test_a_small_part_of_a_large_space_answers_the_same_if_it_is_scored_alone(tmp_path, monkeypatch):
    choose = random.Random(5)
    monkeypatch.setattr(ranker, "FULL", 20)
    with onebrain.connect(f"sqlite:///{tmp_path}/brain.db") as brain:
        texts = [" ".join(choose.choices(WORDS, k=choose.randint(0, 6))) + " ." for _ in range(400)]
        brain.store_many(
            NewMemory(
                content=text,
                scope=Scope(session=choose.choice([None, "one", "two"])),
                metadata={"n": number % 6},
            )
            for number, text in enumerate(texts)
        ).raise_for_failures()

        def answers() -> list[object]:
            return [
                [
                    (hit.id, round(hit.score, 5))
                    for hit in brain.search(query, mode=mode, filter=F("n").eq(n), limit=5)
                ]
                for query in ("the window seat", "violin and glacier in the harbour", "unheard")
                for mode in ("hybrid", "keyword")
                for n in range(3)
            ]

        alone = answers()
        monkeypatch.setattr(ranker, "_SPARSE", 400)
        assert answers() == alone
        assert any(alone)

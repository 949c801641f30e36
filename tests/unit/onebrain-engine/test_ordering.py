"""Outside of sessions: words or meaning by evidence, the newer of two alike first, and the parts of each score."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onebrain
from onebrain import Scope
from onebrain_engine.index import ordering
from onebrain_engine.index.ordering import Top, reorder
from onebrain_engine.index.text import CHANGES, analyse

THEN = datetime(2025, 1, 1, tzinfo=UTC)
UPDATES = [
    ("Maria lives in Paris", "Maria moved to Berlin", "Where does Maria live?"),
    (
        "Priya's phone number is 555-0101",
        "Priya's new phone number is 555-0199",
        "What is Priya's phone number?",
    ),
    ("Raj's manager is Anne", "Raj's manager is now Victor", "Who is Raj's manager?"),
    ("The retention is 14 days", "The retention is 30 days", "How long is the retention?"),
]


@pytest.fixture(params=["in order", "reversed"])
def updated(request):
    """A brain with all of them; the order in which they are stored means nothing."""
    facts = [
        {"content": text, "created_at": THEN + timedelta(days=days)}
        for old, new, _ in UPDATES
        for text, days in ((old, 0), (new, 200))
    ]
    with onebrain.connect("sqlite://") as brain:
        brain.store_many(facts if request.param == "in order" else facts[::-1]).raise_for_failures()
        yield brain


@pytest.mark.parametrize(("old", "new", "question"), UPDATES)
def test_the_newer_fact_comes_first(updated, old, new, question):
    hits = updated.search(question)
    assert [hit.content for hit in hits[:2]] == [new, old]
    assert hits[0].score >= hits[1].score
    assert [hit.content for hit in updated.search(question, limit=1)] == [new]
    assert new in updated.context(question, max_tokens=60).text


def test_the_order_by_likeness_alone_can_be_had(updated):
    old, _, question = UPDATES[0]
    assert updated.search(question, prefer_newer=False)[0].content == old


@pytest.mark.parametrize("created", [None, THEN])
def test_facts_without_times_of_their_own_stay_in_order(created):
    old, new, question = UPDATES[0]
    with onebrain.connect("sqlite://") as brain:
        brain.store(old, created_at=created)
        brain.store(new, created_at=created)
        assert brain.search(question)[0].content == old


def test_turns_of_a_conversation_stay_in_order():
    old, new, question = UPDATES[2]
    with onebrain.connect("sqlite://") as brain:
        for days, text in ((0, old), (200, new)):
            brain.store(text, scope=Scope(session="chat"), created_at=THEN + timedelta(days=days))
        assert [hit.id for hit in brain.search(question)] == [
            hit.id for hit in brain.search(question, prefer_newer=False)
        ]


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("Raj's manager is now Victor", True),
        ("She no longer eats meat", True),
        ("They gave up the boat", True),
        ("He does not smoke any more", True),
        ("Jonna ist nach Rostock gezogen", True),
        ("Raj's manager is Anne", False),
        ("It takes longer than that", False),
    ],
)
def test_words_of_change(text, changes):
    assert bool(analyse(text).flags & CHANGES) is changes


tops = st.integers(0, 12).flatmap(
    lambda n: st.builds(
        lambda totals, days, outside, changes, held, seed: Top(
            np.sort(np.array(totals, np.float32))[::-1].copy(),
            np.array(days, np.int64) * 86_400_000_000,
            np.array(outside, bool),
            np.array(changes, bool),
            lambda: np.array(held, bool).reshape(n, 3),
            lambda: _units(n, seed),
        ),
        *(st.lists(values, min_size=n, max_size=n) for values in (
            st.floats(0, 3, width=32), st.integers(0, 20), st.booleans(), st.booleans(),
            st.lists(st.booleans(), min_size=3, max_size=3),
        )),
        st.integers(0, 1000),
    )
)  # fmt: skip


def _units(n, seed):
    vectors = np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if n else vectors


@given(tops, st.sampled_from([None, "latest", "earliest"]), st.booleans())
def test_the_order_is_whole_and_the_scores_descend(top, order, prefer_newer):
    before = top.totals.copy()
    moved, totals, ties = reorder(top, order=order, prefer_newer=prefer_newer)
    assert sorted(moved.tolist()) == list(range(len(top.totals)))
    keys = list(zip(totals.tolist(), ties.tolist(), strict=True))
    assert keys == sorted(keys, reverse=True)
    assert (top.totals == before).all()
    if order is None:
        assert (totals >= before[moved]).all()  # a newer one is raised, nothing is lowered
    if order is None and not prefer_newer:
        assert moved.tolist() == list(range(len(before)))


@given(tops)
def test_none_is_raised_but_a_newer_one_outside_of_sessions(top):
    moved, totals, _ = reorder(top, order=None, prefer_newer=True)
    for place, position in enumerate(moved.tolist()):
        if totals[place] > top.totals[position]:
            passed = [older for older in moved[place + 1 :].tolist() if older < position]
            assert top.outside[position]
            assert any(
                top.created[position] - top.created[older] >= ordering.APART
                and top.totals[older] - top.totals[position] <= ordering.GAP_CHANGED
                for older in passed
            )


def test_a_page_is_a_part_of_every_longer_one(updated):
    whole = [hit.id for hit in updated.search("What is the number of Maria's manager?", limit=8)]
    for limit in range(1, 8):
        found = [hit.id for hit in updated.search("What is the number of Maria's manager?", limit=limit)]
        assert found == whole[:limit]


@pytest.mark.parametrize("mode", ["hybrid", "keyword", "vector"])
def test_an_explanation_adds_up_to_its_score(updated, mode):
    updated.store("Maria: I went to Berlin last week.", scope=Scope(session="chat"))
    for question in [
        *(question for _, _, question in UPDATES),
        "When did Maria last move to Berlin in 2025?",
    ]:
        hits = updated.search(question, mode=mode, explain=True, now=THEN + timedelta(days=210))
        plain = updated.search(question, mode=mode, now=THEN + timedelta(days=210))
        assert [(hit.id, hit.score) for hit in hits] == [(hit.id, hit.score) for hit in plain]
        for hit in hits:
            total = hit.explanation.total
            assert sum(hit.explanation.parts.values()) == pytest.approx(total, abs=1e-5)
            x = 2 * (total - 1.25)
            expected = total if mode == "vector" else 0.5 + 0.5 * x / math.sqrt(1 + x * x)
            assert hit.score == pytest.approx(expected, abs=1e-5)
        assert all(hit.explanation is None for hit in plain)


def test_nothing_is_explained_where_nothing_is_asked(updated):
    assert all(hit.explanation is None for hit in updated.search(limit=3, explain=True))


class Table:
    """An embedder of three texts and of all others."""

    vectors = {"pump": (0.6, 0.8), "question": (0.4, 0.917), "filler": (0.0, 1.0)}  # noqa: RUF012

    def __init__(self, evidence_weight=None):
        if evidence_weight is not None:
            self.evidence_weight = evidence_weight

    def embed_query(self, text):
        return next((vector for word, vector in self.vectors.items() if word in text), (1.0, 0.0))

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]


@pytest.mark.parametrize(("weight", "first"), [(None, "pump"), (1, "pump"), (0, "question")])
def test_vectors_decide_where_words_tell_little(weight, first):
    """By the embedder's `evidence_weight`; 0 turns it off."""
    with onebrain.connect("sqlite://", embedder=Table(weight)) as brain:
        brain.store("The pump hangs there", id="pump")
        brain.store("Nobody knows in Chicago, a question of 3 inflated budgets", id="question")
        brain.store_many([f"filler {n}" for n in range(30)])
        query = "Where can one inflate a tyre, which place, what corner, whose shelf?"
        assert brain.search(query)[0].id == first


def test_talks_rank_as_before_beside_facts():
    """A memory without a session changes nothing about the scores of those that have one."""
    talk = [
        ("Jon: The boiler is loud.", "one"),
        ("Ana: Mine broke in winter.", "one"),
        ("Ana: Hello there.", "two"),
    ]
    scores = []
    for facts in ([], ["The cellar is dry"]):
        with onebrain.connect("sqlite://") as brain:
            for text, session in talk:
                brain.store(text, scope=Scope(session=session))
            brain.store_many(facts)
            hits = brain.search("heating trouble", explain=True)
            scores.append(
                {hit.content: hit.explanation.parts.get("vector") for hit in hits if hit.memory.scope.session}
            )
    assert scores[0] == pytest.approx(scores[1])

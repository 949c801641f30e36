"""Exact copies of a text are found, however many others are like it."""

from __future__ import annotations

from itertools import permutations

import pytest

import onebrain
from onebrain import Scope

EWA = Scope(user="ewa", session="one")
WORDS = ("tea", "milk", "bread", "rice")
LONG = "Minutes of the meeting. " * 100


def stores_nothing(brain, text, scope=EWA):
    return brain.store(text, scope=scope, dedupe="exact").status == "duplicate"


@pytest.mark.parametrize("embedder", ["wordllama", None])
def test_a_copy_is_found_behind_others_that_are_as_like(embedder):
    with onebrain.connect("sqlite://", embedder=embedder) as brain:
        lists = [" ".join(words) for words in permutations(WORDS)]
        minutes = [f"{LONG}{number}" for number in range(25)]
        signs = ["!" * number for number in range(1, 25)]
        brain.store_many([*lists, *minutes, *signs], scope=EWA).raise_for_failures()
        for text in (lists[0], lists[-1].upper(), minutes[0], minutes[-1] + "\n", signs[-1]):
            assert stores_nothing(brain, text)
        # Texts that the index has read only since.
        assert not stores_nothing(brain, "tea")
        assert stores_nothing(brain, "Tea.")


def test_a_copy_is_one_of_the_same_scope_that_holds():
    with onebrain.connect("sqlite://", embedder=None) as brain:
        others = [
            Scope(),
            Scope(user="ewa"),
            Scope(user="ewa", session="two"),
            Scope(user="ewa", session="one", agent="a"),
            Scope(space="s", user="ewa", session="one"),
        ]
        for scope in others:
            assert not stores_nothing(brain, "tea", scope)
        for scope in others:
            assert stores_nothing(brain, "Tea", scope)
        assert not stores_nothing(brain, "tea")
        [id] = [row.id for row in brain.list(scope=EWA) if row.scope == EWA]
        brain.update(id, archived=True, scope=EWA)
        assert not stores_nothing(brain, "tea")
        [id] = [row.id for row in brain.list(scope=EWA) if row.scope == EWA]
        brain.supersede(id, "coffee", scope=EWA)
        assert not stores_nothing(brain, "tea")
        brain.store("tea", id="own", scope=EWA, dedupe="exact")
        assert brain.store("TEA", id="own", scope=EWA, dedupe="exact").status in ("duplicate", "updated")

"""Tests that vectors of the caller are kept, searched, and never mixed with others."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from onebrain.errors import EmbedderMismatch, OneBrainValidationError, Unsupported
from onebrain.memory.brain import Brain
from onebrain.memory.models import Scope
from onebrain.testing.conformance.suite import Suite, ids, keep, keep_all, needs

SPACE = Scope(space="vectors")
VECTORS = {
    "north": [1.0, 0.0, 0.0, 0.0],
    "north by east": [0.9, 0.1, 0.0, 0.0],
    "east": [0.0, 1.0, 0.0, 0.0],
    "up": [0.0, 0.0, 1.0, 0.25],
}


class VectorSuite(Suite):
    """Tests of vectors that the caller supplies."""

    verb: ClassVar[str] = "vectors"

    def test_a_service_without_vectors_refuses_them(self, brain: Brain) -> None:
        if brain.capabilities.embeddings:
            assert keep(brain, "north", embedding=VECTORS["north"], scope=SPACE)
            return
        with pytest.raises(Unsupported):
            brain.store("north", embedding=VECTORS["north"])
        with pytest.raises(Unsupported):
            brain.search(embedding=VECTORS["north"])

    def test_the_nearest_vector_comes_first(self, brain: Brain) -> None:
        stored = _store(brain)
        for name, vector in VECTORS.items():
            hits = brain.search(embedding=vector, scope=SPACE, mode="vector")
            assert hits[0].id == stored[name]
            assert hits[0].score == pytest.approx(1, abs=1e-3)
            scores = [hit.score for hit in hits]
            assert scores == sorted(scores, reverse=True)
            assert all(0 <= score <= 1 for score in scores)
        hits = brain.search(embedding=VECTORS["north"], scope=SPACE, mode="vector", limit=2)
        assert ids(hits) == [stored["north"], stored["north by east"]]

    def test_a_vector_alone_searches_in_the_default_mode(self, brain: Brain) -> None:
        stored = _store(brain)
        assert brain.search(embedding=VECTORS["east"], scope=SPACE)[0].id == stored["east"]

    def test_an_opposite_vector_scores_within_the_range(self, brain: Brain) -> None:
        _store(brain)
        hits = brain.search(embedding=[-1.0, 0.0, 0.0, 0.0], scope=SPACE, mode="vector", limit=100)
        assert all(0 <= hit.score <= 1 for hit in hits)

    def test_vectors_come_back_only_when_asked_for(self, brain: Brain) -> None:
        stored = _store(brain)
        up = stored["up"]
        assert brain.get(up).embedding is None
        assert brain.search(embedding=VECTORS["up"], scope=SPACE)[0].memory.embedding is None
        with_vectors = [
            brain.get(up, with_embeddings=True),
            brain.get_many([up], with_embeddings=True)[0],
            brain.search(embedding=VECTORS["up"], scope=SPACE, with_embeddings=True)[0].memory,
        ]
        if brain.capabilities.list:
            assert {memory.embedding for memory in brain.list(scope=SPACE)} == {None}
            with_vectors += [
                memory for memory in brain.list(scope=SPACE, with_embeddings=True) if memory.id == up
            ]
        for memory in with_vectors:
            assert memory.embedding is not None
            assert len(memory.embedding) == 4
            # A service may scale a vector to length one, but must keep its direction.
            norm = sum(number**2 for number in memory.embedding) ** 0.5
            assert [number / norm for number in memory.embedding] == pytest.approx(
                [0, 0, 0.970142, 0.242536], abs=1e-3
            )

    def test_a_vector_of_another_dimension_is_refused_and_both_are_named(self, brain: Brain) -> None:
        _store(brain)
        with pytest.raises(EmbedderMismatch, match=r"(?s)(\b4\b.*\b3\b|\b3\b.*\b4\b)"):
            brain.store("too short", embedding=[1.0, 0.0, 0.0], scope=SPACE)
        with pytest.raises(EmbedderMismatch, match=r"(?s)(\b4\b.*\b3\b|\b3\b.*\b4\b)"):
            brain.search(embedding=[1.0, 0.0, 0.0], scope=SPACE, mode="vector")
        assert len(brain.search(embedding=VECTORS["up"], scope=SPACE, limit=100)) == 4

    def test_spaces_may_differ_in_dimension(self, brain: Brain) -> None:
        _store(brain)
        other = Scope(space="short vectors")
        id = keep(brain, "short", embedding=[0.0, 1.0], scope=other)
        assert ids(brain.search(embedding=[0.0, 1.0], scope=other)) == [id]

    def test_new_vectors_replace_old_ones(self, brain: Brain) -> None:
        needs(brain, "update")
        stored = _store(brain)
        brain.update(stored["east"], embedding=[0.0, 0.0, -1.0, 0.0], scope=SPACE)
        hits = brain.search(embedding=[0.0, 0.0, -1.0, 0.0], scope=SPACE, mode="vector")
        assert hits[0].id == stored["east"]

    def test_a_memory_may_have_no_vector_among_others_that_have_one(self, brain: Brain) -> None:
        needs(brain, "embeddings", "list")
        bare = [keep(brain, "said first", embedding=False, scope=SPACE)]
        stored = _store(brain)
        bare.append(keep(brain, "said last", embedding=False, scope=SPACE))
        assert sorted(memory.id for memory in brain.list(scope=SPACE)) == sorted([*bare, *stored.values()])
        assert (
            brain.search(embedding=VECTORS["up"], scope=SPACE, mode="vector", limit=1)[0].id == stored["up"]
        )
        assert [brain.get(id, with_embeddings=True).embedding for id in bare] == [None, None]
        assert bare[1] in ids(brain.search("said last", scope=SPACE, mode="keyword"))

    def test_a_vector_may_be_taken_away_and_given_again(self, brain: Brain) -> None:
        needs(brain, "update")
        stored = _store(brain)
        brain.update(stored["up"], embedding=False, scope=SPACE)
        assert brain.get(stored["up"], with_embeddings=True).embedding is None
        hits = brain.search(embedding=VECTORS["up"], scope=SPACE, mode="vector")
        assert all(hit.score == 0 for hit in hits if hit.id == stored["up"])
        brain.update(stored["up"], embedding=VECTORS["up"], scope=SPACE)
        assert brain.search(embedding=VECTORS["up"], scope=SPACE, mode="vector")[0].id == stored["up"]

    def test_what_points_away_from_the_query_is_found_in_the_order_of_the_angle(self, brain: Brain) -> None:
        needs(brain, "embeddings")
        items = [{"content": str(n), "embedding": [-1.0, n / 10, 0.0, 0.0]} for n in (3, 1, 4, 2, 0)]
        stored = keep_all(brain, items, scope=SPACE)
        hits = brain.search(embedding=[1.0, 0.0, 0.0, 0.0], scope=SPACE, mode="vector", limit=3)
        assert ids(hits) == [stored[2], stored[0], stored[3]]

    @pytest.mark.parametrize(
        "vector", [[], [float("nan"), 1.0], [float("inf"), 0.0], [1e39, 0.0], ["a"], 7], ids=str
    )
    def test_what_is_no_vector_is_refused(self, brain: Brain, vector: Any) -> None:
        needs(brain, "embeddings")
        with pytest.raises(OneBrainValidationError):
            brain.store("not a vector", embedding=vector)
        with pytest.raises(OneBrainValidationError):
            brain.search(embedding=vector)


def _store(brain: Brain) -> dict[str, str]:
    needs(brain, "embeddings")
    items = [{"content": name, "embedding": vector} for name, vector in VECTORS.items()]
    return dict(zip(VECTORS, keep_all(brain, items, scope=SPACE), strict=True))

"""Tests that `search` finds stored memories, ranks them from 1 down to 0, and reports whether more exist."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, get_args

import pytest

from onebrain.errors import OneBrainValidationError, Unsupported
from onebrain.memory.brain import Brain
from onebrain.memory.filters import F
from onebrain.memory.models import SearchMode
from onebrain.testing.conformance.suite import PAST, Suite, found, ids, keep, keep_all, needs, queries

MODES: tuple[SearchMode, ...] = get_args(SearchMode)

NOTES = [
    "The lighthouse keeper counts passing ships",
    "A lighthouse needs oil for its lamp",
    "Ships avoid the rocks below the lighthouse",
    "Maria prefers window seats on long flights",
    "The bakery on the corner opens at six",
    "Bread from the bakery is still warm at seven",
    "The garden needs water twice a week",
    "Tomatoes grow best beside the south wall",
]

ODD_QUERIES = [
    '"unbalanced quote',
    "lighthouse AND OR NOT NEAR(",
    "light* ^ - + : ( ) { } [ ] ~ @ # $ % & | \\ / ? ! ; ' `",
    "content:lighthouse",
    "' OR 1=1 --",
    "🪟 👩🏽‍🚀",
    "玛丽亚",
    "a\x00b",
    "the of and a",
    "?!.,",
    "%",
    "_",
    "x" * 10_000,
    "lighthouse " * 3_000,
]


class SearchSuite(Suite):
    """Tests of `search`, with and without a query."""

    verb: ClassVar[str] = "search"

    def test_nothing_is_found_in_an_empty_brain(self, brain: Brain) -> None:
        for query in queries(brain, "lighthouse"):
            result = brain.search(query)
            assert list(result) == []
            assert result.exhausted

    @pytest.mark.parametrize("mode", MODES)
    def test_each_declared_mode_finds_what_a_query_is_about(self, brain: Brain, mode: SearchMode) -> None:
        stored = keep_all(brain, NOTES)
        if mode not in brain.capabilities.modes:
            with pytest.raises(Unsupported):
                brain.search("bakery bread", mode=mode)
            return
        result = brain.search("bread from the bakery", mode=mode, limit=3)
        assert result[0].id == stored[5]
        assert result[0].content == NOTES[5]
        assert result[0].memory == brain.get(stored[5])

    def test_without_a_mode_the_best_one_is_used(self, brain: Brain) -> None:
        stored = keep_all(brain, NOTES)
        result = brain.search("lighthouse lamp oil")
        assert result[0].id == stored[1]
        assert result.mode in brain.capabilities.modes

    @pytest.mark.parametrize("mode", MODES)
    def test_scores_fall_from_one_towards_zero(self, brain: Brain, mode: SearchMode) -> None:
        if mode not in brain.capabilities.modes:
            pytest.skip(f"{brain.capabilities.service} declares modes={set(brain.capabilities.modes)}")
        keep_all(brain, NOTES)
        for query in ("lighthouse", "ships passing the lighthouse", "warm bread"):
            scores = [hit.score for hit in brain.search(query, mode=mode, limit=100)]
            assert scores
            assert scores == sorted(scores, reverse=True)
            assert all(0 <= score <= 1 for score in scores)
            assert scores[0] > 0

    def test_the_same_search_gives_the_same_hits(self, brain: Brain) -> None:
        keep_all(brain, NOTES)
        first = brain.search("lighthouse ships", limit=100)
        assert brain.search("lighthouse ships", limit=100) == first

    def test_a_memory_is_found_once(self, brain: Brain) -> None:
        keep_all(brain, ["lighthouse " * 50, *NOTES])
        hits = ids(brain.search("lighthouse", limit=100))
        assert len(hits) == len(set(hits))

    @pytest.mark.parametrize("limit", [0, 1, 2, 3, 10, 10**9])
    def test_a_limit_is_kept_and_the_result_says_whether_there_is_more(
        self, brain: Brain, limit: int
    ) -> None:
        stored = keep_all(brain, [f"the lighthouse number {number}" for number in range(3)])
        for query in queries(brain, "lighthouse"):
            result = brain.search(query, limit=limit)
            assert len(result) == min(limit, 3)
            assert set(ids(result)) <= set(stored)
            if limit < 3:
                assert not result.exhausted
            if limit > 3:
                assert result.exhausted

    def test_hits_below_the_least_score_are_left_out(self, brain: Brain) -> None:
        keep_all(brain, NOTES)
        hits = brain.search("lighthouse ships rocks", limit=100)
        assert len(hits) > 1
        for least in {hit.score for hit in hits} | {0.5, 1.0}:
            expected = [hit.id for hit in hits if hit.score >= least]
            assert ids(brain.search("lighthouse ships rocks", limit=100, min_score=least)) == expected

    @pytest.mark.parametrize("query", [None, "", "  \n"])
    def test_without_a_query_the_newest_come_first_unranked(self, brain: Brain, query: str | None) -> None:
        if not brain.capabilities.list:
            with pytest.raises(Unsupported):
                brain.search(query)
            return
        if brain.capabilities.created_at:
            stored = [
                keep(brain, note, created_at=PAST + timedelta(days=(index * 3) % 8))
                for index, note in enumerate(NOTES)
            ]
        else:
            stored = [keep(brain, note) for note in NOTES]
        hits = brain.search(query, limit=100)
        assert {hit.score for hit in hits} == {0.0}
        assert set(ids(hits)) == set(stored)
        times = [hit.memory.created_at for hit in hits]
        assert times == sorted(times, key=lambda time: time or PAST, reverse=True)
        assert ids(brain.search(query, limit=3)) == ids(hits)[:3]

    @pytest.mark.parametrize("query", ODD_QUERIES, ids=range(len(ODD_QUERIES)))
    def test_no_query_is_too_odd(self, brain: Brain, query: str) -> None:
        stored = keep_all(brain, NOTES)
        hits = brain.search(query, limit=100)
        assert set(ids(hits)) <= set(stored)

    def test_a_query_with_a_lone_surrogate_is_refused(self, brain: Brain) -> None:
        keep_all(brain, NOTES)
        with pytest.raises(OneBrainValidationError, match="surrogate"):
            brain.search("lighthouse \ud800")
        with pytest.raises(OneBrainValidationError, match="surrogate"):
            brain.context("lighthouse \ud800")

    @pytest.mark.parametrize("query", [7, b"lighthouse", ["lighthouse"]], ids=str)
    def test_a_query_that_is_no_text_is_refused(self, brain: Brain, query: Any) -> None:
        with pytest.raises(OneBrainValidationError, match="query"):
            brain.search(query)

    def test_a_write_is_found_at_once(self, brain: Brain) -> None:
        for number in range(5):
            id = keep(brain, f"the lighthouse number {number}")
            assert all(id in found(brain, query) for query in queries(brain, "lighthouse"))

    def test_archived_memories_are_found_only_when_asked_for(self, brain: Brain) -> None:
        needs(brain, "archive")
        active = keep(brain, "the lighthouse in use")
        archived = keep(brain, "the lighthouse put away", archived=True)
        for query in queries(brain, "lighthouse"):
            assert found(brain, query) == {active}
            assert found(brain, query, include_archived=True) == {active, archived}

    def test_a_filter_that_keeps_few_still_fills_the_limit(self, brain: Brain) -> None:
        stored = keep_all(
            brain,
            [
                {"content": f"the lighthouse number {n}", "metadata": {"n": n, "rare": n % 60 == 59}}
                for n in range(240)
            ],
        )
        rare = {stored[n] for n in range(59, 240, 60)}
        for query in queries(brain, "lighthouse"):
            result = brain.search(query, filter=F("rare").eq(True), limit=4)
            assert set(ids(result)) <= rare
            # A service that can neither filter nor page may return less, and its result is then not exhausted.
            assert set(ids(result)) == rare or not result.exhausted
            everything = brain.capabilities.search_limit is None or brain.capabilities.search_offset
            if everything:
                assert set(ids(result)) == rare

    def test_a_budget_ends_filtering_and_the_result_says_so(self, brain: Brain) -> None:
        keep_all(brain, [{"content": f"the lighthouse number {n}", "metadata": {"n": n}} for n in range(60)])
        nothing = F("n").icontains("x")
        result = brain.search("lighthouse", filter=nothing, limit=5, budget=10)
        assert list(result) == []
        assert result.exhausted is brain.capabilities.can(nothing)

    @pytest.mark.parametrize(
        "options",
        [
            {"limit": -1},
            {"limit": True},
            {"min_score": 2},
            {"alpha": -1},
            {"budget": 0},
            {"min_score": float("nan")},
            {"min_confidence": 1.5},
            {"min_confidence": float("nan")},
        ],
        ids=str,
    )
    def test_an_option_out_of_its_range_is_refused(self, brain: Brain, options: dict[str, Any]) -> None:
        with pytest.raises(OneBrainValidationError):
            brain.search("lighthouse", **options)

    def test_a_confidence_is_returned_if_it_is_asked_for(self, brain: Brain) -> None:
        keep_all(brain, [{"content": "the lighthouse keeper paints the door red"}])
        assert brain.search("lighthouse keeper").confidence is None
        sure = brain.search("lighthouse keeper", confidence=True).confidence
        assert sure is None or 0 <= sure <= 1
        if brain.capabilities.confidence:
            assert sure is not None
            assert brain.search("quantum telescope", confidence=True).confidence < sure  # type: ignore[operator]

    def test_hits_with_less_than_the_least_confidence_are_left_out(self, brain: Brain) -> None:
        keep_all(brain, [{"content": "the lighthouse keeper paints the door red"}])
        result = brain.search("lighthouse keeper", confidence=True)
        assert result.hits
        for least in (0.0, 0.5, 1.0):
            found = brain.search("lighthouse keeper", min_confidence=least)
            sure = result.confidence
            assert bool(found.hits) is (least == 0 or sure is None or sure >= least)
        assert brain.context("lighthouse keeper").memories

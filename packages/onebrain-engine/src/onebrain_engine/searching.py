"""A search: the spaces of its scope are asked, the best memories of all are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TypeAlias, TypeVar

from onebrain.memory.driver import Found, SearchRequest
from onebrain.memory.models import Explanation, Hit, SearchMode
from onebrain_engine.embedding import QueryVectors, Unembedded
from onebrain_engine.index.ranker import Ranked
from onebrain_engine.pages import Pages
from onebrain_engine.retrying import persistent
from onebrain_engine.spaces import Spaces
from onebrain_engine.store.protocol import Store
from onebrain_engine.store.records import Space
from onebrain_engine.vectorizers import Vectorizers
from onebrain_engine.views import by_words_alone
from onebrain_engine.wordllama import WordLlama

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained(Found):
    """The answer to a search, with the parts of each hit's score.

    Attributes:
        parts: For each hit the score by words alone and the score by vectors alone, each 0..1.
    """

    parts: Sequence[Sequence[float]] = ()


# A memory of one of the spaces: its score, the order of equal scores, the row, the space, the parts and the explanation.
_Ranked: TypeAlias = tuple[float, float, int, Space, Sequence[float], Explanation | None]


class Searching:
    """Searches the memories of tenants.

    Args:
        store: The store.
        embedders: Make the vectors of queries.
        spaces: Ranks the memories that a scope selects.
        pages: Reads memories.
    """

    def __init__(self, store: Store, embedders: Vectorizers, spaces: Spaces, pages: Pages) -> None:
        self._store = store
        self._embedders = embedders
        self._spaces = spaces
        self._pages = pages

    def search(self, tenant: str, request: SearchRequest) -> Explained:
        """Search the spaces of the request's scope."""
        return self._with_vectors(lambda vectors: self._search(tenant, request, vectors))

    def matching(self, tenant: str, request: SearchRequest) -> int:
        """Return the number of memories on all pages of a search; beyond 10,000 not all are counted."""
        return self._with_vectors(lambda vectors: self._matching(tenant, request, vectors))

    def _with_vectors(self, ask: Callable[[QueryVectors], T]) -> T:
        """Ask, and ask again with each vector that turns out to be needed."""
        vectors = QueryVectors(
            self._embedders.for_vectors, quick=lambda embedder: isinstance(embedder, WordLlama)
        )
        while True:
            try:
                return ask(vectors)
            except Unembedded as missing:
                text, embedder = missing.text, missing.embedder
            vectors.make(text, embedder)

    @persistent
    def _search(self, tenant: str, request: SearchRequest, vectors: QueryVectors) -> Explained:
        wanted = request.offset + request.limit
        with self._store.reading() as read:
            answers = self._spaces.ask(
                read, tenant, request.scope, lambda view: view.search(request, vectors, wanted + 1)
            )
            ranked = _merged(answers, request.min_score)
            page = ranked[request.offset : wanted]
            memories, fitting = self._pages.page(
                read,
                tenant,
                [(row, space) for _, _, row, space, _, _ in page],
                request.with_embeddings,
                as_of=request.as_of,
            )
        more = len(ranked) > wanted or fitting < len(page)
        unfit = [space for space, seen in answers if seen.mismatch is not None]
        by_words = [
            space for space, seen in answers if seen.mismatch is None and by_words_alone(request, space, seen)
        ]
        fallbacks: list[SearchMode] = [seen.mode for _, seen in answers if seen.mode != request.mode]
        hits: list[Hit] = []
        parts: list[Sequence[float]] = []
        for score, _, row, _, part, explanation in page[:fitting]:
            memory = memories.get(row)
            if memory is not None:
                hits.append(Hit.trusted({"memory": memory, "score": score, "explanation": explanation}))
                parts.append(part)
        return Explained(
            hits=hits,
            more=more,
            mode=fallbacks[-1] if fallbacks else request.mode,
            parts=parts,
            without_vectors=[space.name or "default" for space in (*unfit, *by_words)],
        )

    @persistent
    def _matching(self, tenant: str, request: SearchRequest, vectors: QueryVectors) -> int:
        with self._store.reading() as read:
            answers = self._spaces.ask(
                read, tenant, request.scope, lambda view: view.matching(request, vectors)
            )
            return sum(count for _, count in answers)


def _merged(answers: Sequence[tuple[Space, Ranked]], min_score: float) -> list[_Ranked]:
    """Return the ranked memories of all spaces, best first.

    Raises:
        EmbedderMismatch: The spaces that hold vectors of another kind are all that the scope has.
    """
    problems = [seen.mismatch for _, seen in answers if seen.mismatch is not None]
    if problems and not any(len(seen.rows) for _, seen in answers if seen.mismatch is None):
        raise problems[0]
    if len(answers) == 1:
        space, seen = answers[0]
        ranked = _of_space(space, seen)
        return ranked if min_score <= 0 else [hit for hit in ranked if hit[0] >= min_score]
    ranked = [hit for space, seen in answers for hit in _of_space(space, seen) if hit[0] >= min_score]
    ranked.sort(key=lambda hit: (-hit[0], -hit[1], -hit[2]))
    return ranked


def _of_space(space: Space, seen: Ranked) -> list[_Ranked]:
    """Return the memories that one space found, best first."""
    return list(
        zip(
            seen.scores.tolist(),
            seen.ties.tolist(),
            seen.rows.tolist(),
            repeat(space),
            seen.parts.tolist(),
            _explained(seen),
            strict=False,  # the space and the missing explanations have no end
        )
    )


def _explained(seen: Ranked) -> Iterable[Explanation | None]:
    """Return the explanation of each memory's score, None for each if none was asked for."""
    if seen.explained is None:
        return repeat(None)
    columns = {name: values.tolist() for name, values in seen.explained.items()}
    return [
        Explanation(
            parts={name: values[at] for name, values in columns.items() if values[at]},
            total=sum(values[at] for values in columns.values()),
        )
        for at in range(len(seen.rows))
    ]

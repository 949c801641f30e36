"""Recalled text in a prompt, and diversity among the results of a search.

`Brain.context` returns recalled text inside a fence, and the memory tools answer inside one. `said` removes fenced text
from a message, so that recalled text is never stored as if somebody had said it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import mul
from typing import Any, Unpack, cast

from onebrain.errors import ConfigurationError, Unsupported
from onebrain.frameworks.plans import Plan, ask
from onebrain.frameworks.scope import Scoped, ScopedOptions
from onebrain.memory.checks import check_range, check_whole
from onebrain.memory.context import CountTokens
from onebrain.memory.fence import unfence
from onebrain.memory.filters import TRUE, F, Filter, every, parse
from onebrain.memory.models import Context, Hit, Scope, SearchMode


def said(text: str) -> str:
    """Return the words of a message without the recalled memories in it.

    Example:
        >>> from onebrain.memory.fence import fence
        >>> said("Where do I sit? " + fence("- Maria prefers window seats"))
        'Where do I sit?'
    """
    return unfence(text).strip()


class Recall:
    """Which memories are recalled for a message, and how many tokens they may cost.

    Args:
        max_tokens: The most tokens of recalled text.
        limit: The most memories to consider.
        min_score: Only memories with at least this score, 0..1.
        min_confidence: Recall nothing but pinned memories if the answer is less likely than this to be among them, 0..1. None
            is the default of `Brain.context`, which leaves out memories that have nothing to do with the message; 0 turns it off.
        filter: Which memories may be recalled.
        search_mode: ``hybrid``, ``keyword`` or ``vector``.
        count_tokens: Counts the tokens of a text; the default is a quarter of its UTF-8 bytes.
    """

    def __init__(
        self,
        *,
        max_tokens: int = 1500,
        limit: int = 20,
        min_score: float = 0.0,
        min_confidence: float | None = None,
        filter: Any = None,
        search_mode: SearchMode | None = None,
        count_tokens: CountTokens | None = None,
    ) -> None:
        check_whole("max_tokens", max_tokens, error=ConfigurationError)
        check_whole("limit", limit, error=ConfigurationError)
        if min_confidence is not None:
            check_range("min_confidence", min_confidence, 0, 1)
        self._filter = parse(filter)
        self._options: dict[str, Any] = {
            "max_tokens": max_tokens,
            "limit": limit,
            "min_score": min_score,
            "min_confidence": min_confidence,
            "mode": search_mode,
            "count_tokens": count_tokens,
        }

    def plan(self, query: str | None, scope: Scope, *, but: Filter = TRUE) -> Plan[Context]:
        """Return the context for `query` from all sessions of `scope`; only memories that match `but` count."""
        context: Context = yield ask(
            "context",
            query,
            scope=scope.model_copy(update={"session": None}),
            filter=every(self._filter, but),
            **self._options,
        )
        return context


class RecallerOptions(ScopedOptions, total=False):
    """The options of a component that recalls memories."""

    max_tokens: int
    limit: int
    min_score: float
    min_confidence: float | None
    filter: Any
    search_mode: SearchMode | None
    count_tokens: CountTokens | None


class Recaller(Scoped):
    """A component that recalls memories of the scope of a run.

    Args:
        options: Those of `Scoped`, and those of `Recall`.
    """

    def __init__(self, **options: Unpack[RecallerOptions]) -> None:
        given: dict[str, Any] = dict(options)
        where = {name: given.pop(name) for name in ScopedOptions.__annotations__ if name in given}
        super().__init__(**cast("ScopedOptions", where))
        self._recall = Recall(**given)

    def recalled(self, query: str | None, *contexts: Any, session: str | None = None) -> Plan[str]:
        """Return the recalled text for `query` in the scope of a run; empty if nothing is known.

        Args:
            query: The user's words.
            contexts: The contexts of the run.
            session: The running conversation, whose memories are not recalled; the default is that of the scope.
        """
        scope = self.scope_of(*contexts)
        running = session or scope.session
        others = TRUE if running is None else F.session.ne(running)
        return (yield from self._recall.plan(query, scope, but=others)).text


def diverse(
    hits: Sequence[Hit],
    vector: Sequence[float] | None,
    limit: int,
    weight: float,
    *,
    against_all: bool = True,
    hint: str = "it returns no vectors",
) -> list[Hit]:
    """Choose `limit` hits by maximal marginal relevance: similar to the query, and different from each other.

    Args:
        hits: The candidates, with their vectors.
        vector: The query's vector; the relevance of a hit is the cosine of both. None takes the hit's score, for
            vectors that the brain made itself.
        limit: The most hits.
        weight: 0..1, the weight of relevance against difference.
        against_all: Compare a candidate with all chosen hits, rather than with the one that was chosen last.
        hint: The remedy that an error names.

    Raises:
        Unsupported: The brain returned no vectors.
    """
    if not hits:
        return []
    vectors = [_unit(hit.memory.embedding, hint) for hit in hits]
    query = None if vector is None else _unit(vector, hint)
    relevance = [
        hit.score if query is None else _dot(query, own) for hit, own in zip(hits, vectors, strict=True)
    ]
    left = dict.fromkeys(range(len(hits)), 0.0)
    chosen: list[int] = []
    while left and len(chosen) < limit:
        best = max(left, key=lambda i: weight * relevance[i] - (1 - weight) * left[i])
        del left[best]
        first = not chosen
        chosen.append(best)
        for i, nearest in left.items():
            similarity = _dot(vectors[i], vectors[best])
            left[i] = max(nearest, similarity) if against_all and not first else similarity
    return [hits[i] for i in chosen]


def _unit(vector: Sequence[float] | None, hint: str) -> Sequence[float]:
    if vector is None:
        raise Unsupported("diverse search", hint=hint)
    length = math.hypot(*vector)
    return [number / length for number in vector] if length else vector


# Python 3.12 has a fast product of two vectors.
_dot: Callable[[Sequence[float], Sequence[float]], float] = getattr(
    math, "sumprod", lambda left, right: sum(map(mul, left, right))
)

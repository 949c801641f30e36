"""Rerankers of frameworks, which may drop texts and keep scores of their own."""

from __future__ import annotations

import sys
from collections.abc import Mapping


def scores_of(kept: Mapping[int, object], count: int) -> list[float]:
    """Return a number for each text from what a framework's reranker kept of them.

    These are its own scores if they are from 0 to 1 and agree with its order, otherwise numbers in its order. A text that it
    dropped has 0.

    Args:
        kept: The score of each text that it kept, or None, by the text's position; in the order of the reranker.
        count: The number of texts that it was given.

    Example:
        >>> scores_of({2: 0.9, 0: 0.4}, 3)
        [0.4, 0.0, 0.9]
    """
    scores = [float(score) for score in kept.values() if isinstance(score, int | float) and 0 <= score <= 1]
    if len(scores) < len(kept) or scores != sorted(scores, reverse=True):
        scores = [(count - place) / count for place in range(len(kept))]
    # A text that was kept with a score of 0 comes before those that were dropped.
    least = sys.float_info.min if len(kept) < count else 0.0
    ranked = {at: max(score, least) for at, score in zip(kept, scores, strict=True)}
    return [ranked.get(at, 0.0) for at in range(count)]


__all__ = ["scores_of"]

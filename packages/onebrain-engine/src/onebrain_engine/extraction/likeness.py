"""How alike two texts are, at a cost that is bounded whatever they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from heapq import nlargest
from itertools import combinations, islice
from typing import Final

_MOST: Final = (
    100  # items that are compared: the time grows with the square of their number, and for some with the cube
)
_COMPARED, _WEIGHED = 10_000, 200_000  # pairs of which the likeness, or a bound of it, is computed


def likeness(left: str, right: str, least: float = 0.0) -> float:
    """Return how alike two texts are, 0..1: twice what they share in blocks, divided by the length of both.

    Texts of at most 100 characters are compared by characters, longer ones by words; of both the first hundred count.

    Args:
        left: A text.
        right: Another one; their order makes no difference.
        least: A likeness of at most this is of no interest: an upper bound may be returned instead.

    Example:
        >>> round(likeness("window seat", "window seats"), 3)
        0.957
    """
    if left == right:
        return 1.0
    a, b = _items(left, right)
    whole = len(a) + len(b)
    if not a or not b:
        return 0.0
    bound = 2 * min(len(a), len(b)) / whole
    if bound > least:
        bound = 2 * (Counter(a) & Counter(b)).total() / whole
    if bound <= least:
        return bound
    first, second = sorted((a, b))  # the blocks that are found depend on the order
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


def _items(left: str, right: str) -> tuple[list[str], list[str]]:
    by_words = max(len(left), len(right)) > _MOST
    return (_cut(left.split() if by_words else left), _cut(right.split() if by_words else right))


def _cut(items: Sequence[str]) -> list[str]:
    return list(items[:_MOST])


def alike_pairs(texts: Sequence[str], least: float) -> list[tuple[float, int, int]]:
    """Return the pairs of texts at least as alike as `least`, as (likeness, position, position), most alike first.

    Of very many pairs the likeliest 10,000 are compared.
    """
    weighed = islice(_bounds([text[:_MOST] for text in texts], least), _WEIGHED)
    found = [
        (score, left, right)
        for _, left, right in nlargest(_COMPARED, weighed)
        if (score := likeness(texts[left], texts[right], least)) >= least
    ]
    return sorted(found, key=lambda pair: (-pair[0], pair[1], pair[2]))


def _bounds(texts: Sequence[str], least: float) -> Iterator[tuple[float, int, int]]:
    """Yield the pairs that could be so alike, by their characters in any order, each with the bound of its likeness."""
    letters = [Counter(text) for text in texts]
    for left, right in combinations(range(len(texts)), 2):
        whole = len(texts[left]) + len(texts[right])
        if 2 * min(len(texts[left]), len(texts[right])) < least * whole:
            continue
        shared = 2 * (letters[left] & letters[right]).total()
        if shared >= least * whole:
            yield shared / whole if whole else 1.0, left, right

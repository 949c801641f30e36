"""The words of a query in a text."""

from __future__ import annotations

from collections.abc import Sequence


def share_of(words: Sequence[str], text: str) -> float:
    """Return the share of `words` that `text` contains, 0..1, regardless of case.

    Example:
        >>> share_of(["window", "seat"], "A window, please")
        0.5
    """
    lowered = text.casefold()
    return sum(word in lowered for word in words) / len(words) if words else 0.0

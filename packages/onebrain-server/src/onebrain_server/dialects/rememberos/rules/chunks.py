"""Cutting long texts into memories: at paragraphs where that is possible, else at sentences, else at words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

SIZE: Final = 1500
_ENDS: Final = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?])\s+"),
    re.compile(r"\s+"),
)


def chunks(text: str, size: int = SIZE) -> Iterator[str]:
    """Return a text's pieces of at most `size` characters in order; blank ones are left out.

    Example:
        >>> list(chunks("One two. Three four five.", size=12))
        ['One two.', 'Three four', 'five.']
    """
    start = 0
    while start < len(text):
        end = start + size
        if end < len(text):
            end = start + _cut(text[start:end])
        piece = text[start:end].strip()
        if piece:
            yield piece
        start = end


def _cut(window: str) -> int:
    """Return where to cut a window: behind the last end of the largest unit that does not leave too little."""
    for end in _ENDS:
        ends = [match.end() for match in end.finditer(window)]
        if ends and ends[-1] > len(window) // 4:
            return ends[-1]
    return len(window)

"""Passages of a text in which words of a query stand, each word in ``<em>``, everything else escaped for HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from typing import Final

from onebrain_engine.index.text import analyse, analyse_query

# Passages of one text.
_MOST: Final = 3
# Characters of one passage.
_LENGTH: Final = 300
# Characters of a text that are looked at.
_SCANNED: Final = 100_000
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?")
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|(?<!\s)\s*\n\s*|(?<=[。！？])")


def highlights(text: str, query: str) -> list[str]:
    """Return the first passages of a text that hold words of a query, in the engine's sense of a word.

    Example:
        >>> highlights("Downtime is bad. We guarantee <99%> uptime.", "guaranteed uptime")
        ['We <em>guarantee</em> &lt;99%&gt; <em>uptime</em>.']
    """
    wanted = frozenset(analyse_query(query).terms)
    passages: list[str] = []
    if not wanted:
        return passages
    for sentence in _SENTENCE.split(text[:_SCANNED]):
        spans = list(_spans(sentence, wanted))
        if spans:
            passages.append(_marked(sentence, spans))
            if len(passages) == _MOST:
                break
    return passages


def _spans(sentence: str, wanted: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Yield where words of the query stand."""
    for match in _WORD.finditer(sentence):
        word, start = match[0], match.start()
        terms = _terms(word)
        if len(terms) <= 1:
            if terms & wanted:
                yield match.span()
            continue
        # A script without spaces: the engine cuts it into pairs of characters, which overlap.
        end = 0
        for index in range(len(word) - 1):
            if _terms(word[index : index + 2]) & wanted:
                yield start + max(index, end), start + index + 2
                end = index + 2


def _marked(sentence: str, spans: list[tuple[int, int]]) -> str:
    """Return a sentence, or the part of a long one around its first span, with its spans marked."""
    first, last = 0, len(sentence)
    if last > _LENGTH:
        first = max(0, min(spans[0][0] - _LENGTH // 3, last - _LENGTH))
        last = max(first + _LENGTH, spans[0][1])
    pieces: list[str] = []
    written = first
    for start, end in spans:
        if end > last:
            break
        pieces += [escape(sentence[written:start], quote=False), f"<em>{sentence[start:end]}</em>"]
        written = end
    pieces.append(escape(sentence[written:last], quote=False))
    return "".join(pieces).strip()


@lru_cache(maxsize=1 << 14)
def _terms(word: str) -> frozenset[str]:
    return frozenset(analyse(word).terms)

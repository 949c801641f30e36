r"""Patterns of ``like`` and ``ilike``, as SQL has them: ``%`` is any text, ``_`` any one character, a backslash neither.

A pattern is cut at each ``%`` into pieces of fixed length, which are looked for one after the other. So the time that
a pattern takes grows with the length of the text, and never with the number of ways to divide it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

from onebrain.errors import OneBrainValidationError

LONGEST: Final = 1000
Test: TypeAlias = Callable[[str], bool]


@lru_cache(maxsize=512)
def matcher(pattern: str, ignore_case: bool = False) -> Test:
    """Return a function that says whether the whole of a text matches `pattern`.

    Raises:
        OneBrainValidationError: The pattern ends with a backslash, or has more than 1,000 characters.
    """
    if len(pattern) > LONGEST:
        raise OneBrainValidationError(
            f"a pattern has at most {LONGEST} characters, not {len(pattern)}; use contains for longer text"
        )
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    pieces = [re.compile(piece, flags) for piece in _pieces(pattern)]
    if len(pieces) == 1:
        return lambda text: pieces[0].fullmatch(text) is not None
    first, *middle, last = pieces
    # The pieces between match as far to the left as they can, so what matches at all matches this way.
    end_length = _length(pattern)

    def test(text: str) -> bool:
        head = first.match(text)
        if head is None:
            return False
        place = head.end()
        for piece in middle:
            found = piece.search(text, place)
            if found is None:
                return False
            place = found.end()
        start = len(text) - end_length
        return start >= place and last.match(text, start) is not None

    return test


def example(pattern: str, text: str) -> str:
    """Return a text that matches `pattern`, with `text` in place of each ``%``; text that is no pattern as it is."""
    try:
        characters = _characters(pattern)
    except OneBrainValidationError:
        return pattern
    return "".join(
        text if character == "%" and not literal else character for character, literal in characters
    )


def _characters(pattern: str) -> list[tuple[str, bool]]:
    """Return each character of a pattern, and whether it stands for itself."""
    characters: list[tuple[str, bool]] = []
    literal = False
    for character in pattern:
        if literal:
            characters.append((character, True))
        elif character != "\\":
            characters.append((character, character not in "%_"))
        literal = not literal and character == "\\"
    if literal:
        raise OneBrainValidationError("a pattern must not end with a backslash; two stand for one")
    return characters


def _pieces(pattern: str) -> list[str]:
    """Return regular expressions for what stands between the ``%`` of a pattern, each of a fixed length."""
    pieces = [""]
    for character, literal in _characters(pattern):
        if literal:
            pieces[-1] += re.escape(character)
        elif character == "_":
            pieces[-1] += "."
        else:
            pieces.append("")
    return [piece for place, piece in enumerate(pieces) if piece or place in (0, len(pieces) - 1)]


def _length(pattern: str) -> int:
    """Return how many characters of a text the part of a pattern behind its last ``%`` takes."""
    length = 0
    for character, literal in _characters(pattern):
        length = 0 if character == "%" and not literal else length + 1
    return length

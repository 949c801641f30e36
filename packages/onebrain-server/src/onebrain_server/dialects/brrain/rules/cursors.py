"""Cursors of searches: how far one has come, and how many it found, for the very same search only."""

from __future__ import annotations

from dataclasses import dataclass

from onebrain_server.http import cursors
from onebrain_server.http.problems import invalid


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins, and how many matches the first page counted."""

    offset: int
    total: int


def encode(search: str, position: Position) -> str:
    """Return the cursor of a position in a search, which is named by a digest of everything it asks for."""
    return cursors.encode(search[:24], position.offset, position.total)


def decode(search: str, cursor: str) -> Position:
    """Return the position of a cursor; raise if it is not one of this search."""
    try:
        named, offset, total = cursors.decode(cursor)
        good = named == search[:24] and type(offset) is int and type(total) is int and 0 < offset <= total
    except (ValueError, TypeError):
        good = False
        offset = total = 0
    if not good:
        raise invalid(
            ["cursor"],
            "not a cursor of this search; everything but the cursor must be as it was",
            where="query parameters",
        )
    return Position(offset, total)

"""The order of the first hits outside of sessions: what is newer, and what a query asks to be the latest.

A question is worded like the old fact, and the new one often is not, so the old one scores higher. A newer memory takes the
place of an older one if both are alike, as far as words and vectors tell. In a conversation the latest turn is no better
answer than another, so memories in sessions stay where they are.

Only the first `WINDOW` hits are looked at, whatever the limit of a search: a page is the same part of every longer one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

WINDOW: Final = 30
# A newer memory is alike to an older one from this cosine on, and passes it where the scores differ by no more than the gap.
ALIKE, GAP = 0.65, 0.5
# The same for one that says that something changed: it may be worded otherwise, and need not hold the query's words.
ALIKE_CHANGED, GAP_CHANGED = 0.5, 1.0
# Memories that are stored together, without a time of their own, are in no order that means anything.
APART: Final = 60_000_000  # microseconds
EQUAL: Final = 0.3  # of the scores of memories that are equally good

_BEHIND: Final = np.triu(np.ones((WINDOW, WINDOW), bool), 1)


@dataclass(slots=True)
class Top:
    """The first memories of a ranking, the best first; at most `WINDOW` of them count.

    Attributes:
        totals: [m] The scores; more of them than memories that count.
        created: [n] In microseconds.
        outside: [n] Whether a memory has no session.
        changes: [n] Whether it says that something changed.
        held: Returns [n, q] which words of the query it holds; asked only if some memory may pass another.
        vectors: Returns [n, d] unit vectors; None if there are none.
    """

    totals: Floats
    created: npt.NDArray[Any]
    outside: Flags
    changes: Flags
    held: Callable[[], Flags]
    vectors: Callable[[], Floats] | None


def reorder(
    top: Top, *, order: Literal["latest", "earliest"] | None, prefer_newer: bool
) -> tuple[npt.NDArray[np.int64], Floats, npt.NDArray[np.float64]]:
    """Return the positions in their new order, with the score of each, descending, and the order of equal scores."""
    count = len(top.totals)
    pairs = _replaced(top) if prefer_newer and top.vectors is not None else []
    if not pairs and order is None:
        return np.arange(count), top.totals, np.zeros(count)
    totals = top.totals.copy()
    positions = _newer_first(pairs, list(range(len(top.created))), totals)
    if order is not None:
        positions = _by_time(top, positions, totals, latest=order == "latest")
    moved = np.array([*positions, *range(len(positions), count)], np.int64)
    ties = np.zeros(count)
    ties[: len(positions)] = np.arange(len(positions), 0, -1)
    if positions == sorted(positions):
        ties[:] = 0
    return moved, totals[moved], ties


def _replaced(top: Top) -> list[tuple[int, int]]:
    """Return the pairs of positions, older and newer, of which the newer one is to pass."""
    n = len(top.created)
    totals, created = top.totals[:n], top.created
    # Most pages are of one time, or in sessions.
    if not n or int(created.max()) - int(created.min()) < APART or not top.outside.any():
        return []
    may = created[:, None] - created <= -APART
    may &= _BEHIND[:n, :n]
    may &= totals[:, None] - totals <= np.where(top.changes, GAP_CHANGED, GAP)
    if not top.outside.all():
        may &= top.outside[:, None] & top.outside
    if not may.any():
        return []
    assert top.vectors is not None
    held, vectors = top.held(), top.vectors()
    lacks = (held[:, None, :] & ~held[None, :, :]).any(axis=2)
    older, newer = np.nonzero(may & (~lacks | top.changes))
    alike = np.vecdot(vectors[older], vectors[newer])
    passes = alike >= np.where(top.changes[newer], np.float32(ALIKE_CHANGED), np.float32(ALIKE))
    return list(zip(older[passes].tolist(), newer[passes].tolist(), strict=True))


def _newer_first(pairs: list[tuple[int, int]], positions: list[int], totals: Floats) -> list[int]:
    """Put each newer one before the first of those that it passes, with the score of that one."""
    passed: dict[int, list[int]] = {}
    for older, newer in pairs:
        passed.setdefault(newer, []).append(older)
    for newer in sorted(passed):
        at = min(positions.index(older) for older in passed[newer])
        if at < positions.index(newer):
            totals[newer] = totals[positions[at]]
            positions.remove(newer)
            positions.insert(at, newer)
    return positions


def _by_time(top: Top, positions: list[int], totals: Floats, *, latest: bool) -> list[int]:
    """Order the memories outside of sessions that are about as good as the first one by time; scores stay where they are."""
    if not positions:
        return positions
    least = totals[positions[0]] - EQUAL
    group = [position for position in positions if top.outside[position] and totals[position] >= least]
    places = [positions.index(position) for position in group]
    scores = [float(totals[position]) for position in group]
    group.sort(key=lambda position: int(top.created[position]), reverse=latest)
    for place, position, score in zip(places, group, scores, strict=True):
        positions[place] = position
        totals[position] = score
    return positions

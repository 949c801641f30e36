"""As-of reads: memories as they were at a moment, from the present ones and the states kept before every change since.

A memory was there from its ``createdAt`` on. One that was changed or deleted after the moment is answered from the first
state that was kept after it; all others are unchanged since.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from onebrain.memory.driver import ListRequest
from onebrain.memory.filters import TRUE, Cmp, Filter, every, memory_matches
from onebrain.memory.models import EVERYTHING, Memory
from onebrain_engine import cursors
from onebrain_engine.store.records import to_datetime, to_micros
from onebrain_server.clock import iso_micros, now_micros
from onebrain_server.dialects.onebrain import mapping
from onebrain_server.dialects.onebrain.wire import bad_cursor, paged
from onebrain_server.http import cursors as wire_cursors
from onebrain_server.http.operation import Answer
from onebrain_server.http.problems import Problem, invalid, not_found
from onebrain_server.http.requests import Call
from onebrain_server.state.history import Past

_ORDER: Final = "-created_at"
# Greater than any time and row.
_NUMBERS: Final = 2**62
_CHUNK: Final = 500

# A time of creation and a row: the order of lists, downwards.
Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which memories to list."""

    filter: Filter
    include_archived: bool

    @property
    def whole(self) -> bool:
        """Whether every memory is selected, whatever it says."""
        return self.filter == TRUE and self.include_archived

    def __contains__(self, memory: Memory) -> bool:
        return (self.include_archived or not memory.archived) and memory_matches(self.filter, memory)


def moment_of(call: Call, given: datetime) -> int:
    """Return a moment in microseconds; all of its millisecond counts, for the wire tells times no finer.

    Raises:
        Problem: 400: it lies in the future, or before the oldest kept state.
    """
    now, earliest = now_micros(), call.server.history.earliest()
    moment = to_micros(given) // 1000 * 1000 + 999
    if earliest is None:
        raise _refused("this server keeps no history")
    if moment < earliest:
        raise _refused(f"must not be before {iso_micros(earliest)}, where the history that is kept begins")
    if moment // 1000 > now // 1000:
        raise _refused("must not be in the future")
    return min(moment, now)


def one(call: Call, id: str, moment: int) -> Memory:
    """Return a memory as it was; raise if there was none with this id."""
    now = call.memories.located([id], EVERYTHING)
    # Read last: a change between the two reads is in both, and never in neither.
    states = call.server.history.after(call.tenant_id, moment, memory_id=id)
    changed = {state.row for state in states}
    then = call.server.history.memories(
        call.tenant_id, [state for state in states if state.created_at <= moment]
    )
    there = [memory for _, memory in then] or [
        memory for row, memory in now if row not in changed and _created(memory) <= moment
    ]
    if not there:
        raise not_found("Memory item")
    return there[-1]


def page(call: Call, selection: Selection, moment: int, *, limit: int, cursor: str | None) -> Answer:
    """Return one page of memories as they were, newest first; changes meanwhile shift nothing."""
    total: int | None = None
    behind: Position = (moment, _NUMBERS)
    if cursor is not None:
        moment, behind, total = _decoded(cursor, moment)
    now, states = _unchanged(call, selection, moment, behind, limit + 1)
    tenant, history = call.tenant_id, call.server.history
    states = [state for state in states if state.created_at <= moment]
    if total is None:
        total = _total(call, selection, moment, states)
    ahead = [state for state in states if _place(state) < behind]
    then: list[tuple[Position, Memory]] = []
    for some in _chunks(ahead, limit + 1 if selection.whole else _CHUNK):
        then += [
            (_place(state), memory) for state, memory in history.memories(tenant, some) if memory in selection
        ]
        if len(then) > limit:
            break
    found = sorted([*now, *then], key=lambda one: one[0], reverse=True)
    shown = found[:limit]
    following = _encoded(moment, shown[-1][0], total) if len(found) > limit else None
    return paged(mapping.rows((memory for _, memory in shown), call), following, total)


def _unchanged(
    call: Call, selection: Selection, moment: int, behind: Position, wanted: int
) -> tuple[list[tuple[Position, Memory]], list[Past]]:
    """Return a number of memories that have not changed since, in order, and the states of all that have."""
    found: list[tuple[Position, Memory]] = []
    cursor: str | None = cursors.encode(*behind, _ORDER)
    size = wanted
    while True:
        page = call.memories.list(
            ListRequest(
                filter=selection.filter,
                limit=size,
                cursor=cursor,
                include_archived=selection.include_archived,
            )
        )
        located = call.memories.located([memory.id for memory in page.data], EVERYTHING)
        rows = {_identity(memory): row for row, memory in located}
        for memory in page.data:
            row = rows.get(_identity(memory))
            # Else it is gone by now, and its last state is in the history.
            if row is not None:
                found.append(((_created(memory), row), memory))
        # Read last: a change between the two reads is in both, and never in neither.
        states = call.server.history.after(call.tenant_id, moment)
        changed = {state.row for state in states}
        found = [one for one in found if one[0][1] not in changed]
        cursor = page.meta.cursor
        if len(found) >= wanted or cursor is None:
            return found, states
        # Much of what is there was changed since.
        size = _CHUNK


def _total(call: Call, selection: Selection, moment: int, states: Sequence[Past]) -> int:
    """Return how many memories there were."""
    tenant, history = call.tenant_id, call.server.history
    until = every(selection.filter, Cmp("$created_at", "le", to_datetime(moment)))
    count = call.memories.count(EVERYTHING, until, include_archived=selection.include_archived)
    for some in _chunks(states, _CHUNK):
        rows = {state.row for state in some}
        for row, memory in call.memories.located([state.memory_id for state in some], EVERYTHING):
            count -= row in rows and _created(memory) <= moment and memory in selection
        if selection.whole:
            count += len(some)
        else:
            count += sum(memory in selection for _, memory in history.memories(tenant, some))
    return count


def _created(memory: Memory) -> int:
    assert memory.created_at is not None
    return to_micros(memory.created_at)


def _identity(memory: Memory) -> tuple[str, str | None, str | None]:
    return memory.id, memory.scope.space, memory.scope.user


def _place(state: Past) -> Position:
    return state.created_at, state.row


def _chunks(states: Sequence[Past], size: int) -> Iterator[Sequence[Past]]:
    return (states[start : start + size] for start in range(0, len(states), size))


def _encoded(moment: int, position: Position, total: int) -> str:
    return wire_cursors.encode("asOf", moment, *position, total)


def _decoded(cursor: str, moment: int) -> tuple[int, Position, int]:
    """Return the moment, position and total of a cursor that a list as of this moment returned."""
    try:
        mark, *numbers = wire_cursors.decode(cursor)
        if mark != "asOf" or any(type(one) is not int or abs(one) > _NUMBERS for one in numbers):
            raise ValueError
        then, created, row, total = numbers
    except (ValueError, TypeError):
        raise bad_cursor() from None
    if then // 1000 != moment // 1000:
        raise bad_cursor()
    return then, (created, row), total


def _refused(message: str) -> Problem:
    return invalid(["asOf"], message, where="query parameters")


__all__ = ["Selection", "moment_of", "one", "page"]

"""Requests that carry many rows: cut by number and by bytes, and smaller after an answer of 413.

A proxy in front of a service often takes less than the service itself: nginx refuses bodies above 1 MiB unless it is
told otherwise. A 413 says that nothing was done, so the same rows can be sent again in two requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar

from onebrain._core.codec import to_json
from onebrain.errors import OneBrainError

T = TypeVar("T")

# Below nginx's default of 1 MiB, with room for the object around the rows.
REQUEST_BYTES: Final = 1_000_000


class ByteLimit:
    """The number of bytes that one request of a service may carry, as learned from its answers.

    One object belongs to each service object and is shared by its threads: an assignment is atomic, and a limit that
    is too high for a moment costs one more request.
    """

    __slots__ = ("value",)

    def __init__(self, value: int = REQUEST_BYTES) -> None:
        self.value = value


class Batches(Generic[T]):
    """Cuts rows into batches for one request each.

    Iterate over it to get ``(start, rows)``. Call `refused` with the error of a request: where it returns True, the
    iteration offers the same rows again, in smaller batches.

    Args:
        rows: JSON values.
        most_rows: Rows of one request at most.
        limit: Bytes of one request; a single larger row is sent alone.

    Example:
        >>> [rows for _, rows in Batches(["a", "b", "c"], 2, ByteLimit())]
        [['a', 'b'], ['c']]
    """

    def __init__(self, rows: Sequence[T], most_rows: int, limit: ByteLimit) -> None:
        self._rows = rows
        self._sizes = [len(to_json(row).encode("utf-8", "replace")) + 1 for row in rows]
        self._most_rows = most_rows
        self._limit = limit
        self._start = self._end = 0

    def __iter__(self) -> Iterator[tuple[int, Sequence[T]]]:
        while self._start < len(self._rows):
            self._end = self._cut()
            yield self._start, self._rows[self._start : self._end]
            self._start = self._end

    def _cut(self) -> int:
        end, size = self._start, 0
        most = min(len(self._rows), self._start + self._most_rows)
        while end < most and (end == self._start or size + self._sizes[end] <= self._limit.value):
            size += self._sizes[end]
            end += 1
        return end

    def refused(self, error: OneBrainError) -> bool:
        """Return whether the batch was too large and is worth two smaller requests."""
        if error.status_code != 413 or self._end - self._start < 2:
            return False
        self._limit.value = min(self._limit.value, sum(self._sizes[self._start : self._end]) // 2)
        self._end = self._start
        return True

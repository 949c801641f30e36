"""Requests that carry many rows: cut by number and by bytes, and smaller after an answer of 413.

A proxy in front of a service often takes less than the service itself: nginx refuses bodies above 1 MiB unless it is
told otherwise. A 413 says that nothing was done, so the same rows can be sent again in two requests.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
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

    Iterate over it to get the rows of each batch, and send them within `attempt`.

    Args:
        rows: JSON values.
        most_rows: Rows of one request at most.
        limit: Bytes of one request; a single larger row is sent alone.

    Attributes:
        start: The position of the batch's first row.

    Example:
        >>> list(Batches(["a", "b", "c"], 2, ByteLimit()))
        [['a', 'b'], ['c']]
    """

    def __init__(self, rows: Sequence[T], most_rows: int, limit: ByteLimit) -> None:
        self._rows = rows
        self._sizes = [len(to_json(row).encode("utf-8", "replace")) + 1 for row in rows]
        self._most_rows = most_rows
        self._limit = limit
        self.start = self._end = 0

    @property
    def size(self) -> int:
        """The number of rows in the batch."""
        return self._end - self.start

    def __iter__(self) -> Iterator[Sequence[T]]:
        while self.start < len(self._rows):
            self._end = self._cut()
            yield self._rows[self.start : self._end]
            self.start = self._end

    def _cut(self) -> int:
        end, size = self.start, 0
        most = min(len(self._rows), self.start + self._most_rows)
        while end < most and (end == self.start or size + self._sizes[end] <= self._limit.value):
            size += self._sizes[end]
            end += 1
        return end

    @contextmanager
    def attempt(
        self, described: Callable[[OneBrainError], OneBrainError] = lambda error: error
    ) -> Generator[None, None, None]:
        """Send the batch in the body: if it was too large, the iteration offers its rows again, in smaller batches.

        Args:
            described: Adds to any other error what earlier batches have done.
        """
        try:
            yield
        except OneBrainError as error:
            if error.status_code != 413 or self.size < 2:
                raise described(error) from error.__cause__
            self._limit.value = min(self._limit.value, sum(self._sizes[self.start : self._end]) // 2)
            self._end = self.start

"""The records that were read lately, so that a memory that is found often is read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from onebrain_engine.bounds import record_bytes
from onebrain_engine.store.records import Record, Shown, shown

# A record ready to become a memory, and its approximate number of bytes.
Measured = tuple[Shown, int]

_RECORDS, _LONGEST = 8_000, 8_000  # records that are kept, and characters of their longest text
_RECORD_BYTES: Final = 3_000  # of a record, approximately


def measured(records: Mapping[int, Record], space: str) -> dict[int, Measured]:
    """Return records of a space with their sizes."""
    return {row: (shown(record, space), record_bytes(record)) for row, record in records.items()}


class RecordCache:
    """Keeps records of one space, measured, with the change at which they were read, the oldest first."""

    def __init__(self) -> None:
        self._records: dict[int, tuple[int, Measured]] = {}

    def get(self, rows: Sequence[int], seq: int) -> dict[int, Measured]:
        """Return the records of rows that were read at change `seq` or before."""
        records = self._records
        return {row: known[1] for row in rows if (known := records.get(row)) is not None and known[0] <= seq}

    def add(self, records: Mapping[int, Measured], seq: int) -> None:
        """Keep records that were read at change `seq`."""
        kept = self._records
        kept.update(
            (row, (seq, one)) for row, one in records.items() if len(one[0].fields["content"]) <= _LONGEST
        )
        while len(kept) > _RECORDS:
            del kept[next(iter(kept))]

    def forget(self, rows: Iterable[int]) -> None:
        """Forget the records of rows that have changed."""
        if self._records:
            for row in rows:
                self._records.pop(row, None)

    def __len__(self) -> int:
        return len(self._records)

    @property
    def nbytes(self) -> int:
        """The approximate number of bytes it takes."""
        return _RECORD_BYTES * len(self._records)

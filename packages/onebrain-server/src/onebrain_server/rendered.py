"""Memories as JSON, as they were shown before."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any, Final

from onebrain.memory.models import Memory

# Bytes of JSON that are kept, and of the longest row among them.
_MOST: Final = 32 * 2**20
_LONGEST: Final = 16_000


class Rendered:
    """The rows of answers, by memory; safe to share between threads.

    A memory that the engine has not read anew since has the very same `updated_at` and `content` objects as before: the engine
    makes both when it reads a memory, and hands out no changed memory with the objects of another one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The moment of its last change, the content, the rest, and the row.
        self._kept: dict[tuple[str, str], tuple[datetime | None, str, Any, bytes]] = {}
        self._size = 0

    def get(self, tenant: str, memory: Memory, beside: Any) -> bytes | None:
        """Return the row of a memory; None if the memory, or what the row shows `beside` it, may differ."""
        known = self._kept.get((tenant, memory.id))
        if known is None:
            return None
        updated_at, content, other, row = known
        same = updated_at is memory.updated_at and content is memory.content
        return row if same and (other is beside or other == beside) else None

    def put(self, tenant: str, memory: Memory, beside: Any, row: bytes) -> None:
        """Keep the row of a memory."""
        if len(row) > _LONGEST:
            return
        with self._lock:
            before = self._kept.get((tenant, memory.id))
            self._size += len(row) - (0 if before is None else len(before[3]))
            if self._size > _MOST:
                self._kept, self._size = {}, len(row)
            self._kept[tenant, memory.id] = (memory.updated_at, memory.content, beside, row)

    def forget(self, tenant: str) -> None:
        """Forget the rows of an account."""
        with self._lock:
            self._kept = {key: row for key, row in self._kept.items() if key[0] != tenant}
            self._size = sum(len(row) for *_, row in self._kept.values())

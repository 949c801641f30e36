"""The part of an SQLite database that its writer need not read again, as long as nobody else has written."""

from __future__ import annotations

from typing import Final

from onebrain_engine.store.records import Space

_KEPT: Final = 1000  # spaces
# Rows that a writer takes at once. SQLite then writes the page of its last row number once for all of them.
RESERVED: Final = 256


class WriterState:
    """The spaces and the free row numbers of a database, as the last transaction of one connection has left them.

    It is valid while ``PRAGMA data_version`` is the same, which changes when another connection commits. A transaction that
    is rolled back clears it.

    Attributes:
        version: The ``data_version`` that it is valid for; None if nothing is known.
        next_row: The number of the next new row; 0 if unknown.
        last_row: The last row number that is reserved.
        noted: Whether any memory has a note; None if unknown.
    """

    __slots__ = ("_keys", "_spaces", "last_row", "next_row", "noted", "version")

    def __init__(self) -> None:
        self._spaces: dict[int, Space] = {}
        self._keys: dict[tuple[str, str], int] = {}
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.version: int | None = None
        self.next_row = self.last_row = 0
        self.noted: bool | None = None
        self._spaces.clear()
        self._keys.clear()

    def named(self, tenant: str, name: str) -> Space | None:
        """Return a space by name, or None if it is unknown."""
        key = self._keys.get((tenant, name))
        return None if key is None else self._spaces.get(key)

    def numbered(self, key: int) -> Space | None:
        """Return a space by key, or None if it is unknown."""
        return self._spaces.get(key)

    def keep(self, tenant: str, space: Space) -> None:
        """Keep a space as it is stored now."""
        if len(self._spaces) >= _KEPT:
            self._spaces.clear()
            self._keys.clear()
        self._spaces[space.key] = space
        self._keys[tenant, space.name] = space.key

    def moved(self, space: Space, after: Space) -> None:
        """Take the last change of a space; `after` is the space after it, and `space` the one that the caller knew."""
        known = self._spaces.get(after.key)
        if known is space:
            self._spaces[after.key] = after
        elif known is not None:
            # The caller may have read the space before it had vectors, say, and only its last change is new.
            assert after.run is not None
            self._spaces[after.key] = known.moved(after.seq, after.run)

    def forget(self, space: Space) -> None:
        """Forget a space that has changed in another way."""
        self._spaces.pop(space.key, None)

"""Whether a server can do its work: read and write its database; and why not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from onebrain.errors import DatabaseFull, DatabaseReadOnly, OneBrainConnectionError, OneBrainError

# Seconds for which an answer holds: whoever asks need not be known.
_GOOD: Final = 1.0
# Bytes that are written after a failed write, as a test for free space.
_ROOM: Final = 256 * 1024


class Health:
    """Asks the database, at most once a second, and remembers that a write found no room.

    Args:
        probe: Reads and writes the database; a number of bytes, which are removed again.
    """

    def __init__(self, probe: Callable[[int], None]) -> None:
        self._probe = probe
        self._lock = threading.Lock()
        self._until = 0.0
        self._reason: str | None = None
        self._failed = False

    def note(self, error: OneBrainError) -> None:
        """Take note of an error: after one for want of room, only a large write proves that there is some again."""
        if isinstance(error, DatabaseFull | DatabaseReadOnly):
            self._failed = True
            self._until = 0.0

    def reason(self) -> str | None:
        """Return why the server cannot do its work, None where it can."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._reason = self._asked()
                self._until = time.monotonic() + _GOOD
            return self._reason

    def _asked(self) -> str | None:
        try:
            self._probe(_ROOM if self._failed else 0)
        except DatabaseFull:
            self._failed = True
            return "the database has no space left"
        except DatabaseReadOnly:
            self._failed = True
            return "the database cannot be written"
        except OneBrainConnectionError:
            return "the database cannot be reached"
        except OneBrainError:
            return "the database is there but cannot be used; the server's log has the reason"
        self._failed = False
        return None

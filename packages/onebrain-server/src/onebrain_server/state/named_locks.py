"""Locks by name among the processes that share an SQLite database."""

from __future__ import annotations

import errno
import os
import random
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from onebrain.errors import StorageError

# Seconds between two looks at a lock that another process holds. A blocking call could be refused as a deadlock, for the
# system takes all threads of a process for one.
_LEAST, _MOST = 0.0005, 0.005
_HELD: Final = (errno.EACCES, errno.EAGAIN)


class NamedLocks:
    """Locks that processes of one machine share through a file; a process that ends lets go of its own.

    Each lock is a byte of the file, which stays empty.

    Args:
        path: The file, made if it is missing.
    """

    def __init__(self, path: str) -> None:
        # Open until the end: to close any descriptor of the file would let go of all locks of the process.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._mine: set[int] = set()
        self._lock = threading.Lock()

    @contextmanager
    def holding(self, number: int, *, wait: bool) -> Generator[bool, None, None]:
        """Hold a lock until the end of the block.

        Args:
            number: The number of the lock, 0..2^62.
            wait: Whether to wait while another thread or process holds it. Otherwise the block gets False at once.
        """
        while not self._taken(number):
            if not wait:
                yield False
                return
            time.sleep(random.uniform(_LEAST, _MOST))
        try:
            yield True
        finally:
            self._let_go(number)

    def _taken(self, number: int) -> bool:
        with self._lock:
            # The system's lock keeps no thread of this process out.
            if number in self._mine:
                return False
            try:
                _lock(self._file, number)
            except OSError as error:
                if error.errno in _HELD:
                    return False
                raise StorageError(f"the server's locks failed: {error.strerror}") from None
            self._mine.add(number)
            return True

    def _let_go(self, number: int) -> None:
        with self._lock:
            self._mine.discard(number)
            if self._file >= 0:
                _unlock(self._file, number)

    def close(self) -> None:
        """Let go of all locks and close the file; a second call does nothing."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1


if sys.platform == "win32":

    def _lock(file: int, number: int) -> None:
        raise StorageError("several workers on SQLite need a POSIX system")

    def _unlock(file: int, number: int) -> None:
        """Do nothing: no lock is ever taken."""

else:
    import fcntl

    def _lock(file: int, number: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)

    def _unlock(file: int, number: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, number)

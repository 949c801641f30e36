"""Whether the files of an open SQLite database are still those that its connections write to.

A file that is removed, renamed or replaced lives on for whoever has it open, so SQLite goes on writing to a file that nobody
will find again. And where the log of an old file stands beside a new one, SQLite takes it for the new one's. Whoever
keeps connections open therefore looks at the names of their files: before an answer, and after a write.

A file that is emptied in place keeps its name. SQLite would go on with its log, and lose all at the next checkpoint.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Final, TypeAlias

from onebrain.errors import StorageError

Identity: TypeAlias = tuple[int, int] | None

# Nanoseconds after which a folder's time tells one change from the next. File systems that keep parts of a second take
# the time from the kernel's clock, which ticks every 10 ms at least; the others count in steps of up to 2 seconds.
_SECOND: Final = 1_000_000_000
_SETTLED, _SETTLED_COARSELY = _SECOND // 10, 5 * _SECOND // 2
_MAIN: Final = 0
_LOG: Final = 1
_INDEX: Final = 2


class DatabaseFiles:
    """The files of one SQLite database, by name and by inode.

    Args:
        path: The database.
        log: Whether its log and the index of that are of these connections' own; not where they only read.
    """

    def __init__(self, path: str, *, log: bool = True) -> None:
        self._path = path
        self._names: tuple[str, ...] = (path, f"{path}-wal", f"{path}-shm") if log else (path,)
        self._known = self._now()  # connections have used them by now, so they are there
        self._left = self._emptied = False
        self._folder = os.path.dirname(path) or "."  # noqa: PTH120
        self._calm: tuple[int, int] | None = None
        # The target of a link can be replaced without a change of the link's folder.
        self._linked = os.path.islink(path)  # noqa: PTH114

    @property
    def same(self) -> bool:
        """Whether the files are those that they were at the beginning.

        Whatever happens to a name changes its folder, so most of the time one look at that is enough. A folder that has
        just changed might change again with the same time on it, and is not relied upon.
        """
        try:
            folder = os.stat(self._folder)  # noqa: PTH116
        except OSError:
            return False
        seen = (folder.st_ino, folder.st_mtime_ns)
        if seen == self._calm and not self._is_empty():
            return True
        if self._known != self._now():
            return False
        least = _SETTLED if folder.st_mtime_ns % _SECOND else _SETTLED_COARSELY
        self._calm = seen if time.time_ns() - folder.st_mtime_ns > least else None
        return True

    def require(self, *, wrote: bool = False) -> None:
        """Raise `StorageError` where the files are no longer the same; ``wrote`` says that they were just written to."""
        relinked = wrote and self._linked and _identity(self._names[_MAIN]) != self._known[_MAIN]
        if relinked or not self.same:
            raise self.error(wrote=wrote)

    def leave(self, connection: sqlite3.Connection) -> None:
        """Move the log's content into the file that it belongs to, and remove the log from beside any other.

        Acknowledged writes are then in the file, wherever that is by now.
        """
        if self._left or len(self._names) == 1:
            return
        self._left = True
        if self._is_empty():
            self._set_aside()
            return
        now = self._now()
        if now[_MAIN] == self._known[_MAIN] and now[_LOG] not in (None, self._known[_LOG]):
            return  # somebody has begun another log for the same file, which must not be written to beside that
        with contextlib.suppress(sqlite3.Error):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if now[_MAIN] != self._known[_MAIN] and now[_INDEX] == self._known[_INDEX] is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._names[_INDEX])  # noqa: PTH108  # names are plain text here

    def close(self, connection: sqlite3.Connection) -> None:
        """Close the last connection, or leave it open for good where another database has the file's name.

        SQLite removes the log by its name when the last connection to a file is closed, and the name may be another's.
        """
        if self._is_empty():
            self.leave(connection)
        if self._emptied:
            connection.close()
            # The checkpoint at the end finds no log, and yet makes room for its pages.
            with contextlib.suppress(OSError):
                os.truncate(self._names[_MAIN], 0)
        elif self._now()[_MAIN] == self._known[_MAIN]:
            connection.close()
        else:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))

    def _is_empty(self) -> bool:
        """Return whether the database was emptied under its connections."""
        if self._emptied:
            return True
        try:
            status = os.stat(self._names[_MAIN])  # noqa: PTH116
        except OSError:
            return False
        return not status.st_size and (status.st_dev, status.st_ino) == self._known[_MAIN]

    def _set_aside(self) -> None:
        """Copy the log of an emptied database, and empty it: without the rest its pages are of no use to it."""
        log = Path(self._names[_LOG])
        with contextlib.suppress(OSError):
            shutil.copy2(log, log.with_name(f"{log.name}.{time.time_ns()}"))
            os.truncate(log, 0)
            self._emptied = True

    def error(self, *, wrote: bool = False) -> StorageError:
        """Return the error for files that are no longer the same."""
        done = (
            "what was just written is not in the file of this name, so it does not count"
            if wrote
            else "nothing was read or written"
        )
        if self._is_empty():
            return StorageError(
                f"{self._path} was emptied by another program while it was open; {done}. Its log, with writes since the "
                "last checkpoint, was copied beside it. Close the brain, put the file that you want in its place, with no "
                "-wal and -shm files of another one beside it, and connect again",
                service="sqlite",
                code="replaced",
            )
        return StorageError(
            f"{self._path}, or its -wal or -shm file, was removed, renamed or replaced while it was open; {done}. "
            "Put the file that you want in its place, with no -wal and -shm files of another one beside it, "
            "and connect again",
            service="sqlite",
            code="replaced",
        )

    def _now(self) -> tuple[Identity, ...]:
        return tuple([_identity(name) for name in self._names])


def _identity(name: str) -> Identity:
    """Return the device and inode of a file; None if it is missing, or an empty database."""
    try:
        status = os.stat(name)  # noqa: PTH116  # twice as fast as pathlib, on the way of every call
    except OSError:
        return None
    if not status.st_size and not name.endswith("-wal"):
        return None
    return status.st_dev, status.st_ino

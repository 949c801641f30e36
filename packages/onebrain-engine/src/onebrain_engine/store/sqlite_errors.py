"""From SQLite's errors to ours, with the cause and the remedy."""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Any

from onebrain.errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseFull,
    DatabaseReadOnly,
    OneBrainError,
    OneBrainValidationError,
    StorageError,
)


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether another writer stood in the way."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_read_only(error: sqlite3.Error) -> bool:
    """Return whether the file or its folder cannot be written."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
    )


def translate(error: sqlite3.Error, path: str) -> OneBrainError:
    """Return the error of our tree for one of SQLite's; its text names the file, and quotes nothing of its content."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    reason = getattr(error, "sqlite_errorname", type(error).__name__)
    facts: dict[str, Any] = {"service": "sqlite", "code": reason}
    if is_busy(error):
        return DatabaseBusy(
            f"{path} is held by another writer; nothing was written, try again or raise busy_timeout", **facts
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DatabaseCorrupt(
            f"{path} is damaged or not a brain; restore a backup, or save what can be read with "
            "sqlite3's .recover command",
            **facts,
        )
    if code == sqlite3.SQLITE_FULL:
        return DatabaseFull(
            f"no space left for {path}; free some and try again, nothing was written", **facts
        )
    if code == sqlite3.SQLITE_READONLY:
        return DatabaseReadOnly(
            f"{path} cannot be written; check the permissions of the file and its folder", **facts
        )
    if code == sqlite3.SQLITE_CANTOPEN:
        return StorageError(
            f"{path} cannot be opened; check that its folder exists and can be written", **facts
        )
    if code == sqlite3.SQLITE_IOERR:
        return DatabaseFull(
            f"{path} could not be written or read: {error}; is the disk full or failing?", **facts
        )
    if code == sqlite3.SQLITE_TOOBIG:
        return OneBrainValidationError("a text is longer than SQLite can hold", **facts)
    return StorageError(f"{path}: {error}", **facts)


class translated:
    """Raises SQLite's errors as ours at the end of a block.

    A class, because a generator takes three times as long, on the way of every call.
    """

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise the error of our tree for one of SQLite's."""
        if isinstance(error, sqlite3.Error):
            raise translate(error, self._path) from error

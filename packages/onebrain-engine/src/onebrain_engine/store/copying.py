"""Copies of a whole SQLite database, made while others read and write it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from onebrain.errors import ConfigurationError, DatabaseBusy, DatabaseCorrupt, SchemaTooNew, Unsupported
from onebrain.memory.sqlite_urls import MEMORY, sqlite_path
from onebrain_engine.store.files import make_file
from onebrain_engine.store.postgres_url import is_postgres
from onebrain_engine.store.schema import APPLICATION_ID, MIGRATIONS
from onebrain_engine.store.sqlite_errors import translated

Progress: TypeAlias = Callable[[int, int], object]

_PAGES: Final = 2048
# Seconds without a page copied, as a writer that hangs would hold the copy for ever.
_PATIENCE: Final = 30.0
_DUMP: Final = "PostgreSQL is copied by its own programs: pg_dump --enable-row-security --format=custom --schema=onebrain, and pg_restore"


def backup(url: str, file: str | Path, *, replace: bool = False, progress: Progress | None = None) -> int:
    """Copy a brain into a file, as it is at one moment, while others write.

    Args:
        url: ``sqlite:///brain.db``, the database of a server included.
        file: Where the copy goes. It appears when it is complete.
        replace: Whether a file that is there is replaced.
        progress: Called with the pages copied so far and the pages of the database.

    Returns:
        The bytes of the copy.

    Raises:
        ConfigurationError: There is no brain at the URL, or a file at the other end.
        Unsupported: The brain is on PostgreSQL or in memory.
        StorageError: The database cannot be read, or the file cannot be written.
    """
    source, target = _path(url), Path(file)
    if target.exists() and not replace:
        raise ConfigurationError(f"{target} is there already; name another file, or replace it explicitly")
    if os.path.realpath(source) == os.path.realpath(target):
        raise ConfigurationError(f"{target} is the brain itself; name another file")
    partial = target.with_name(f"{target.name}.partial")
    _remove(partial)
    make_file(partial)
    try:
        with translated(str(target)), _opened(source) as one, closing(_connect(str(partial))) as two:
            # The view of one moment: without it, every write of others would begin the copy anew.
            one.execute("BEGIN")
            one.execute("SELECT count(*) FROM sqlite_master").fetchone()
            one.backup(two, pages=_PAGES, progress=_patient(progress))
        size = partial.stat().st_size
        os.replace(partial, target)  # noqa: PTH105
    finally:
        _remove(partial)
    return size


def restore(file: str | Path, url: str, *, progress: Progress | None = None) -> int:
    """Put the copy of a brain in place of a brain, in one transaction; open brains notice it, and go on with it.

    Args:
        file: The copy, as `backup` makes it.
        url: ``sqlite:///brain.db``; the file is created if it is missing, and loses all that it holds otherwise.
        progress: Called with the pages copied so far and the pages of the copy.

    Returns:
        The bytes of the brain.

    Raises:
        ConfigurationError: The file is no copy of a brain.
        DatabaseBusy: Others hold the brain's file; nothing was changed.
        SchemaTooNew: A newer version wrote the copy.
        Unsupported: The brain is on PostgreSQL or in memory.
        StorageError: The copy is damaged, or the brain's file cannot be written.
    """
    target = _path(url)
    if os.path.realpath(target) == os.path.realpath(file):
        raise ConfigurationError(f"{file} is the brain itself; name its copy")
    with translated(target), ExitStack() as stack:
        one = stack.enter_context(_opened(str(file)))
        make_file(target)
        two = stack.enter_context(closing(_connect(target)))
        # What is restored is there after a power failure, too.
        two.execute("PRAGMA synchronous = FULL")
        mark = int(two.execute("PRAGMA application_id").fetchone()[0])
        if mark != APPLICATION_ID and two.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            raise ConfigurationError(f"{target} is another program's database, which is not replaced")
        if one.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise DatabaseCorrupt(f"{file} is damaged; restore another copy", service="sqlite")
        # In one step, so that no writer comes between.
        one.backup(two, pages=-1, progress=_patient(progress))
        return int(one.execute("PRAGMA page_count").fetchone()[0]) * int(
            one.execute("PRAGMA page_size").fetchone()[0]
        )


def _path(url: str) -> str:
    if is_postgres(url):
        raise Unsupported(f"{_DUMP}. docs/postgresql.md has the commands", service="postgresql")
    path = sqlite_path(url)
    if path == MEMORY:
        raise Unsupported("a brain in memory has no file; export its memories instead", service="sqlite")
    return path


def _connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)


@contextmanager
def _opened(path: str) -> Generator[sqlite3.Connection, None, None]:
    """Open a file that must hold a brain, of this version or an earlier one."""
    there = False
    with suppress(OSError):
        there = Path(path).stat().st_size > 0
    if not there:
        raise ConfigurationError(f"there is no brain at {path}", service="sqlite")
    with closing(_connect(path)) as connection:
        try:
            mark = int(connection.execute("PRAGMA application_id").fetchone()[0])
        except sqlite3.DatabaseError:
            mark = 0
        if mark != APPLICATION_ID:
            raise ConfigurationError(f"{path} is not a brain", service="sqlite")
        if int(connection.execute("PRAGMA user_version").fetchone()[0]) > len(MIGRATIONS):
            raise SchemaTooNew(f"{path} was written by a newer version; install that one", service="sqlite")
        yield connection


def _patient(progress: Progress | None) -> Callable[[int, int, int], None]:
    """Return a callback of `Connection.backup` that gives up if nothing moves."""
    last, since = -1, time.monotonic()

    def moved(status: int, remaining: int, total: int) -> None:
        nonlocal last, since
        if remaining != last:
            last, since = remaining, time.monotonic()
            if progress is not None:
                progress(total - remaining, total)
        elif time.monotonic() - since > _PATIENCE:
            raise DatabaseBusy(
                "others hold the database; nothing was changed, so try again", service="sqlite"
            )

    return moved


def _remove(path: Path) -> None:
    for name in (path, Path(f"{path}-journal"), Path(f"{path}-wal"), Path(f"{path}-shm")):
        name.unlink(missing_ok=True)


__all__ = ["backup", "restore"]

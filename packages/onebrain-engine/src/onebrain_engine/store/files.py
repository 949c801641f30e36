"""Files that hold memories: only their owner may read them, whatever the umask says."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_FOLDER: Final = 0o700
_FILE: Final = 0o600
_OTHERS: Final = 0o077


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are not there, for their owner alone; existing folders stay as they are."""
    missing: list[Path] = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        try:
            folder.mkdir(_FOLDER)
        except FileExistsError:  # another process was faster
            if not folder.is_dir():
                raise
        else:
            folder.chmod(_FOLDER)


def make_file(path: str | Path) -> None:
    """Make an empty file for its owner alone, where there is none; SQLite gives its WAL and index the same mode.

    Where it cannot be made nothing happens: whoever opens it then says why.
    """
    with suppress(OSError):
        os.close(os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE))
        Path(path).chmod(_FILE)


def opener(path: str, flags: int) -> int:
    """Open a file for `open(..., opener=opener)`, made for its owner alone."""
    number = os.open(path, flags, _FILE)
    if flags & os.O_CREAT:
        Path(path).chmod(_FILE)
    return number


def close_to_others(path: str | Path) -> None:
    """Take the rights of group and others from a file that an earlier version made; one of another owner stays as it is."""
    with suppress(OSError):
        mode = Path(path).stat().st_mode
        if mode & _OTHERS:
            Path(path).chmod(mode & ~_OTHERS & 0o7777)


__all__ = ["close_to_others", "make_file", "make_folder", "opener"]

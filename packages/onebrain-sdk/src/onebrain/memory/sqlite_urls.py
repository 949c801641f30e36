"""Between a file's path and its URL: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` for no file.

A path may hold any character, a URL may not: ``#``, ``?`` and ``%`` are written ``%23``, ``%3F`` and ``%25`` in it.
"""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import quote, unquote

from onebrain.errors import ConfigurationError

MEMORY: Final = ":memory:"
_IN_MEMORY: Final = frozenset({"", "/", f"/{MEMORY}"})


def sqlite_url(path: str | os.PathLike[str]) -> str:
    """Return the URL of a brain in a file; relative paths stay relative, and ``~`` is a name like any other.

    Raises:
        ConfigurationError: No file can have this path.

    Example:
        >>> sqlite_url("C# notes/brain.db")
        'sqlite:///C%23%20notes/brain.db'
    """
    name = os.fspath(path)
    try:
        # Names on disk are bytes; those that are not UTF-8 stand in Python's text as lone surrogates.
        data = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = b""
    if not data or b"\0" in data:
        raise ConfigurationError(f"{name!r} is not the path of a file")
    quoted = quote(data, safe="/:~")
    # Characters that have a meaning of their own in a URL.
    if quoted.startswith("~"):
        quoted = "%7E" + quoted[1:]
    if quoted == MEMORY:
        quoted = "%3Amemory:"
    return f"sqlite:///{quoted}"


def sqlite_path(url: str) -> str:
    """Return the path that an SQLite URL names, ``:memory:`` for none.

    Raises:
        ConfigurationError: It is not such a URL.

    Example:
        >>> sqlite_path("sqlite:///C%23%20notes/brain.db")
        'C# notes/brain.db'
    """
    scheme, separator, rest = url.partition("://")
    if scheme.lower() != "sqlite" or not separator:
        raise ConfigurationError(f"{url!r} is not an SQLite URL; use 'sqlite:///brain.db' or 'sqlite://'")
    if "?" in rest or "#" in rest:
        raise ConfigurationError(
            "an SQLite URL takes no parameters; pass options to connect(), as in durability='full'. Where a file's name has "
            "a ? or a #, write %3F or %23, or use onebrain.sqlite_url(path)"
        )
    if rest in _IN_MEMORY:
        return MEMORY
    if not rest.startswith("/"):
        raise ConfigurationError(f"{url!r} has too few slashes: 'sqlite:///brain.db' is a file beside you")
    path = unquote(rest[1:], errors="surrogateescape")
    if "\0" in path:
        raise ConfigurationError(f"{url!r} is not the URL of a file: a path holds no NUL")
    if rest.startswith("/~"):
        return os.path.expanduser(path)  # noqa: PTH111  (a Path would change leading slashes and dots)
    # SQLite itself reads these names as something else than a file beside you.
    return f"./{path}" if path == MEMORY or path.startswith("file:") else path


def is_in_memory(url: str) -> bool:
    """Return whether a URL names a brain in memory, which nobody else can open."""
    scheme, separator, rest = url.partition("://")
    return bool(separator) and scheme.lower() == "sqlite" and rest in _IN_MEMORY

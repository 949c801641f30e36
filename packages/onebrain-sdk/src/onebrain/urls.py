"""`connect` and `connect_async`: from a URL, or from nothing, to a brain."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from onebrain.memory.brain import AsyncBrain, Brain
from onebrain.memory.sqlite_urls import sqlite_url
from onebrain.memory.urls import make_driver

CLOUD = "https://onebrain.rocks/api/eu"


def connect(url: str | None = None, *, api_key: str | None = None, **options: Any) -> Brain:
    """Return a `Brain` on a memory service, or on the embedded engine.

    Args:
        url: ``sqlite:///brain.db`` (a file; four slashes for an absolute path; `sqlite_url` makes one of any path),
            ``sqlite://`` (in memory),
            ``postgresql://...``, or a service: ``onebrain+https://host/api/eu``, ``ai-memory+http://localhost:9077``,
            ``herobrain+https://...``, ``rememberos+https://...``, ``brrain+https://...``. The default is
            ``$ONEBRAIN_URL``; else, with an API key in hand or in ``$ONEBRAIN_API_KEY``, OneBrain's cloud (at
            ``$ONEBRAIN_BASE_URL`` if set); else the embedded brain in the user's data directory.
        api_key: The service's key; the default is the environment variable of that service.
        options: Further options of the driver, such as ``timeout`` for a service or ``embedder`` and
            ``durability`` for the engine, and ``create=False`` for an embedded brain that is opened only where it is there.
            An unknown option is an error.

    Raises:
        ConfigurationError: The URL, key or an option is wrong.
        MissingDependency: The driver's package is not installed; the message has the command.

    Example:
        >>> import onebrain
        >>> with onebrain.connect("sqlite://") as brain:
        ...     _ = brain.store("Maria prefers window seats")
        ...     brain.search("where does Maria like to sit?")[0].content
        'Maria prefers window seats'
    """
    url, api_key = resolve(url, api_key)
    return Brain(make_driver(url, api_key=api_key, **options), origin=(url, options))


def connect_async(url: str | None = None, *, api_key: str | None = None, **options: Any) -> AsyncBrain:
    """Return an `AsyncBrain`; the arguments are those of `connect`. It opens nothing until it is first used.

    Example:
        >>> import asyncio, onebrain
        >>> async def main() -> str:
        ...     async with onebrain.connect_async("sqlite://") as brain:
        ...         await brain.store("Maria prefers window seats")
        ...         return (await brain.search("Maria"))[0].content
        >>> asyncio.run(main())
        'Maria prefers window seats'
    """
    url, api_key = resolve(url, api_key)
    return AsyncBrain(make_driver(url, api_key=api_key, **options), origin=(url, options))


def resolve(url: str | None, api_key: str | None) -> tuple[str, str | None]:
    """Return the URL and key that `connect` uses, from its arguments and the environment."""
    if url is not None and not isinstance(url, str):
        url = os.fspath(url)
    url = url or os.environ.get("ONEBRAIN_URL") or None
    if url is not None:
        return url, api_key
    if api_key or os.environ.get("ONEBRAIN_API_KEY"):
        return "onebrain+" + (os.environ.get("ONEBRAIN_BASE_URL") or CLOUD), api_key
    path = data_directory() / "brain.db"
    return sqlite_url(path), None


def data_directory() -> Path:
    """Return the folder of the embedded brain: ``$ONEBRAIN_HOME``, else ``onebrain`` in the user's data directory."""
    if home := os.environ.get("ONEBRAIN_HOME"):
        return Path(home)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "onebrain"

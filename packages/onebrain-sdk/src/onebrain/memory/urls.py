"""`connect` and `connect_async`: from a URL, or from nothing, to a brain."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from onebrain.errors import ConfigurationError, MissingDependency, redact
from onebrain.memory.brain import AsyncBrain, Brain
from onebrain.memory.driver import Driver
from onebrain.memory.sqlite_urls import sqlite_url

GROUP = "onebrain.drivers"
CLOUD = "https://onebrain.rocks/api/eu"

# Where each known driver lives, for a message that says how to install it.
_INSTALL = {
    "sqlite": 'pip install "onebrain-sdk[local]"',
    "postgresql": 'pip install "onebrain-engine[postgres]"',
}
_ALIASES = {"postgres": "postgresql"}
# The project's own drivers, as its packages register them, too. Asking every installed package for its entry points takes
# longer than opening a brain, so that is done for the drivers of others only.
_OWN = {
    "sqlite": "onebrain_engine.driver:driver",
    "postgresql": "onebrain_engine.driver:driver",
    "onebrain": "onebrain.memory.drivers.onebrain:driver",
    "ai-memory": "onebrain.memory.drivers.ai_memory:connect",
    "herobrain": "onebrain.memory.drivers.herobrain:connect",
    "rememberos": "onebrain.memory.drivers.rememberos:rememberos",
    "brrain": "onebrain.memory.drivers.brrain:brrain",
}


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
        options: What the driver takes beyond that, such as ``timeout`` for a service or ``embedder`` and
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


def make_driver(url: str, *, api_key: str | None = None, **options: Any) -> Driver:
    """Find the driver that a URL names among the installed ones, and make it."""
    scheme, separator, _ = url.partition(":")
    name = scheme.partition("+")[0].lower()
    name = _ALIASES.get(name, name)
    if not separator or not name:
        raise ConfigurationError(
            f"{redact(url)!r} is not a URL; use for example 'sqlite:///brain.db' or 'onebrain+https://host/api/eu'; "
            "onebrain.sqlite_url(path) makes one of a file's path"
        )
    target = _OWN.get(name) or _registered(name, url)
    module, _, attribute = target.partition(":")
    try:
        factory = getattr(import_module(module), attribute)
    except ImportError as error:
        if error.name == module.partition(".")[0] and name in _INSTALL:
            raise MissingDependency(f"the embedded brain is not installed: {_INSTALL[name]}") from error
        raise MissingDependency(
            f"the {name} driver needs {error.name or 'a package'}, which is not installed: "
            f"{_INSTALL.get(name, f'pip install {error.name}')}"
        ) from error
    try:
        driver: Driver = factory(url, api_key=api_key, **options)
        return driver
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ConfigurationError(f"the {name} driver: {error}") from None


def _registered(name: str, url: str) -> str:
    """Return where the driver of another package is, as it registered it."""
    from importlib.metadata import entry_points

    points = {point.name: point.value for point in entry_points(group=GROUP)}
    if name in points:
        return points[name]
    if name in ("http", "https"):
        raise ConfigurationError(
            f"{redact(url)!r} does not say which service answers there; "
            f"put its name in front, as in 'onebrain+{name}://...'"
        )
    known = ", ".join(sorted({*points, *_OWN}))
    raise ConfigurationError(f"no driver for {name!r}; installed: {known}")

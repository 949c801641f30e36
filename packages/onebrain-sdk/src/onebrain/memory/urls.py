"""From a URL to the driver that it names, among those of the project and those that other packages register."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from onebrain._core.former import moved
from onebrain.errors import ConfigurationError, MissingDependency, redact
from onebrain.memory.driver import Driver

GROUP = "onebrain.drivers"

# The command that installs each driver, for an error message.
_INSTALL = {
    "sqlite": 'pip install "onebrain-sdk[local]"',
    "postgresql": 'pip install "onebrain-engine[postgres]"',
}
_ALIASES = {"postgres": "postgresql"}
_ENGINE = {"sqlite": "onebrain_engine.driver:driver", "postgresql": "onebrain_engine.driver:driver"}


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
    target = own_driver(name) or _registered(name, url)
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


def own_driver(name: str) -> str | None:
    """Return the address of one of the project's own drivers, or None for a name that another package may register.

    Asking every installed package for its entry points takes longer than opening a brain.
    """
    if name in _ENGINE:
        return _ENGINE[name]
    package = f"onebrain.services.{name.replace('-', '_')}"
    return f"{package}.driver:driver" if package.count(".") == 2 and find_spec(package) else None


def _registered(name: str, url: str) -> str:
    """Return the address of another package's driver, as it registered it."""
    from importlib.metadata import entry_points

    points = {point.name: point.value for point in entry_points(group=GROUP)}
    if name in points:
        return points[name]
    if name in ("http", "https"):
        raise ConfigurationError(
            f"{redact(url)!r} does not say which service answers there; "
            f"put its name in front, as in 'onebrain+{name}://...'"
        )
    known = ", ".join(sorted({*points, *_ENGINE}))
    raise ConfigurationError(f"no driver for {name!r}; installed: {known}")


__getattr__ = moved(
    __name__, "onebrain.urls", "CLOUD", "connect", "connect_async", "data_directory", "resolve"
)

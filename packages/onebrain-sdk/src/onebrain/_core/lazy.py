"""Names of a package that are imported when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module


def load(
    package: str, name: str, modules: Mapping[str, str], extras: Mapping[str, str] | None = None
) -> object:
    """Import a name of a package: the body of the package's ``__getattr__``.

    Importing such a package loads none of its modules, and only the names that need a missing library miss it.

    Args:
        package: The package's name.
        name: The name that was asked for.
        modules: The module of each name, relative to the package if it begins with a dot.
        extras: The extra of the distribution that installs a library, by the library's module.

    Raises:
        AttributeError: The package has no such name.
        MissingDependency: A library with an extra is not installed; the message names the extra.
    """
    if name not in modules:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    try:
        module = import_module(modules[name], package)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        extra = (extras or {}).get(missing)
        if extra is None:
            raise
        from onebrain.errors import MissingDependency

        raise MissingDependency(
            f"{name} needs {missing}, which is not installed: "
            f'pip install "{package.replace("_", "-")}[{extra}]"'
        ) from error
    value = getattr(module, name)
    setattr(sys.modules[package], name, value)
    return value

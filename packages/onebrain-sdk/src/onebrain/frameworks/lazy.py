"""Components that are imported on first use, and the shared parts of components of earlier versions."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from onebrain.memory.models import Memory

# Tokens of a context for each of the names that version 0.1 had for them.
FORMER_LENGTHS: Final[Mapping[str, int]] = {"brief": 500, "assistant": 1500, "project": 3000, "deep": 6000}


def load(
    package: str, name: str, modules: Mapping[str, str], extras: Mapping[str, str] | None = None
) -> object:
    """Import a component of a package: the body of the package's ``__getattr__``.

    Importing such a package loads no framework, and only the components that need a missing framework miss it.

    Args:
        package: The package's name.
        name: The component.
        modules: The module of each component.
        extras: The extra of the distribution that installs a framework, by the framework's module.

    Raises:
        AttributeError: The package has no such component.
        MissingDependency: The component's framework is not installed; the message names the extra.
    """
    if name not in modules:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    try:
        module = import_module(f"{package}.{modules[name]}")
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


def load_former(
    package: str, name: str, modules: Mapping[str, str], *, distribution: str, successor: str
) -> object:
    """Import a component of version 0.1 and warn: the body of the ``__getattr__`` of the former package.

    Each use warns with `DeprecationWarning`, at the line of the use, and names the `successor`.
    """
    if name not in modules:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    warnings.warn(
        f"{package}.{name} is the component of {distribution} 0.1; import it from {successor}, whose arguments "
        "docs/migrating.md lists",
        DeprecationWarning,
        stacklevel=3,
    )
    return getattr(import_module(f"{package}.{modules[name]}"), name)


def former_metadata(memory: Memory) -> dict[str, Any]:
    """Return the metadata that version 0.1 gave to a memory; a fact that is not known is empty."""
    extra = memory.extra
    return {
        "id": memory.id,
        "type": memory.type or "",
        "confidence": extra.get("confidence", 0.0),
        "source_type": extra.get("sourceType") or extra.get("source_type") or "",
        "created_at": memory.created_at.isoformat() if memory.created_at is not None else "",
    }

"""Components that are imported on first use, and the shared parts of components of earlier versions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from onebrain._core.lazy import load as load

if TYPE_CHECKING:
    from onebrain.memory.models import Memory

# Tokens of a context for each of the names that version 0.1 had for them.
FORMER_LENGTHS: Final[Mapping[str, int]] = {"brief": 500, "assistant": 1500, "project": 3000, "deep": 6000}


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

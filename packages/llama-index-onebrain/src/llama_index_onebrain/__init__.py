"""The components of llama-index-onebrain 0.1, by its module's name and with its arguments.

New code imports `onebrain_llamaindex`. A name that is taken from here warns with `DeprecationWarning`.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_index_onebrain.components import OneBrainReader, OneBrainRetriever
    from llama_index_onebrain.tools import OneBrainToolSpec

__version__ = "2.0.0"

__all__ = ["OneBrainReader", "OneBrainRetriever", "OneBrainToolSpec", "__version__"]

_MODULES = {"OneBrainReader": "components", "OneBrainRetriever": "components", "OneBrainToolSpec": "tools"}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        f"llama_index_onebrain.{name} is the component of llama-index-onebrain 0.1; import it from onebrain_llamaindex, "
        "whose arguments docs/migrating.md lists",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""The components of llama-index-onebrain 0.1, by its module's name and with its arguments.

New code imports `onebrain_llamaindex`. A name that is taken from here warns with `DeprecationWarning`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onebrain.frameworks.lazy import formerly_here

if TYPE_CHECKING:
    from llama_index_onebrain.components import OneBrainReader, OneBrainRetriever
    from llama_index_onebrain.tools import OneBrainToolSpec

__version__ = "2.0.0"

__all__ = ["OneBrainReader", "OneBrainRetriever", "OneBrainToolSpec", "__version__"]

_MODULES = {"OneBrainReader": "components", "OneBrainRetriever": "components", "OneBrainToolSpec": "tools"}


__getattr__ = formerly_here(
    __name__, _MODULES, distribution="llama-index-onebrain", successor="onebrain_llamaindex"
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

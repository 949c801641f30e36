"""The components of llama-index-onebrain 0.1, by its module's name and with its arguments.

New code imports `onebrain_llamaindex`. A name that is taken from here warns with `DeprecationWarning`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_index_onebrain.components import OneBrainReader, OneBrainRetriever
    from llama_index_onebrain.tools import OneBrainToolSpec

__version__ = "2.0.0"

__all__ = ["OneBrainReader", "OneBrainRetriever", "OneBrainToolSpec", "__version__"]

_MODULES = {"OneBrainReader": "components", "OneBrainRetriever": "components", "OneBrainToolSpec": "tools"}


def __getattr__(name: str) -> object:
    from onebrain.frameworks.lazy import load_former

    return load_former(
        __name__, name, _MODULES, distribution="llama-index-onebrain", successor="onebrain_llamaindex"
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""The components of onebrain-langchain 0.1, by its module's name and with its arguments.

New code imports `onebrain_langchain`. A name that is taken from here warns with `DeprecationWarning`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_onebrain.history import OneBrainChatMessageHistory
    from langchain_onebrain.retriever import OneBrainRetriever
    from langchain_onebrain.tools import (
        OneBrainContextTool,
        OneBrainEntityTool,
        OneBrainSearchTool,
        OneBrainWriteTool,
    )

__version__ = "2.0.0"

__all__ = [
    "OneBrainChatMessageHistory",
    "OneBrainContextTool",
    "OneBrainEntityTool",
    "OneBrainRetriever",
    "OneBrainSearchTool",
    "OneBrainWriteTool",
    "__version__",
]

_MODULES = {
    "OneBrainChatMessageHistory": "history",
    "OneBrainContextTool": "tools",
    "OneBrainEntityTool": "tools",
    "OneBrainRetriever": "retriever",
    "OneBrainSearchTool": "tools",
    "OneBrainWriteTool": "tools",
}


def __getattr__(name: str) -> object:
    from onebrain.frameworks.lazy import load_former

    return load_former(
        __name__, name, _MODULES, distribution="onebrain-langchain", successor="onebrain_langchain"
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

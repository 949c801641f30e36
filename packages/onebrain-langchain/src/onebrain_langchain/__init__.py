"""LangChain and LangGraph components over a OneBrain memory.

Each component lives in a module of its own, which is loaded when the component is first touched: importing this
package loads no framework, and a framework that is not installed is missed only by the components that need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onebrain_langchain.history import OneBrainChatMessageHistory
    from onebrain_langchain.index import OneBrainIndex
    from onebrain_langchain.loader import OneBrainLoader
    from onebrain_langchain.memory import OneBrainMemory
    from onebrain_langchain.middleware import OneBrainMiddleware
    from onebrain_langchain.reranking import CompressorReranker
    from onebrain_langchain.retriever import OneBrainRetriever
    from onebrain_langchain.store import OneBrainStore
    from onebrain_langchain.tools import (
        OneBrainContextTool,
        OneBrainEntityTool,
        OneBrainForgetTool,
        OneBrainRememberTool,
        OneBrainSearchTool,
        OneBrainSupersedeTool,
        OneBrainToolkit,
        OneBrainUpdateTool,
        OneBrainWriteTool,
    )
    from onebrain_langchain.vectorstore import OneBrainVectorStore

__version__ = "2.0.0"

__all__ = [
    "CompressorReranker",
    "OneBrainChatMessageHistory",
    "OneBrainContextTool",
    "OneBrainEntityTool",
    "OneBrainForgetTool",
    "OneBrainIndex",
    "OneBrainLoader",
    "OneBrainMemory",
    "OneBrainMiddleware",
    "OneBrainRememberTool",
    "OneBrainRetriever",
    "OneBrainSearchTool",
    "OneBrainStore",
    "OneBrainSupersedeTool",
    "OneBrainToolkit",
    "OneBrainUpdateTool",
    "OneBrainVectorStore",
    "OneBrainWriteTool",
    "__version__",
]

# The module of each name; the tools share one.
_MODULES = {
    **dict.fromkeys(__all__, ".tools"),
    "CompressorReranker": ".reranking",
    "OneBrainChatMessageHistory": ".history",
    "OneBrainIndex": ".index",
    "OneBrainLoader": ".loader",
    "OneBrainMemory": ".memory",
    "OneBrainMiddleware": ".middleware",
    "OneBrainRetriever": ".retriever",
    "OneBrainStore": ".store",
    "OneBrainVectorStore": ".vectorstore",
}

# Which extra brings which framework, for a message that says how to install it.
_EXTRAS = {"langgraph": "langgraph", "langchain": "agents", "langchain_classic": "classic"}


def __getattr__(name: str) -> object:
    from onebrain.frameworks.lazy import load

    return load(__name__, name, _MODULES, _EXTRAS)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""LlamaIndex components over a OneBrain memory: vector store, retriever, memory, chat stores, tools, reader, key-value store.

Each takes ``brain=`` (a `Brain`, an `AsyncBrain`, or both), or ``url=`` and ``api_key=``, or nothing (then
`onebrain.connect` decides), and ``scope=``; each works in sync and async code alike.
"""

from onebrain_llamaindex.chat_store import AsyncOneBrainChatStore, OneBrainChatStore
from onebrain_llamaindex.embedding import BrainEmbedding
from onebrain_llamaindex.filters import translate
from onebrain_llamaindex.kv_store import OneBrainKVStore
from onebrain_llamaindex.memory import OneBrainMemory
from onebrain_llamaindex.memory_block import OneBrainMemoryBlock
from onebrain_llamaindex.reader import OneBrainReader
from onebrain_llamaindex.reranking import PostprocessorReranker
from onebrain_llamaindex.retriever import OneBrainRetriever
from onebrain_llamaindex.tools import OneBrainToolSpec
from onebrain_llamaindex.vector_store import OneBrainVectorStore

__all__ = [
    "AsyncOneBrainChatStore",
    "BrainEmbedding",
    "OneBrainChatStore",
    "OneBrainKVStore",
    "OneBrainMemory",
    "OneBrainMemoryBlock",
    "OneBrainReader",
    "OneBrainRetriever",
    "OneBrainToolSpec",
    "OneBrainVectorStore",
    "PostprocessorReranker",
    "translate",
]

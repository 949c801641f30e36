"""Rerankers: models that read a query and each text together, and so order the best hits of a search better than vectors can.

Importing this package imports no HTTP library and no model library. A model is loaded at its first use.
"""

from onebrain.memory.reranking.asking import Reranker, RerankerLike, reranker_of
from onebrain.memory.reranking.names import GROUP, from_name

__all__ = ["GROUP", "Reranker", "RerankerLike", "from_name", "reranker_of"]

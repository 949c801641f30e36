"""Embedders that are chosen by a name, such as ``fastembed:BAAI/bge-small-en-v1.5``.

Importing this package imports no model library and no HTTP library. A model is loaded at its first use.
"""

from onebrain_engine.embedders.names import GROUP, from_name
from onebrain_engine.embedders.prefixes import Prefixes, known_prefixes

__all__ = ["GROUP", "Prefixes", "from_name", "known_prefixes"]

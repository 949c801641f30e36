"""The embedded memory engine of OneBrain: hybrid search over SQLite, in this process, without a server.

Most people never import it: ``onebrain.connect("sqlite:///brain.db")`` does.
"""

from onebrain_engine.embedding import Embedder
from onebrain_engine.engine import Engine
from onebrain_engine.store.copying import backup, restore
from onebrain_engine.store.rekeying import encrypt
from onebrain_engine.store.sqlite import SqliteStore
from onebrain_engine.tenant import Tenant
from onebrain_engine.wordllama import WordLlama

__version__ = "2.0.0"

__all__ = [
    "Embedder",
    "Engine",
    "SqliteStore",
    "Tenant",
    "WordLlama",
    "__version__",
    "backup",
    "encrypt",
    "restore",
]

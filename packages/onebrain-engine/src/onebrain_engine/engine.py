"""The engine: memories kept by a store, found by an index, in this process.

`Engine` is shared by all tenants of a process and safe to share between threads; `Tenant` is one tenant's view of it,
and the only way to its memories. The store is the truth. An index is read from it when a space is first used, catches
up at each call with the changes of others, and can be thrown away at any time.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

from onebrain.errors import ConfigurationError, OneBrainValidationError
from onebrain_engine.background import Background
from onebrain_engine.bounds import Bounds
from onebrain_engine.confidence import Confidence
from onebrain_engine.embedding import Embedder
from onebrain_engine.expiry import Expiry
from onebrain_engine.filling import Filling
from onebrain_engine.index.snapshots import Snapshots
from onebrain_engine.indexes import Indexes
from onebrain_engine.intake import Intake
from onebrain_engine.mentions import Mentions
from onebrain_engine.pages import Pages
from onebrain_engine.reembedding import Reembedded, Reembedding
from onebrain_engine.searching import Searching
from onebrain_engine.spaces import Spaces
from onebrain_engine.store.protocol import Store
from onebrain_engine.tenant import Parts, Tenant
from onebrain_engine.timeline import Timelines
from onebrain_engine.updating import Updating
from onebrain_engine.vectorizers import Vectorizers, vectorizer

LARGE_SPACE: Final = 1_000_000  # memories of one space beyond which its database serves it
INDEX_BYTES: Final = 4 * 2**30


class Engine:
    """A memory engine over a store.

    Args:
        store: Where memories are kept.
        embedder: Makes vectors of texts: a name such as ``"fastembed:BAAI/bge-small-en-v1.5"`` (see
            `onebrain_engine.embedders.from_name`), an object with ``embed_documents`` and ``embed_query``, or a LlamaIndex
            embedding. The default is the one that ``$ONEBRAIN_EMBEDDER`` names, else `WordLlama`. None for no vectors but
            the caller's own.
        snapshots: Where indexes are kept between processes; None for nowhere.
        large: Number of memories at which a space is served by the indexes of its database instead of one in memory; None for
            never, as it is on SQLite, with encryption, and with a pgvector older than 0.8.
        index_bytes: Approximate bytes that indexes may take before the least recently used ones are dropped.
        memory: Deprecated; use `index_bytes`.

    Example:
        >>> from onebrain_engine import Engine, SqliteStore
        >>> from onebrain.memory.models import NewMemory
        >>> engine = Engine(SqliteStore(":memory:"))
        >>> tenant = engine.tenant("acme")
        >>> tenant.store([NewMemory(content="Maria prefers window seats")])[0].status
        'created'
        >>> engine.close()
    """

    def __init__(
        self,
        store: Store,
        *,
        embedder: str | Embedder | Any | None = ...,
        snapshots: Snapshots | None = None,
        large: int | None = LARGE_SPACE,
        index_bytes: int = INDEX_BYTES,
        memory: int | None = None,
    ) -> None:
        if memory is not None:
            index_bytes = formerly("memory", memory)
        if (large is not None and large < 0) or index_bytes < 0:
            raise ConfigurationError("large and index_bytes: must not be negative", service=store.service)
        self.store = store
        self.embedder = vectorizer(embedder)
        embedders = Vectorizers(self.embedder)
        self.bounds = Bounds()
        self.background = Background()
        self.filling = Filling(store, large, self.background)
        self.indexes = Indexes(store, snapshots, self.filling, self.background, index_bytes)
        timelines = Timelines()
        self.spaces = Spaces(store.service, self.indexes, self.filling, timelines)
        pages = Pages(self.indexes, timelines, self.bounds)
        expiry = Expiry()
        self._parts = Parts(
            store=store,
            embedders=embedders,
            indexes=self.indexes,
            spaces=self.spaces,
            pages=pages,
            intake=Intake(store, embedders, self.bounds, self.indexes, expiry),
            searching=Searching(store, embedders, self.spaces, pages),
            confidence=Confidence(store, embedders),
            updating=Updating(store, embedders, self.bounds, self.indexes),
            reembedding=Reembedding(store, embedders, self.filling),
            mentions=Mentions(store),
            timelines=timelines,
            expiry=expiry,
        )

    def check(self) -> None:
        """Ask the database for something, so that whatever keeps the engine from working is raised."""
        with self.store.reading() as read:
            read.space("", "")

    def tenant(self, name: str = "default") -> Tenant:
        """Return one tenant's view; its memories are invisible to every other."""
        if not name:
            raise OneBrainValidationError("a tenant needs a name")
        return Tenant(self._parts, name)

    def reembed(
        self, embedder: str | Embedder | Any | None = None, *, replace: bool = False, anew: bool = False
    ) -> Mapping[str, Reembedded]:
        """Give all spaces of all tenants another embedder, as `Tenant.reembed` does; return the results by tenant.

        Example:
            >>> from onebrain_engine import Engine, SqliteStore
            >>> from onebrain.memory.models import NewMemory
            >>> engine = Engine(SqliteStore(":memory:"), embedder="wordllama")
            >>> _ = engine.tenant("acme").store([NewMemory(content="Maria prefers window seats")])
            >>> engine.reembed("wordllama")["acme"].embedder
            'wordllama:l2_supercat_256'
            >>> engine.close()
        """
        made = self.embedder if embedder is None else vectorizer(embedder)
        return {
            name: self.tenant(name).reembed(made, replace=replace, anew=anew) for name in self.store.tenants()
        }

    def forget_tenant(self, name: str) -> None:
        """Remove everything of a tenant: memories with their mentions, spaces, and snapshots of their indexes.

        Raises:
            StorageError: The database cannot be written, and all is as it was; or everything is removed but a
                snapshot, which the message names.
        """
        with self.filling.forgetting(name):
            self.tenant(name).remove_everything()
        self.indexes.partitions.forget(name)

    def close(self) -> None:
        """Keep snapshots of changed indexes and close the store; a second call does nothing."""
        self.background.stop()
        self.indexes.close()
        self.store.close()


def formerly(name: str, value: int, *, stacklevel: int = 3) -> int:
    """Return the value of an option under the name that it had before `index_bytes`, with a warning."""
    warnings.warn(f"{name}= is now index_bytes=", DeprecationWarning, stacklevel=stacklevel)
    return value

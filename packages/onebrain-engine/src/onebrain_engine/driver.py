"""The driver that puts `Brain` on the engine: ``sqlite:///brain.db``, ``sqlite://`` and ``postgresql://...``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from onebrain._core.paging import Page
from onebrain._core.steps import Steps, call
from onebrain._core.transport import AsyncTransport, SyncTransport
from onebrain.errors import ConfigurationError, MissingDependency
from onebrain.memory.capabilities import ALL_OPERATORS, Capabilities
from onebrain.memory.driver import Change, Changes, Found, ListRequest, Mention, SearchRequest
from onebrain.memory.filters import Filter
from onebrain.memory.models import ForgetResult, Memory, NewMemory, ReembedResult, Scope, StoreResult
from onebrain.memory.sqlite_urls import MEMORY, sqlite_path
from onebrain.memory.transfer import Copied, Embedders
from onebrain_engine.embedding import Embedder
from onebrain_engine.engine import INDEX_BYTES, LARGE_SPACE, Engine, formerly
from onebrain_engine.index.snapshots import Snapshots
from onebrain_engine.store.encryption import Cipher
from onebrain_engine.store.postgres_url import is_postgres
from onebrain_engine.store.protocol import Store
from onebrain_engine.store.sqlite import Durability, SqliteStore
from onebrain_engine.tenant import Tenant


def capabilities(service: str) -> Capabilities:
    """Return the engine's capabilities: everything, natively."""
    return Capabilities(
        service=service,
        client_ids=True,
        created_at=True,
        expiry=True,
        archive=True,
        embeddings=True,
        search_offset=True,
        batch_size=1000,
        atomic_batch=True,
        orders=frozenset(
            {
                "created_at",
                "-created_at",
                "updated_at",
                "-updated_at",
                "importance",
                "-importance",
                "sequence",
                "-sequence",
            }
        ),
        filters={"*": ALL_OPERATORS, "$*": ALL_OPERATORS},
        logic=frozenset({"all", "any", "not"}),
        entities=True,
        reembed=True,
        supersede=True,
        validity=True,
        confidence=True,
        as_of=True,
    )


def driver(
    url: str,
    *,
    api_key: str | None = None,
    embedder: str | Embedder | Any | None = ...,
    tenant: str = "default",
    durability: Durability | None = None,
    busy_timeout: float = 30.0,
    pool_size: int | None = None,
    encryption_key: str | bytes | None = None,
    large_space: int | Any | None = ...,
    index_bytes: int = INDEX_BYTES,
    create: bool = True,
    index_memory: int | None = None,
) -> EngineDriver:
    """Return the driver for a URL of the embedded engine.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` for a brain in memory, or
            ``postgresql://user:password@host/database``; of the latter also the spellings of other libraries, such as
            ``postgres://`` and ``postgresql+psycopg://``.
        api_key: Not used; the embedded engine needs no key, so giving one is an error.
        embedder: A name such as ``"fastembed:BAAI/bge-small-en-v1.5"``, an object with ``embed_documents`` and ``embed_query``,
            or a LlamaIndex embedding; see `onebrain_engine.embedders.from_name`. The default is the one that
            ``$ONEBRAIN_EMBEDDER`` names, else one that works offline. None for no vectors but the caller's own.
        tenant: Whose memories; those of other tenants are invisible.
        durability: SQLite only: ``normal``, the default, survives a killed process, ``full`` a power failure.
        busy_timeout: Seconds to wait for other writers.
        pool_size: PostgreSQL only: the most connections at a time; the default is 10.
        encryption_key: 64 hexadecimal digits. Memories stored from now on are sealed with it, and sealed ones are opened.
        large_space: PostgreSQL only: number of memories at which a space is served by the database's own indexes instead of
            one in memory; the default is 1,000,000. None means never.
        index_bytes: Approximate bytes that indexes in memory may take before the least recently used ones are dropped; the
            default is 4 GiB.
        create: SQLite only: whether a brain is made if the file has none.
        index_memory: Deprecated; use `index_bytes`.

    Raises:
        ConfigurationError: The URL or an option is wrong, there is no brain and none is to be made, or the database is encrypted and this is not its key.
        MissingDependency: PostgreSQL or encryption needs a package that is not installed; the message has the command.
    """
    if index_memory is not None:
        index_bytes = formerly("index_memory", index_memory, stacklevel=5)
    if api_key is not None:
        raise ConfigurationError(
            "the embedded brain takes no api_key; leave it out, or give the URL of a server"
        )
    if is_postgres(url):
        if durability is not None:
            raise ConfigurationError(
                "durability is an option of SQLite; PostgreSQL has its own, synchronous_commit",
                service="postgresql",
            )
        service = "postgresql"
    else:
        if pool_size is not None:
            raise ConfigurationError("pool_size is an option of PostgreSQL; leave it out", service="sqlite")
        if large_space is not ...:
            raise ConfigurationError("large_space is an option of PostgreSQL; leave it out", service="sqlite")
        service = "sqlite"
    store: Store
    cipher = None if encryption_key is None else Cipher(encryption_key, service=service)
    if service == "postgresql":
        store = _postgres(
            url, busy_timeout=busy_timeout, pool_size=10 if pool_size is None else pool_size, cipher=cipher
        )
        snapshots = None
    else:
        path = sqlite_path(url)
        if not create:
            _check_there(path)
        store = SqliteStore(path, durability=durability or "normal", busy_timeout=busy_timeout, cipher=cipher)
        snapshots = None if path == MEMORY else Snapshots(Path(path + ".index"), cipher=cipher)
    try:
        engine = Engine(
            store,
            embedder=embedder,
            snapshots=snapshots,
            large=LARGE_SPACE if large_space is ... else large_space,
            index_bytes=index_bytes,
        )
        return EngineDriver(engine, engine.tenant(tenant), service=service)
    except BaseException:
        store.close()
        raise


def _check_there(path: str) -> None:
    """Raise `ConfigurationError` where no brain is in a file."""
    if path == MEMORY:
        return
    file = Path(path)
    try:
        there = file.stat().st_size > 0
    except FileNotFoundError:
        there = False
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", service="sqlite") from None
    if not there:
        raise ConfigurationError(
            f"there is no brain at {path}; check the path, or store a memory there first to make one",
            service="sqlite",
        )


def _postgres(url: str, *, busy_timeout: float, pool_size: int, cipher: Cipher | None) -> Store:
    try:
        from onebrain_engine.store.postgres import PostgresStore
    except ImportError as error:
        raise MissingDependency(
            f"a brain in PostgreSQL needs {error.name or 'psycopg'}, which is not installed: "
            'pip install "onebrain-engine[postgres]"',
            service="postgresql",
        ) from error
    return PostgresStore(url, busy_timeout=busy_timeout, pool_size=pool_size, cipher=cipher)


class EngineDriver:
    """Puts one tenant of an engine behind `Brain`."""

    def __init__(self, engine: Engine, tenant: Tenant, *, service: str) -> None:
        self.capabilities = capabilities(service)
        self.engine = engine
        self.tenant = tenant
        self._closed = False
        self._lock = threading.Lock()

    def transports(self) -> tuple[SyncTransport | None, AsyncTransport | None]:
        """Return nothing: no request is ever sent."""
        return None, None

    def store(self, items: Sequence[NewMemory], /) -> Steps[Sequence[StoreResult]]:
        """Store memories in one transaction."""
        return (yield from call(self.tenant.store, items))

    def restore(self, copies: Sequence[Copied], /) -> Steps[list[StoreResult]]:
        """Store memories as they were in another brain."""
        return (yield from call(self.tenant.restore, copies))

    def embedders(self) -> Steps[Embedders]:
        """Return whose vectors the spaces hold."""
        return (yield from call(self.tenant.embedders))

    def search(self, request: SearchRequest, /) -> Steps[Found]:
        """Search."""
        return (yield from call(self.tenant.search, request))

    def confidence(
        self, query: str, memories: Sequence[Memory], now: datetime | None, /
    ) -> Steps[float | None]:
        """Return how likely the answer is among memories that a search found."""
        return (yield from call(self.tenant.confidence, query, memories, now))

    def get(
        self, ids: Sequence[str], scope: Scope, /, *, with_embeddings: bool = False
    ) -> Steps[Sequence[Memory]]:
        """Return memories by id."""
        return (yield from call(self.tenant.get, ids, scope, with_embeddings=with_embeddings))

    def update(self, id: str, changes: Changes, scope: Scope, /) -> Steps[Memory]:
        """Change one memory."""
        return (yield from call(self.tenant.update, id, changes, scope))

    def change(self, id: str, change: Change, scope: Scope, /) -> Steps[Memory]:
        """Change one memory by what it holds."""
        return (yield from call(self.tenant.change, id, change, scope))

    def delete(self, ids: Sequence[str], scope: Scope, /) -> Steps[int]:
        """Remove memories by id."""
        return (yield from call(self.tenant.delete, ids, scope))

    def delete_unless(self, ids: Sequence[str], scope: Scope, keys: Collection[str], /) -> Steps[int | None]:
        """Remove memories by id; None, and none is removed, if the metadata of one may have one of some keys."""
        return (yield from call(self.tenant.delete_unless, ids, scope, keys))

    def forget(self, scope: Scope, filter: Filter, /, *, dry_run: bool) -> Steps[ForgetResult]:
        """Remove memories by scope and filter."""
        return (yield from call(self.tenant.forget, scope, filter, dry_run=dry_run))

    def count(self, scope: Scope, filter: Filter, /, *, include_archived: bool) -> Steps[int]:
        """Count memories."""
        return (yield from call(self.tenant.count, scope, filter, include_archived=include_archived))

    def extract(self, memories: Sequence[Memory], /) -> Steps[int]:
        """Find the entities that memories name, by rules."""
        return (yield from call(self.tenant.extract, memories))

    def mentions(self, memories: Sequence[Memory], /) -> Steps[Sequence[Mention]]:
        """Return the noted entities of memories."""
        return (yield from call(self.tenant.mentions, memories))

    def forget_mentions(self, entity_id: str, memories: Sequence[Memory], /) -> Steps[int]:
        """Remove an entity from the mentions of memories."""
        return (yield from call(self.tenant.forget_mentions, entity_id, memories))

    def reembed(
        self,
        embedder: Any,
        space: str | None,
        /,
        *,
        replace: bool,
        progress: Callable[[int, int], object] | None,
        anew: bool = False,
    ) -> Steps[ReembedResult]:
        """Give spaces another embedder, or the vectors of their own anew."""
        made = yield from call(
            self.tenant.reembed, embedder, space=space, replace=replace, progress=progress, anew=anew
        )
        return ReembedResult(
            embedder=made.embedder,
            count=made.count,
            spaces=tuple(name or None for name in made.spaces),
            skipped=tuple(name or None for name in made.skipped),
        )

    def history(self, id: str, scope: Scope, /) -> Steps[Sequence[Memory]]:
        """Return a memory with all that it replaces and that replace it."""
        return (yield from call(self.tenant.history, id, scope))

    def saying(self, scope: Scope, text: str, /) -> Steps[Sequence[Memory] | None]:
        """Return the memories of exactly a scope that say the same as a text."""
        return (yield from call(self.tenant.saying, scope, text))

    def list(self, request: ListRequest, /) -> Steps[Page[Memory]]:
        """Return one page of memories."""
        return (yield from call(self.tenant.list, request))

    def close(self) -> None:
        """Close the engine; a second call does nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.engine.close()

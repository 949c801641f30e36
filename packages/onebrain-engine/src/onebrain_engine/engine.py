"""The engine: memories kept by a store, found by an index, in this process.

`Engine` is shared by all tenants of a process and safe to share between threads; `Tenant` is one tenant's view of it,
and the only way to its memories. The store is the truth. An index is read from it when a space is first used, catches
up at each call with what others have stored, and can be thrown away at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from onebrain._core.codec import from_json, to_json
from onebrain._core.paging import Page, PageMeta
from onebrain.errors import (
    ConfigurationError,
    EmbedderMismatch,
    OneBrainError,
    OneBrainNotFoundError,
    OneBrainValidationError,
)
from onebrain.memory.driver import Changes, Found, ListRequest, Mention, SearchRequest, several_with_id
from onebrain.memory.entities import Entity
from onebrain.memory.filters import Filter
from onebrain.memory.models import (
    EVERYTHING,
    ForgetResult,
    Hit,
    Memory,
    NewMemory,
    Scope,
    SearchMode,
    StoreResult,
)
from onebrain.memory.moments import dump_object
from onebrain.memory.transfer import Copied, Embedders
from onebrain_engine import cursors
from onebrain_engine.agreement import Agreement
from onebrain_engine.background import Background
from onebrain_engine.bounds import UNBOUNDED, record_bytes
from onebrain_engine.embedding import Checked, Embedder, QueryVectors, Unembedded, unit
from onebrain_engine.filling import Filling, large_of
from onebrain_engine.index.lexicon import Lexicon
from onebrain_engine.index.partition import Indexed, Partition
from onebrain_engine.index.partitions import Partitions
from onebrain_engine.index.snapshots import Snapshots
from onebrain_engine.index.text import analyse
from onebrain_engine.intake import Intake, Piece, Put, claimable, vector_bytes
from onebrain_engine.large import InDatabase, Known
from onebrain_engine.retrying import persistent
from onebrain_engine.store.protocol import Reading, Store, Writing
from onebrain_engine.store.records import Entry, Record, Space, to_memory, to_micros
from onebrain_engine.store.runs import leads_to
from onebrain_engine.views import CALLER, InMemory, View, by_words_alone, mismatch, now_in_micros
from onebrain_engine.wordllama import WordLlama, default_embedder

if TYPE_CHECKING:
    from onebrain_engine.store.postgres_large import LargeSpace

T = TypeVar("T")

Pairs: TypeAlias = Sequence[tuple[str, str]]  # names and types

_FIRST = 20  # memories of a page that are read before it is known how large they are
_ALTOGETHER = 4  # pages that memories which are asked for by their ids may take
_PURGE_EVERY = 60.0  # seconds between removals of what has expired
LARGE_SPACE = 1_000_000  # memories of one space that its index in memory holds; one that has more is served by its database
MEMORY_OF_INDEXES = (
    4 * 2**30
)  # about how many bytes indexes may take before the least recently used ones are dropped


class Engine:
    """A memory engine over a store.

    Args:
        store: Where memories are kept.
        embedder: Makes vectors of texts; the default is `WordLlama`. None for no vectors but the caller's own.
        snapshots: Where indexes are kept between processes; None for nowhere.
        large: From how many memories on a space is served by the indexes of its database instead of one in memory; None for
            never, as it is on SQLite, with encryption, and with a pgvector older than 0.8.
        memory: About how many bytes indexes may take before the least recently used ones are dropped.

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
        embedder: Embedder | Any | None = ...,
        snapshots: Snapshots | None = None,
        large: int | None = LARGE_SPACE,
        memory: int = MEMORY_OF_INDEXES,
    ) -> None:
        if (large is not None and large < 0) or memory < 0:
            raise ConfigurationError("large and memory: must not be negative", service=store.service)
        self.store = store
        if embedder is ...:
            embedder = default_embedder()
        self.embedder = embedder if embedder is None or isinstance(embedder, WordLlama) else Checked(embedder)
        self.lexicon = Lexicon()
        self.snapshots = snapshots
        self._partitions = Partitions(self.lexicon, memory, self._dropped)
        self.background = Background()
        self.filling = Filling(store, large, self.background)
        self.known = Known()
        self.agreement = Agreement()
        self.intake = Intake(self)
        self.bounds = UNBOUNDED
        self._purged_at: dict[str, float] = {}

    def check(self) -> None:
        """Ask the database for something, so that whatever keeps the engine from working is raised."""
        with self.store.reading() as read:
            read.space("", "")

    def tenant(self, name: str = "default") -> Tenant:
        """Return one tenant's view; its memories are invisible to every other."""
        if not name:
            raise OneBrainValidationError("a tenant needs a name")
        return Tenant(self, name)

    def view(self, read: Reading, tenant: str, space: Space, scope: Scope) -> View:
        """Return what a scope is to see a space through, within a transaction."""
        self.filling.consider(tenant, space)
        if not space.served or not self.filling.possible:
            return InMemory(self, read, tenant, space)
        self._partitions.remove(tenant, space)
        large = large_of(read, tenant, space)
        if scope.user is not None and not self._is_large(large, tenant, space, scope.user):
            return InMemory(self, read, tenant, space, scope.user)
        return InDatabase(self, read, tenant, space, large)

    def _is_large(self, large: LargeSpace, tenant: str, space: Space, user: str) -> bool:
        """Return whether a user has too many memories in a large space for an index of their own."""
        if self.known.is_large(tenant, space, user):
            return True
        index = self._partitions.known(tenant, space, user)
        if (
            index.size < self.filling.large
            if index is not None
            else not large.at_least(self.filling.large, user=user)
        ):
            return False
        self._partitions.remove(tenant, space, user)
        self.known.note_large(tenant, space, user)
        return True

    def partition(self, tenant: str, space: Space, user: str | None = None) -> Partition:
        """Return the index of a space, or of a user in a large one, empty where it was not in use."""
        return self._partitions.of(tenant, space, user)

    def loaded(self, tenant: str, space: Space) -> Partition | None:
        """Return the index of a space if it is in use."""
        return self._partitions.known(tenant, space)

    def catch_up(
        self, read: Reading, tenant: str, space: Space, partition: Partition, user: str | None = None
    ) -> None:
        """Bring an index up to the store; the caller holds its lock.

        An index that is ahead of the transaction is left there. One of another history of the space, such as that from
        before a backup was restored, is read anew.
        """
        partition.flush()
        if partition.at == space.at and partition.space.name == space.name:
            return
        if partition.through == 0 and self.snapshots is not None and user is None:
            self.snapshots.load(partition, space, self.lexicon)
        if partition.through > space.seq:
            return
        strange = partition.space.name != space.name or not leads_to(read, tenant, partition.at, space)
        partition.space = space
        if strange:
            partition.clear()
        changes = (
            read.changes(tenant, space, partition.through)
            if user is None
            else large_of(read, tenant, space).changes(user, partition.through)
        )
        partition.apply([index_entry(entry) for entry in changes.entries], changes.gone, space.at)

    def after_write(self, tenant: str, space: Space, partition: Partition | None) -> None:
        """Keep a snapshot where enough has been added since the last one."""
        if partition is not None and self.snapshots is not None and self.snapshots.due(partition):
            self.save(tenant, partition)

    def save(self, tenant: str, partition: Partition) -> None:
        """Keep a snapshot of an index; a failure is no harm, for the index can be read from the store."""
        if self.snapshots is None:
            return
        with partition.lock:
            partition.flush()
            token = self.snapshots.save(partition, self.lexicon)
        if token is not None:
            try:
                with self.store.writing() as write:
                    known = write.set_snapshot(tenant, partition.space, token)
                if not known:  # its tenant was forgotten meanwhile
                    self.snapshots.forget(partition.space)
            except OneBrainError:
                return

    def note_stored(self, tenant: str, puts: Sequence[Put]) -> None:
        """Give the indexes in use what a transaction has just stored."""
        for put in puts:
            self.filling.consider(tenant, put.after)
            partition = self.loaded(tenant, put.space)
            if partition is not None:
                indexed = [index_entry(entry) for entry in put.entries]
                partition.enqueue(indexed, put.space, put.after)
                self.after_write(tenant, put.space, partition)

    def purge_at_times(self, write: Writing, tenant: str, now: int) -> None:
        """Remove what has expired, now and then; it is invisible anyway."""
        moment = time.monotonic()
        if moment - self._purged_at.get(tenant, float("-inf")) >= _PURGE_EVERY:
            self._purged_at[tenant] = moment
            self.purge(write, tenant, now)

    def purge(self, write: Writing, tenant: str, now: int) -> int:
        """Remove what has expired; return how many memories that were."""
        removed = 0
        for space, rows in _by_space(write.expired(tenant, now)):
            current = write.space(tenant, space.name)
            assert current is not None
            removed += write.remove(tenant, current, rows)
        return removed

    def forget_tenant(self, name: str) -> None:
        """Remove everything of a tenant: memories, what they name, spaces, and snapshots of their indexes.

        Raises:
            StorageError: The database cannot be written, and all is as it was; or everything is removed but a
                snapshot, which the message names.
        """
        with self.filling.forgetting(name):
            self.tenant(name).remove_everything()
        self._partitions.forget(name)

    def _dropped(self, tenant: str, partition: Partition) -> None:
        """Keep a snapshot of an index that makes room for others, where one is due."""
        if self.snapshots is not None and self.snapshots.due(partition, closing=True):
            self.background.do(("snapshot", id(partition)), lambda _: self.save(tenant, partition))

    def close(self) -> None:
        """Keep snapshots of what has changed and close the store; a second call does nothing."""
        self.background.stop()
        for tenant, partition in self._partitions.clear():
            if self.snapshots is not None and self.snapshots.due(partition, closing=True):
                self.save(tenant, partition)
        self.store.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained(Found):
    """The answer to a search, with what makes up each hit's score.

    Attributes:
        parts: For each hit what the words alone say, and what the vectors alone say, each 0..1.
    """

    parts: Sequence[Sequence[float]] = ()


class Tenant:
    """One tenant's memories; the verbs of a brain, in place.

    Methods may be called from any thread. Filters and orders of every kind are evaluated here.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._service = engine.store.service
        self.name = name

    # ---- store ------------------------------------------------------------------------------------------------------

    def store(self, items: Sequence[NewMemory]) -> list[StoreResult]:
        """Store memories in one transaction; a bad item fails alone, the others are stored all or not at all."""
        return self._results(self._engine.intake.store(self.name, items))

    def restore(self, copies: Sequence[Copied]) -> list[StoreResult]:
        """Store memories as they were in another brain, times of change and vectors included; a bad one fails alone."""
        return self._results(self._engine.intake.restore(self.name, copies))

    @persistent
    def embedders(self) -> Embedders:
        """Return whose vectors the spaces hold."""
        own = self._engine.embedder
        with self._engine.store.reading() as read:
            spaces = {
                space.name or None: space.embedder
                for space in read.spaces(self.name)
                if space.embedder is not None
            }
        return Embedders(None if own is None else own.fingerprint, spaces)

    def _results(self, pieces: Sequence[Piece]) -> list[StoreResult]:
        return [
            StoreResult(id=None, status="failed", error=piece.error)
            if piece.draft is None or piece.error is not None
            else StoreResult.trusted(
                {"id": piece.draft.id, "status": "created" if piece.fresh else "updated", "error": None}
            )
            for piece in pieces
        ]

    def store_and_return(self, items: Sequence[NewMemory]) -> Sequence[Memory]:
        """Store memories like `store`, and return them as they are stored.

        Raises:
            OneBrainError: The first one of those that cannot be stored; the others are stored.
        """
        pieces = self._engine.intake.store(self.name, items)
        for piece in pieces:
            if piece.error is not None:
                raise piece.error
        # What was given twice is stored as it was given last.
        last = {piece.row: piece.record for piece in pieces}
        return [to_memory(last[piece.row], piece.space) for piece in pieces]

    # ---- search -----------------------------------------------------------------------------------------------------

    def search(self, request: SearchRequest) -> Explained:
        """Search the spaces of the request's scope.

        A space with vectors of another embedder is searched by words alone, or left out where the request is by vectors
        alone; the answer names it.

        Raises:
            EmbedderMismatch: The request names such a space, or all that it could find is in such spaces.
        """
        return self._with_vectors(lambda vectors: self._search(request, vectors))

    def _with_vectors(self, ask: Callable[[QueryVectors], T]) -> T:
        """Ask, and ask again with each vector that turns out to be needed."""
        engine = self._engine
        vectors = QueryVectors(engine.embedder, at_once=isinstance(engine.embedder, WordLlama))
        while True:
            try:
                return ask(vectors)
            except Unembedded as missing:
                text = missing.text
            vectors.make(text)

    @persistent
    def _search(self, request: SearchRequest, vectors: QueryVectors) -> Explained:
        wanted = request.offset + request.limit
        found: list[tuple[float, float, int, Space, Sequence[float]]] = []
        mode: SearchMode = request.mode
        unfit: list[tuple[Space, EmbedderMismatch]] = []
        by_words: list[Space] = []
        fit = False
        with self._engine.store.reading() as read:
            views = self._ask(read, request.scope, lambda view: view.search(request, vectors, wanted + 1))
            for space, seen in views:
                if seen.mismatch is not None:
                    unfit.append((space, seen.mismatch))
                else:
                    fit = fit or bool(seen.rows)
                    if by_words_alone(request, space, seen):
                        by_words.append(space)
                mode = seen.mode if seen.mode != request.mode else mode
                parts = seen.parts or [(0.0, 0.0)] * len(seen.rows)
                found.extend(
                    (score, tie, row, space, part)
                    for score, tie, row, part in zip(seen.scores, seen.ties, seen.rows, parts, strict=True)
                )
            if unfit and not fit:
                raise unfit[0][1]
            found.sort(key=lambda hit: (-hit[0], -hit[1], -hit[2]))
            if request.min_score > 0:
                found = [hit for hit in found if hit[0] >= request.min_score]
            more = len(found) > wanted
            page = found[request.offset : wanted]
            memories, fitting = self._page(read, [(hit[2], hit[3]) for hit in page], request.with_embeddings)
            more = more or fitting < len(page)
            page = page[:fitting]
        page = [hit for hit in page if hit[2] in memories]
        return Explained(
            hits=[Hit.trusted({"memory": memories[hit[2]], "score": hit[0]}) for hit in page],
            more=more,
            mode=mode,
            parts=[hit[4] for hit in page],
            without_vectors=[
                space.name or "default" for space in (*(space for space, _ in unfit), *by_words)
            ],
        )

    def matching(self, request: SearchRequest) -> int:
        """Return how many memories a search finds on all its pages; beyond 10,000 not every one is looked at."""
        return self._with_vectors(lambda vectors: self._matching(request, vectors))

    @persistent
    def _matching(self, request: SearchRequest, vectors: QueryVectors) -> int:
        with self._engine.store.reading() as read:
            found = self._ask(read, request.scope, lambda view: view.matching(request, vectors))
            return sum(count for _, count in found)

    # ---- read -------------------------------------------------------------------------------------------------------

    @persistent
    def get(self, ids: Sequence[str], scope: Scope, *, with_embeddings: bool = False) -> list[Memory]:
        """Return the memories with these ids in a scope, archived ones included."""
        with self._engine.store.reading() as read:
            found = read.find(self.name, ids, scope, now=now_in_micros())
            memories, fitting = self._page(read, found, with_embeddings, _ALTOGETHER)
        if fitting < len(found):
            raise OneBrainValidationError(
                "the memories with these ids are too large to be returned together; ask for fewer ids at a time",
                service=self._service,
            )
        return list(memories.values())

    @persistent
    def size(self) -> int:
        """Return how many bytes of text and metadata the memories have as they are stored."""
        with self._engine.store.reading() as read:
            return read.size(self.name)

    @persistent
    def list(self, request: ListRequest, *, skip: int = 0) -> Page[Memory]:
        """Return one page of memories in an order; its cursor points behind the last one, whatever is stored later.

        `skip` leaves out so many memories before the page, at no more cost than counting them.
        """
        after = cursors.decode(request.cursor, request.order)
        end = skip + request.limit
        candidates: list[tuple[Any, int, Space]] = []
        total = 0
        with self._engine.store.reading() as read:
            for space, seen in self._ask(
                read, request.scope, lambda view: view.list(request, after, end + 1)
            ):
                total += seen.total
                candidates.extend((key, row, space) for key, row in zip(seen.keys, seen.rows, strict=True))
            candidates.sort(key=lambda candidate: candidate[:2], reverse=request.order.startswith("-"))
            page = candidates[skip:end]
            memories, fitting = self._page(
                read, [(row, space) for _, row, space in page], request.with_embeddings
            )
            more = len(candidates) > end or fitting < len(page)
            page = page[:fitting]
        cursor = cursors.encode(page[-1][0], page[-1][1], request.order) if more and page else None
        rows_found = tuple(memory for _, row, _ in page if (memory := memories.get(row)) is not None)
        return Page(rows_found, PageMeta(has_more=more, cursor=cursor, total=total))

    @persistent
    def located(self, ids: Sequence[str], scope: Scope) -> Sequence[tuple[int, Memory]]:
        """Return (row, memory) of the memories with these ids in a scope, archived ones included.

        A row is a memory's as long as it is there, and never another's; equal times of creation are in its order.
        """
        with self._engine.store.reading() as read:
            found = read.find(self.name, ids, scope, now=now_in_micros())
            return list(self._memories(read, found, False).items())

    def cursor_behind(self, id: str) -> str | None:
        """Return the cursor of the list of newest memories that points behind the one with this id, None for none."""
        found = self.located([id], EVERYTHING)
        if not found:
            return None
        row, memory = max(found, key=lambda place: place[0])
        assert memory.created_at is not None
        return cursors.encode(to_micros(memory.created_at), row, "-created_at")

    @persistent
    def count(self, scope: Scope, filter: Filter, *, include_archived: bool) -> int:
        """Return how many memories match."""
        with self._engine.store.reading() as read:
            found = self._ask(read, scope, lambda view: view.count(scope, filter, include_archived))
            return sum(count for _, count in found)

    # ---- change -----------------------------------------------------------------------------------------------------

    @persistent
    def update(self, id: str, changes: Changes, scope: Scope, *, at: datetime | None = None) -> Memory:
        """Change one memory and return it; `at` is noted as the time of its last change instead of the present."""
        given = dict(changes.fields)
        made: bytes | None = None
        if "content" in given and "embedding" not in given and self._engine.embedder is not None:
            made = self._engine.embedder.documents([given["content"]])[0].tobytes()
        now = now_in_micros()
        with self._engine.store.writing() as write:
            found = write.find(self.name, [id], scope, now=now)
            if not found:
                raise OneBrainNotFoundError("no memory with this id in this scope", service=self._service)
            if len(found) > 1:
                raise several_with_id(self._service)
            row, space = found[0]
            record = write.records(self.name, space, [row])[row]
            old = to_memory(record, space.name)
            values = _columns(given, old, merge=changes.merge_metadata)
            self._engine.bounds.check_changes(values, record, self.name)
            if "embedding" in given:
                vector = vector_bytes(given["embedding"]) if given["embedding"] else None
                if vector is not None:
                    space = self._fitting(write, space, CALLER, len(vector) // 4)
                values["vector"] = vector
            elif made is not None and given["content"] != old.content:
                if space.embedder == CALLER:
                    raise mismatch(self._service, space, "new content without a vector", None)
                assert self._engine.embedder is not None
                space = self._fitting(write, space, self._engine.embedder.fingerprint, len(made) // 4)
                values["vector"] = made
            entry, after = write.change(self.name, space, row, values, now if at is None else to_micros(at))
            memory = to_memory(write.records(self.name, space, [row])[row], space.name)
        partition = self._engine.loaded(self.name, space)
        if partition is not None:
            partition.enqueue([index_entry(entry)], space, after)
        return memory

    def _fitting(self, write: Writing, space: Space, embedder: str, dimension: int) -> Space:
        """Return a space that holds vectors of this kind; raise `EmbedderMismatch` where it holds others."""
        if (space.embedder, space.dimension) == (embedder, dimension):
            return space
        if not claimable(write, self.name, space):
            raise mismatch(self._service, space, embedder, dimension)
        return write.claim_vectors(self.name, space, embedder, dimension)

    @persistent
    def delete(self, ids: Sequence[str], scope: Scope) -> int:
        """Remove memories by id; return how many were there."""
        with self._engine.store.writing() as write:
            return sum(
                write.remove(self.name, space, rows)
                for space, rows in _by_space(write.find(self.name, ids, scope, now=now_in_micros()))
            )

    @persistent
    def forget(self, scope: Scope, filter: Filter, *, dry_run: bool) -> ForgetResult:
        """Remove everything in a scope that matches a filter."""
        ids: list[str] = []
        with self._engine.store.reading() if dry_run else self._engine.store.writing() as access:
            found = self._ask(access, scope, lambda view: view.rows(scope, filter), writes=not dry_run)
            for space, wanted in found:
                if not wanted:
                    continue
                ids.extend(id for _, id in access.columns(self.name, space, ["id"], wanted))
                if not dry_run:
                    access.remove(self.name, space, wanted)  # type: ignore[attr-defined]
        return ForgetResult(count=len(ids), dry_run=dry_run, ids=tuple(ids))

    @persistent
    def purge(self) -> int:
        """Remove what has expired, which is invisible anyway; return how many memories that were.

        Storing does the same now and then. At most 10,000 are removed at once.
        """
        with self._engine.store.writing() as write:
            return self._engine.purge(write, self.name, now_in_micros())

    @persistent
    def remove_everything(self) -> None:
        """Remove all memories with their spaces; `Engine.forget_tenant` is the way to it."""
        with self._engine.store.writing() as write:
            spaces = write.forget_tenant(self.name)
        if self._engine.snapshots is not None:
            for space in spaces:
                self._engine.snapshots.forget(space)

    # ---- entities ---------------------------------------------------------------------------------------------------

    def extract(self, memories: Sequence[Memory]) -> int:
        """Note beside each memory what it names, where that is not noted yet of its present text; return of how many.

        All of it happens in one transaction; what was changed or removed meanwhile is left for the next time.
        """
        from onebrain_engine.graph.extraction import find_entities  # few programs ever need its rules

        with self._engine.store.reading() as read:
            known = self._notes(read, memories)
        unread = [memory for place, memory in enumerate(memories) if place not in known]
        texts = [
            _note(memory, [(one.name, one.type) for one in find_entities(_text(memory))]) for memory in unread
        ]
        return self._keep_notes(unread, texts)

    def mentions(self, memories: Sequence[Memory]) -> Sequence[Mention]:
        """Return what the memories name, as far as that was noted."""
        with self._engine.store.reading() as read:
            notes = self._notes(read, memories)
        entities: dict[tuple[str, str], Entity] = {}  # most names stand in many memories
        for named in notes.values():
            for name, type in named:
                if (name, type) not in entities:
                    entities[name, type] = Entity(id=self._entity_id(name), name=name, type=type)
        return [
            Mention(memories[place], entities[pair])
            for place, named in sorted(notes.items())
            for pair in named
        ]

    def forget_mentions(self, entity_id: str, memories: Sequence[Memory]) -> int:
        """Take an entity from what memories name; return from how many."""
        with self._engine.store.reading() as read:
            notes = self._notes(read, memories)
        kept = {
            place: [pair for pair in named if self._entity_id(pair[0]) != entity_id]
            for place, named in notes.items()
        }
        changed = [place for place, named in kept.items() if len(named) < len(notes[place])]
        texts = [_note(memories[place], kept[place]) for place in changed]
        return self._keep_notes([memories[place] for place in changed], texts)

    # ---- helpers ----------------------------------------------------------------------------------------------------

    @persistent
    def _keep_notes(self, memories: Sequence[Memory], texts: Sequence[str]) -> int:
        """Note texts beside memories that are still there; return beside how many."""
        if not memories:
            return 0
        with self._engine.store.writing() as write:
            by_space: dict[int, tuple[Space, dict[int, str]]] = {}
            for place, (row, space) in self._rows(write, memories).items():
                by_space.setdefault(space.key, (space, {}))[1][row] = texts[place]
            for space, notes in by_space.values():
                write.note(self.name, space, notes)
        return sum(len(notes) for _, notes in by_space.values())

    def _notes(self, read: Reading, memories: Sequence[Memory]) -> dict[int, Pairs]:
        """Return what is noted of memories, by their places; a note of an earlier text counts for nothing."""
        rows = self._rows(read, memories)
        spaces = _by_space(list(rows.values()))
        notes = {
            row: text for space, some in spaces for row, text in read.notes(self.name, space, some).items()
        }
        found: dict[int, Pairs] = {}
        for place, (row, _) in rows.items():
            if row in notes:
                note = from_json(notes[row])
                if note["of"] == _mark(memories[place]):
                    found[place] = [(name, type) for name, type in note["named"]]
        return found

    def _rows(self, read: Reading, memories: Sequence[Memory]) -> dict[int, tuple[int, Space]]:
        """Return row and space of each memory that is still there, by its place: an id alone may name several."""
        wanted = list({memory.id for memory in memories})
        places: dict[tuple[str, str, str], tuple[int, Space]] = {}
        for space, rows in _by_space(read.find(self.name, wanted, EVERYTHING, now=now_in_micros())):
            for row, id, user in read.columns(self.name, space, ["id", "user"], rows):
                places[space.name, user or "", id] = (row, space)
        keys = [(memory.scope.space or "", memory.scope.user or "", memory.id) for memory in memories]
        return {place: places[key] for place, key in enumerate(keys) if key in places}

    def _entity_id(self, name: str) -> str:
        return sha256(f"{self.name}\0{name.casefold()}".encode()).hexdigest()[:32]

    def _ask(
        self, read: Reading, scope: Scope, ask: Callable[[View], T], *, writes: bool = False
    ) -> Sequence[tuple[Space, T]]:
        """Ask each space that a scope may select from, all at the change at which the transaction sees them."""
        return self._engine.agreement.reach(
            self._service,
            read,
            writes,
            lambda: [(view.space, ask(view)) for view in self._views(read, scope)],
        )

    def _views(self, read: Reading, scope: Scope) -> Sequence[View]:
        """Return views of the spaces that a scope may select from."""
        if scope.space is None:
            spaces = read.spaces(self.name)
        else:
            space = read.space(self.name, scope.space)
            spaces = [] if space is None else [space]
        return [self._engine.view(read, self.name, space, scope) for space in spaces]

    def _page(
        self, read: Reading, found: Sequence[tuple[int, Space]], with_embeddings: bool, pages: int = 1
    ) -> tuple[dict[int, Memory], int]:
        """Return the memories of as many of the rows, in order, as pages may hold, and how many rows those are."""
        if self._engine.bounds.page is None:
            return self._memories(read, found, with_embeddings), len(found)
        most = self._engine.bounds.page * pages
        memories: dict[int, Memory] = {}
        sizes: dict[int, int] = {}
        size = done = 0
        step = _FIRST
        while done < len(found):
            some = self._memories(read, found[done : done + step], with_embeddings, sizes)
            for row, _ in found[done : done + step]:
                if row in some:
                    size += sizes[row]
                    if size > most and memories:
                        return memories, done
                    memories[row] = some[row]
                done += 1
            # As many as would fit, were the others as large as these.
            step = max(1, min(len(found), (most - size) * done // max(1, size)))
        return memories, done

    def _memories(
        self,
        read: Reading,
        found: Sequence[tuple[int, Space]],
        with_embeddings: bool,
        sizes: dict[int, int] | None = None,
    ) -> dict[int, Memory]:
        """Return the memories of rows, and put their bytes into `sizes`; rows that are gone are left out."""
        memories: dict[int, Memory] = {}
        for space, rows in _by_space(found):
            records = self._records(read, space, rows)
            vectors: Mapping[int, bytes] = (
                read.vectors(self.name, space, rows) if with_embeddings else dict[int, bytes]()
            )
            for row, record in records.items():
                if sizes is not None:
                    sizes[row] = record_bytes(record) + 4 * len(vectors.get(row, b""))
                memories[row] = to_memory(record, space.name, vectors.get(row))
        return memories

    def _records(self, read: Reading, space: Space, rows: Sequence[int]) -> Mapping[int, Record]:
        """Return records by row, those that the index remembers from there."""
        partition = self._engine.loaded(self.name, space)
        if partition is None:
            return read.records(self.name, space, rows)
        with partition.lock:
            known = partition.recall(rows, space.at)
        missing = [row for row in rows if row not in known]
        if missing:
            fresh = read.records(self.name, space, missing)
            with partition.lock:
                partition.remember(fresh, space.at)
            known.update(fresh)
        return known


def index_entry(entry: Entry) -> Indexed:
    """Make a stored memory ready for the index."""
    vector = None if entry.vector is None else unit(np.frombuffer(entry.vector, np.float32)[None, :])[0]
    return Indexed(entry, analyse(entry.content), vector)


def _text(memory: Memory) -> str:
    """Return what a memory says, with its title where that says more."""
    title = memory.title or ""
    return memory.content if title in memory.content else f"{title}. {memory.content}"


def _mark(memory: Memory) -> str:
    return sha256(_text(memory).encode()).hexdigest()[:16]


def _note(memory: Memory, named: Pairs) -> str:
    return to_json({"of": _mark(memory), "named": [list(pair) for pair in named]}, what="a note")


_TIME_COLUMNS = ("created_at", "expires_at")


def _columns(given: Mapping[str, Any], old: Memory, *, merge: bool) -> dict[str, Any]:
    """Return changed fields as columns."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name == "embedding":
            continue
        if name == "metadata" and value is not None and merge:
            values[name] = dump_object({**old.metadata, **value})
        elif name in ("metadata", "extra"):
            values[name] = "{}" if value is None else dump_object(value, what=name)
        elif name == "tags":
            values[name] = "[]" if value is None else to_json(value, what=name)
        elif name in _TIME_COLUMNS:
            values[name] = None if value is None else to_micros(value)
        elif name in ("pinned", "archived"):
            values[name] = bool(value)
        else:
            values[name] = value
    return values


def _by_space(found: Sequence[tuple[int, Space]]) -> list[tuple[Space, list[int]]]:
    """Group rows by space."""
    groups: dict[int, tuple[Space, list[int]]] = {}
    for row, space in found:
        groups.setdefault(space.key, (space, []))[1].append(row)
    return list(groups.values())

"""One tenant's memories."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from typing import Any, Final, cast

from onebrain._core.paging import Page, PageMeta
from onebrain.errors import OneBrainValidationError
from onebrain.memory.driver import Change, Changes, ListRequest, Mention, SearchRequest
from onebrain.memory.filters import Filter
from onebrain.memory.models import EVERYTHING, ForgetResult, Memory, NewMemory, Scope, StoreResult
from onebrain.memory.transfer import Copied, Embedders
from onebrain_engine import cursors
from onebrain_engine.confidence import Confidence
from onebrain_engine.derived import Derived
from onebrain_engine.embedding import Embedder
from onebrain_engine.expiry import Expiry
from onebrain_engine.indexes import Indexes
from onebrain_engine.intake import Intake, Piece
from onebrain_engine.mentions import Mentions
from onebrain_engine.pages import FIRST, Pages
from onebrain_engine.reembedding import Progress, Reembedded, Reembedding
from onebrain_engine.retrying import persistent
from onebrain_engine.searching import Explained, Searching
from onebrain_engine.spaces import Spaces
from onebrain_engine.store.protocol import Store, Writing
from onebrain_engine.store.records import At, Record, Space, by_space, now_in_micros, to_memory, to_micros
from onebrain_engine.succession import Succession
from onebrain_engine.timeline import Timelines
from onebrain_engine.updating import Revision, Updating
from onebrain_engine.vectorizers import Vectorizers, vectorizer

_COPIES: Final = 1000  # memories of the same text that are read
_ALTOGETHER: Final = 4  # pages that memories which are asked for by their ids may take


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of an engine that the verbs of a tenant use; all tenants share them."""

    store: Store
    embedders: Vectorizers
    indexes: Indexes
    spaces: Spaces
    pages: Pages
    intake: Intake
    searching: Searching
    confidence: Confidence
    updating: Updating
    reembedding: Reembedding
    mentions: Mentions
    timelines: Timelines
    expiry: Expiry


class Tenant:
    """One tenant's memories; the verbs of a brain, in place.

    Methods may be called from any thread. Filters and orders of every kind are evaluated here.
    """

    def __init__(self, parts: Parts, name: str) -> None:
        self._parts = parts
        self._store = parts.store
        self._spaces = parts.spaces
        self.name = name

    # ---- store ------------------------------------------------------------------------------------------------------

    def store(self, items: Sequence[NewMemory]) -> list[StoreResult]:
        """Store memories in one transaction; a bad item fails alone, the others are stored all or not at all."""
        return _results(self._parts.intake.store(self.name, items))

    def restore(self, copies: Sequence[Copied]) -> list[StoreResult]:
        """Store memories as they were in another brain, times of change and vectors included; a bad one fails alone."""
        return _results(self._parts.intake.restore(self.name, copies))

    @persistent
    def embedders(self) -> Embedders:
        """Return whose vectors the spaces hold."""
        own = self._parts.embedders.for_new(self.name, "")
        with self._store.reading() as read:
            spaces = {
                space.name or None: space.embedder
                for space in read.spaces(self.name)
                if space.embedder is not None
            }
        return Embedders(None if own is None else own.fingerprint, spaces)

    def store_and_return(self, items: Sequence[NewMemory]) -> Sequence[Memory]:
        """Store memories like `store`, and return them as they are stored.

        Raises:
            OneBrainError: The first one of those that cannot be stored; the others are stored.
        """
        pieces = self._parts.intake.store(self.name, items)
        for piece in pieces:
            if piece.error is not None:
                raise piece.error
        # A memory that was given twice is stored as it was given last.
        last = {piece.row: (piece.record, piece.life) for piece in pieces}
        return [
            to_memory(record, piece.space, life=life)
            for piece in pieces
            for record, life in (last[piece.row],)
        ]

    # ---- search -----------------------------------------------------------------------------------------------------

    def search(self, request: SearchRequest) -> Explained:
        """Search the spaces of the request's scope.

        A space with vectors of another embedder is searched by words alone, or left out where the request is by vectors
        alone; the answer names it.

        Raises:
            EmbedderMismatch: The request names such a space, or all that it could find is in such spaces.
        """
        return self._parts.searching.search(self.name, request)

    def matching(self, request: SearchRequest) -> int:
        """Return the number of memories on all pages of a search; beyond 10,000 not all are counted."""
        return self._parts.searching.matching(self.name, request)

    def confidence(self, query: str, memories: Sequence[Memory], now: datetime | None = None) -> float | None:
        """Return how likely the answer to a query is among memories that a search found, 0..1.

        The best memories come first. Returns None if there are no vectors to tell by. `now` is what a time in the query is
        counted from; the default is the clock.
        """
        return self._parts.confidence.of(self.name, query, memories, now or datetime.now(UTC))

    # ---- read -------------------------------------------------------------------------------------------------------

    @persistent
    def get(self, ids: Sequence[str], scope: Scope, *, with_embeddings: bool = False) -> list[Memory]:
        """Return the memories with these ids in a scope, archived ones included."""
        with self._store.reading() as read:
            now = now_in_micros()
            records: dict[int, Record] | None = None
            if len(ids) <= FIRST:
                few = read.found(self.name, ids, scope, now=now)
                if self._parts.pages.unbounded and not with_embeddings and not any(s.timed for s, _ in few):
                    return [to_memory(record, space.name) for space, record in few]
                records = {record[0]: record for _, record in few}
                found: Sequence[tuple[int, Space]] = [(record[0], space) for space, record in few]
            else:
                found = read.find(self.name, ids, scope, now=now)
            memories, fitting = self._parts.pages.page(
                read, self.name, found, with_embeddings, _ALTOGETHER, records=records
            )
        if fitting < len(found):
            raise OneBrainValidationError(
                "the memories with these ids are too large to be returned together; ask for fewer ids at a time",
                service=self._store.service,
            )
        return list(memories.values())

    @persistent
    def saying(self, scope: Scope, text: str) -> list[Memory] | None:
        """Return the memories of exactly a scope that say the same as a text, hold now and are not archived, the oldest first.

        Returns None if the space is so large that it would have to be read whole.
        """
        with self._store.reading() as read:
            memories: list[Memory] = []
            for space, rows in self._spaces.ask(
                read, self.name, scope, lambda view: view.saying(scope, text), exactly=True
            ):
                if rows is None:
                    return None
                # A text that was stored without `dedupe` may have any number of copies.
                located = [(row, space) for row in rows[:_COPIES]]
                found = self._parts.pages.memories(read, self.name, located, False)
                memories += [found[row] for row, _ in located if row in found]
        return memories

    @persistent
    def history(self, id: str, scope: Scope) -> list[Memory]:
        """Return the memories with an id in a scope and all that they replace or are replaced by, oldest first."""
        with self._store.reading() as read:
            memories: list[Memory] = []
            now = now_in_micros()
            for row, space in read.find(self.name, [id], scope, now=now):
                chain = self._parts.timelines.of(read, self.name, space).chain(row, now)
                rows = [life.row for life in chain] or [row]
                some = self._parts.pages.memories(read, self.name, [(one, space) for one in rows], False)
                memories += [some[one] for one in rows if one in some]
        return memories

    @persistent
    def changes(self) -> dict[str, int]:
        """Return the number of the last change of each space, by the space's name."""
        with self._store.reading() as read:
            return {space.name: space.seq for space in read.spaces(self.name)}

    @persistent
    def states(self) -> dict[str, At]:
        """Return the state of each space, by the space's name: equal states hold equal memories.

        A change number alone is no state: a database that goes back counts the same numbers again for other changes.
        """
        with self._store.reading() as read:
            return {space.name: space.at for space in read.spaces(self.name)}

    @persistent
    def text_bytes(self, space: str) -> int:
        """Return the bytes of the texts of one space in UTF-8."""
        with self._store.reading() as read:
            found = read.space(self.name, space)
            if found is None:
                return 0
            return sum(len(text.encode()) for _, text in read.columns(self.name, found, ["content"], None))

    @persistent
    def size(self) -> int:
        """Return the stored bytes of text and metadata of the memories."""
        with self._store.reading() as read:
            return read.size(self.name)

    @persistent
    def list(self, request: ListRequest, *, skip: int = 0) -> Page[Memory]:
        """Return one page of memories in an order; its cursor points behind the last one, whatever is stored later.

        `skip` is the number of memories left out before the page, at no more cost than counting them.
        """
        after = cursors.decode(request.cursor, request.order)
        end = skip + request.limit
        candidates: list[tuple[Any, int, Space]] = []
        merged = False
        total = 0
        with self._store.reading() as read:
            for space, seen in self._spaces.ask(
                read, self.name, request.scope, lambda view: view.list(request, after, end + 1)
            ):
                total += seen.total
                merged = merged or bool(candidates)
                candidates.extend(zip(seen.keys, seen.rows, repeat(space), strict=False))
            # Those of one space are in order.
            if merged:
                candidates.sort(key=lambda candidate: candidate[:2], reverse=request.order.startswith("-"))
            page = candidates[skip:end]
            memories, fitting = self._parts.pages.page(
                read,
                self.name,
                [(row, space) for _, row, space in page],
                request.with_embeddings,
                as_of=request.as_of,
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
        with self._store.reading() as read:
            found = read.find(self.name, ids, scope, now=now_in_micros())
            return list(self._parts.pages.memories(read, self.name, found, False).items())

    def cursor_behind(self, id: str) -> str | None:
        """Return the cursor of the list of newest memories that points behind the one with this id, None for none."""
        found = self.located([id], EVERYTHING)
        if not found:
            return None
        row, memory = max(found, key=lambda located: located[0])
        assert memory.created_at is not None
        return cursors.encode(to_micros(memory.created_at), row, "-created_at")

    @persistent
    def count(self, scope: Scope, filter: Filter, *, include_archived: bool) -> int:
        """Return the number of matching memories."""
        with self._store.reading() as read:
            found = self._spaces.ask(
                read, self.name, scope, lambda view: view.count(scope, filter, include_archived)
            )
            return sum(count for _, count in found)

    # ---- change -----------------------------------------------------------------------------------------------------

    def update(self, id: str, changes: Changes, scope: Scope, *, at: datetime | None = None) -> Memory:
        """Change one memory and return it; `at` is noted as the time of its last change instead of the present."""
        return self._parts.updating.update(self.name, id, changes, scope, at)

    def change(self, id: str, change: Change, scope: Scope) -> Memory:
        """Change one memory, its content and vector excepted, by what it holds, and return it."""
        return self._parts.updating.change(self.name, id, change, scope)

    def revise(self, revisions: Sequence[Revision]) -> int:
        """Change several memories, their contents and vectors excepted, in one transaction.

        Those that are not there are left out. Returns the number of the others.
        """
        return self._parts.updating.revise(self.name, revisions)

    def delete(self, ids: Sequence[str], scope: Scope) -> int:
        """Remove memories by id; return the number of those that were there."""
        return self.delete_unless(ids, scope, ()) or 0

    @persistent
    def delete_unless(self, ids: Sequence[str], scope: Scope, keys: Collection[str]) -> int | None:
        """Remove memories by id; None, and none is removed, if the metadata of one may have one of some keys."""
        now = now_in_micros()
        with self._store.writing() as write:
            if keys:
                described = write.described(self.name, ids, scope, now=now)
                if _may_have([metadata for _, _, metadata in described], keys):
                    return None
                found = by_space([(row, space) for row, space, _ in described])
            else:
                found = by_space(write.find(self.name, ids, scope, now=now))
            return sum(Succession(write, self.name, space, now).remove(rows) for space, rows in found)

    def release_facts(self, gone: Sequence[Memory], *, dry_run: bool = False) -> Sequence[Memory]:
        """Take memories that are about to be removed out of the facts that `Brain.remember` drew from them.

        Costs nothing if none of them is a message.

        Returns:
            The facts that have no other source, which are to be removed as well; those among `gone` are left out.
        """
        return Derived(self.list, self.update).release(gone, dry_run=dry_run)

    @persistent
    def forget(self, scope: Scope, filter: Filter, *, dry_run: bool) -> ForgetResult:
        """Remove everything in a scope that matches a filter."""
        ids: list[str] = []
        with self._store.reading() if dry_run else self._store.writing() as access:
            found = self._spaces.ask(
                access, self.name, scope, lambda view: view.rows(scope, filter), writes=not dry_run
            )
            for space, wanted in found:
                if not wanted:
                    continue
                ids.extend(id for _, id in access.columns(self.name, space, ["id"], wanted))
                if not dry_run:
                    Succession(cast("Writing", access), self.name, space, now_in_micros()).remove(wanted)
        return ForgetResult(count=len(ids), dry_run=dry_run, ids=tuple(ids))

    @persistent
    def purge(self) -> int:
        """Remove expired memories, which are invisible anyway; return their number.

        Storing does the same now and then. At most 10,000 are removed at once.
        """
        with self._store.writing() as write:
            return self._parts.expiry.purge(write, self.name, now_in_micros())

    @persistent
    def remove_everything(self) -> None:
        """Remove all memories with their spaces; `Engine.forget_tenant` is the way to it."""
        with self._store.writing() as write:
            spaces = write.forget_tenant(self.name)
        self._parts.indexes.forget_snapshots(spaces)

    # ---- embedder ---------------------------------------------------------------------------------------------------

    def reembed(
        self,
        embedder: str | Embedder | Any | None = None,
        *,
        space: str | None = None,
        replace: bool = False,
        progress: Progress | None = None,
        anew: bool = False,
    ) -> Reembedded:
        """Give spaces another embedder, and their memories its vectors.

        The former vectors serve until the last new one is made. A run that was stopped or killed goes on where it was, if it
        is begun again with the same embedder.

        Args:
            embedder: The embedder, as `Engine` takes it; None for the engine's own.
            space: The name of a space; None for all spaces, except those with vectors of the caller's own.
            replace: Whether to discard what an unfinished run with another embedder has made.
            progress: Called with the number of memories that have their new vector, and the number of all.
            anew: Whether to make the vectors again of spaces that have this embedder already.

        Raises:
            ReembedConflict: A run with another embedder is unfinished.
            EmbedderMismatch: The space holds vectors of the caller's own.
        """
        made = self._parts.embedders.own if embedder is None else vectorizer(embedder)
        return self._parts.reembedding.run(self.name, made, space, replace, progress, anew)

    # ---- entities ---------------------------------------------------------------------------------------------------

    def extract(self, memories: Sequence[Memory]) -> int:
        """Read the memories whose present text was not read yet, and keep their mentions; return the number of those.

        All of it happens in one transaction; memories changed or removed meanwhile are left for the next time.
        """
        return self._parts.mentions.extract(self.name, memories)

    def mentions(self, memories: Sequence[Memory]) -> Sequence[Mention]:
        """Return the mentions that were kept of memories."""
        return self._parts.mentions.of(self.name, memories)

    def forget_mentions(self, entity_id: str, memories: Sequence[Memory]) -> int:
        """Remove an entity from the mentions of memories; return the number of memories changed."""
        return self._parts.mentions.forget(self.name, entity_id, memories)


def _may_have(metadata: Iterable[str], keys: Collection[str]) -> bool:
    """Return whether one of several objects may have one of some keys."""
    # Not parsed, which takes longer: a value that looks like a key is taken for one.
    return any(f'"{key}"' in text for text in metadata if text != "{}" for key in keys)


def _results(pieces: Sequence[Piece]) -> list[StoreResult]:
    return [
        StoreResult(id=None, status="failed", error=piece.error)
        if piece.draft is None or piece.error is not None
        else StoreResult.trusted(
            {
                "id": piece.draft.id,
                "status": "created" if piece.fresh else "updated",
                "error": None,
                "similar": (),
                "unlinked": (),
            }
        )
        for piece in pieces
    ]

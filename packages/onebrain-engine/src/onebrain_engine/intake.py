"""From new memories to stored ones: drafts with their vectors, then one transaction for all that wait for it."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from onebrain._core.codec import to_json
from onebrain._core.steps import Caller
from onebrain.errors import EmbedderMismatch, OneBrainError
from onebrain.memory.driver import expiry
from onebrain.memory.models import NewMemory
from onebrain.memory.moments import dump_object
from onebrain.memory.transfer import Copied
from onebrain_engine.bounds import Bounds, draft_bytes
from onebrain_engine.callers import abandoned, this_caller
from onebrain_engine.combining import Combiner
from onebrain_engine.embedding import Vectorizer
from onebrain_engine.expiry import Expiry
from onebrain_engine.fitting import CALLER, claimed, mismatch, vector_bytes
from onebrain_engine.indexes import Indexes
from onebrain_engine.retrying import persistent
from onebrain_engine.store.lives import Life, Wanted
from onebrain_engine.store.protocol import Store, Writing
from onebrain_engine.store.records import (
    Draft,
    Entry,
    Put,
    Record,
    Space,
    now_in_micros,
    to_datetime,
    to_micros,
)
from onebrain_engine.succession import Succession
from onebrain_engine.vectorizers import Vectorizers

_TOGETHER: Final = 500  # memories that calls share a transaction for


@dataclass(slots=True)
class Piece:
    """One memory on its way into the store.

    Attributes:
        space: The name of its space.
        bare: Whether it is to have no vector.
        embedder: Whose vector it brings, or is to have; None for the caller's own, or this engine's.
        draft: The memory; None where `error` says why it cannot be stored.
        made: The vector that an embedder made of it.
        maker: The embedder that made it.
        holds: The embedder of the space that it was refused for.
        caller: Who waits for it.
        entry: The stored memory, once it is stored.
        fresh: Whether it is new, once it is stored.
        life: When it holds and what it replaces, once it is stored; None if nothing is said of it.
    """

    space: str
    bare: bool = False
    embedder: str | None = None
    draft: Draft | None = None
    error: OneBrainError | None = None
    made: bytes | None = None
    maker: Vectorizer | None = None
    holds: str | None = None
    caller: Caller | None = None
    entry: Entry | None = None
    fresh: bool = False
    life: Life | None = None

    @property
    def row(self) -> int:
        """The row of a stored memory."""
        assert self.entry is not None
        return self.entry.row

    @property
    def record(self) -> Record:
        """The record of a stored memory."""
        draft, entry = self.draft, self.entry
        assert draft is not None
        assert entry is not None
        return (
            entry.row, draft.id, draft.user, draft.agent, draft.session, draft.content, draft.title, draft.type,
            draft.tags, draft.metadata, draft.importance, draft.source, draft.pinned, draft.archived,
            entry.created_at, entry.updated_at, draft.expires_at, draft.extra,
        )  # fmt: skip


class Intake:
    """Stores memories; calls of several threads share a transaction where one has to wait for another anyway.

    Args:
        store: The store.
        embedders: Make the vectors of memories that bring none.
        bounds: The most that memories may hold.
        indexes: The indexes that learn of stored memories.
        expiry: Removes expired memories in the same transactions.
    """

    def __init__(
        self,
        store: Store,
        embedders: Vectorizers,
        bounds: Bounds,
        indexes: Indexes,
        expiry: Expiry,
    ) -> None:
        self._store = store
        self._embedders = embedders
        self._bounds = bounds
        self._indexes = indexes
        self._expiry = expiry
        self._combiner: Combiner[list[Piece]] = Combiner(
            self._write,
            most=_TOGETHER,
            final=lambda error: not (isinstance(error, OneBrainError) and error.in_doubt),
        )

    def store(self, tenant: str, items: Sequence[NewMemory]) -> list[Piece]:
        """Store memories; a bad one fails alone, the others are stored all or not at all."""
        now, caller = now_in_micros(), this_caller()
        ids = _new_ids(now, len(items))
        return self._take(
            tenant, [self._piece(item, now, caller, id) for item, id in zip(items, ids, strict=True)]
        )

    def restore(self, tenant: str, copies: Sequence[Copied]) -> list[Piece]:
        """Store memories as they were in another brain; a bad one fails alone."""
        now, caller = now_in_micros(), this_caller()
        ids = _new_ids(now, len(copies))
        pieces = [self._piece(copied.item, now, caller, id) for copied, id in zip(copies, ids, strict=True)]
        for piece, copied in zip(pieces, copies, strict=True):
            if piece.draft is None or piece.bare:
                continue
            piece.embedder = copied.embedder
            if piece.draft.vector is not None or copied.embedder is None:
                continue
            if copied.embedder != self._fingerprint(tenant, piece):
                piece.error = EmbedderMismatch(
                    f"the vector was made by the embedder {copied.embedder}; connect with that one as embedder=, which makes "
                    "it again",
                    service=self._store.service,
                )
        for piece, copied in zip(pieces, copies, strict=True):
            if piece.draft is not None and copied.updated_at is not None:
                piece.draft.updated_at = to_micros(copied.updated_at)
            if piece.draft is not None and piece.draft.life is not None and copied.recorded:
                # A link that was made later than now would be none of this brain's knowledge.
                recorded = {id: min(to_micros(moment), now) for id, moment in copied.recorded.items()}
                piece.draft.life = replace(piece.draft.life, recorded=recorded)
        return self._take(tenant, pieces)

    def _take(self, tenant: str, pieces: list[Piece]) -> list[Piece]:
        admit = self._bounds.admit
        if admit is None:
            self._embed_and_write(tenant, pieces)
        else:
            size = sum(draft_bytes(piece.draft) for piece in pieces if piece.draft is not None)
            with admit(tenant, size):
                self._embed_and_write(tenant, pieces)
        return pieces

    def _embed_and_write(self, tenant: str, pieces: list[Piece]) -> None:
        # Vectors are made before the transaction begins, so that other writers need not wait for them.
        self._embed(tenant, pieces)
        self._combiner.run(tenant, pieces)
        if self._embedders.several:
            # Their space was given another embedder while theirs made the vectors.
            late = [piece for piece in pieces if self._is_late(tenant, piece)]
            if late:
                self._embed(tenant, late)
                self._combiner.run(tenant, late)

    def _is_late(self, tenant: str, piece: Piece) -> bool:
        """Return whether a refused piece can be stored by the embedder that its space has by now."""
        embedder = self._embedders.holding(piece.holds)
        if embedder is None or embedder is piece.maker:
            return False
        self._embedders.assign(tenant, piece.space, embedder)
        piece.error, piece.holds, piece.made = None, None, None
        assert piece.draft is not None
        piece.draft.vector = None
        return True

    def _fingerprint(self, tenant: str, piece: Piece) -> str | None:
        embedder = self._embedders.for_new(tenant, piece.space)
        return None if embedder is None else embedder.fingerprint

    def _piece(self, item: NewMemory, now: int, caller: Caller | None, new_id: str) -> Piece:
        piece = Piece(item.scope.space or "", bare=item.embedding is False, caller=caller)
        try:
            piece.draft = _draft(item, now, new_id)
            self._bounds.check(piece.draft)
        except OneBrainError as error:
            error.service = error.service or self._store.service
            piece.error, piece.draft = error, None
        return piece

    def _embed(self, tenant: str, pieces: Sequence[Piece]) -> None:
        """Make vectors for the memories that bring none, in the spaces where no memory brings its own."""
        # Where some bring vectors of the caller's own, ours would not fit.
        own = {piece.space for piece in pieces if piece.draft is not None and piece.draft.vector is not None}
        bare = [
            (piece, piece.draft)
            for piece in pieces
            if piece.draft is not None and piece.error is None and not piece.bare and piece.space not in own
        ]
        for embedder, some in self._by_embedder(tenant, bare):
            vectors = embedder.documents([draft.content for _, draft in some])
            for (piece, _), vector in zip(some, vectors, strict=True):
                piece.made, piece.maker = vector.tobytes(), embedder

    def _by_embedder(
        self, tenant: str, bare: Sequence[tuple[Piece, Draft]]
    ) -> Iterable[tuple[Vectorizer, Sequence[tuple[Piece, Draft]]]]:
        if not self._embedders.several:
            return [(self._embedders.own, bare)] if bare and self._embedders.own is not None else []
        groups: dict[int, tuple[Vectorizer, list[tuple[Piece, Draft]]]] = {}
        for piece, draft in bare:
            embedder = self._embedders.for_new(tenant, piece.space)
            if embedder is not None:
                groups.setdefault(id(embedder), (embedder, []))[1].append((piece, draft))
        return groups.values()

    @persistent
    def _write(self, tenant: Hashable, calls: Sequence[list[Piece]]) -> None:
        assert isinstance(tenant, str)
        pieces = [piece for call in calls for piece in call]
        groups: dict[str, list[Piece]] = {}
        for piece in pieces:
            # A caller that was cancelled while it waited for its turn has begun nothing yet.
            if piece.caller is not None and (gone := abandoned(piece.caller)) is not None:
                piece.draft, piece.error = None, gone
            if piece.draft is not None and piece.error is None:
                groups.setdefault(piece.space, []).append(piece)
        now = now_in_micros()
        refused: dict[int, OneBrainError] = {}
        puts: list[Put] = []
        with self._store.writing() as write:
            # All writers take spaces in one order, so that none waits in a circle.
            spaces = {
                name: self._open(write, tenant, name, group, refused, now)
                for name, group in sorted(groups.items())
            }
            for name, space in spaces.items():
                self._check_lives(write, tenant, space, groups[name], refused, now)
            # Rows are numbered in the order given, whatever the space.
            drafts = [piece.draft for piece in pieces if piece.draft is not None and id(piece) not in refused]
            for draft, row in zip(drafts, write.new_rows(tenant, len(drafts)), strict=True):
                draft.row = row
            for name, space in spaces.items():
                good = [piece for piece in groups[name] if id(piece) not in refused]
                if good:
                    puts.append(_put(write, tenant, space, good, now))
            self._expiry.purge_at_times(write, tenant, now)
        if refused:
            for piece in pieces:
                piece.error = refused.get(id(piece), piece.error)
        self._indexes.note_stored(tenant, puts)

    def _open(
        self,
        write: Writing,
        tenant: str,
        name: str,
        group: Sequence[Piece],
        refused: dict[int, OneBrainError],
        now: int,
    ) -> Space:
        """Return a space that holds the vectors of a group; pieces whose vectors do not fit it are refused."""
        space = write.open_space(tenant, name)
        drafts = (piece.draft for piece in group if piece.draft is not None)
        named = [(draft.id, draft.user) for draft in drafts if draft.given_id]
        if named:
            succession = Succession(write, tenant, space, now)
            succession.remove_expired(named)
            space = succession.space
        for piece in group:
            try:
                space = self._fit(write, tenant, space, piece)
            except EmbedderMismatch as error:
                piece.holds = space.embedder
                refused[id(piece)] = error
        return space

    def _check_lives(
        self,
        write: Writing,
        tenant: str,
        space: Space,
        group: Sequence[Piece],
        refused: dict[int, OneBrainError],
        now: int,
    ) -> None:
        """Refuse the pieces of a group that replace a memory which is not there, or themselves."""
        good = [
            (piece, piece.draft) for piece in group if piece.draft is not None and id(piece) not in refused
        ]
        if not any(draft.life is not None for _, draft in good):
            return
        wanted = [((draft.id, draft.user), draft.life or Wanted()) for _, draft in good]
        for position, error in Succession(write, tenant, space, now).refused(wanted).items():
            error.service = self._store.service
            refused[id(good[position][0])] = error

    def _fit(self, write: Writing, tenant: str, space: Space, piece: Piece) -> Space:
        """Give a draft the vector that is stored with it, and return the space that holds vectors of that kind."""
        draft = piece.draft
        assert draft is not None
        if piece.bare:
            return space
        if draft.vector is not None and piece.made is None:
            embedder, vector = piece.embedder or CALLER, draft.vector
        elif space.embedder == CALLER:
            raise mismatch(self._store.service, space, "a memory without a vector", None)
        elif piece.made is None:
            return space
        else:
            assert piece.maker is not None
            embedder, vector = piece.maker.fingerprint, piece.made
        space = claimed(self._store.service, write, tenant, space, embedder, len(vector) // 4)
        draft.vector = vector
        return space


def _put(write: Writing, tenant: str, space: Space, pieces: Sequence[Piece], now: int) -> Put:
    """Store the drafts of one space and note in each piece how it was stored."""
    drafts = [piece.draft for piece in pieces if piece.draft is not None]
    fresh, entries, after = write.put(tenant, space, drafts, now)
    for piece, new, entry in zip(pieces, fresh, entries, strict=True):
        piece.fresh, piece.entry = new, entry
    lives = [
        (Life(entry.row, draft.id, entry.created_at, entry.expires_at), draft.life)
        for draft, new, entry in zip(drafts, fresh, entries, strict=True)
        if draft.life is not None or not new
    ]
    if lives:
        succession = Succession(write, tenant, after, now)
        known = succession.give(lives, users={entry.row: entry.user for entry in entries})
        for piece in pieces:
            piece.life = known.get(piece.row)
        after = succession.space
    return Put(space, after, entries)


def _life(item: NewMemory) -> Wanted | None:
    """Return the life that an item is to have, or None if it says nothing of it."""
    if item.valid_from is None and item.valid_until is None and not item.supersedes and not item.sources:
        return None
    return Wanted(
        None if item.valid_from is None else to_micros(item.valid_from),
        None if item.valid_until is None else to_micros(item.valid_until),
        item.supersedes,
        item.sources,
    )


def _new_ids(now: int, count: int) -> list[str]:
    """Return ids for new memories, in the order of time, so that the tree grows at its end."""
    time, random = f"{now // 1000:012x}", os.urandom(10 * count).hex()
    return [time + random[start : start + 20] for start in range(0, 20 * count, 20)]


def _draft(item: NewMemory, now: int, new_id: str) -> Draft:
    """Return an item in the store's terms; it gets the new id if it has none."""
    expires = item.expires_at if item.ttl is None else expiry(item, to_datetime(now))
    return Draft(
        id=item.id or new_id,
        given_id=item.id is not None,
        user=item.scope.user,
        agent=item.scope.agent,
        session=item.scope.session,
        content=item.content,
        title=item.title,
        type=item.type,
        tags=to_json(item.tags, what="tags") if item.tags else "[]",
        metadata=dump_object(item.metadata) if item.metadata else "{}",
        importance=item.importance,
        source=item.source,
        pinned=item.pinned,
        archived=item.archived,
        created_at=None if item.created_at is None else to_micros(item.created_at),
        expires_at=None if expires is None else to_micros(expires),
        extra=dump_object(item.extra, what="extra") if item.extra else "{}",
        vector=vector_bytes(item.embedding) if item.embedding else None,
        life=_life(item),
    )

"""From new memories to stored ones: drafts with their vectors, then one transaction for all that wait for it."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from onebrain._core.codec import to_json
from onebrain._core.steps import Caller
from onebrain.errors import EmbedderMismatch, OneBrainError
from onebrain.memory.driver import expiry
from onebrain.memory.models import NewMemory
from onebrain.memory.moments import dump_object
from onebrain.memory.transfer import Copied
from onebrain_engine.callers import abandoned, this_caller
from onebrain_engine.combining import Combiner
from onebrain_engine.retrying import persistent
from onebrain_engine.store.protocol import Writing
from onebrain_engine.store.records import Draft, Entry, Record, Space, to_datetime, to_micros
from onebrain_engine.views import CALLER, mismatch, now_in_micros

if TYPE_CHECKING:
    from onebrain_engine.engine import Engine

_TOGETHER: Final = 500  # memories that calls share a transaction for


@dataclass(slots=True)
class Piece:
    """One memory on its way into the store.

    Attributes:
        space: The name of its space.
        bare: Whether it is to have no vector.
        embedder: Whose vector it brings, or is to have; None for the caller's own, or this engine's.
        draft: The memory; None where `error` says why it cannot be stored.
        made: The vector that the embedder made of it.
        caller: Who waits for it.
        entry: What was stored, once it is.
        fresh: Whether it is new, once it is stored.
    """

    space: str
    bare: bool = False
    embedder: str | None = None
    draft: Draft | None = None
    error: OneBrainError | None = None
    made: bytes | None = None
    caller: Caller | None = None
    entry: Entry | None = None
    fresh: bool = False

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


@dataclass(slots=True)
class Put:
    """What one transaction put into a space, in order; the space before and after it."""

    space: Space
    after: Space
    entries: Sequence[Entry]


class Intake:
    """Stores memories; calls of several threads share a transaction where one has to wait for another anyway.

    Args:
        engine: Whose store and embedder it uses.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._combiner: Combiner[list[Piece]] = Combiner(
            self._store,
            most=_TOGETHER,
            final=lambda error: not (isinstance(error, OneBrainError) and error.in_doubt),
        )

    def store(self, tenant: str, items: Sequence[NewMemory]) -> list[Piece]:
        """Store memories; a bad one fails alone, the others are stored all or not at all."""
        now = now_in_micros()
        return self._take(tenant, [self._piece(item, now) for item in items])

    def restore(self, tenant: str, copies: Sequence[Copied]) -> list[Piece]:
        """Store memories as they were in another brain; a bad one fails alone."""
        now = now_in_micros()
        pieces = [self._piece(copied.item, now) for copied in copies]
        for piece, copied in zip(pieces, copies, strict=True):
            if piece.draft is None or piece.bare:
                continue
            piece.embedder = copied.embedder
            own = None if self._engine.embedder is None else self._engine.embedder.fingerprint
            if piece.draft.vector is None and copied.embedder not in (None, own):
                piece.error = EmbedderMismatch(
                    f"the vector was made by the embedder {copied.embedder}; connect with that one as embedder=, which makes "
                    "it again",
                    service=self._engine.store.service,
                )
        for piece, copied in zip(pieces, copies, strict=True):
            if piece.draft is not None and copied.updated_at is not None:
                piece.draft.updated_at = to_micros(copied.updated_at)
        return self._take(tenant, pieces)

    def _take(self, tenant: str, pieces: list[Piece]) -> list[Piece]:
        drafts = (piece.draft for piece in pieces if piece.draft is not None)
        with self._engine.bounds.storing(tenant, drafts):
            # Vectors are made before the transaction begins, so that other writers need not wait for them.
            self._embed(pieces)
            self._combiner.run(tenant, pieces)
        return pieces

    def _piece(self, item: NewMemory, now: int) -> Piece:
        piece = Piece(item.scope.space or "", bare=item.embedding is False, caller=this_caller())
        try:
            piece.draft = _draft(item, now)
            self._engine.bounds.check(piece.draft)
        except OneBrainError as error:
            error.service = error.service or self._engine.store.service
            piece.error, piece.draft = error, None
        return piece

    def _embed(self, pieces: Sequence[Piece]) -> None:
        """Make vectors for the memories that bring none, in the spaces where no memory brings its own."""
        embedder = self._engine.embedder
        if embedder is None:
            return
        # Where some bring vectors of the caller's own, ours would not fit.
        own = {piece.space for piece in pieces if piece.draft is not None and piece.draft.vector is not None}
        bare = [
            (piece, piece.draft)
            for piece in pieces
            if piece.draft is not None and piece.error is None and not piece.bare and piece.space not in own
        ]
        if bare:
            vectors = embedder.documents([draft.content for _, draft in bare])
            for (piece, _), vector in zip(bare, vectors, strict=True):
                piece.made = vector.tobytes()

    @persistent
    def _store(self, tenant: Hashable, calls: Sequence[list[Piece]]) -> None:
        assert isinstance(tenant, str)
        groups: dict[str, list[tuple[Piece, Draft]]] = {}
        for piece in (piece for call in calls for piece in call):
            # A caller that was cancelled while it waited for its turn has begun nothing yet.
            gone = abandoned(piece.caller)
            if gone is not None:
                piece.draft, piece.error = None, gone
            if piece.draft is not None and piece.error is None:
                groups.setdefault(piece.space, []).append((piece, piece.draft))
        puts: list[Put] = []
        now = now_in_micros()
        with self._engine.store.writing() as write:
            fitting: dict[str, tuple[Space, list[tuple[Piece, Draft]]]] = {}
            refused: list[tuple[Piece, OneBrainError]] = []
            # All writers take spaces in one order, so that none waits in a circle.
            for name, group in sorted(groups.items()):
                fitting[name] = self._fit(write, tenant, write.open_space(tenant, name), group, refused)
            # Numbered in the order given, whatever their spaces.
            out = {id(piece) for piece, _ in refused}
            kept = [
                piece.draft
                for call in calls
                for piece in call
                if piece.draft is not None and id(piece) not in out
            ]
            for draft, row in zip(kept, write.new_rows(tenant, len(kept)), strict=True):
                draft.row = row
            for space, good in fitting.values():
                if good:
                    fresh, entries, after = write.put(tenant, space, [draft for _, draft in good], now)
                    for (piece, _), new, entry in zip(good, fresh, entries, strict=True):
                        piece.fresh, piece.entry = new, entry
                    puts.append(Put(space, after, entries))
            self._engine.purge_at_times(write, tenant, now)
        for piece, error in refused:
            piece.error = error
        self._engine.note_stored(tenant, puts)

    def _fit(
        self,
        write: Writing,
        tenant: str,
        space: Space,
        group: Sequence[tuple[Piece, Draft]],
        refused: list[tuple[Piece, OneBrainError]],
    ) -> tuple[Space, list[tuple[Piece, Draft]]]:
        """Return the space, and the drafts whose vectors fit it; the others are refused."""
        engine = self._engine
        good: list[tuple[Piece, Draft]] = []

        def refuse(piece: Piece, offered: str, dimension: int | None) -> None:
            refused.append((piece, mismatch(engine.store.service, space, offered, dimension)))

        for piece, draft in group:
            if piece.bare:
                good.append((piece, draft))
                continue
            if draft.vector is not None and piece.made is None:
                embedder, vector = piece.embedder or CALLER, draft.vector
            elif space.embedder == CALLER:
                refuse(piece, "a memory without a vector", None)
                continue
            elif piece.made is None:
                good.append((piece, draft))
                continue
            else:
                assert engine.embedder is not None
                embedder, vector = engine.embedder.fingerprint, piece.made
            dimension = len(vector) // 4
            if (space.embedder, space.dimension) != (embedder, dimension):
                if not claimable(write, tenant, space):
                    refuse(piece, embedder, dimension)
                    continue
                space = write.claim_vectors(tenant, space, embedder, dimension)
            draft.vector = vector
            good.append((piece, draft))
        return space, good


def claimable(write: Writing, tenant: str, space: Space) -> bool:
    """Return whether a space may hold vectors of any kind: because it holds none, whatever it held before."""
    if space.embedder is None:
        return True
    # The database's own indexes are made for vectors of one length.
    in_database = space.served or space.filling is not None or space.filled is not None
    return not in_database and not write.has_vectors(tenant, space)


def _draft(item: NewMemory, now: int) -> Draft:
    """Return an item in the store's terms."""
    expires = expiry(item, to_datetime(now))
    return Draft(
        id=item.id
        or f"{now // 1000:012x}{os.urandom(10).hex()}",  # in the order of time, so that the tree grows at its end
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
    )


def vector_bytes(embedding: Sequence[float]) -> bytes:
    """Return a vector as the store keeps it: float32."""
    return np.array(embedding, np.float32).tobytes()

"""The contract of a store: the truth, in transactions, every query bound to a tenant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from onebrain.errors import DatabaseBusy
from onebrain.memory.models import Scope
from onebrain_engine.store.lives import Life
from onebrain_engine.store.records import Changes, Draft, Entry, Record, Space, Unembedded


class Reading(Protocol):
    """A consistent view of the store."""

    def renew(self) -> None:
        """Begin a new view, of the newest state; a transaction that writes sees that already."""
        ...

    def space(self, tenant: str, name: str) -> Space | None:
        """Return a space by name, or None where nothing was ever stored in it."""
        ...

    def spaces(self, tenant: str) -> Sequence[Space]:
        """Return all spaces of a tenant."""
        ...

    def changes(self, tenant: str, space: Space, after: int) -> Changes:
        """Return the changes of a space after number `after`."""
        ...

    def run_at(self, tenant: str, space: Space, seq: int) -> int | None:
        """Return the run of a change in the history that the space has; None for one from before runs were noted."""
        ...

    def records(self, tenant: str, space: Space, rows: Sequence[int]) -> Mapping[int, Record]:
        """Return memories as records of `MEMORY_COLUMNS`, in clear, by row; rows that are gone are left out."""
        ...

    def lives(
        self, tenant: str, space: Space, *, after: int = 0, rows: Sequence[int] | None = None
    ) -> Sequence[Life]:
        """Return the lives of memories that changed after a change of a `timed` space, or of rows; most have none."""
        ...

    def identified(
        self, tenant: str, space: Space, names: Sequence[tuple[str, str | None]], *, now: int | None = None
    ) -> Mapping[tuple[str, str | None], int]:
        """Return the row of each id and user that a memory of a space has; those that have expired by `now` have none."""
        ...

    def vectors(self, tenant: str, space: Space, rows: Sequence[int]) -> Mapping[int, bytes]:
        """Return vectors as float32 bytes by row; a row without one is left out."""
        ...

    def find(self, tenant: str, ids: Sequence[str], scope: Scope, *, now: int) -> Sequence[tuple[int, Space]]:
        """Return row and space of every living memory in `scope` with one of these ids."""
        ...

    def found(
        self, tenant: str, ids: Sequence[str], scope: Scope, *, now: int
    ) -> Sequence[tuple[Space, Record]]:
        """Return space and record, in clear, of every living memory that `find` finds."""
        ...

    def described(
        self, tenant: str, ids: Sequence[str], scope: Scope, *, now: int
    ) -> Sequence[tuple[int, Space, str]]:
        """Return row, space and stored metadata, in clear, of every living memory that `find` finds."""
        ...

    def columns(
        self, tenant: str, space: Space, names: Sequence[str], rows: Sequence[int] | None
    ) -> Iterator[Sequence[Any]]:
        """Return ``(row, value, ...)`` of named columns for `rows` of a space, or for all of them."""
        ...

    def size(self, tenant: str) -> int:
        """Return the stored bytes of text and metadata of a tenant's memories, expired ones included."""
        ...

    def notes(self, tenant: str, space: Space, rows: Sequence[int]) -> Mapping[int, str]:
        """Return the notes of rows; a row without a note is left out."""
        ...

    def unembedded(self, tenant: str, space: Space, after: int, limit: int) -> Sequence[Unembedded]:
        """Return memories that have a vector, but none of the next embedder as they are now, by their last change.

        Only those that changed after number `after` are returned.
        """
        ...

    def next_count(self, tenant: str, space: Space) -> tuple[int, int]:
        """Return the number of memories with a vector of the next embedder, and of those with any vector."""
        ...


class Writing(Reading, Protocol):
    """A transaction: all of it happens, or none."""

    def open_space(self, tenant: str, name: str) -> Space:
        """Return a space, made if need be."""
        ...

    def has_vectors(self, tenant: str, space: Space) -> bool:
        """Return whether any memory of a space has a vector."""
        ...

    def claim_vectors(self, tenant: str, space: Space, embedder: str, dimension: int) -> Space:
        """Note whose vectors a space holds."""
        ...

    def begin_next(self, tenant: str, space: Space, embedder: str) -> None:
        """Note the embedder that a space is to have."""
        ...

    def keep_next(self, tenant: str, space: Space, vectors: Sequence[tuple[int, int, bytes]]) -> None:
        """Keep vectors of the next embedder, each with its row and the change of the memory that it was made at."""
        ...

    def adopt_next(self, tenant: str, space: Space, dimension: int) -> Space:
        """Replace the vectors of a space by those of the next embedder; every index of the space is then read anew."""
        ...

    def discard_next(self, tenant: str, space: Space) -> None:
        """Remove the vectors of the next embedder, and forget that there is to be one."""
        ...

    def new_rows(self, tenant: str, count: int) -> Sequence[int]:
        """Return ascending numbers for new rows, above all others of the spaces that are open."""
        ...

    def put(
        self, tenant: str, space: Space, drafts: Sequence[Draft], now: int
    ) -> tuple[list[bool], list[Entry], Space]:
        """Store drafts in order, new ones at their `row`.

        Returns:
            For each whether it is new, and its entry for the index; and the space as it is then.
        """
        ...

    def change(
        self, tenant: str, space: Space, record: Record, values: Mapping[str, Any], now: int
    ) -> tuple[Entry, Space]:
        """Change columns of one memory, its ``vector`` included; `record` is the memory as it is then, in clear.

        Returns:
            Its entry for the index, and the space as it is then. The entry need not have the vector if neither that nor the
            content is changed.
        """
        ...

    def set_lives(self, tenant: str, space: Space, lives: Sequence[Life]) -> Space:
        """Keep lives in place of those before, and count their memories as changed; return the space as it is then."""
        ...

    def remove(self, tenant: str, space: Space, rows: Sequence[int]) -> tuple[int, Space]:
        """Remove rows; return the number of rows that were there, and the space as it is then."""
        ...

    def note(self, tenant: str, space: Space, notes: Mapping[int, str]) -> None:
        """Keep a text beside each row, instead of the one before; it goes when the row does."""
        ...

    def set_snapshot(self, tenant: str, space: Space, token: str) -> bool:
        """Note the newest snapshot of a space's index; return whether there still is such a space."""
        ...

    def forget_tenant(self, tenant: str) -> Sequence[Space]:
        """Remove everything of a tenant, its spaces included, and return those; their keys are never used again."""
        ...

    def expired(self, tenant: str, now: int) -> Sequence[tuple[int, Space]]:
        """Return rows whose time is over."""
        ...


class Contention(DatabaseBusy):
    """The database undid a transaction in favour of another one; nothing of it was kept, and it may be run again.

    Attributes:
        patience: Seconds for which to try.
    """

    patience: float = 0.0


class Store(Protocol):
    """Where memories are kept; safe to share between threads."""

    @property
    def service(self) -> str:
        """Its name in errors, such as ``"sqlite"``."""
        ...

    def reading(self) -> AbstractContextManager[Reading]:
        """Open a consistent view."""
        ...

    def writing(self) -> AbstractContextManager[Writing]:
        """Open a transaction; it commits at the end of the block and rolls back where the block raises."""
        ...

    def tenants(self) -> Sequence[str]:
        """Return the names of all tenants that have a space."""
        ...

    def close(self) -> None:
        """Release files and connections; a second call does nothing."""
        ...

"""Asking the spaces of a scope: each through the view that fits its size, all at one change of the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from onebrain.memory.models import Scope
from onebrain_engine.agreement import Agreement
from onebrain_engine.filling import Filling, large_of
from onebrain_engine.holding import Holding
from onebrain_engine.indexes import Indexes
from onebrain_engine.large import InDatabase, Known
from onebrain_engine.store.protocol import Reading
from onebrain_engine.store.records import Space
from onebrain_engine.timeline import Timelines
from onebrain_engine.views import InMemory, View

if TYPE_CHECKING:
    from onebrain_engine.store.postgres_large import LargeSpace

T = TypeVar("T")


class Spaces:
    """Opens views of spaces and asks them.

    Args:
        service: The name of the store in errors.
        indexes: The indexes in memory.
        filling: Tells which spaces the database's own indexes serve.
        timelines: Tell which memories hold.
    """

    def __init__(self, service: str, indexes: Indexes, filling: Filling, timelines: Timelines) -> None:
        self._service = service
        self._indexes = indexes
        self._filling = filling
        self._timelines = timelines
        self._agreement = Agreement(service)
        self.known = Known()

    def ask(
        self,
        read: Reading,
        tenant: str,
        scope: Scope,
        question: Callable[[View], T],
        *,
        writes: bool = False,
        exactly: bool = False,
    ) -> Sequence[tuple[Space, T]]:
        """Ask each space that a scope may select from, all at the change at which the transaction sees them.

        If `exactly`, a scope without a space is that of the default space.
        """
        name = "" if exactly and scope.space is None else scope.space
        return self._agreement.reach(
            read,
            writes,
            lambda: [
                (space, question(self.view(read, tenant, space, scope)))
                for space in self._selected(read, tenant, name)
            ],
        )

    def view(self, read: Reading, tenant: str, space: Space, scope: Scope) -> View:
        """Return the view of the memories of a space that hold, for a scope and within a transaction."""
        return Holding(
            self._whole(read, tenant, space, scope), self._timelines.of(read, tenant, space), read, tenant
        )

    def _whole(self, read: Reading, tenant: str, space: Space, scope: Scope) -> View:
        """Return the view of all memories of a space."""
        self._filling.consider(tenant, space)
        if not space.served or not self._filling.possible:
            return InMemory(self._service, self._indexes, read, tenant, space)
        self._indexes.partitions.remove(tenant, space)
        large = large_of(read, tenant, space)
        if scope.user is not None and not self._is_large(large, tenant, space, scope.user):
            return InMemory(self._service, self._indexes, read, tenant, space, scope.user)
        return InDatabase(self._service, self.known, read, tenant, space, large)

    def _selected(self, read: Reading, tenant: str, name: str | None) -> Sequence[Space]:
        if name is None:
            return read.spaces(tenant)
        space = read.space(tenant, name)
        return [] if space is None else [space]

    def _is_large(self, large: LargeSpace, tenant: str, space: Space, user: str) -> bool:
        """Return whether a user has too many memories in a large space for an index of their own."""
        if self.known.is_large(tenant, space, user):
            return True
        index = self._indexes.partitions.known(tenant, space, user)
        least = self._filling.large
        if index.size < least if index is not None else not large.at_least(least, user=user):
            return False
        self._indexes.partitions.remove(tenant, space, user)
        self.known.note_large(tenant, space, user)
        return True

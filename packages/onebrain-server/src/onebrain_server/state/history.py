"""Earlier states of memories: the state before each change or deletion, for as many days as the settings say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from onebrain.memory.models import Memory
from onebrain_engine.store.records import to_micros
from onebrain_server.clock import now_micros
from onebrain_server.security.sealing import Sealer
from onebrain_server.state.database import SERVER, Database
from onebrain_server.state.tables import revision, setting

_DAY: Final = 86_400 * 1_000_000
_SINCE: Final = "history"
_CHUNK: Final = 400


@dataclass(frozen=True, slots=True)
class Past:
    """The state of one memory up to a change; `History.memories` reads its text.

    Attributes:
        row: The engine's row, which tells memories apart that had an id one after the other.
        memory_id: The memory's id.
        changed_at: When it was changed or deleted, in microseconds since 1970.
        created_at: The memory's own time.
    """

    row: int
    memory_id: str
    changed_at: int
    created_at: int


class History:
    """The past of all tenants' memories.

    A revision is kept before its change. Where the change then fails, what it says is true all the same.

    Args:
        database: Where it is kept.
        sealer: Seals the memories' texts.
        days: How long revisions are kept; with 0 there are none, and those of earlier starts are removed.
    """

    def __init__(self, database: Database, sealer: Sealer, days: int) -> None:
        self._database = database
        self._sealer = sealer
        self._days = days
        self._since = self._begin()

    def _begin(self) -> int | None:
        """Return since when every change was kept, None for no history."""
        where = setting.c.name == _SINCE
        with self._database.writing(SERVER) as connection:
            if self._days == 0:
                connection.execute(setting.delete().where(where))
                connection.execute(revision.delete())
                return None
            start = self._database.inserting(setting).values(name=_SINCE, value=str(now_micros()))
            connection.execute(start.on_conflict_do_nothing())
            return int(connection.execute(sa.select(setting.c.value).where(where)).scalar_one())

    def earliest(self) -> int | None:
        """Return the first moment that can be read, in microseconds since 1970; None if no history is kept."""
        return None if self._since is None else max(self._since, now_micros() - self._days * _DAY)

    def keep(self, tenant: str, memories: Sequence[tuple[int, Memory]]) -> None:
        """Keep the present states of memories, given with their rows, which are about to be changed or deleted."""
        if self._since is None or not memories:
            return
        moment = now_micros()
        rows = [
            {
                "tenant": tenant,
                "memory_row": row,
                "changed_at": moment,
                "memory_id": memory.id,
                "created_at": 0 if memory.created_at is None else to_micros(memory.created_at),
                "body": self._sealer.seal(tenant, memory.model_dump_json(exclude={"embedding"})),
            }
            for row, memory in memories
        ]
        with self._database.writing(tenant) as connection:
            connection.execute(self._database.inserting(revision).on_conflict_do_nothing(), rows)

    def after(self, tenant: str, moment: int, *, memory_id: str | None = None) -> list[Past]:
        """Return the first state that each memory was changed from after a moment, newest memories first."""
        where = (revision.c.tenant == tenant) & (revision.c.changed_at > moment)
        if memory_id is not None:
            where &= revision.c.memory_id == memory_id
        first = (
            sa.select(revision.c.memory_row, sa.func.min(revision.c.changed_at).label("changed_at"))
            .where(where)
            .group_by(revision.c.memory_row)
            .subquery()
        )
        same = (revision.c.memory_row == first.c.memory_row) & (revision.c.changed_at == first.c.changed_at)
        columns = (revision.c.memory_row, revision.c.memory_id, revision.c.changed_at, revision.c.created_at)
        query = (
            sa.select(*columns)
            .join(first, same)
            .where(revision.c.tenant == tenant)
            .order_by(revision.c.created_at.desc(), revision.c.memory_row.desc())
        )
        return [Past(*row) for row in self._database.rows(tenant, query)]

    def memories(self, tenant: str, states: Sequence[Past]) -> list[tuple[Past, Memory]]:
        """Return states with their memories, in order; those removed meanwhile are left out."""
        found: dict[tuple[int, int], Memory] = {}
        key = sa.tuple_(revision.c.memory_row, revision.c.changed_at)
        with self._database.reading(tenant) as connection:
            for start in range(0, len(states), _CHUNK):
                some = [(state.row, state.changed_at) for state in states[start : start + _CHUNK]]
                rows = connection.execute(
                    sa.select(revision.c.memory_row, revision.c.changed_at, revision.c.body).where(
                        (revision.c.tenant == tenant) & key.in_(some)
                    )
                )
                for row, changed_at, body in rows:
                    found[row, changed_at] = Memory.model_validate_json(self._sealer.open(tenant, body))
        return [
            (state, found[state.row, state.changed_at])
            for state in states
            if (state.row, state.changed_at) in found
        ]

    def all(self, tenant: str) -> list[tuple[int, Memory]]:
        """Return (time of the change, memory before it) of every kept state, oldest first."""
        query = (
            sa.select(revision.c.changed_at, revision.c.body)
            .where(revision.c.tenant == tenant)
            .order_by(revision.c.changed_at, revision.c.memory_row)
        )
        rows = self._database.rows(tenant, query)
        return [(row[0], Memory.model_validate_json(self._sealer.open(tenant, row[1]))) for row in rows]

    def forget(self, tenant: str, memory_ids: Sequence[str]) -> None:
        """Remove the past of memories."""
        with self._database.writing(tenant) as connection:
            for start in range(0, len(memory_ids), _CHUNK):
                some = list(memory_ids[start : start + _CHUNK])
                where = (revision.c.tenant == tenant) & revision.c.memory_id.in_(some)
                connection.execute(revision.delete().where(where))

    def forget_tenant(self, tenant: str) -> None:
        """Remove everything of a tenant."""
        self._database.run(tenant, revision.delete().where(revision.c.tenant == tenant))

    def tidy(self) -> None:
        """Remove states that are too old."""
        if self._since is not None:
            old = revision.c.changed_at < now_micros() - self._days * _DAY
            self._database.run(SERVER, revision.delete().where(old))

"""Small documents of many kinds: projects, tags, skills, briefings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from onebrain._core.codec import from_json, to_json
from onebrain.errors import OneBrainConflictError
from onebrain_engine.bounds import Bounds
from onebrain_server.clock import now_micros
from onebrain_server.ids import new_id
from onebrain_server.security.sealing import Sealer
from onebrain_server.security.vault import CredentialsKeyMissing, Vault
from onebrain_server.state import links, revisions
from onebrain_server.state.bounded import admitted, fitting
from onebrain_server.state.database import SERVER, Database, Taken
from onebrain_server.state.tables import link, record

T = TypeVar("T")

# The keys of documents that hold credentials of third parties: a connector's, a model's, and webhooks' secrets.
CREDENTIALS: Final = ("credentials", "api_key", "secret", "secret_digest", "webhookSecret")


def holds_credentials(body: Mapping[str, Any]) -> bool:
    """Return whether a document holds a credential of a third party."""
    return any(body.get(name) for name in CREDENTIALS)


@dataclass(frozen=True, slots=True)
class Record:
    """One document."""

    id: str
    status: str | None
    label: str | None
    created_at: int
    updated_at: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """One page of records."""

    rows: Sequence[Record]
    cursor: str | None
    total: int


class Records:
    """All records of all tenants; each method names the tenant."""

    def __init__(
        self, database: Database, sealer: Sealer, vault: Vault, bounds: Bounds | None = None
    ) -> None:
        self._bounds = bounds or Bounds()
        self._database = database
        self._sealer = sealer
        self._vault = vault

    # ---- documents --------------------------------------------------------------------------------------------------

    def add(
        self,
        tenant: str,
        kind: str,
        body: Mapping[str, Any],
        *,
        id: str | None = None,
        unique: str | None = None,
        status: str | None = None,
        label: str | None = None,
        at: int | None = None,
        bounded: bool = True,
    ) -> Record:
        """Store a new record; raise `Taken` if another one has the same unique name or id.

        Raises:
            OneBrainValidationError: It is too large, unless it is not `bounded`.
            QuotaExceeded: The account has no more bytes.
        """
        moment = at or now_micros()
        made = Record(id or new_id(), status, label, moment, moment, dict(body))
        digest = None if unique is None else self._digest(tenant, kind, unique)
        values = {
            "tenant": tenant,
            "kind": kind,
            "id": made.id,
            "unique_key": digest,
            "status": status,
            "label": label,
            "created_at": moment,
            "updated_at": moment,
            "body": self._seal(tenant, made.body),
        }
        # A name that was taken before a key was set, or changed, is taken.
        digests = () if unique is None else self._sealer.digests(tenant, f"{kind}\0{unique}")
        same = (record.c.id == made.id) | record.c.unique_key.in_(digests)
        there = sa.select(record.c.id).where(_all(tenant, kind) & same)
        with self._admitted(tenant, made.body, None, bounded), self._database.writing(tenant) as connection:
            if len(digests) > 1 and (earlier := connection.execute(there).first()) is not None:
                raise Taken(earlier[0])
            if not self._database.insert(connection, record, values):
                raise Taken(connection.execute(there).scalar())
            revisions.touch(connection, tenant)
        return made

    def get(self, tenant: str, kind: str, id: str) -> Record | None:
        """Return one record."""
        found = self._database.first(tenant, _COLUMNS.where(_one(tenant, kind, id)))
        return None if found is None else self._read(tenant, found)

    def find(self, tenant: str, kind: str, unique: str) -> Record | None:
        """Return the record with a unique name."""
        where = _all(tenant, kind) & record.c.unique_key.in_(
            self._sealer.digests(tenant, f"{kind}\0{unique}")
        )
        found = self._database.first(tenant, _COLUMNS.where(where))
        return None if found is None else self._read(tenant, found)

    def change(
        self,
        tenant: str,
        kind: str,
        id: str,
        changes: Mapping[str, Any],
        *,
        unique: str | None = None,
        status: str | None = None,
        label: str | None = None,
        touch: bool = True,
        bounded: bool = True,
    ) -> Record | None:
        """Set keys of a record's body, and its status, label or unique name if given; return None if there is none.

        Raises:
            Taken: Another record has the unique name.
        """
        digest = None if unique is None else self._digest(tenant, kind, unique)

        def change(connection: Connection, old: Record) -> Record:
            if digest is not None:
                digests = self._sealer.digests(tenant, f"{kind}\0{unique}")
                same = _all(tenant, kind) & record.c.unique_key.in_(digests) & (record.c.id != id)
                other = connection.execute(sa.select(record.c.id).where(same)).first()
                if other is not None:
                    raise Taken(other[0])
            moment = max(now_micros(), old.updated_at + 1) if touch else old.updated_at
            new = Record(
                id, status or old.status, label or old.label, old.created_at, moment, {**old.body, **changes}
            )
            values: dict[str, Any] = {
                "status": new.status,
                "label": new.label,
                "updated_at": moment,
                "body": self._seal(tenant, new.body, old.body),
            }
            if digest is not None:
                values["unique_key"] = digest
            connection.execute(record.update().where(_one(tenant, kind, id)).values(**values))
            revisions.touch(connection, tenant)
            return new

        try:
            with self._growing(tenant, kind, id, changes, bounded):
                return self._changing(tenant, kind, id, change)
        except OneBrainConflictError:
            # Another request took the name at the same moment.
            other = None if unique is None else self.find(tenant, kind, unique)
            if other is None:
                raise
            raise Taken(other.id) from None

    def put(
        self,
        tenant: str,
        kind: str,
        id: str,
        changes: Mapping[str, Any],
        *,
        defaults: Mapping[str, Any] | None = None,
        status: str | None = None,
        at: int | None = None,
    ) -> Record:
        """Set keys of the record with an id, which is stored first, beside `defaults`, if there is none."""
        while True:
            changed = self.change(tenant, kind, id, changes, status=status)
            if changed is not None:
                return changed
            # Another request may be faster, and then it is changed after all.
            with suppress(Taken):
                return self.add(tenant, kind, {**(defaults or {}), **changes}, id=id, status=status, at=at)

    def _changing(
        self, tenant: str, kind: str, id: str, change: Callable[[Connection, Record], T]
    ) -> T | None:
        """Return the result of a function for a record that no other request changes meanwhile; None if there is none."""
        with self._database.writing(tenant) as connection:
            found = connection.execute(_COLUMNS.where(_one(tenant, kind, id)).with_for_update()).first()
            return None if found is None else change(connection, self._read(tenant, found))

    def change_if(
        self, tenant: str, kind: str, id: str, key: str, expected: Any, changes: Mapping[str, Any]
    ) -> bool:
        """Set keys of a record's body if one of them is unchanged; return whether it was."""

        def change(connection: Connection, old: Record) -> bool:
            if old.body.get(key) != expected:
                return False
            body = self._seal(tenant, {**old.body, **changes}, old.body)
            connection.execute(record.update().where(_one(tenant, kind, id)).values(body=body))
            return True

        return bool(self._changing(tenant, kind, id, change))

    def forget_tenant(self, tenant: str) -> None:
        """Remove all records of a tenant."""
        with self._database.writing(tenant) as connection:
            connection.execute(record.delete().where(record.c.tenant == tenant))
            revisions.touch(connection, tenant)

    def remove(self, tenant: str, kind: str, id: str) -> bool:
        """Remove a record and its links."""
        with self._database.writing(tenant) as connection:
            gone = connection.execute(record.delete().where(_one(tenant, kind, id))).rowcount > 0
            if gone:
                connection.execute(link.delete().where(links.owned(tenant, kind, id)))
                revisions.touch(connection, tenant)
        return gone

    def page(
        self,
        tenant: str,
        kind: str,
        *,
        limit: int,
        cursor: str | None = None,
        status: str | None = None,
        label: str | None = None,
    ) -> Rows | None:
        """Return one page, newest first; None if the cursor is none of this list's.

        It has at most `limit` records, and ends before at the bytes that a page may have.
        """
        where = _all(tenant, kind, status, label)
        with self._database.reading(tenant) as connection:
            total = connection.execute(_COUNT.where(where)).scalar_one()
            if cursor is not None:
                mark = _one(tenant, kind, cursor)
                at = connection.execute(sa.select(record.c.created_at).where(mark)).scalar()
                if at is None:
                    return None
                where &= (record.c.created_at < at) | ((record.c.created_at == at) & (record.c.id < cursor))
            newest = _NEWEST.where(where)
            count, more = fitting(self._bounds, connection, record.c.body, newest, limit)
            found = [self._read(tenant, row) for row in connection.execute(newest.limit(count))]
        return Rows(found, found[-1].id if more and found else None, int(total))

    def all(self, tenant: str, kind: str, *, status: str | None = None) -> list[Record]:
        """Return all records of a kind, newest first."""
        rows = self._database.rows(tenant, _NEWEST.where(_all(tenant, kind, status)))
        return [self._read(tenant, row) for row in rows]

    def count(self, tenant: str, kind: str, *, status: str | None = None) -> int:
        """Return how many records of a kind there are."""
        return int(self._database.scalar(tenant, _COUNT.where(_all(tenant, kind, status))))

    def tenants_with(self, kind: str) -> list[str]:
        """Return the tenants that have a record of a kind: for jobs, which work for all of them."""
        tenants = sa.select(record.c.tenant).where(record.c.kind == kind).distinct()
        return [row.tenant for row in self._database.rows(SERVER, tenants)]

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _seal(self, tenant: str, body: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> bytes:
        """Return the stored form of a document; one with a credential of a third party goes into the vault."""
        text = to_json(body)
        if not holds_credentials(body):
            return self._sealer.seal(tenant, text)
        try:
            return self._vault.seal(tenant, text)
        except CredentialsKeyMissing:
            # A credential that an earlier version kept in clear still works, and no other one may replace it.
            if old is None or any(body.get(name) != old.get(name) for name in CREDENTIALS):
                raise
            return self._sealer.seal(tenant, text)

    def _growing(
        self, tenant: str, kind: str, id: str, changes: Mapping[str, Any], bounded: bool
    ) -> AbstractContextManager[None]:
        # Before the transaction, because the bytes of an account are counted by another connection.
        old = self.get(tenant, kind, id) if bounded and changes else None
        return (
            nullcontext()
            if old is None
            else self._admitted(tenant, {**old.body, **changes}, old.body, bounded)
        )

    def _admitted(
        self, tenant: str, body: Mapping[str, Any], old: Mapping[str, Any] | None, bounded: bool
    ) -> AbstractContextManager[None]:
        if not bounded:
            return nullcontext()
        return admitted(self._bounds, tenant, to_json(body), "" if old is None else to_json(old))

    def _digest(self, tenant: str, kind: str, name: str) -> str:
        return self._sealer.digest(tenant, f"{kind}\0{name}")

    def _read(self, tenant: str, row: Any) -> Record:
        id, status, label, created_at, updated_at, body = row
        return Record(id, status, label, created_at, updated_at, from_json(self._vault.open(tenant, body)))


_COLUMNS = sa.select(
    record.c.id, record.c.status, record.c.label, record.c.created_at, record.c.updated_at, record.c.body
)
_NEWEST = _COLUMNS.order_by(record.c.created_at.desc(), record.c.id.desc())
_COUNT = sa.select(sa.func.count()).select_from(record)


def _all(
    tenant: str, kind: str, status: str | None = None, label: str | None = None
) -> sa.ColumnElement[bool]:
    """Return the condition for the records of a kind, with a status or a label if given."""
    where = (record.c.tenant == tenant) & (record.c.kind == kind)
    if status is not None:
        where &= record.c.status == status
    return where if label is None else where & (record.c.label == label)


def _one(tenant: str, kind: str, id: str) -> sa.ColumnElement[bool]:
    return _all(tenant, kind) & (record.c.id == id)

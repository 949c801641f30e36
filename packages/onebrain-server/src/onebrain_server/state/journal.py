"""The journal: usage by route, agents' activity, the audit log, tombstones, and answers kept for idempotency keys."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any, Final

import sqlalchemy as sa

from onebrain._core.codec import from_json, to_json
from onebrain_server.clock import iso_micros, now, now_micros
from onebrain_server.ids import new_id
from onebrain_server.security.sealing import Sealer
from onebrain_server.state.database import SERVER, Database
from onebrain_server.state.tables import account, activity, audit, idempotency, tombstone, usage

_DAY: Final = 86_400 * 1_000_000
_KEPT_DAYS: Final = 90
# Seconds for which sums of calls are believed, for other workers count, too.
_GOOD: Final = 1.0
# Seconds after which a call that reads a sum writes the counts: no more than this is lost if the process is killed.
_UNWRITTEN: Final = 0.1
# Accounts whose sums are remembered.
_MOST_SUMS: Final = 10_000
# Actions that wait for a database which cannot be written.
_MOST_WAITING: Final = 10_000


# Begins the names under which answers of language models are counted, beside those of routes.
MODEL: Final = "MODEL "


@dataclass(frozen=True, slots=True)
class Usage:
    """The calls of one route on one day, or the answers of a language model for one purpose."""

    day: str
    route: str
    count: int
    errors: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that an agent did."""

    id: str
    key_id: str
    action: str
    resource: str
    status: str
    details: dict[str, Any] | None
    created_at: int


@dataclass(slots=True)
class _Sums:
    """The successful calls of some routes by day: those in the database, and those counted here since.

    Attributes:
        first: The first day.
        until: When those of other workers are read again.
        by_day: The number of calls of each day that has any.
    """

    first: str
    until: float
    by_day: Counter[str]


class Journal:
    """Notes of all tenants. Counts are gathered in memory and written once a second."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._lock = threading.Lock()
        # Held until the counts are written: a reader that finds none to write must not miss those on their way.
        self._flushing = threading.Lock()
        self._counts: dict[tuple[str, str, str], list[int]] = {}
        self._acts: list[dict[str, Any]] = []
        self._sums: dict[str, dict[frozenset[str], _Sums]] = {}
        self._written = time.monotonic()
        adding = database.inserting(usage)
        more = {name: usage.c[name] + adding.excluded[name] for name in ("count", "errors", "tokens")}
        self._adding = adding.on_conflict_do_update(index_elements=["tenant", "day", "route"], set_=more)

    # ---- usage ------------------------------------------------------------------------------------------------------

    def count(self, tenant: str, route: str, *, failed: bool, tokens: int = 0) -> None:
        """Count a call."""
        day = _today()
        with self._lock:
            counts = self._counts.setdefault((tenant, day, route), [0, 0, 0])
            counts[0] += 1
            counts[1] += failed
            counts[2] += tokens
            if not failed and tenant in self._sums:
                for routes, sums in self._sums[tenant].items():
                    if route in routes:
                        sums.by_day[day] += 1

    def spend(self, tenant: str, purpose: str, tokens: int) -> None:
        """Count an answer of a language model and its tokens, under the name of its purpose."""
        self.count(tenant, MODEL + purpose, failed=False, tokens=tokens)

    def act(
        self,
        tenant: str,
        key_id: str,
        action: str,
        resource: str,
        *,
        status: str = "success",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Note an agent's action."""
        row = {
            "tenant": tenant,
            "id": new_id(),
            "key_id": key_id,
            "action": action,
            "resource": resource[:64],
            "status": status,
            "details": None if details is None else to_json(details)[:2048],
            "created_at": now_micros(),
        }
        with self._lock:
            self._acts.append(row)

    def flush(self) -> None:
        """Write the gathered counts of the accounts that are still there."""
        with self._flushing:
            self._flush()

    def _flush(self) -> None:
        self._written = time.monotonic()
        with self._lock:
            counts, self._counts = self._counts, {}
            acts, self._acts = self._acts, []
        if not counts and not acts:
            return
        try:
            self._write(counts, acts)
        except BaseException:
            # They wait for a database that can be written again.
            with self._lock:
                for key, later in self._counts.items():
                    earlier = counts.setdefault(key, [0, 0, 0])
                    counts[key] = [one + other for one, other in zip(earlier, later, strict=True)]
                self._counts = counts
                self._acts = [*acts, *self._acts][-_MOST_WAITING:]
            raise

    def _write(
        self, counts: Mapping[tuple[str, str, str], Sequence[int]], acts: Sequence[Mapping[str, Any]]
    ) -> None:
        named = {tenant for tenant, _, _ in counts} | {act["tenant"] for act in acts}
        with self._database.writing(SERVER) as connection:
            # The request that deletes an account is counted after it.
            there = _there(connection, named)
            acts = [act for act in acts if act["tenant"] in there]
            # In one order in all workers, so that none of them waits for another in a circle.
            rows = [
                {
                    "tenant": tenant,
                    "day": day,
                    "route": route,
                    "count": count,
                    "errors": errors,
                    "tokens": tokens,
                }
                for (tenant, day, route), (count, errors, tokens) in sorted(counts.items())
                if tenant in there
            ]
            if rows:
                connection.execute(self._adding, rows)
            if acts:
                connection.execute(activity.insert(), acts)

    def successes(self, tenant: str, routes: frozenset[str], first: date, last: date) -> Mapping[str, int]:
        """Return the number of successful calls of some routes, by day from one to another, both included.

        Calls counted by this process are all in it; those of other workers join within a second.
        """
        day = first.isoformat()
        if time.monotonic() - self._written > _UNWRITTEN:
            self.flush()
        with self._lock:
            known = self._sums.get(tenant, {}).get(routes)
            if known is not None and known.first == day and time.monotonic() < known.until:
                return dict(known.by_day)
        # No counts are on their way to the database meanwhile, where they would be in neither place.
        with self._flushing:
            self._flush()
            until = time.monotonic() + _GOOD
            where = (usage.c.tenant == tenant) & usage.c.route.in_(routes)
            where &= (usage.c.day >= day) & (usage.c.day <= last.isoformat())
            query = sa.select(usage.c.day, usage.c.count - usage.c.errors).where(where)
            read = self._database.rows(tenant, query)
            with self._lock:
                by_day = Counter[str]()
                for row in read:
                    by_day[row[0]] += row[1]
                for (owner, on, route), (count, errors, _) in self._counts.items():
                    if owner == tenant and route in routes and on >= day:
                        by_day[on] += count - errors
                if tenant not in self._sums and len(self._sums) >= _MOST_SUMS:
                    self._sums.clear()
                self._sums.setdefault(tenant, {})[routes] = _Sums(day, until, by_day)
                return dict(by_day)

    def recent_usage(self, tenant: str, days: int) -> list[Usage]:
        """Return the usage of the last days, today in UTC included."""
        today = now().date()
        return self.usage(tenant, today - timedelta(days=days - 1), today)

    def usage(self, tenant: str, first: date, last: date) -> list[Usage]:
        """Return the usage from one day to another, both included."""
        self.flush()
        where = usage.c.tenant == tenant
        where &= (usage.c.day >= first.isoformat()) & (usage.c.day <= last.isoformat())
        columns = (usage.c.day, usage.c.route, usage.c.count, usage.c.errors, usage.c.tokens)
        query = sa.select(*columns).where(where).order_by(usage.c.day, usage.c.route)
        return [Usage(*row) for row in self._database.rows(tenant, query)]

    # ---- agents -----------------------------------------------------------------------------------------------------

    def acts(
        self, tenant: str, *, key_id: str | None = None, limit: int = 20, cursor: str | None = None
    ) -> tuple[list[Act], str | None]:
        """Return agents' actions, newest first, and the cursor of the next page."""
        self.flush()
        where = activity.c.tenant == tenant
        if key_id is not None:
            where &= activity.c.key_id == key_id
        if cursor is not None:
            where &= activity.c.id < cursor
        newest = _ACT.where(where).order_by(activity.c.id.desc()).limit(limit + 1)
        rows = self._database.rows(tenant, newest)
        found = [_act(row) for row in rows]
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    def act_counts(
        self, tenant: str, key_id: str | None = None, *, since: int = 0
    ) -> list[tuple[str, str, str, int]]:
        """Return (key id, action, status, count) of actions from a time on, in microseconds since 1970."""
        self.flush()
        where = activity.c.tenant == tenant
        if key_id is not None:
            where &= activity.c.key_id == key_id
        if since:
            where &= activity.c.created_at >= since
        columns = (activity.c.key_id, activity.c.action, activity.c.status)
        query = sa.select(*columns, sa.func.count()).where(where).group_by(*columns).order_by(*columns)
        return [(row[0], row[1], row[2], row[3]) for row in self._database.rows(tenant, query)]

    # ---- audit ------------------------------------------------------------------------------------------------------

    def audit(
        self, tenant: str, actor: str, action: str, *, target: str | None, ip: str, request_id: str
    ) -> None:
        """Note a change that matters for security, at once."""
        note = audit.insert().values(
            tenant=tenant,
            id=new_id(),
            actor=actor,
            action=action,
            target=target,
            ip_address=ip[:64],
            request_id=request_id[:128],
            created_at=now_micros(),
        )
        self._database.run(tenant, note)

    def audited(self, tenant: str, limit: int = 100) -> list[dict[str, Any]]:
        """Return the newest notes of the audit log."""
        newest = sa.select(audit).where(audit.c.tenant == tenant).order_by(audit.c.id.desc()).limit(limit)
        return [dict(row._mapping) for row in self._database.rows(tenant, newest)]

    # ---- tombstones -------------------------------------------------------------------------------------------------

    def bury(self, tenant: str, memory_ids: Sequence[str]) -> None:
        """Note that memories are being deleted; a note for one that is still there counts for nothing."""
        moment = now_micros()
        with self._database.writing(tenant) as connection:
            for id in memory_ids:
                statement = self._database.inserting(tombstone).values(
                    tenant=tenant, memory_id=id, deleted_at=moment
                )
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["tenant", "memory_id"], set_={"deleted_at": moment}
                    )
                )

    def buried(self, tenant: str, since: int, until: int) -> list[tuple[str, int]]:
        """Return (memory id, time) of memories deleted after `since` and up to `until`."""
        where = (
            (tombstone.c.tenant == tenant)
            & (tombstone.c.deleted_at > since)
            & (tombstone.c.deleted_at <= until)
        )
        query = sa.select(tombstone.c.memory_id, tombstone.c.deleted_at).where(where)
        return [(row[0], row[1]) for row in self._database.rows(tenant, query)]

    # ---- idempotency ------------------------------------------------------------------------------------------------

    def kept_answer(self, tenant: str, key: str) -> tuple[str, int, bytes] | None:
        """Return fingerprint, status and body of the answer kept for an idempotency key."""
        where = (idempotency.c.tenant == tenant) & (
            idempotency.c.key_digest.in_(self._sealer.digests(tenant, key))
        )
        where &= idempotency.c.created_at > now_micros() - _DAY
        kept = sa.select(idempotency.c.fingerprint, idempotency.c.status, idempotency.c.body).where(where)
        row = self._database.first(tenant, kept)
        return None if row is None else (row[0], row[1], self._sealer.open(tenant, row[2]).encode())

    def keep_answer(self, tenant: str, key: str, fingerprint: str, status: int, body: bytes) -> None:
        """Keep an answer for a day."""
        moment = now_micros()
        values: dict[str, Any] = {
            "fingerprint": fingerprint,
            "status": status,
            "body": self._sealer.seal(tenant, body.decode()),
            "created_at": moment,
        }
        statement = self._database.inserting(idempotency).values(
            tenant=tenant, key_digest=self._sealer.digest(tenant, key), **values
        )
        # An answer that is too old to count may still be there.
        old = idempotency.c.created_at <= moment - _DAY
        named = ["tenant", "key_digest"]
        self._database.run(
            tenant, statement.on_conflict_do_update(index_elements=named, set_=values, where=old)
        )

    def tidy(self) -> None:
        """Remove notes that are too old."""
        moment = now_micros()
        with self._database.writing(SERVER) as connection:
            connection.execute(idempotency.delete().where(idempotency.c.created_at < moment - _DAY))
            connection.execute(activity.delete().where(activity.c.created_at < moment - _KEPT_DAYS * _DAY))

    def forget_tenant(self, tenant: str) -> None:
        """Remove everything noted about a tenant but the audit log."""
        with self._database.writing(tenant) as connection:
            for table in (usage, activity, tombstone, idempotency):
                connection.execute(table.delete().where(table.c.tenant == tenant))
        with self._lock:
            self._sums.pop(tenant, None)


_ACT: Final = sa.select(*(activity.c[field.name] for field in fields(Act)))


def _there(connection: sa.Connection, tenants: Collection[str]) -> set[str]:
    """Return those of the tenants that have an account."""
    return set(connection.execute(sa.select(account.c.id).where(account.c.id.in_(tenants))).scalars())


def _today() -> str:
    return iso_micros(now_micros())[:10]


def _act(row: Any) -> Act:
    values: dict[str, Any] = {**row._mapping, "details": None}
    # Longer ones were cut when they were stored, and are no JSON any more.
    with suppress(ValueError):
        values["details"] = None if row.details is None else from_json(row.details)
    return Act(**values)

"""Webhooks on their way: kept until they are taken, or given up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from onebrain._core.codec import from_json, to_json
from onebrain_server.clock import now_micros
from onebrain_server.ids import new_id
from onebrain_server.security.sealing import Sealer
from onebrain_server.security.vault import CredentialsKeyMissing, Vault
from onebrain_server.state.database import SERVER, Database
from onebrain_server.state.tables import delivery


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one subscriber.

    Attributes:
        target: Whose it is: the id of a subscription.
        attempt: How often it was tried before.
    """

    tenant: str
    id: str
    service: str
    target: str
    attempt: int
    created_at: int
    url: str
    secret: str | None
    body: str


class Outbox:
    """The deliveries of all tenants."""

    def __init__(self, database: Database, sealer: Sealer, vault: Vault) -> None:
        self._database = database
        self._sealer = sealer
        self._vault = vault

    def add(
        self,
        tenant: str,
        service: str,
        target: str,
        *,
        url: str,
        secret: str | None,
        bodies: Sequence[str],
    ) -> list[str]:
        """Keep deliveries that are due at once, in one transaction; return their ids."""
        moment = now_micros()
        rows = [
            {
                "tenant": tenant,
                "id": new_id(),
                "service": service,
                "target": target,
                "attempt": 0,
                "due_at": moment,
                "created_at": moment,
                "payload": self._seal(tenant, {"url": url, "secret": secret, "body": body}),
            }
            for body in bodies
        ]
        if rows:
            with self._database.writing(tenant) as connection:
                connection.execute(delivery.insert(), rows)
        return [str(row["id"]) for row in rows]

    def claim(self, most: int, lease: float) -> list[Delivery]:
        """Take deliveries that are due; another replica takes them again after `lease` seconds, should this one die."""
        moment = now_micros()
        due = sa.select(delivery).where(delivery.c.due_at <= moment).order_by(delivery.c.due_at).limit(most)
        # Looked for first, since a transaction that writes is waited for by all others on SQLite.
        if self._database.first(SERVER, due.limit(1)) is None:
            return []
        with self._database.writing(SERVER) as connection:
            rows = connection.execute(due.with_for_update(skip_locked=True)).all()
            for row in rows:
                connection.execute(
                    delivery.update().where(_this(row)).values(due_at=moment + round(lease * 1_000_000))
                )
        return [self._read(row) for row in rows]

    def due_in(self) -> float:
        """Return in how many seconds the next delivery is due; infinity if there is none."""
        first = self._database.scalar(SERVER, sa.select(sa.func.min(delivery.c.due_at)))
        return math.inf if first is None else max(0.0, (first - now_micros()) / 1_000_000)

    def done(self, taken: Delivery) -> None:
        """Remove a delivery."""
        self._database.run(taken.tenant, delivery.delete().where(_this(taken)))

    def postpone(self, failed: Delivery, seconds: float) -> None:
        """Try a delivery again later."""
        values = {"attempt": failed.attempt + 1, "due_at": now_micros() + round(seconds * 1_000_000)}
        self._database.run(failed.tenant, delivery.update().where(_this(failed)).values(**values))

    def forget(self, tenant: str, service: str | None = None, target: str | None = None) -> None:
        """Remove the deliveries to a subscription, or all of a service's or a tenant's."""
        where = delivery.c.tenant == tenant
        if service is not None:
            where &= delivery.c.service == service
        if target is not None:
            where &= delivery.c.target == target
        self._database.run(tenant, delivery.delete().where(where))

    def waiting(self, tenant: str) -> Sequence[tuple[str, str, int]]:
        """Return (service, target, attempt) of a tenant's deliveries."""
        chosen = sa.select(delivery.c.service, delivery.c.target, delivery.c.attempt)
        mine = chosen.where(delivery.c.tenant == tenant).order_by(delivery.c.id)
        return [(row[0], row[1], row[2]) for row in self._database.rows(tenant, mine)]

    def _seal(self, tenant: str, payload: dict[str, Any]) -> bytes:
        text = to_json(payload)
        if payload["secret"] is not None:
            # The subscription lies in clear, from an earlier version.
            with suppress(CredentialsKeyMissing):
                return self._vault.seal(tenant, text)
        return self._sealer.seal(tenant, text)

    def _read(self, row: Any) -> Delivery:
        payload = from_json(self._vault.open(row.tenant, row.payload))
        return Delivery(row.tenant, row.id, row.service, row.target, row.attempt, row.created_at, **payload)


def _this(row: Any) -> Any:
    return (delivery.c.tenant == row.tenant) & (delivery.c.id == row.id)

"""Events for the tenant's webhook: written to the outbox, signed and sent in the background."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from pydantic_core import to_json

from onebrain_server.clock import iso, iso_micros, now, now_micros
from onebrain_server.dialects.rememberos.rules.partition import Partition
from onebrain_server.dialects.rememberos.wire import NAME, sign
from onebrain_server.jobs.deliveries import Channel
from onebrain_server.state.outbox import Delivery
from onebrain_server.state.records import Record, Records

KIND: Final = "rememberos.webhook"
ID: Final = "config"
EVENTS: Final = ("memory.created", "memory.updated", "memory.deleted")

Event = Literal["memory.created", "memory.updated", "memory.deleted"]


def subscription(partition: Partition) -> Record | None:
    """Return the tenant's webhook."""
    return partition.records.get(partition.tenant, KIND, ID)


def emit(partition: Partition, event: Event, data: Iterable[Mapping[str, Any]]) -> None:
    """Tell the tenant's webhook of an event, once for each memory."""
    hook = subscription(partition)
    if hook is None:
        return
    moment = iso(now())
    partition.server.deliveries.add_all(
        partition.tenant,
        NAME,
        hook.body["target"],
        url=hook.body["url"],
        secret=hook.body["secret"],
        bodies=[to_json({"event": event, "data": one, "created_at": moment}).decode() for one in data],
    )


def removed(partition: Partition, collection: str, ids: Iterable[str]) -> None:
    """Send events for memories that are gone: their ids, and none of their text."""
    emit(partition, "memory.deleted", ({"id": id, "collection": collection} for id in ids))


def _note(records: Records, delivery: Delivery, taken: bool, again: bool) -> None:
    """Count deliveries that were taken or given up; one that is tried again counts as neither yet."""
    hook = records.get(delivery.tenant, KIND, ID)
    if again or hook is None or hook.body["target"] != delivery.target:
        return
    name = "delivered" if taken else "failed"
    moment = iso_micros(now_micros())
    changes = {name: hook.body[name] + 1, f"last_{name}_at": moment}
    records.change(delivery.tenant, KIND, ID, changes, touch=False)


channel: Final = Channel(sign=sign, seconds=5.0, outcome=_note)

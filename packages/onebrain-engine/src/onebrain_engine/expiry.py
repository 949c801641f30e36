"""Removing expired memories, which are invisible anyway."""

from __future__ import annotations

import time
from typing import Final

from onebrain_engine.store.protocol import Writing
from onebrain_engine.store.records import by_space
from onebrain_engine.succession import Succession

_EVERY: Final = 60.0  # seconds between removals within other transactions


class Expiry:
    """Removes the expired memories of tenants, within transactions that write anyway."""

    def __init__(self) -> None:
        self._purged_at: dict[str, float] = {}  # on the monotonic clock

    def purge_at_times(self, write: Writing, tenant: str, now: int) -> None:
        """Remove expired memories if the last removal was a minute ago."""
        moment = time.monotonic()
        if moment - self._purged_at.get(tenant, float("-inf")) >= _EVERY:
            self._purged_at[tenant] = moment
            self.purge(write, tenant, now)

    def purge(self, write: Writing, tenant: str, now: int) -> int:
        """Remove expired memories; return their number."""
        removed = 0
        for space, rows in by_space(write.expired(tenant, now)):
            current = write.space(tenant, space.name)
            assert current is not None
            removed += Succession(write, tenant, current, now).remove(rows)
        return removed

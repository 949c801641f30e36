"""The allowances of an account's plan over all its partitions; accounts that registered themselves have the free plan, others no limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from onebrain.errors import QuotaExceeded
from onebrain.memory.filters import TRUE
from onebrain.memory.models import EVERYTHING
from onebrain_engine import Engine
from onebrain_server.settings import Settings
from onebrain_server.state.accounts import Account

# Seconds for which a count is believed, for other replicas store, too.
_GOOD: Final = 10.0
# Accounts of a stripe whose counts are remembered.
_MOST_KNOWN: Final = 256


@dataclass(slots=True)
class _Count:
    """An account's counted memories, and those granted since: more than there are, never fewer."""

    stored: int = 0
    until: float = 0.0
    granted: int = 0
    # The part of `granted` whose requests are at work.
    working: int = 0


@dataclass(slots=True)
class _Bytes:
    """An account's allowance of bytes, the bytes counted of it, and those granted since."""

    most: int | None
    until: float
    stored: int | None = None
    granted: int = 0
    # Of all requests ever.
    admitted: int = 0
    # Of those at work.
    working: int = 0


@dataclass(slots=True)
class _Stripe:
    lock: threading.Lock = field(default_factory=threading.Lock)
    counts: dict[str, _Count] = field(default_factory=dict[str, _Count])


class Plans:
    """The plans' allowances; safe to share between threads.

    In one process an account never gets more memories than its plan allows, however many of its requests are at work. What
    other replicas have stored is learnt within ten seconds; until then an account may use half of the allowance that was last
    counted, and by so much it can exceed its plan with each further replica.

    Args:
        settings: Its `free_plan` holds the allowances.
        engine: Where memories are.
        partitions: Returns the engine's names of an account's partitions.
        account: Returns an account by its id.
        beside: Returns the bytes of an account's documents and entities.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        partitions: Callable[[str], Iterable[str]],
        account: Callable[[str], Account | None],
        beside: Callable[[str], int],
    ) -> None:
        self._settings = settings
        self._account = account
        self._engine = engine
        self._partitions = partitions
        self._beside = beside
        self._stripes = [_Stripe() for _ in range(64)]
        self._bytes: dict[str, _Bytes] = {}
        self._bytes_lock = threading.Lock()

    def limit(self, account: Account, name: str) -> int | None:
        """Return an allowance of an account's plan; None for no limit."""
        return None if account.plan != "free" else self._settings.free_plan.get(name) or None

    def count(self, tenant: str) -> int:
        """Return how many memories an account has in all its partitions, archived ones included."""
        return sum(
            self._engine.tenant(partition).count(EVERYTHING, TRUE, include_archived=True)
            for partition in self._partitions(tenant)
        )

    def size(self, tenant: str) -> int:
        """Return how many bytes of text and metadata an account has in all its partitions, documents and entities too."""
        memories = sum(self._engine.tenant(partition).size() for partition in self._partitions(tenant))
        return memories + self._beside(tenant)

    @contextmanager
    def admit(self, partition: str, size: int) -> Generator[None, None, None]:
        """Reserve bytes while they are stored; raise `QuotaExceeded` if the account's allowance is used up.

        The bytes are counted again if the allowance may be near, and after ten seconds. Bytes of a memory that is
        replaced count until then. Bytes that others store during the count may count twice, and never go uncounted.
        """
        tenant = partition.partition("/")[0]
        known = self._bytes_of(tenant)
        most = known.most
        if most is None:
            yield
            return
        if not self._granted(known, most, size):
            with self._bytes_lock:
                before = known.admitted - known.working
            # Others need not wait for that.
            stored = self.size(tenant)
            with self._bytes_lock:
                stored += known.admitted - before
                if stored + size > most:
                    raise QuotaExceeded(
                        f"the plan's limit is reached: {most} bytes of text and metadata; "
                        "delete some memories, or ask the server's owner"
                    )
                known.stored, known.granted = stored, size
                known.admitted += size
                known.working += size
        try:
            yield
        finally:
            with self._bytes_lock:
                known.working -= size

    def _bytes_of(self, tenant: str) -> _Bytes:
        """Return the last count of an account's bytes; its plan is read and they are counted anew after a time."""
        with self._bytes_lock:
            known = self._bytes.get(tenant)
            if known is not None and time.monotonic() <= known.until:
                return known
            account = self._account(tenant)
            most = None if account is None else self.limit(account, "memory_bytes")
            if known is None:
                if len(self._bytes) >= _MOST_KNOWN * len(self._stripes):
                    self._bytes = {name: one for name, one in self._bytes.items() if one.working}
                known = self._bytes[tenant] = _Bytes(most, 0.0)
            known.most, known.stored, known.until = most, None, time.monotonic() + _GOOD
            return known

    def _granted(self, known: _Bytes, most: int, size: int) -> bool:
        """Grant bytes if the last count leaves twice as many free."""
        with self._bytes_lock:
            if known.stored is None or 2 * (known.granted + size) > most - known.stored:
                return False
            known.granted += size
            known.admitted += size
            known.working += size
            return True

    @contextmanager
    def storing(self, account: Account, wanted: int) -> Generator[int, None, None]:
        """Reserve part of the allowance for new memories while they are stored; yield how many are allowed.

        Without a limit nothing is counted, and with one only near the limit. Memories that other requests of the account have
        just stored counts twice until they are at their end: at its limit one may be refused that would have fitted.
        """
        most = self.limit(account, "memories")
        if most is None or wanted <= 0:
            yield wanted
            return
        allowed = self._take(account.id, wanted, most)
        try:
            yield allowed
        finally:
            if allowed:
                self._done(account.id, allowed)

    def _take(self, tenant: str, wanted: int, most: int) -> int:
        stripe = self._stripe(tenant)
        with stripe.lock:
            known = stripe.counts.get(tenant)
            if known is None:
                _drop_old(stripe.counts)
                known = stripe.counts[tenant] = _Count()
            # Half of what was free is left to other replicas, whose memories this one has not counted yet.
            if time.monotonic() > known.until or 2 * (known.granted + wanted) > most - known.stored:
                known.stored = self.count(tenant) + known.working
                known.granted = 0
                known.until = time.monotonic() + _GOOD
                wanted = max(0, min(wanted, most - known.stored))
            known.granted += wanted
            known.working += wanted
            return wanted

    def _done(self, tenant: str, allowed: int) -> None:
        stripe = self._stripe(tenant)
        with stripe.lock:
            stripe.counts[tenant].working -= allowed

    def _stripe(self, tenant: str) -> _Stripe:
        return self._stripes[hash(tenant) % len(self._stripes)]


def _drop_old(counts: dict[str, _Count]) -> None:
    if len(counts) >= _MOST_KNOWN:
        moment = time.monotonic()
        for tenant in [
            tenant for tenant, known in counts.items() if known.until < moment and not known.working
        ]:
            del counts[tenant]


__all__ = ["Plans"]

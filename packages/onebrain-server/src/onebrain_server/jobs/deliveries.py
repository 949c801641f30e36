"""Delivering the services' webhooks: signed at the moment of sending, again when not taken, to public addresses only.

An event is written to the outbox before anything is sent, so that a restart loses none; a receiver may see one twice.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from onebrain_server.clock import now_micros
from onebrain_server.ids import new_id
from onebrain_server.logs import Log, Watch
from onebrain_server.security.addresses import AddressRefused, Fetcher
from onebrain_server.state.outbox import Delivery, Outbox
from onebrain_server.state.records import Records

_BATCH: Final = 16
# Seconds; longer than a batch takes at most.
_LEASE: Final = 60.0
# The longest time in seconds until the worker sees deliveries that other replicas have added.
_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """How one service's webhooks are sent.

    Attributes:
        sign: Returns the headers that prove who sent a delivery, from the delivery and the Unix time in seconds.
        seconds: How long the receiver may take.
        outcome: Told of each try: the records, the delivery, whether it was taken, and whether it will be tried again.
    """

    sign: Callable[[Delivery, int], dict[str, str]]
    seconds: float = 10.0
    outcome: Callable[[Records, Delivery, bool, bool], None] | None = None


class Deliveries:
    """Sends the deliveries of the outbox, from a thread of its own.

    Args:
        outbox: Where deliveries wait.
        fetcher: Sends them, and refuses addresses that are not public.
        records: Where outcomes are noted.
        delays: Seconds until each further try; one more failure and a delivery is given up.
        log: Where failures of the worker itself go.
    """

    def __init__(
        self, outbox: Outbox, fetcher: Fetcher, records: Records, delays: Sequence[float], log: Log
    ) -> None:
        self._outbox = outbox
        self._fetcher = fetcher
        self._records = records
        self._delays = delays
        self._log = log
        self._channels: dict[str, Channel] = {}
        self._wake = threading.Event()
        self._stop = False
        self._worker: threading.Thread | None = None

    def open(self, service: str, channel: Channel) -> None:
        """Say how a service's webhooks are sent."""
        self._channels[service] = channel

    def add(self, tenant: str, service: str, target: str, *, url: str, secret: str | None, body: str) -> str:
        """Send an event to a subscription; return the delivery's id. It is kept first, and sent in the background."""
        return self.add_all(tenant, service, target, url=url, secret=secret, bodies=[body])[0]

    def add_all(
        self,
        tenant: str,
        service: str,
        target: str,
        *,
        url: str,
        secret: str | None,
        bodies: Sequence[str],
    ) -> list[str]:
        """Send several events to a subscription, kept in one transaction; return the deliveries' ids."""
        ids = self._outbox.add(tenant, service, target, url=url, secret=secret, bodies=bodies)
        self._wake.set()
        return ids

    def send_once(
        self, tenant: str, service: str, target: str, *, url: str, secret: str | None, body: str
    ) -> bool:
        """Send an event now, once, without keeping it; return whether it was taken."""
        delivery = Delivery(tenant, new_id(), service, target, 0, now_micros(), url, secret, body)
        return asyncio.run(self._send(delivery))

    async def _send(self, delivery: Delivery) -> bool:
        """Send a delivery; return whether it was taken with a status of 2xx."""
        channel = self._channels[delivery.service]
        try:
            headers = {"content-type": "application/json", **channel.sign(delivery, int(time.time()))}
            status, _, _ = await self._fetcher.send(
                "POST",
                delivery.url,
                headers=headers,
                content=delivery.body.encode(),
                timeout=channel.seconds,
                most=64 * 1024,
                redirects=0,
            )
        except (AddressRefused, httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError):
            return False
        except Exception as error:
            # It counts as a try, so that even such a delivery is given up in the end.
            self._log.failure("-", "deliveries", error)
            return False
        return 200 <= status < 300

    def forget(self, tenant: str, service: str, target: str) -> None:
        """Drop the deliveries to a subscription, which is gone."""
        self._outbox.forget(tenant, service, target)

    def forget_tenant(self, tenant: str) -> None:
        """Give up everything on its way for a tenant."""
        self._outbox.forget(tenant)

    def start(self) -> None:
        """Start the worker; a second call does nothing."""
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="onebrain-deliveries", daemon=True)
            self._worker.start()

    def close(self) -> None:
        """Stop the worker; unsent deliveries wait in the outbox."""
        self._stop = True
        self._wake.set()
        if self._worker is not None:
            self._worker.join()

    def _work(self) -> None:
        # At once at the start: an earlier process may have left deliveries.
        pause, watch = 0.0, Watch(self._log, "deliveries")
        while not self._stop:
            self._wake.wait(pause)
            self._wake.clear()
            pause = _PAUSE
            # Where the database is away, they are sent when it is back.
            with watch.once():
                while not self._stop and (claimed := self._outbox.claim(_BATCH, _LEASE)):
                    asyncio.run(self._send_all(claimed))
                pause = min(_PAUSE, self._outbox.due_in())

    async def _send_all(self, claimed: Sequence[Delivery]) -> None:
        known = [delivery for delivery in claimed if delivery.service in self._channels]
        results = await asyncio.gather(*(self._send(delivery) for delivery in known))
        for delivery, taken in zip(known, results, strict=True):
            again = not taken and delivery.attempt < len(self._delays)
            if again:
                self._outbox.postpone(delivery, self._delays[delivery.attempt])
            else:
                self._outbox.done(delivery)
            outcome = self._channels[delivery.service].outcome
            if outcome is not None:
                try:
                    outcome(self._records, delivery, taken, again)
                except Exception as error:
                    # The others have to be noted all the same.
                    self._log.failure("-", "deliveries", error)

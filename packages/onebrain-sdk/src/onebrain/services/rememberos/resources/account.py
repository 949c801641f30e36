"""The account: who is behind the key, what it uses, its keys, its cap, its data out and in, its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from onebrain._core.codec import is_object
from onebrain._core.endpoint import endpoint
from onebrain._core.service import DELETE, GET, POST, PUT, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read
from onebrain.services.rememberos.models import (
    Accepted,
    Account,
    ApiKey,
    BillingSession,
    Export,
    NewKey,
    Restored,
    SpendCap,
    Stats,
)
from onebrain.services.rememberos.service import NAME, SLOW, Resource, check_number, check_text, wrong

ADMIN = "/v1/memory/admin"
KEYS = "/v1/memory/keys"
SPEND_CAP = "/v1/memory/spend-cap"


class AccountResource(Resource[Mode]):
    """The tenant behind the key."""

    @endpoint
    def me(self) -> Steps[Account]:
        """Return the tenant: name, email, tier, limits."""
        return (yield from self._service.get(Account, GET(f"{ADMIN}/me")))

    @endpoint
    def stats(self) -> Steps[Stats]:
        """Return the tenant's usage and its growth."""
        return (yield from self._service.get(Stats, GET(f"{ADMIN}/stats")))

    @endpoint
    def rotate_key(self) -> Steps[NewKey]:
        """Replace the key and return the new one, shown this once; the old one, and with it this client, is dead at once.

        It is sent once only: an answer that is lost takes the new key with it, and `recover_key` is the way back.
        """
        return (yield from self._service.get(NewKey, POST(f"{ADMIN}/rotate-key")))

    @endpoint
    def export(self) -> Steps[Export]:
        """Return the whole account as text: tenant, collections and memories, without vectors."""
        return (yield from self._service.get(Export, GET(f"{ADMIN}/export").but(timeout=SLOW)))

    @endpoint
    def restore(
        self,
        memories: Export | Iterable[Mapping[str, Any]],
        *,
        collections: Sequence[Mapping[str, Any]] | None = None,
        into_collection: str | None = None,
    ) -> Steps[Restored]:
        """Import an `export`, or memories of the shape ``{"text", "collection"?, ...}``; ids are new, text is embedded anew.

        Args:
            memories: The memories to import.
            collections: Collections to make; the default is those of the export.
            into_collection: Put everything into this one instead of the collections that it came from.
        """
        if isinstance(memories, Export):
            if collections is None:
                collections = memories.collections
            memories = memories.memories
        rows = [dict(row) for row in memories]
        for row in rows:
            check_text(row.get("text"))
        spec = POST(
            f"{ADMIN}/import",
            memories=rows,
            collections=collections or None,
            into_collection=into_collection,
        )
        return (yield from self._service.get(Restored, spec.but(timeout=SLOW)))

    @endpoint
    def delete_account(self, *, confirm: str) -> Steps[None]:
        """Delete the account, all memories and files, for ever; `confirm` is the tenant's name."""
        if not confirm:
            raise wrong("confirm: must be the tenant's name, as client.account.me() gives it")
        yield from self._service.ask(POST(f"{ADMIN}/delete-account", confirm=confirm))

    @endpoint
    def signup(self, email: str) -> Steps[Accepted]:
        """Open a free account; a link that reveals its key once is mailed. Needs no key."""
        reply = yield from self._service.public.ask(POST("/v1/memory/signup", email=_address(email)))
        return read(Accepted, reply.data or {}, service=NAME)

    @endpoint
    def recover_key(self, email: str) -> Steps[Accepted]:
        """Have a link mailed that reveals a key once. Needs no key."""
        reply = yield from self._service.public.ask(POST("/v1/memory/recover-key", email=_address(email)))
        return read(Accepted, reply.data or {}, service=NAME)

    @endpoint
    def reveal(self, token: str) -> Steps[NewKey]:
        """Return the key that a mailed link reveals; a link works once, so it is asked once. Needs no key."""
        spec = GET(path("/v1/memory/reveal/{}", token)).but(safe=False)
        reply = yield from self._service.public.ask(spec)
        return read(NewKey, reply.data, service=NAME)


class Keys(Resource[Mode]):
    """The tenant's API keys; each is an agent identity."""

    @endpoint
    def create(self, *, label: str, read_only: bool = False) -> Steps[NewKey]:
        """Make a key and return it, shown this once; a read-only key searches and does not write."""
        return (yield from self._service.get(NewKey, POST(KEYS, label=label, read_only=read_only)))

    @endpoint
    def revoke(self, id: str, *, placed: Literal["path", "query"] = "path") -> Steps[None]:
        """Revoke a key by its id; the last active one cannot be revoked.

        The reference does not say where the id goes: `placed` chooses ``/keys/{id}`` or ``/keys?id=``.
        """
        if placed not in ("path", "query"):
            raise wrong(f"placed: must be 'path' or 'query', not {placed!r:.20}")
        filled = path(KEYS + "/{}", id)
        yield from self._service.ask(DELETE(filled) if placed == "path" else DELETE(KEYS, id=id))

    @endpoint
    def list(self) -> Steps[list[ApiKey]]:
        """Return all keys, masked."""
        return (yield from self._service.get_rows(ApiKey, GET(KEYS), "keys"))


class SpendCapResource(Resource[Mode]):
    """The monthly cap on the cost of the platform's language models."""

    @endpoint
    def get(self) -> Steps[SpendCap]:
        """Return the cap."""
        return (yield from self._service.get(SpendCap, GET(SPEND_CAP)))

    @endpoint
    def set(self, monthly_usd: float | None) -> Steps[SpendCap]:
        """Set the cap in US dollars; None clears it. Over it, `remember` stores texts without extracting facts."""
        check_number("monthly_usd", monthly_usd, 0)
        reply = yield from self._service.ask(PUT(SPEND_CAP, monthly_usd=monthly_usd))
        said: Any = reply.data
        if is_object(said) and "monthly_usd" in said:
            return read(SpendCap, said, service=NAME)
        return SpendCap(monthly_usd=monthly_usd)


class Billing(Resource[Mode]):
    """Pages of the billing provider."""

    @endpoint
    def checkout(self, options: Mapping[str, Any] | None = None) -> Steps[BillingSession]:
        """Open a checkout; the `options` of a plan are those of the host's billing provider."""
        spec = POST("/v1/memory/stripe/checkout/create", **dict(options or {}))
        return (yield from self._service.get(BillingSession, spec))

    @endpoint
    def portal(self) -> Steps[BillingSession]:
        """Open the page on which a customer manages the subscription."""
        return (yield from self._service.get(BillingSession, POST("/v1/memory/stripe/portal")))


def _address(email: str) -> str:
    if not isinstance(email, str) or "@" not in email:
        raise wrong("email: must be an address")
    return email

"""``/v1/memory/admin/me``, ``stats``, ``rotate-key`` and ``delete-account``; signing up and recovering keys, which need mail."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final, NoReturn

from pydantic import Field

from onebrain.memory.filters import TRUE, Cmp
from onebrain.memory.models import EVERYTHING, JsonObject
from onebrain_server.clock import now
from onebrain_server.dialects.rememberos import mapping
from onebrain_server.dialects.rememberos.routes import search
from onebrain_server.dialects.rememberos.rules import collections, memories
from onebrain_server.dialects.rememberos.rules.partition import Partition, partition_of
from onebrain_server.dialects.rememberos.wire import (
    MAX_BULK,
    MAX_TEXT,
    Deleted,
    Routes,
    Wire,
    unconfigured,
)
from onebrain_server.files import FILE_LIMIT
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.security import keys as credentials
from onebrain_server.state.accounts import Account

routes = Routes("/memory/admin", "account")
public = Routes("/memory", "signup")

NO_MAIL: Final = "This server sends no mail"


# To those who may not know the address.
_NAMELESS: Final = "account"


def name_of(account: Account) -> str:
    """Return a tenant's name: the account's, or else its address."""
    return account.display_name or account.email


class Tenant(Wire):
    """The tenant behind the key; its address for the account's own keys alone."""

    name: str
    email: str | None
    tier: str
    limits: JsonObject


@routes.get("/me", needs="read", answers=Tenant)
def get_tenant(call: Call) -> dict[str, Any]:
    """Return the tenant: its name, plan, and limits of a request; its address for an admin's key, null for others."""
    account, settings = call.known.account, call.server.settings
    own = "admin" in call.scopes
    return {
        "name": name_of(account) if own else account.display_name or _NAMELESS,
        "email": account.email if own else None,
        "tier": account.plan,
        "limits": {
            "memories": call.server.plans.limit(account, "memories"),
            "requests": settings.rate_limit_max or None,
            "window_seconds": settings.rate_limit_window,
            "text_characters": MAX_TEXT,
            "bulk_memories": MAX_BULK,
            "file_bytes": FILE_LIMIT,
            "request_bytes": settings.max_body_bytes,
        },
    }


class Stats(Wire):
    """The tenant's usage: `storage_bytes` counts texts and metadata in UTF-8, without indexes."""

    collections: int
    memories: int
    storage_bytes: int
    added_7d: int
    added_30d: int


@routes.get("/stats", needs="read", answers=Stats)
def get_stats(call: Call) -> dict[str, Any]:
    """Count collections and memories, archived ones included, and those added in 7 and 30 days."""
    partition = partition_of(call)

    def added(days: int) -> int:
        since = Cmp("$created_at", "ge", now() - timedelta(days=days))
        return partition.memories.count(EVERYTHING, since, include_archived=True)

    return {
        "collections": len(collections.every(partition)),
        "memories": partition.memories.count(EVERYTHING, TRUE, include_archived=True),
        "storage_bytes": storage_of(partition),
        "added_7d": added(7),
        "added_30d": added(30),
    }


def storage_of(partition: Partition) -> int:
    """Return how many bytes a tenant's memories have; counted anew when one has changed."""
    key, version = ("rememberos.storage", partition.tenant), search.version(partition, None)
    kept = partition.server.contexts.get(key, version)
    if kept is None:
        kept = {"bytes": sum(map(mapping.size, memories.everything(partition, EVERYTHING, archived=True)))}
        partition.server.contexts.put(key, version, kept)
    return int(kept["bytes"])


class RotatedKey(Wire):
    """The new key, shown this once."""

    id: str
    label: str
    key: str


@routes.post("/rotate-key", needs="write", answers=RotatedKey)
def rotate_key(call: Call) -> dict[str, Any]:
    """Replace the key that asks; the old one is dead at once. The agent stays who it is, with its rights and grants."""
    key = call.known.key
    if key is None:
        raise Problem(400, "NO_KEY", "You are logged in without an API key; there is none to rotate")
    kind: credentials.Kind = "mv" if key.prefix.startswith("mv_") else "ob"
    prefix, digest, whole = credentials.make(kind)
    call.audit("rememberos.key.rotate", key.prefix)
    call.server.accounts.change_key(call.tenant_id, key.id, {"prefix": prefix, "secret_hash": digest})
    return {"id": key.id, "label": key.name, "key": whole}


class DeleteFields(Wire):
    """The tenant's name, so that nothing is deleted by mistake."""

    confirm: Annotated[str, Field(min_length=1, max_length=320)]


@routes.post("/delete-account", needs="admin", answers=Deleted)
def delete_account(call: Call, body: DeleteFields) -> dict[str, Any]:
    """Delete the account and everything that it owns, in the server's other formats too, at once and for good."""
    account = call.known.account
    if body.confirm != name_of(account):
        raise Problem(400, "NOT_CONFIRMED", "confirm: must be the tenant's name, as admin/me gives it")
    call.audit("account.delete")
    call.server.forget_account(account.id)
    return {"deleted": True}


# ---- with mail ------------------------------------------------------------------------------------------------------


class Address(Wire):
    """A mail address."""

    email: Annotated[str, Field(min_length=3, max_length=320, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$")]


class Sent(Wire):
    """A mail is on its way."""

    sent: bool


class Revealed(Wire):
    """The key that a mailed link reveals."""

    key: str


@public.post("/signup", needs="anyone", answers=Sent, errors=(403,))
def sign_up(call: Call, body: Address) -> NoReturn:
    """Open an account whose key is mailed: not here, for this server sends no mail."""
    if not call.server.settings.registration:
        raise Problem(403, "FORBIDDEN", "This server takes no registrations")
    raise unconfigured(f"{NO_MAIL}; register with a password at POST /v1/auth/register")


@public.post("/recover-key", needs="anyone", answers=Sent)
def recover_key(call: Call, body: Address) -> NoReturn:
    """Mail a link that reveals a key: not here, for this server sends no mail."""
    raise unconfigured(f"{NO_MAIL}; whoever has the account's password makes a key at POST /v1/api-keys")


@public.get("/reveal/{token}", needs="anyone", answers=Revealed)
def reveal_key(call: Call, token: str) -> NoReturn:
    """Reveal the key of a mailed link, once: not here, for no link was ever sent."""
    raise unconfigured(f"{NO_MAIL}, so that there is no link to reveal a key")

"""``/api/v1/api-keys``: keys of this service, which may do no more than the key that made them."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from onebrain_server.clock import iso_or_none, now_micros
from onebrain_server.dialects.herobrain.rules import events, quotas
from onebrain_server.dialects.herobrain.rules.tenants import (
    TenantQuery,
    bind,
    binding,
    tenant_of,
)
from onebrain_server.dialects.herobrain.wire import NAME, Routes, TenantId, Wire, not_found
from onebrain_server.http.problems import Problem, invalid
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.state.accounts import Key

routes = Routes("/api-keys", "api-keys")

Environment = Literal["development", "production"]
KeyScope = Literal["read:memories", "write:memories", "read:intelligence", "write:webhooks", "write:api-keys"]
_USUAL: Final = ("read:memories", "write:memories")
_PREFIX: Final = "key_"
_MILLISECOND: Final = 1000
_DAY: Final = 86_400 * 1_000_000
# Milliseconds.
_YEAR_9999: Final = 253_402_300_799_000
# From here on a number of milliseconds is meant: as seconds it would be the year 5138.
_MILLISECONDS_FROM: Final = 1e11


class NewKeyFields(Wire):
    """A key to make; ``expiresAt`` counts seconds or, from 1e11 on, milliseconds since 1970."""

    name: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
    environment: Environment = "production"
    scopes: Annotated[list[KeyScope], Field(min_length=1, max_length=10)] | None = None
    expires_at: Annotated[float, Field(gt=0, le=_YEAR_9999)] | None = None
    tenant_id: TenantId | None = None


class RateLimit(Wire):
    """How many requests a key may make; null for no limit."""

    requests_per_minute: int | None
    requests_per_hour: int | None
    requests_per_day: int | None


class KeyRow(Wire):
    """A key, without its secret part; ``expiresAt`` counts milliseconds since 1970, and ``tenantId`` is null for all."""

    id: str
    name: str
    key_prefix: str
    environment: Environment
    scopes: list[str]
    rate_limit: RateLimit
    tenant_id: str | None
    created_at: str
    expires_at: int | None
    last_used_at: str | None


class NewKeyRow(KeyRow):
    """A key just made, with the whole key, which is shown this once."""

    plain_key: str


def _row(call: Call, key: Key) -> dict[str, Any]:
    spans = {"requestsPerMinute": 60, "requestsPerHour": 3600, "requestsPerDay": 86_400}
    return row_of(
        KeyRow,
        key,
        id=_PREFIX + key.id,
        key_prefix=key.prefix,
        environment="development" if key.prefix.startswith("hb_dev") else "production",
        scopes=_scopes(key),
        rate_limit={name: quotas.request_limit(call, span) for name, span in spans.items()},
        tenant_id=binding(key.scopes),
        expires_at=None if key.expires_at is None else key.expires_at // _MILLISECOND,
    )


def _scopes(key: Key) -> list[str]:
    own = {scope.removeprefix(f"{NAME}:") for scope in key.scopes if scope.startswith(f"{NAME}:")}
    return sorted(scope for scope in own if not scope.startswith("tenant="))


def _visible(call: Call, tenant: str | None) -> list[Key]:
    """Return the keys that were made here for a tenant; without one, all that were made here."""
    found = [key for key in call.server.accounts.keys(call.tenant_id) if _scopes(key)]
    return [key for key in found if tenant is None or binding(key.scopes) == tenant]


def _one(call: Call, id: str, tenant: str | None) -> Key:
    found = next((key for key in _visible(call, tenant) if _PREFIX + key.id == id), None)
    if found is None:
        raise not_found("API key")
    return found


def _within(call: Call, scopes: list[str]) -> None:
    """Raise where a caller gives, or lays hand on, more than it may do itself."""
    missing = sorted({*scopes} - call.scopes)
    if missing:
        raise Problem(403, "INSUFFICIENT_SCOPE", f"API key missing required scope: {missing[0]}")


@routes.post("", needs="write:api-keys", answers=NewKeyRow, status=201, limit="write")
def create_key(call: Call, query: TenantQuery, body: NewKeyFields) -> dict[str, Any]:
    """Make a key for a tenant, or for all that the caller sees; the whole key is shown this once.

    Without scopes it may read and write memories, as far as the caller may.
    """
    tenant = tenant_of(call, query.tenant_id, body.tenant_id, required=True)
    scopes: list[str] = list(body.scopes or [scope for scope in _USUAL if scope in call.scopes])
    if not scopes:
        raise invalid(["scopes"], "Required")
    _within(call, scopes)
    made, whole = call.server.accounts.create_key(
        call.tenant_id,
        body.name,
        [*(f"{NAME}:{scope}" for scope in scopes), *bind(tenant)],
        trust="trusted",
        expires_at=call.known.lasting(_expires(body.expires_at)),
        kind="hb_dev" if body.environment == "development" else "hb_prod",
    )
    call.audit("key.create", made.prefix)
    _tell(call, "api_key.created", made)
    return {**_row(call, made), "plainKey": whole}


def _expires(given: float | None) -> int | None:
    """Return when a key ends, in microseconds since 1970."""
    if given is None:
        return None
    milliseconds = given if given >= _MILLISECONDS_FROM else given * 1000
    micros = round(milliseconds * _MILLISECOND)
    if micros <= now_micros():
        raise invalid(["expiresAt"], "must be in the future")
    return micros


def _tell(call: Call, event: events.Event, key: Key) -> None:
    shown = _row(call, key)
    names = ("id", "name", "keyPrefix", "environment", "scopes", "createdAt")
    events.tell(call, event, {name: shown[name] for name in names}, binding(key.scopes))


class KeyList(Wire):
    """The keys of a tenant."""

    keys: list[KeyRow]


@routes.get("", needs="write:api-keys", answers=KeyList)
def list_keys(call: Call, query: TenantQuery) -> dict[str, Any]:
    """List the keys that were made here, newest first, without their secret parts."""
    call.server.accounts.flush()
    return {"keys": [_row(call, key) for key in _visible(call, tenant_of(call, query.tenant_id))]}


class RevokeFields(Wire):
    """The key to revoke."""

    key_id: Annotated[str, Field(min_length=1, max_length=512)]
    tenant_id: TenantId | None = None


class Revoked(Wire):
    """The answer to a revocation."""

    id: str
    revoked: Literal[True]


@routes.post("/revoke", needs="write:api-keys", answers=Revoked, errors=(404,), limit="write")
def revoke_key(call: Call, query: TenantQuery, body: RevokeFields) -> dict[str, Any]:
    """Revoke a key, at once and for good."""
    key = _one(call, body.key_id, tenant_of(call, query.tenant_id, body.tenant_id, required=True))
    _within(call, _scopes(key))
    call.server.accounts.revoke_key(call.tenant_id, key.id)
    call.audit("key.revoke", key.prefix)
    _tell(call, "api_key.revoked", key)
    return {"id": body.key_id, "revoked": True}


class UsageQuery(TenantQuery):
    """A key and a number of days back; usage older than ninety days is not kept."""

    key_id: Annotated[str, Field(min_length=1, max_length=512)]
    days: Annotated[int, Field(ge=1, le=90)] = 30


class KeyUsage(Wire):
    """A key's operations on memories: in all, and by kind."""

    key_id: str
    days: int
    total: int
    by_action: dict[str, int]
    last_used_at: str | None


@routes.get("/usage", needs="write:api-keys", answers=KeyUsage, errors=(404,))
def key_usage(call: Call, query: UsageQuery) -> dict[str, Any]:
    """Return how often a key read, searched, wrote and deleted memories in the last days."""
    call.server.accounts.flush()
    key = _one(call, query.key_id, tenant_of(call, query.tenant_id))
    since = now_micros() - query.days * _DAY
    counted = Counter[str]()
    for _, action, _, count in call.server.journal.act_counts(call.tenant_id, key.id, since=since):
        counted[action] += count
    return {
        "keyId": query.key_id,
        "days": query.days,
        "total": counted.total(),
        "byAction": dict(sorted(counted.items())),
        "lastUsedAt": iso_or_none(key.last_used_at),
    }


__all__ = ["routes"]

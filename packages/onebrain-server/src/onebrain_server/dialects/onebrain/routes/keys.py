"""``/v1/api-keys``: a key can make and change keys that may do no more than itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from onebrain_server.clock import now_micros
from onebrain_server.dialects.onebrain.wire import Page, Paging, Routes, Wire, page_of, paged
from onebrain_server.http.operation import Answer, Given
from onebrain_server.http.problems import Problem, not_found
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.security.scopes import Scope
from onebrain_server.state.accounts import Key

routes = Routes("/v1/api-keys", "api-keys")
TrustLevel = Literal["review", "trusted"]
Scopes = Annotated[list[Scope], Field(min_length=1, max_length=7)]
_DAY = 86_400 * 1_000_000


class KeyRow(Wire):
    """A key, without its secret."""

    id: str
    user_id: str
    name: str
    prefix: str
    scopes: list[str]
    trust_level: TrustLevel
    last_used_at: str | None
    expires_at: str | None
    created_at: str


class NewKeyRow(KeyRow):
    """A key just made, with the whole key, which is shown this once."""

    full_key: str


class WholeKeyRow(Wire):
    """A key with everything that can be changed."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    trust_level: TrustLevel
    description: str | None
    rate_limit_per_min: int | None
    is_active: bool
    last_used_at: str | None
    last_synced_at: str | None
    expires_at: str | None
    created_at: str


def row(key: Key) -> dict[str, Any]:
    """Return a key as answers show it."""
    return row_of(KeyRow, key, user_id=key.tenant)


def whole_row(key: Key) -> dict[str, Any]:
    """Return a key with everything that can be changed."""
    return row_of(WholeKeyRow, key)


def _within(call: Call, scopes: Any, trust: str | None, key: Key | None = None) -> None:
    """Raise where a caller asks for, or lays hand on, more than it may do itself."""
    caller = call.known
    missing = sorted({*scopes, *(key.scopes if key is not None else ())} - caller.scopes)
    if missing:
        raise Problem(403, "INSUFFICIENT_SCOPE", f"API key missing required scope: {missing[0]}")
    if not caller.trusted and (trust == "trusted" or (key is not None and key.trust_level == "trusted")):
        raise Problem(403, "FORBIDDEN", "A key under review cannot make or change trusted keys")


def _one(call: Call, id: str) -> Key:
    key = call.server.accounts.key(call.tenant_id, id)
    if key is None:
        raise not_found("API key")
    return key


@routes.get("", needs="brain.read", answers=Page[KeyRow])
def list_keys(call: Call, query: Paging) -> Answer:
    """List keys, newest first; their secrets are not stored anywhere."""
    call.server.accounts.flush()
    found = call.server.accounts.keys(call.tenant_id)
    page, cursor = page_of(found, query.cursor, query.limit, lambda key: key.id)
    return paged(list(map(row, page)), cursor, len(found))


class KeyFields(Wire):
    """A key to make; without scopes it has the caller's."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    scopes: Scopes | None = None
    expires_in_days: Annotated[int, Field(ge=1, le=365)] | None = None


@routes.post("", needs="brain.write", answers=NewKeyRow, status=201, idempotent=False)
def create_key(call: Call, body: KeyFields) -> dict[str, Any]:
    """Make a key, under review at first; the whole key is shown this once."""
    caller = call.known
    scopes = body.scopes if body.scopes is not None else sorted(caller.scopes)
    _within(call, scopes, None)
    expires = None if body.expires_in_days is None else now_micros() + body.expires_in_days * _DAY
    made, whole = call.server.accounts.create_key(
        call.tenant_id, body.name, scopes, expires_at=caller.lasting(expires)
    )
    call.audit("key.create", made.prefix)
    return {**row(made), "fullKey": whole}


class TrustFields(Wire):
    """Whether a key's memories are active at once."""

    trust_level: TrustLevel


@routes.patch("/{id}/trust", needs="brain.write", answers=KeyRow)
def change_trust(call: Call, id: str, body: TrustFields) -> dict[str, Any]:
    """Trust a key, or put it back under review."""
    _within(call, (), body.trust_level, _one(call, id))
    changed = call.server.accounts.change_key(call.tenant_id, id, {"trust_level": body.trust_level})
    if changed is None:
        raise not_found("API key")
    call.audit("key.trust", f"{changed.prefix} {body.trust_level}")
    return row(changed)


class KeyChanges(Wire):
    """Changes of a key."""

    name: Given[Annotated[str, Field(min_length=1, max_length=100)]] = None
    description: Annotated[str, Field(max_length=1000)] | None = None
    trust_level: Given[TrustLevel] = None
    rate_limit_per_min: Annotated[int, Field(ge=1, le=100_000)] | None = None
    scopes: Given[Scopes] = None
    is_active: Given[bool] = None


@routes.patch("/{id}", needs="brain.write", answers=WholeKeyRow)
def change_key(call: Call, id: str, body: KeyChanges) -> dict[str, Any]:
    """Change the given fields of a key; a key that is switched off is refused from now on."""
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    _within(call, body.scopes or (), body.trust_level, _one(call, id))
    if "scopes" in changes:
        changes["scopes"] = ",".join(dict.fromkeys(changes["scopes"]))
    changed = call.server.accounts.change_key(call.tenant_id, id, changes)
    if changed is None:
        raise not_found("API key")
    call.audit("key.change", f"{changed.prefix} {','.join(sorted(changes))}")
    return whole_row(changed)


@routes.delete("/{id}", needs="brain.write")
def revoke_key(call: Call, id: str) -> None:
    """Revoke a key, at once and for good."""
    key = _one(call, id)
    _within(call, (), None, key)
    call.server.accounts.revoke_key(call.tenant_id, id)
    call.audit("key.revoke", key.prefix)

"""``/v1/memory/keys`` and ``/v1/memory/agents``: each key is an agent identity.

Keys that are made here are good for RememberOS only. They read and write memories; what concerns the whole account (keys,
grants, webhooks, exports) is for the account's own keys, or for a key that was made from one by rotating it.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from onebrain_server.clock import iso_or_none
from onebrain_server.dialects.rememberos.wire import NAME, NAME_PATTERN, Query, Routes, Wire
from onebrain_server.http.credentials import permissions
from onebrain_server.http.problems import Problem, not_found
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.state.accounts import Caller, Key

routes = Routes("/memory/keys", "keys")
agent_routes = Routes("/memory/agents", "agents")

READ: Final = f"{NAME}:read"
WRITE: Final = f"{NAME}:write"

scopes = permissions(NAME)


class AgentRow(Wire):
    """An agent identity: a key without key material."""

    id: str
    label: str
    read_only: bool
    created_at: str


class KeyRow(AgentRow):
    """A key, masked."""

    masked: str
    active: bool
    last_used_at: str | None
    expires_at: str | None


class NewKeyRow(AgentRow):
    """A key just made, which is shown this once."""

    key: str


def agents(call: Call) -> list[Key]:
    """Return the account's keys that are good for RememberOS, newest first."""
    account = call.known.account
    found = call.server.accounts.keys(account.id)
    return [key for key in found if scopes(Caller(account, key, frozenset(key.scopes)))]


def row(call: Call, key: Key) -> dict[str, Any]:
    """Return a key as an agent identity."""
    words = scopes(Caller(call.known.account, key, frozenset(key.scopes)))
    return row_of(AgentRow, key, label=key.name, read_only="write" not in words)


@agent_routes.get("", needs="read", answers=list[AgentRow])
def list_agents(call: Call) -> list[dict[str, Any]]:
    """List the account's agent identities that are active, newest first."""
    return [row(call, key) for key in agents(call) if key.is_active]


@routes.get("", needs="read", answers=list[KeyRow])
def list_keys(call: Call) -> list[dict[str, Any]]:
    """List the account's keys that are good here, newest first, revoked ones included."""
    call.server.accounts.flush()
    return [
        {
            **row(call, key),
            "masked": f"{key.prefix}_…",
            "active": key.is_active,
            "last_used_at": iso_or_none(key.last_used_at),
            "expires_at": iso_or_none(key.expires_at),
        }
        for key in agents(call)
    ]


Label = Annotated[str, Field(min_length=1, max_length=100, pattern=NAME_PATTERN)]


class KeyFields(Wire):
    """A key to make."""

    label: Label
    read_only: bool = False


@routes.post("", needs="admin", answers=NewKeyRow, status=201)
def create_key(call: Call, body: KeyFields) -> dict[str, Any]:
    """Make a key, which is shown this once; a read-only one searches and reads, and does not write."""
    made, whole = call.server.accounts.create_key(
        call.tenant_id,
        body.label,
        [READ] if body.read_only else [READ, WRITE],
        trust="trusted",
        kind="mv",
        expires_at=call.known.lasting(None),
    )
    call.audit("rememberos.key.create", made.prefix)
    return {**row(call, made), "key": whole}


@routes.delete("/{id}", needs="admin", errors=(404,))
def revoke_key(call: Call, id: str) -> dict[str, Any]:
    """Revoke a key at once; it stays in the list."""
    return _revoke(call, id)


class RevokeQuery(Query):
    """Which key."""

    id: Annotated[str, Field(min_length=1, max_length=64)]


@routes.delete("", needs="admin", errors=(404,))
def revoke_key_by_query(call: Call, query: RevokeQuery) -> dict[str, Any]:
    """Revoke a key at once, named in the query: the reference does not say where its id stands."""
    return _revoke(call, query.id)


def _revoke(call: Call, id: str) -> dict[str, Any]:
    active = [key for key in agents(call) if key.is_active]
    key = next((key for key in active if key.id == id), None)
    if key is None:
        raise not_found("Key")
    if not all(scope.startswith(f"{NAME}:") for scope in key.scopes):
        raise Problem(
            403, "FORBIDDEN", "This is a key of the account itself: revoke it at DELETE /v1/api-keys/{id}"
        )
    if len(active) == 1:
        raise Problem(400, "LAST_KEY", "The last active key cannot be revoked; make another one first")
    call.server.accounts.change_key(call.tenant_id, id, {"is_active": False})
    call.audit("rememberos.key.revoke", key.prefix)
    return {"deleted": True}


__all__ = ["READ", "WRITE", "agent_routes", "agents", "routes", "scopes"]

"""``/v1/auth/keys``: keys for this service alone. bRRAIn makes them in its dashboard; here a request does."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from onebrain_server.clock import now_micros
from onebrain_server.dialects.brrain.rules import workspaces
from onebrain_server.dialects.brrain.wire import NAME, Wire
from onebrain_server.dialects.brrain.wire import routes as routes_below
from onebrain_server.http.problems import not_found
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of

routes = routes_below("/auth/keys", "keys")

KeyScope = Literal["read", "read-write", "admin"]
_GRANTS: Final[dict[KeyScope, tuple[str, ...]]] = {
    "read": ("read",),
    "read-write": ("read", "write"),
    "admin": ("read", "write", "admin"),
}
_DAY: Final = 86_400 * 1_000_000


class KeyFields(Wire):
    """A key to make, with its rights and workspace; without a workspace it may use all that the caller may."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    scope: KeyScope = "read-write"
    workspace_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z_.-]{1,128}$")] | None = None
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = None


class NewKeyRow(Wire):
    """A key just made; ``key`` is shown this once."""

    id: str
    key: str
    name: str
    scope: KeyScope
    workspace_id: str | None
    created_at: str
    expires_at: str | None


@routes.post("", needs="admin", answers=NewKeyRow, status=201, limit="brrain.write", idempotent=False)
def create_key(call: Call, body: KeyFields) -> dict[str, Any]:
    """Make a key that is good for this service only, and for no more than the caller's own."""
    workspace_id = workspaces.meant(call, body.workspace_id)
    scopes = [f"{NAME}:{word}" for word in _GRANTS[body.scope]]
    if workspace_id is not None:
        scopes.append(workspaces.scope_for(workspace_id))
    expires = None if body.expires_in_days is None else now_micros() + body.expires_in_days * _DAY
    made, whole = call.server.accounts.create_key(
        call.tenant_id,
        body.name,
        scopes,
        trust="trusted",
        expires_at=call.known.lasting(expires),
        kind="brr_live",
    )
    call.audit("key.create", made.prefix)
    return row_of(NewKeyRow, made, key=whole, scope=body.scope, workspace_id=workspace_id)


@routes.delete("/{key_id}", needs="admin", limit="brrain.write", errors=(404,))
def revoke_key(call: Call, key_id: str) -> None:
    """Revoke a key that was made here, at once and for good; the account's own keys are revoked at ``/v1/api-keys``."""
    key = call.server.accounts.key(call.tenant_id, key_id)
    own = workspaces.bound(call.known)
    if (
        key is None
        or not all(scope.startswith(f"{NAME}:") for scope in key.scopes)
        or (own is not None and workspaces.scope_for(own) not in key.scopes)
    ):
        raise not_found("API key")
    call.server.accounts.revoke_key(call.tenant_id, key_id)
    call.audit("key.revoke", key.prefix)

"""Whose memories: HeroBrain's tenants are spaces of an account, and a key may be bound to one of them.

The account's own keys see all its tenants. A call that names none means everything that its key sees; what such a call
stores goes to the tenant that has the account's id. A key that was made for a tenant knows no other.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

from onebrain.memory.models import EVERYTHING, Scope
from onebrain_server.dialects.herobrain.wire import NAME, TenantId, Wire
from onebrain_server.http.credentials import permissions
from onebrain_server.http.problems import Problem, invalid
from onebrain_server.http.requests import Call
from onebrain_server.ids import UUID
from onebrain_server.state.accounts import Caller

_BOUND: Final = f"{NAME}:tenant="
# How long a binding may be beside the other scopes of a key.
_MOST_BOUND: Final = 300

# The rights of the account's own keys; the last is not in HeroBrain's document, which names no right to manage keys.
_GRANTED: Final = {
    "read": ("read:memories", "read:intelligence"),
    "write": ("write:memories", "write:webhooks", "write:api-keys"),
}
_permissions: Final = permissions(NAME)


class TenantQuery(Wire):
    """The tenant."""

    tenant_id: TenantId | None = None


def scopes(caller: Caller) -> frozenset[str]:
    """Return a caller's rights, in HeroBrain's words."""
    found = _permissions(caller)
    return found.union(*(granted for word, granted in _GRANTED.items() if word in found))


def tenant_of(call: Call, *named: str | None, required: bool = False) -> str | None:
    """Return the tenant of a call, from wherever it is named; None for all that the key sees.

    Args:
        call: The request.
        named: The tenants that its path, query and body name.
        required: Whether HeroBrain's document requires it, which counts in strict mode only.
    """
    given = {name for name in named if name is not None}
    if len(given) > 1:
        raise _mismatch("The request names two tenants")
    bound = binding(call.known.scopes)
    tenant = next(iter(given), None)
    if tenant is None:
        if required and call.server.settings.strict:
            raise invalid(["tenantId"], "Required")
        return bound
    if bound is not None and tenant != bound:
        raise _mismatch("The key belongs to a different tenant")
    # The id of another account is that account's tenant, whoever asks.
    if tenant != call.tenant_id and UUID.fullmatch(tenant) and call.server.accounts.by_id(tenant) is not None:
        raise _mismatch("The key belongs to a different tenant")
    return tenant


def scope_of(tenant: str | None) -> Scope:
    """Return where the memories of a tenant are."""
    return EVERYTHING if tenant is None else Scope(space=tenant)


def binding(scopes: frozenset[str] | tuple[str, ...]) -> str | None:
    """Return the tenant that a key with these scopes was made for; None for all of the account's."""
    found = next((scope for scope in scopes if scope.startswith(_BOUND)), None)
    return None if found is None else unquote(found.removeprefix(_BOUND))


def bind(tenant: str | None) -> list[str]:
    """Return the scope that binds a key to a tenant, if any."""
    if tenant is None:
        return []
    written = quote(tenant, safe="")
    if len(written) > _MOST_BOUND:
        raise invalid(["tenantId"], f"must have at most {_MOST_BOUND} characters, percent-encoded, for a key")
    return [_BOUND + written]


def _mismatch(message: str) -> Problem:
    return Problem(403, "TENANT_MISMATCH", message)

"""Workspaces: where a memory stands, and which of them a key may use.

A workspace is a space of the engine. A key of the account may use all of them, one that was made here may be bound to one;
which one stands among the key's scopes, so that it is known without a query and gone with the key.
"""

from __future__ import annotations

from typing import Final

from onebrain.memory.models import Scope
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.state.accounts import Caller

_BOUND: Final = "brrain:workspace="


def scope_for(workspace_id: str) -> str:
    """Return the scope of a key that is bound to a workspace."""
    return _BOUND + workspace_id


def bound(caller: Caller) -> str | None:
    """Return the workspace that a caller is bound to; None for all of them."""
    return next((scope[len(_BOUND) :] for scope in caller.scopes if scope.startswith(_BOUND)), None)


def meant(call: Call, given: str | None) -> str | None:
    """Return the workspace that a request is about: the one it names, else the key's; None for all of them.

    Raises:
        Problem: 403, the request names another workspace than the key's.
    """
    own = bound(call.known)
    if own is not None and given not in (None, own):
        raise Problem(
            403, "forbidden", "This key is bound to another workspace; leave workspace_id out, or use its own"
        )
    return given or own


def visible(call: Call) -> Scope:
    """Return the scope of everything that the caller may see."""
    return Scope(space=bound(call.known))

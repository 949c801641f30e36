"""Who stands behind a key or token, for the dialects: each says only where in a request it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from onebrain_server.http.problems import Problem
from onebrain_server.security import keys
from onebrain_server.security.scopes import ALL
from onebrain_server.state.accounts import Caller

if TYPE_CHECKING:
    from onebrain_server.http.operation import Operation
    from onebrain_server.http.requests import Call


def bearer_key(call: Call, operation: Operation) -> Caller | Callable[[], Caller | None] | None:
    """Return who calls by ``Authorization: Bearer <key>``: a remembered caller, or a function that looks it up."""
    scheme, _, value = (call.header("authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not value or value != value.strip():
        raise Problem(
            401,
            "TOKEN_REQUIRED",
            "No API key: send it as Authorization: Bearer <key>",
            headers={"www-authenticate": "Bearer"},
        )
    return caller_of(call, value)


def caller_of(call: Call, credential: str) -> Caller | Callable[[], Caller]:
    """Return the caller of a key, or of an access token of this server."""
    accounts = call.server.accounts
    remembered = accounts.remembered(credential)
    if remembered is not None:
        return remembered

    def look_up() -> Caller:
        found: Caller | None = None
        if keys.parse(credential) is not None:
            found = accounts.by_key(credential)
        else:
            claims = call.server.tokens.read(credential)
            if claims is not None:
                found = accounts.by_session(credential, str(claims["sub"]), str(claims["sid"]))
        if found is None:
            raise Problem(
                401,
                "INVALID_API_KEY",
                "The API key is unknown, expired or revoked",
                headers={"www-authenticate": "Bearer"},
            )
        return found

    return look_up


def permissions(service: str) -> Callable[[Caller], frozenset[str]]:
    """Return a function that returns a caller's rights in a service: ``read``, ``write``, ``admin``, or words of its own.

    A key that the service made has the scopes ``<service>:<word>`` and is good for nothing else; the account's own keys
    read and write as they do its memories, and one with every scope is an admin. What a key under review writes waits for
    its owner, which only OneBrain's own format knows: such keys read here.
    """
    prefix = service + ":"

    def found(caller: Caller) -> frozenset[str]:
        words = {scope.removeprefix(prefix) for scope in caller.scopes if scope.startswith(prefix)}
        if "brain.read" in caller.scopes:
            words.add("read")
        if "brain.write" in caller.scopes and caller.trusted:
            words.add("write")
            if caller.scopes >= ALL:
                words.add("admin")
        return frozenset(words)

    return found

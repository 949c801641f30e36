"""The acting agent, and the account's memories that it may see and change.

A key of the account speaks for every agent: the agent that a request names becomes the author, and nothing is hidden. A
key that is tied to an agent (`POST /api/v1/keys`) speaks for that one alone: naming another is refused, and it sees the
agent's own memories, those without an author, those shared by their scope, and those granted to it.
"""

from __future__ import annotations

import os
from typing import Final

from onebrain.memory.filters import TRUE, Cmp, Filter, either, every
from onebrain.services.ai_memory.service import check_agent_id
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call

# The word of a key's scopes that ties it to an agent.
TIE: Final = "as:"
SHARED: Final = ("team", "unit", "org", "collective")
# How the names begin that stand for no agent.
ANONYMOUS: Final = "anonymous:"
NO_MESSAGE: Final = Cmp("$extra.to", "eq", None)
# Written by nobody in particular; a message always has an addressee.
_UNOWNED: Final = every(Cmp("$agent", "eq", None), NO_MESSAGE)


def tied(call: Call) -> str | None:
    """Return the agent that the key is tied to; raise if the request's header names another."""
    agent = next((word[len(TIE) :] for word in call.scopes if word.startswith(TIE)), None)
    _agree(agent, call.header("x-agent-id"))
    return agent


def acting(call: Call, *claims: str | None) -> str | None:
    """Return the agent that acts: the first that the request names, its header last.

    Raises:
        Problem: The key is tied to another agent (403).
        OneBrainValidationError: A name has characters that an agent's may not have.
    """
    agent = tied(call)
    for claim in claims:
        _agree(agent, claim)
    named = next((claim for claim in claims if claim is not None), call.header("x-agent-id") or agent)
    check_agent_id(named)
    return named


def _agree(agent: str | None, claim: str | None) -> None:
    if agent is not None and claim is not None and claim != agent:
        raise Problem(
            403, "FORBIDDEN", f"this key is tied to the agent {agent} and cannot act for another one"
        )


def author(call: Call, *claims: str | None) -> tuple[str | None, str | None]:
    """Return the agent that writes; or None, and the name shown as the author of memories without one."""
    named = acting(call, *claims)
    if named is None:
        return None, f"{ANONYMOUS}req-{os.urandom(4).hex()}"
    return (None, named) if named.startswith(ANONYMOUS) else (named, None)


def readable(agent: str | None) -> Filter:
    """Return the filter for the memories that an agent may see; None if the key is tied to none."""
    if agent is None:
        return TRUE
    return either(
        Cmp("$agent", "eq", agent),
        _UNOWNED,
        Cmp("$extra.scope", "in", list(SHARED)),
        Cmp("$extra.readers", "contains", agent),
        Cmp("$extra.writers", "contains", agent),
        Cmp("$extra.to", "eq", agent),
    )


def changeable(agent: str | None) -> Filter:
    """Return the filter for the memories that an agent may change or remove."""
    if agent is None:
        return TRUE
    return either(
        Cmp("$agent", "eq", agent),
        _UNOWNED,
        Cmp("$extra.writers", "contains", agent),
        Cmp("$extra.to", "eq", agent),
    )


def visible_from(namespace: str | None) -> Filter:
    """Return the filter for memories visible from a namespace (``as_agent``): each scope opens a larger part of the tree.

    ``private`` memories are seen from their own namespace only, those of a ``team``, ``unit`` and ``org`` from one, two
    and three levels below the root of their subtree, those of the ``collective`` from everywhere.
    """
    if namespace is None:
        return TRUE
    parts = namespace.split("/")
    own = every(Cmp("$space", "eq", namespace), either(Cmp("$extra.scope", "eq", None), _scope("private")))
    opened = [own, _scope("collective")]
    for above, scope in enumerate(("team", "unit", "org"), 1):
        if above < len(parts):
            root = "/".join(parts[: len(parts) - above])
            inside = either(Cmp("$space", "eq", root), Cmp("$space", "starts_with", root + "/"))
            opened.append(every(_scope(scope), inside))
    return either(*opened)


def _scope(word: str) -> Filter:
    return Cmp("$extra.scope", "eq", word)

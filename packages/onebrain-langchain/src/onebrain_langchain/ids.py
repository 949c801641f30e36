"""Ids of a framework as ids of memories.

A memory's id is unique for one user in one space, with some services in the whole brain; a document's only in its
vector store and a message's only in its conversation. Two stores may both hold a document "1", also where they differ
in nothing but the agent or the session, so the id of a memory begins with its whole scope.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

from onebrain import OneBrainValidationError, Scope

_LONGEST = 512  # characters of a memory's id
_LONGEST_PREFIX = 200


@lru_cache(maxsize=1024)
def prefix(scope: Scope, kind: str = "") -> str:
    """Return what the ids of all memories of one `kind` in one `scope` begin with; different for different scopes.

    Every part is quoted, so neither a colon, a slash, an ``@`` nor a ``#`` is part of one.
    """
    parts = ":".join(
        quote(part or "", safe="") for part in (scope.space, scope.user, scope.agent, scope.session)
    )
    text = (f"@{kind}:" if kind else "") + parts.rstrip(":")
    if len(text) > _LONGEST_PREFIX:
        text = "#" + sha256(text.encode()).hexdigest()
    return text + "/"


def encode(scope: Scope, id: str, *, kind: str = "", hashed: bool = False) -> str:
    """Return the id of the memory that a framework knows as `id` in `scope`.

    An id that is too long is hashed, where `hashed` says that nobody needs to read it back, or refused.
    """
    start = prefix(scope, kind)
    if len(start) + len(id) <= _LONGEST:
        return start + id
    if hashed:
        return start + "#" + sha256(id.encode("utf-8", "surrogatepass")).hexdigest()
    raise OneBrainValidationError(
        f"an id of {len(id)} characters is too long; this store takes at most {_LONGEST - len(start)}"
    )


def decode(scope: Scope, ids: Iterable[str]) -> list[str]:
    """Return the ids by which a framework knows memories in `scope`; one that was stored otherwise keeps its own."""
    start = prefix(scope)
    return [id.removeprefix(start) for id in ids]

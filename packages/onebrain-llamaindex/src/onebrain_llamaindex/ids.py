"""Ids of the framework as ids of memories, on services with and without ids of the caller's own.

A brain tells ids apart by space and user. Two components may share both and differ in agent or session, and both may
hold a node "1", so the id of a memory begins with these where the scope names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from onebrain import F, NewMemory, Scope
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.checks import check_id
from onebrain.memory.filters import Filter, either
from onebrain.memory.ids import Id
from onebrain_llamaindex.filters import RESERVED, own
from onebrain_llamaindex.steps import Steps, ask

_LONGEST = 512  # characters of a memory's id


def encode(scope: Scope, *parts: Id) -> str:
    """Return the id of the memory that the framework knows by `parts` in `scope`; hashed where it would be too long."""
    names = [check_id("id", part) for part in parts]
    where = [] if scope.agent is None and scope.session is None else [scope.agent or "", scope.session or ""]
    whole = "/".join([*(quote(part, safe="") for part in (*where, *names[:-1])), names[-1]])
    try:
        fits = len(whole) <= _LONGEST and bool(whole.encode())
    except UnicodeEncodeError:
        fits = False
    return whole if fits else "#" + sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def with_ids(can: Capabilities, ids: Iterable[str]) -> Filter:
    """Return the filter for the memories that were stored by `store` under `ids`, or have them of the service."""
    wanted = list(ids)
    return F.id.in_(wanted) if can.client_ids else either(F.id.in_(wanted), own("id").in_(wanted))


def store(items: Sequence[NewMemory], scope: Scope) -> Steps[None]:
    """Store `items` under their ids, replacing what is there; raise the first failure.

    Where a service takes no ids of the caller's own, the id travels in the metadata, and what it replaces is removed
    first; another reader may then see neither for a moment.
    """
    items = list({item.id: item for item in items}.values())  # the last one of an id wins
    if not items:
        return
    can: Capabilities = yield ask("capabilities")
    if not can.client_ids:
        yield ask("forget", filter=with_ids(can, [str(item.id) for item in items]), scope=scope)
        items = [
            item.model_copy(
                update={
                    "id": None,
                    "metadata": item.metadata
                    | {RESERVED: {**item.metadata.get(RESERVED, {}), "id": item.id}},
                }
            )
            for item in items
        ]
    results = yield ask("store_many", items, wait=True)
    results.raise_for_failures()


def new_memory(**fields: Any) -> NewMemory:
    """Return a memory to store; raise `OneBrainValidationError`, without the text, where it is not valid."""
    return NewMemory.checked(**fields)

"""Ids of a framework as ids of memories, and writes under such ids.

The id of a memory is unique for one user in one space, with some services in the whole brain. The id of a document is
unique only in its vector store, and that of a message only in its conversation. Two stores that differ in nothing but
the agent or the session may both hold a document "1", so the id of a memory begins with its whole scope.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

from onebrain.errors import OneBrainValidationError
from onebrain.frameworks.plans import Plan, ask
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.filters import F, Filter, either, field_name
from onebrain.memory.models import NewMemory, Scope, StoreResults

# The most characters of a memory's id.
LONGEST = 512
_LONGEST_PREFIX = 200


@lru_cache(maxsize=1024)
def prefix(scope: Scope, kind: str = "") -> str:
    """Return the beginning of the ids of all memories of one `kind` in one `scope`; no two scopes share one.

    Every part is quoted, so no part holds a colon, a slash, an ``@`` or a ``#``.
    """
    parts = ":".join(
        quote(part or "", safe="") for part in (scope.space, scope.user, scope.agent, scope.session)
    )
    text = (f"@{kind}:" if kind else "") + parts.rstrip(":")
    if len(text) > _LONGEST_PREFIX:
        text = "#" + sha256(text.encode()).hexdigest()
    return text + "/"


def digest(text: str) -> str:
    """Return a short name of a text, equal for equal texts only; a lone surrogate is no error."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def encode(scope: Scope, id: str, *, kind: str = "", hashed: bool = False) -> str:
    """Return the id of the memory that a framework knows as `id` in `scope`.

    An id that is too long is hashed if `hashed`, which means that `decode` never sees it, and refused otherwise.

    Example:
        >>> encode(Scope(user="maria"), "1"), encode(Scope(user="maria", session="s1"), "1", kind="turn")
        (':maria/1', '@turn::maria::s1/1')
    """
    start = prefix(scope, kind)
    if len(start) + len(id) <= LONGEST:
        return start + id
    if hashed:
        return start + "#" + digest(id)
    raise OneBrainValidationError(
        f"an id of {len(id)} characters is too long; this store takes at most {LONGEST - len(start)}"
    )


def decode(scope: Scope, ids: Iterable[str]) -> list[str]:
    """Return the ids by which a framework knows memories in `scope`; a memory of another origin keeps its own id."""
    start = prefix(scope)
    return [id.removeprefix(start) for id in ids]


def with_ids(can: Capabilities, ids: Iterable[str], key: str) -> Filter:
    """Return the filter for memories that `store_under_ids` stored under `ids`, or that have these ids themselves."""
    wanted = list(ids)
    own = F.id.in_(wanted)
    return own if can.client_ids else either(own, F(field_name(key, "id")).in_(wanted))


def store_under_ids(items: Sequence[NewMemory], scope: Scope, key: str) -> Plan[None]:
    """Store `items` under their ids and replace the memories that have them; raise the first failure.

    If the service takes no ids of its callers, the id is kept in the metadata, in the object under `key`, and the
    memories that are replaced are removed first; another reader may then see neither for a moment.
    """
    # The last item of an id wins.
    items = list({item.id: item for item in items}.values())
    if not items:
        return
    can: Capabilities = yield ask("capabilities")
    if not can.client_ids:
        wanted = with_ids(can, [str(item.id) for item in items], key)
        yield ask("forget", filter=wanted, scope=scope, keep_facts=True)
        items = [_with_id_in_metadata(item, key) for item in items]
    results: StoreResults = yield ask("store_many", items, wait=True)
    results.raise_for_failures()


def _with_id_in_metadata(item: NewMemory, key: str) -> NewMemory:
    own = {**item.metadata.get(key, {}), "id": item.id}
    return item.model_copy(update={"id": None, "metadata": {**item.metadata, key: own}})

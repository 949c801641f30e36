"""The contract between `Brain` and a memory service: the requests that a driver receives, and the answers that it returns.

A driver translates. It has no state of a call and no policy. Its methods are plans, so one driver serves `Brain` and
`AsyncBrain`. `Brain` requests only abilities that the driver's `Capabilities` declare. A filter arrives as the part that
the driver can evaluate; `onebrain.memory.verbs` does everything else, once for all services.

Third parties register a driver under the entry-point group ``onebrain.drivers``. The entry's name precedes the ``+`` or
``:`` of its URLs, and its object is a function ``(url, *, api_key=None, **options) -> Driver``.
`onebrain.testing.conformance` tests a driver.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from onebrain._core.client import ClientOptions, client_options
from onebrain._core.paging import Page
from onebrain._core.steps import Steps
from onebrain._core.transport import AsyncTransport, SyncTransport
from onebrain.errors import OneBrainConflictError, Unsupported
from onebrain.memory import acceptance
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.entities import Mention as Mention
from onebrain.memory.filters import TRUE, Filter
from onebrain.memory.linking.fields import Links
from onebrain.memory.models import (
    EVERYTHING,
    ForgetResult,
    Hit,
    Memory,
    NewMemory,
    Order,
    ReembedResult,
    Scope,
    SearchMode,
    StoreResult,
)

# The header by which a `Brain` tells OneBrain's own server that it sees to the facts of deleted messages, or keeps them.
FACTS_HEADER: Final = "x-onebrain-facts"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """A search: at most `limit` hits from `offset` on, best first; without query and embedding, newest first.

    `filter` holds only comparisons that the driver declared; `offset` is 0 unless it declared ``search_offset``; `cursor` is the one
    of the driver's last answer to the same search. `now`, `prefer_newer` and `explain` are for a driver that ranks by time and
    can explain its scores; any other ignores them. `rerank` is for one that declared it.
    """

    query: str | None = None
    embedding: tuple[float, ...] | None = None
    scope: Scope = EVERYTHING
    filter: Filter = TRUE
    limit: int = 10
    offset: int = 0
    cursor: str | None = None
    mode: SearchMode = "hybrid"
    alpha: float | None = None
    min_score: float = 0.0
    include_archived: bool = False
    include_superseded: bool = False
    at: datetime | None = None
    as_of: datetime | None = None
    with_embeddings: bool = False
    now: datetime | None = None
    prefer_newer: bool = True
    explain: bool = False
    rerank: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The answer to a search.

    Attributes:
        hits: The hits, best first.
        more: Whether more may follow.
        cursor: The point where the search goes on, for a service that pages by cursor.
        partial: Whether the service searched only a part of its memories, so that a short answer proves nothing.
        mode: The mode that really answered.
        reranked: Whether the service's own reranker ordered the hits; None if it was not asked to.
        without_vectors: The names of spaces that were not searched by vectors, as the query's do not fit theirs.
        looked: The number of memories that the service returned, where some of them are left out; None if none is.
    """

    hits: Sequence[Hit] = ()
    more: bool = False
    cursor: str | None = None
    partial: bool = False
    mode: SearchMode = "hybrid"
    without_vectors: Sequence[str] = ()
    reranked: bool | None = None
    looked: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """One page of a list; `order` is one that the driver declared."""

    scope: Scope = EVERYTHING
    filter: Filter = TRUE
    order: Order = "-created_at"
    limit: int = 100
    cursor: str | None = None
    include_archived: bool = False
    include_superseded: bool = False
    at: datetime | None = None
    as_of: datetime | None = None
    with_embeddings: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The fields of a memory to change, each with its new value; None means null.

    Field names are those of `Memory`; ``ttl`` has become ``expires_at``. With `merge_metadata` the keys in
    ``fields["metadata"]`` are set and all others kept, otherwise the object is replaced.

    Raises:
        OneBrainValidationError: A value is one that no memory may hold.
    """

    fields: Mapping[str, Any]
    merge_metadata: bool = True

    def __post_init__(self) -> None:
        given = {name: value for name, value in self.fields.items() if value is not None}
        checked = NewMemory.checked(**{"content": "-", **given})
        fields = {
            name: None if value is None else getattr(checked, name) for name, value in self.fields.items()
        }
        object.__setattr__(self, "fields", fields)

    @classmethod
    def trusted(cls, fields: Mapping[str, Any], *, merge_metadata: bool = True) -> Changes:
        """Return changes whose values are those of a `NewMemory`, and need no second check."""
        changes = object.__new__(cls)
        object.__setattr__(changes, "fields", fields)
        object.__setattr__(changes, "merge_metadata", merge_metadata)
        return changes

    def metadata(self, old: Mapping[str, Any]) -> dict[str, Any]:
        """Return the metadata of a memory after the changes; `old` is its metadata before them."""
        new: Mapping[str, Any] | None = self.fields.get("metadata", old)
        kept: Mapping[str, Any] = old if self.merge_metadata and new is not None else {}
        return {**kept, **(new or {})}


class Driver(Protocol):
    """One memory service, as `Brain` sees it.

    A driver may also be a `Proposes`, a `Forgets`, a `DeletesUnless`, a `Counts`, a `Settles`, a `Names`, a `Supersedes`,
    a `KeepsLinks`, a `TellsSuccessors`, a `Judges` or a `Reembeds`.
    """

    @property
    def capabilities(self) -> Capabilities:
        """The abilities of the service."""
        ...

    def transports(self) -> tuple[SyncTransport | None, AsyncTransport | None]:
        """Return fresh transports for a sync and an async mode; None where the driver sends nothing."""
        ...

    def store(self, items: Sequence[NewMemory], /) -> Steps[Sequence[StoreResult]]:
        """Store at most ``batch_size`` memories; return one result each, in order.

        A single bad item fails alone, as a result; a failure of all of them, such as a lost connection, is raised.
        """
        ...

    def search(self, request: SearchRequest, /) -> Steps[Found]:
        """Search."""
        ...

    def get(
        self, ids: Sequence[str], scope: Scope, /, *, with_embeddings: bool = False
    ) -> Steps[Sequence[Memory]]:
        """Return the memories with these ids that exist, archived ones included, in any order."""
        ...

    def list(self, request: ListRequest, /) -> Steps[Page[Memory]]:
        """Return one page of memories."""
        ...

    def update(self, id: str, changes: Changes, scope: Scope, /) -> Steps[Memory]:
        """Change one memory and return it; raise `OneBrainNotFoundError` where `scope` has none with this id."""
        ...

    def delete(self, ids: Sequence[str], scope: Scope, /) -> Steps[int]:
        """Remove the memories with these ids in `scope`; return how many were there."""
        ...

    def close(self) -> None:
        """Release connections and files; a second call does nothing."""
        ...


class HttpDriver:
    """The base of a driver that sends requests and holds no connection itself."""

    def __init__(self, options: ClientOptions, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._options = options

    def transports(self) -> tuple[SyncTransport, AsyncTransport]:
        """Return fresh transports."""
        return self._options.transports()

    def close(self) -> None:
        """Do nothing: connections belong to the transports."""


def driver_options(given: Mapping[str, Any]) -> ClientOptions:
    """Return the options in the keyword arguments of a driver's factory, with `FACTS_HEADER` among the headers."""
    options = client_options("driver", given)
    return options.but(headers={FACTS_HEADER: "caller", **(options.headers or {})})


@runtime_checkable
class Forgets(Protocol):
    """A driver that removes by scope and filter in one step; `Brain` uses it where the whole filter can be pushed."""

    def forget(self, scope: Scope, filter: Filter, /, *, dry_run: bool) -> Steps[ForgetResult]:
        """Remove every memory in `scope` that matches, archived ones included."""
        ...


@runtime_checkable
class DeletesUnless(Protocol):
    """A driver that looks at memories within the step that removes them; others have them read first."""

    def delete_unless(self, ids: Sequence[str], scope: Scope, keys: Collection[str], /) -> Steps[int | None]:
        """Remove memories as `delete` does; None, and none is removed, if the metadata of one may have one of some keys."""
        ...


@runtime_checkable
class Counts(Protocol):
    """A driver that counts without listing."""

    def count(self, scope: Scope, filter: Filter, /, *, include_archived: bool) -> Steps[int | None]:
        """Return the number of memories that match, or None if the service does not know it."""
        ...


@runtime_checkable
class Settles(Protocol):
    """A driver of an eventual service that knows better than by reading when a search can find a memory."""

    def settled(self, ids: Sequence[str], /) -> Steps[Sequence[str]]:
        """Return those of `ids` that a search can find by now."""
        ...


@runtime_checkable
class Judges(Protocol):
    """A driver that estimates how likely a search found the answer; one that declares ``confidence`` must be it."""

    def confidence(
        self, query: str, memories: Sequence[Memory], now: datetime | None, /
    ) -> Steps[float | None]:
        """Return the probability that the answer to a query is among memories, the best first; None if it is not known."""
        ...


@runtime_checkable
class Names(Protocol):
    """A driver that knows the entities of memories; one that declares ``entities`` must be it.

    It is asked about memories that `Brain` has selected, and answers for those alone. So it needs no scope, and its
    answer cannot leave one.
    """

    def extract(self, memories: Sequence[Memory], /) -> Steps[int]:
        """Find the entities of memories and keep them; return the number of memories that were read."""
        ...

    def mentions(self, memories: Sequence[Memory], /) -> Steps[Sequence[Mention]]:
        """Return the known entities of memories."""
        ...

    def forget_mentions(self, entity_id: str, memories: Sequence[Memory], /) -> Steps[int]:
        """Remove an entity from memories; return their number."""
        ...


@runtime_checkable
class Supersedes(Protocol):
    """A driver that keeps which memory replaces which; one that declares ``supersede="native"`` must be it."""

    def history(self, id: str, scope: Scope, /) -> Steps[Sequence[Memory]]:
        """Return the memory with an id in a scope and all that links of `supersedes` connect it with, oldest first."""
        ...


# Returns the changes of a memory as it is, None for none. It may be called again, with the memory as it is then.
Change: TypeAlias = Callable[[Memory], Changes | None]


@runtime_checkable
class ChangesAsItIs(Protocol):
    """A driver that changes a memory by what it holds, so that of two such changes at the same time none is lost."""

    def change(self, id: str, change: Change, scope: Scope, /) -> Steps[Memory]:
        """Read a memory and change it in one transaction, and return it as it is then."""
        ...


@runtime_checkable
class Repeats(Protocol):
    """A driver that finds the copies of a text, so that no search has to."""

    def saying(self, scope: Scope, text: str, /) -> Steps[Sequence[Memory] | None]:
        """Return the memories of exactly a scope whose texts are equal to one by `words.normalized`.

        Only those that hold now and are not archived are returned. Returns None if a search has to find them.
        """
        ...


@runtime_checkable
class KeepsLinks(Protocol):
    """A driver that keeps links in metadata; one that declares ``supersede="emulated"`` is it or a `TellsSuccessors`.

    It stores and returns the fields of `onebrain.memory.linking.fields`, and `Brain` makes links of them. It declares
    ``validity="emulated"``, too, and ``get``. A list or a search for memories that others supersede, or that hold at
    another time, returns at least these.
    """

    def relink(self, id: str, owner: Scope, change: Callable[[Links], Links], /) -> Steps[None]:
        """Change the links of the memory with an id in a scope, and nothing else of it.

        Raises:
            OneBrainNotFoundError: There is none.
        """
        ...


@runtime_checkable
class TellsSuccessors(Protocol):
    """A driver that keeps links in metadata which cannot be changed, and that finds the memories which have them."""

    def successors(self, memories: Sequence[Memory], /) -> Steps[Sequence[Memory]]:
        """Return the memories that supersede some of these, and perhaps others."""
        ...


@runtime_checkable
class Proposes(Protocol):
    """A driver of a service that finds facts in messages by a model of its own."""

    def propose(self, messages: Sequence[tuple[str, str]], scope: Scope, /) -> Steps[Sequence[str]]:
        """Return the facts in messages, each a pair of role and text, without storing them for the caller."""
        ...


@runtime_checkable
class Reembeds(Protocol):
    """A driver that can change the embedder of spaces; one that declares ``reembed`` must be it."""

    def reembed(
        self,
        embedder: Any,
        space: str | None,
        /,
        *,
        replace: bool,
        progress: Callable[[int, int], object] | None,
        anew: bool = False,
    ) -> Steps[ReembedResult]:
        """Give a space, or all spaces, another embedder; None means the driver's own.

        With `anew`, spaces that have the embedder already get new vectors of it; it is passed only if it is true.
        """
        ...


def unsupported(capabilities: Capabilities, what: str, hint: str = "") -> Unsupported:
    """Return the error for an ability that a service lacks."""
    return Unsupported(what, capabilities.service, hint=hint)


def several_with_id(service: str) -> OneBrainConflictError:
    """Return the error for an id that names several memories, of several users or in several spaces."""
    return OneBrainConflictError(
        "several memories have this id; say which one by scope=Scope(space=..., user=...)", service=service
    )


def expiry(item: NewMemory, now: datetime) -> datetime | None:
    """Return when `item` expires, from its ``expires_at`` or ``ttl``; None for never."""
    return acceptance.expiry(item.expires_at, item.ttl, now)

"""The driver for HeroBrain.

Where things go:

* The tenant is the connection's: ``tenant_id``, ``?tenant_id=`` in the URL, or ``$HEROBRAIN_TENANT_ID``. Without one,
  ``space`` is the tenant of each call, and a call without a space is refused; a key answers for its own tenant only.
  With one, spaces are parts of that tenant, kept in the metadata and as a tag.
* ``user`` and ``session`` are in the metadata, each with a tag for HeroBrain to filter by; so is ``agent``.
* ``type`` is HeroBrain's where it is one of its thirteen, else ``semantic``, and kept as it is in the metadata, as are
  title and source. So are the ids of the memories that it supersedes, which have its id in theirs. A memory stored without importance has HeroBrain's 0.5 there, and none here.

Scores are HeroBrain's relevance, 0..1. HeroBrain documents no time by which a memory can be found, so this driver claims
none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, Unpack

from onebrain._core.client import ClientOptions, DriverKeywords
from onebrain._core.paging import Page, PageMeta
from onebrain._core.steps import Delegate, Steps
from onebrain.errors import (
    ConfigurationError,
    OneBrainNotFoundError,
    OneBrainValidationError,
)
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.driver import (
    Changes,
    Found,
    HttpDriver,
    ListRequest,
    SearchRequest,
    driver_options,
    unsupported,
)
from onebrain.memory.envelope import fold, unfold
from onebrain.memory.filters import Cmp, Filter
from onebrain.memory.linking.fields import (
    Links,
    changed_links,
    kept_marks,
    links_of,
    relinked,
    with_links,
)
from onebrain.memory.locks import KeyedLock
from onebrain.memory.models import Hit, Memory, NewMemory, Scope, SearchMode, StoreResult
from onebrain.memory.translation import (
    address_of,
    addressable,
    check_extra,
    each,
    failed,
    marks,
    offset_of,
    removed,
    unknown_id,
)
from onebrain.services.herobrain import models as wire
from onebrain.services.herobrain import service as rules
from onebrain.services.herobrain.client import Client
from onebrain.services.herobrain.service import make_service

CAPABILITIES: Final = Capabilities(
    service=rules.NAME,
    modes=frozenset[SearchMode]({"vector"}),
    search_limit=rules.MOST_ROWS,
    rechecked=True,
    # One tag can be filtered by, and none where a part of the scope is.
    filters={"$tags": frozenset({"contains"})},
    content_limit=rules.MOST_CONTENT,
    consistency="eventual",
    supersede="emulated",
    validity="emulated",
)

DEFAULT_TYPE: Final = "semantic"
# The driver has a method named list, which hides the type.
Rows: TypeAlias = list[Any]


def driver(
    url: str,
    *,
    api_key: str | None = None,
    tenant_id: str | None = None,
    **keywords: Unpack[DriverKeywords],
) -> HeroBrainDriver:
    """Return the driver for ``herobrain+https://api.herobrain.ai?tenant_id=...``; the options are those of `HeroBrain`.

    The default of `api_key` is ``$HEROBRAIN_API_KEY``.
    """
    example = f"herobrain+{rules.DEFAULT_URL}?tenant_id=user_12345"
    address, tenant_id = address_of(url, tenant_id, service=rules.NAME, option="tenant_id", example=example)
    return HeroBrainDriver(
        address,
        api_key=api_key,
        tenant_id=tenant_id,
        options=driver_options(keywords),
    )


class HeroBrainDriver(HttpDriver):
    """Translates between `Brain` and HeroBrain.

    Example:
        >>> HeroBrainDriver(
        ...     "https://api.herobrain.ai", api_key="hb_key", tenant_id="t"
        ... ).capabilities.content_limit
        10000
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        tenant_id: str | None = None,
        options: ClientOptions | None = None,
    ) -> None:
        super().__init__(options or ClientOptions(), CAPABILITIES)
        service = make_service(base_url, api_key=api_key, tenant_id=tenant_id, options=self._options)
        self._api = Client(Delegate(), service).memories
        self._tenant_id = service.tenant_id
        self._lock = KeyedLock()

    # ---- store ------------------------------------------------------------------------------------------------------

    def store(self, items: Sequence[NewMemory], /) -> Steps[Sequence[StoreResult]]:
        """Store each memory."""
        results: Rows = []
        for item in items:
            try:
                check_extra(item.extra, (), rules.NAME)
                metadata = _metadata(item.metadata, item.scope, item, links_of(item))
                created = yield from self._api.create(
                    item.content,
                    item.type if item.type in rules.TYPES else DEFAULT_TYPE,
                    importance=item.importance,
                    tags=_tags(item.tags, self._marks(item.scope)),
                    metadata=metadata,
                    tenant_id=self._tenant(item.scope),
                )
            except OneBrainValidationError as error:
                results.append(failed(error))
            else:
                results.append(StoreResult(id=created.id))
        return results

    # ---- search -----------------------------------------------------------------------------------------------------

    def search(self, request: SearchRequest, /) -> Steps[Found]:
        """Search by meaning, or list the newest where there is nothing to search for."""
        if request.alpha is not None:
            raise unsupported(CAPABILITIES, "choosing the weight of meaning (alpha)", "leave `alpha` out")
        tenant = self._tenant(request.scope)
        tag = self._tag(request.scope, request.filter)
        limit = max(1, min(request.limit, rules.MOST_ROWS))
        if request.query is None:
            number = offset_of(request.cursor, rules.NAME) or 1
            page = yield from self._page(number, rules.MOST_ROWS, tag, tenant, "createdAt", "desc")
            newest = yield from each(page.memories, lambda row: self._hit(row, tenant, 0.0))
            more = page.pagination.has_next and bool(page.memories)
            return Found(hits=newest, more=more, cursor=str(number + 1) if more else None, mode=request.mode)
        found = yield from self._api.search(
            request.query, limit=limit, tags=None if tag is None else [tag], tenant_id=tenant
        )
        hits = yield from each(found.results, lambda row: self._hit(row, tenant, row.relevance))
        return Found(hits=hits, more=len(found.results) >= limit, mode="vector")

    def _hit(self, row: wire.Memory, tenant: str | None, score: float) -> Steps[Hit | None]:
        memory = yield from self._whole(row, tenant)
        return None if memory is None else Hit(memory=memory, score=min(1.0, max(0.0, score)))

    def _page(
        self, number: int, size: int, tag: str | None, tenant: str | None, sort: str, order: Any
    ) -> Steps[wire.MemoryPage]:
        # A list takes its tags as one text with commas, so a tag with a comma cannot be asked for.
        asked = None if tag is None or "," in tag else [tag]
        return (
            yield from self._api.page(
                page=number, limit=size, tags=asked, sort=sort, order=order, tenant_id=tenant
            )
        )

    # ---- read -------------------------------------------------------------------------------------------------------

    def get(
        self, ids: Sequence[str], scope: Scope, /, *, with_embeddings: bool = False
    ) -> Steps[Sequence[Memory]]:
        """Get each memory."""
        rows = yield from each(ids, lambda id: self._row(id, scope))
        return [self._memory(row, self._tenant(scope)) for row in rows]

    def _row(self, id: str, scope: Scope) -> Steps[wire.Memory | None]:
        """Return the row with an id, if it is in `scope`."""
        if not addressable(id):
            return None
        tenant = self._tenant(scope)
        try:
            row = yield from self._api.get(id, tenant_id=tenant)
        except OneBrainNotFoundError:
            return None
        memory = self._memory(row, tenant)
        return row if row.id == id and scope.covers(memory.scope) else None

    def _whole(self, row: wire.Memory, tenant: str | None) -> Steps[Memory | None]:
        """Return a row as a memory; one without metadata, as the API reference shows rows, is got by itself."""
        if "metadata" not in row.model_fields_set or "tags" not in row.model_fields_set:
            try:
                row = yield from self._api.get(row.id, tenant_id=tenant)
            except OneBrainNotFoundError:
                # It was removed meanwhile.
                return None
        return self._memory(row, tenant)

    def list(self, request: ListRequest, /) -> Steps[Page[Memory]]:
        """Return one page; HeroBrain does not say how it orders equal times, so no order is claimed."""
        start = offset_of(request.cursor, rules.NAME)
        tenant = self._tenant(request.scope)
        # Pages are numbered, so a page that begins at `start` needs a size that divides it.
        size = _page_size(start, min(request.limit, rules.MOST_ROWS))
        tag = self._tag(request.scope, request.filter)
        page = yield from self._page(start // size + 1, size, tag, tenant, "createdAt", "asc")
        memories = yield from each(page.memories, lambda row: self._whole(row, tenant))
        more = page.pagination.has_next and bool(page.memories)
        return Page(tuple(memories), PageMeta(more, str(start + size) if more else None))

    # ---- change -----------------------------------------------------------------------------------------------------

    def update(self, id: str, changes: Changes, scope: Scope, /) -> Steps[Memory]:
        """Read the memory, change it and write it back; one writer of this process after the other."""
        return (yield from self._lock.hold(id, lambda: self._update(id, changes, scope)))

    def _update(self, id: str, changes: Changes, scope: Scope) -> Steps[Memory]:
        row = yield from self._row(id, scope)
        if row is None:
            raise unknown_id(rules.NAME)
        given = changes.fields
        for name in ("pinned", "archived", "embedding", "created_at", "expires_at"):
            if given.get(name):
                raise unsupported(CAPABILITIES, f"changing `{name}`")
        check_extra(given.get("extra") or {}, (), rules.NAME)
        tenant = self._tenant(scope)
        old = self._memory(row, tenant)
        simple = {name: value for name, value in given.items() if name not in ("metadata", "tags", "extra")}
        tags = tuple(given.get("tags", old.tags) or ())
        new = old.model_copy(update={**simple, "metadata": changes.metadata(old.metadata), "tags": tags})
        envelope = unfold(row.metadata)
        where = envelope.scope
        links = changed_links(envelope.kept, given)
        fields: dict[str, Any] = {
            "metadata": {**_metadata(new.metadata, where, new, links), **kept_marks(row.metadata)},
        }
        if "tags" in given:
            fields["tags"] = _tags(new.tags, self._marks(where))
        if "content" in given:
            fields["content"] = new.content
        if given.get("importance") is not None:
            fields["importance"] = new.importance
        changed = yield from self._api.update(id, **fields, tenant_id=tenant)
        # The answer to a change is not documented.
        if "metadata" not in changed.model_fields_set:
            changed = yield from self._api.get(id, tenant_id=tenant)
        return self._memory(changed, tenant)

    def relink(self, id: str, owner: Scope, change: Callable[[Links], Links], /) -> Steps[None]:
        """Write links into the metadata of a memory."""
        yield from self._lock.hold(id, lambda: self._relink(id, owner, change))

    def _relink(self, id: str, owner: Scope, change: Callable[[Links], Links]) -> Steps[None]:
        row = yield from self._row(id, owner)
        if row is None:
            raise unknown_id(rules.NAME)
        metadata = relinked(row.metadata, change, row.updated_at)
        if metadata is not None:
            yield from self._api.update(id, metadata=metadata, tenant_id=self._tenant(owner))

    def delete(self, ids: Sequence[str], scope: Scope, /) -> Steps[int]:
        """Look at each memory and remove it, if it is in `scope`."""
        gone = 0
        for id in ids:
            if (yield from self._row(id, scope)) is not None:
                gone += yield from removed(self._delete(id, self._tenant(scope)))
        return gone

    def _delete(self, id: str, tenant: str | None) -> Steps[bool]:
        return (yield from self._api.delete(id, tenant_id=tenant)).deleted

    # ---- scopes -----------------------------------------------------------------------------------------------------

    def _tenant(self, scope: Scope) -> str | None:
        """Return the tenant of a call: the connection's, else the space."""
        if self._tenant_id is not None:
            return self._tenant_id
        if scope.space is None:
            raise ConfigurationError(
                "HeroBrain needs a tenant: connect with tenant_id, or name the tenant as the scope's space",
                service=rules.NAME,
            )
        return scope.space

    def _marks(self, scope: Scope) -> Rows:
        """Return the tags that stand for a scope."""
        # Without a tenant of the connection, the space is the tenant and needs no tag.
        space = scope.space if self._tenant_id is not None else None
        return marks(("s", scope.session), ("u", scope.user), ("a", scope.agent), ("p", space))

    def _tag(self, scope: Scope, filter: Filter) -> str | None:
        """Return the one tag to select by: HeroBrain takes several as "any of them"; the rest is checked here."""
        wanted = filter.value if isinstance(filter, Cmp) else None
        demanded = [wanted] if isinstance(wanted, str) and wanted else []
        return next(iter([*self._marks(scope), *demanded]), None)

    def _memory(self, row: wire.Memory, tenant: str | None) -> Memory:
        """Return a row as a memory."""
        envelope = unfold(row.metadata)
        scope = envelope.scope
        if self._tenant_id is None:
            scope = Scope(tenant, scope.user, scope.agent, scope.session)
        kind = None if row.type is None else str(row.type)
        marks = set(self._marks(scope))
        exact_tags = envelope.texts("tags")
        memory = Memory(
            id=row.id,
            content=row.content,
            scope=scope,
            title=envelope.text("title"),
            type=envelope.text("type") if envelope.ours else kind,
            tags=exact_tags if exact_tags is not None else tuple(tag for tag in row.tags if tag not in marks),
            metadata=envelope.metadata,
            importance=row.importance if not envelope.ours or envelope.kept.get("weighed") else None,
            source=envelope.text("source"),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        return with_links(memory, row.metadata, envelope)


def _metadata(
    own: Mapping[str, Any], scope: Scope, memory: NewMemory | Memory, links: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the metadata of a memory, with the fields that HeroBrain lacks folded in."""
    kept = {name: getattr(memory, name) for name in ("title", "type", "source")}
    return fold(own, scope, {**kept, **links, "weighed": memory.importance is not None or None})


def _tags(tags: Sequence[str], marks: Sequence[str]) -> Rows:
    return [*tags, *(tag for tag in marks if tag not in tags)]


def _page_size(start: int, most: int) -> int:
    """Return the largest size of at most `most` of which a page begins exactly at `start`."""
    return next(size for size in range(most, 0, -1) if math.gcd(start, size) == size)


__all__ = ["CAPABILITIES", "HeroBrainDriver", "driver"]

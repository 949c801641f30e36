"""``hb.memories``: create, read, list, update, delete and search memories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from onebrain._core.codec import UNSET, Unset
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.paging import Page, PageMeta
from onebrain._core.service import DELETE, GET, PATCH, POST, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read
from onebrain.services.herobrain.models import (
    Deleted,
    FoundMemory,
    Memory,
    MemoryPage,
    MemoryType,
    SearchResponse,
    Sort,
)
from onebrain.services.herobrain.service import (
    MOST_ROWS,
    NAME,
    Resource,
    check_memory,
    fields_of,
    invalid,
    within,
)

Strings: TypeAlias = Sequence[str]
Direction: TypeAlias = Literal["asc", "desc"]
_SORTS = {name: name for name in ("createdAt", "updatedAt", "importance")} | {
    "created_at": "createdAt",
    "updated_at": "updatedAt",
}


class Memories(Resource[Mode]):
    """The memories of a tenant; every call takes a ``tenant_id`` that goes before the client's."""

    @endpoint
    def create(
        self,
        content: str,
        type: MemoryType | str,
        *,
        importance: float | None = None,
        tags: Strings | None = None,
        metadata: Mapping[str, Any] | None = None,
        tenant_id: str | None = None,
    ) -> Steps[Memory]:
        """Store a memory.

        Args:
            content: 1 to 10,000 characters.
            type: One of the thirteen kinds, such as ``"episodic"``.
            importance: 0..1; the service's default is 0.5.
            tags: Labels.
            metadata: A JSON object.
            tenant_id: Whose memory it is, instead of the client's tenant.
        """
        fields: dict[str, Any] = {
            "content": content,
            "type": None if type is None else str(type),
            "importance": importance,
            "tags": tags,
            "metadata": metadata,
        }
        if not content or fields["type"] is None:
            raise invalid("content and type are required")
        check_memory(fields)
        spec = POST("/api/v1/memories", **fields, tenantId=self._service.tenant(tenant_id))
        return (yield from self._ask(Memory, spec))

    @endpoint
    def get(self, id: str, *, tenant_id: str | None = None) -> Steps[Memory]:
        """Return one memory."""
        spec = GET(path("/api/v1/memories/{}", id), tenantId=self._service.tenant(tenant_id))
        return (yield from self._ask(Memory, spec))

    @endpoint
    def page(
        self,
        *,
        page: int = 1,
        limit: int = 50,
        type: MemoryType | str | None = None,
        tags: str | Strings | None = None,
        sort: Sort | str | None = None,
        order: Direction | None = None,
        tenant_id: str | None = None,
    ) -> Steps[MemoryPage]:
        """Return one page of the memories, with its position among the others in ``pagination``.

        Args:
            page: From 1 on.
            limit: 1..100 memories a page.
            type: Only this kind.
            tags: Memories with any of these tags.
            sort: ``createdAt``, ``updatedAt`` or ``importance``; the service's default is not documented.
            order: ``asc`` or ``desc``, the default.
            tenant_id: Whose memories, instead of the client's tenant.
        """
        within("page", page, 1, None)
        within("limit", limit, 1, MOST_ROWS)
        check_memory({"type": type if type is None else str(type)})
        if sort is not None and sort not in _SORTS:
            raise invalid("sort: must be createdAt, updatedAt or importance")
        if order not in (None, "asc", "desc"):
            raise invalid("order: must be asc or desc")
        spec = GET(
            "/api/v1/memories",
            tenantId=self._service.tenant(tenant_id),
            page=page,
            limit=limit,
            type=type if type is None else str(type),
            tags=_joined(tags),
            sort=None if sort is None else _SORTS[sort],
            order=order,
        )
        return (yield from self._ask(MemoryPage, spec))

    @endpoint
    def update(
        self,
        id: str,
        *,
        content: str | Unset = UNSET,
        importance: float | Unset = UNSET,
        tags: Strings | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
        tenant_id: str | None = None,
    ) -> Steps[Memory]:
        """Change the given fields of a memory and return it; tags and metadata are replaced whole.

        The kind of a memory cannot be changed.
        """
        given: dict[str, Any] = {
            "content": content,
            "importance": importance,
            "tags": tags,
            "metadata": metadata,
        }
        fields = {name: value for name, value in given.items() if value is not UNSET}
        if any(value is None for value in fields.values()):
            raise invalid(
                "update: None has no meaning to HeroBrain; leave the field out, or pass an empty list or object"
            )
        check_memory(fields)
        # The document shows no tenant here, neither in the body nor in the path, so it goes where reads have it.
        query = {"tenantId": self._service.tenant(tenant_id)}
        # Setting the same values again changes nothing.
        spec = PATCH(path("/api/v1/memories/{}", id), **fields).but(query=query, safe=True)
        return (yield from self._ask(Memory, spec))

    @endpoint
    def delete(self, id: str, *, tenant_id: str | None = None) -> Steps[Deleted]:
        """Remove a memory for good."""
        spec = DELETE(path("/api/v1/memories/{}", id), tenantId=self._service.tenant(tenant_id))
        data = yield from self._data(spec)
        return read(Deleted, {"id": id, **fields_of(data)}, service=NAME)

    @endpoint
    def search(
        self,
        query: str,
        *,
        limit: int = 20,
        type: MemoryType | str | None = None,
        min_relevance: float | None = None,
        tags: Strings | None = None,
        tenant_id: str | None = None,
    ) -> Steps[SearchResponse]:
        """Find memories by meaning, the most relevant first.

        Args:
            query: The question or keywords, in plain words.
            limit: 1..100.
            type: Only this kind.
            min_relevance: Only memories at least this relevant, 0..1; without it there is no floor.
            tags: Memories with any of these tags.
            tenant_id: Whose memories, instead of the client's tenant.
        """
        if not isinstance(query, str) or not query.strip():
            raise invalid("query: must not be blank")
        within("limit", limit, 1, MOST_ROWS)
        fields: dict[str, Any] = {
            "type": type if type is None else str(type),
            "minRelevance": min_relevance,
            "tags": tags,
        }
        check_memory(fields)
        spec = POST(
            "/api/v1/memories/search",
            query=query,
            tenantId=self._service.tenant(tenant_id),
            limit=limit,
            **fields,
        )
        found = yield from self._ask(SearchResponse, spec.but(safe=True))
        best_first = tuple(sorted(found.results, key=_relevance, reverse=True))
        return found.model_copy(update={"results": best_first})

    # Last, because a method named list hides the type from annotations below it.
    def _list(
        self,
        *,
        limit: int | None = None,
        type: MemoryType | str | None = None,
        tags: str | Strings | None = None,
        sort: Sort | str | None = None,
        order: Direction | None = None,
        tenant_id: str | None = None,
        cursor: str | None = None,
    ) -> Steps[Page[Memory]]:
        """Iterate over the memories, page by page.

        Args:
            limit: The most memories over all pages; None for all.
            type: Only this kind.
            tags: Memories with any of these tags.
            sort: ``createdAt``, ``updatedAt`` or ``importance``.
            order: ``asc`` or ``desc``, the default.
            tenant_id: Whose memories, instead of the client's tenant.
            cursor: The number of the page to begin with, each of 100 memories.
        """
        if limit is not None:
            within("limit", limit, 1, None)
        number = int(cursor or 1)
        # Pages are numbered, so every one of a walk must have the same size; only a single one may be smaller.
        size = MOST_ROWS if limit is None or cursor is not None else min(limit, MOST_ROWS)
        found = yield from Memories.page.plan(
            self,
            page=number,
            limit=size,
            type=type,
            tags=tags,
            sort=sort,
            order=order,
            tenant_id=tenant_id,
        )
        where = found.pagination
        kept = found.memories if limit is None else found.memories[:limit]
        # A server that ends its list with an empty page is believed over one that says it goes on for ever.
        more = where.has_next and bool(found.memories)
        return Page(kept, PageMeta(more, str(number + 1) if more else None, where.total))

    list = listing(_list, total="limit")


def _joined(tags: str | Strings | None) -> str | None:
    """Return tags as lists take them: one text with commas, which a tag can therefore not hold."""
    if tags is None or isinstance(tags, str):
        return tags
    if any("," in tag for tag in tags):
        raise invalid("tags: a list cannot be filtered by a tag that holds a comma; search can")
    return ",".join(tags) or None


def _relevance(row: FoundMemory) -> float:
    return row.relevance

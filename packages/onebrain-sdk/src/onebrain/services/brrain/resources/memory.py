"""Memories: stored one by one or in batches, searched, read and removed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, get_args

from onebrain._core.batches import Batches
from onebrain._core.codec import to_json
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.paging import Page, PageMeta
from onebrain._core.service import DELETE, GET, POST, Spec, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read
from onebrain.errors import OneBrainConflictError, OneBrainError, OneBrainResponseError
from onebrain.services.brrain.models import (
    BatchItem,
    BatchResult,
    Deleted,
    Hit,
    Memory,
    Retrieved,
    SearchMode,
    Stored,
)
from onebrain.services.brrain.service import (
    MAX_BATCH,
    MAX_PAGE,
    NAME,
    Resource,
    check_content,
    check_id,
    check_integer,
    existing_id,
    wrong,
)

MODES: tuple[str, ...] = get_args(SearchMode)
_FIELDS = ("content", "metadata", "workspace_id", "ttl_seconds", "idempotency_key")


class MemoryResource(Resource[Mode]):
    """The memories of the key's vault."""

    @endpoint
    def store(
        self,
        content: str,
        *,
        metadata: Mapping[str, Any] | None = None,
        category: str | None = None,
        department: str | None = None,
        tags: Sequence[str] | None = None,
        source: str | None = None,
        workspace_id: str | None = None,
        ttl_seconds: int | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[Stored]:
        """Store one memory and return its id and state.

        Every request carries an idempotency key, so one that was lost is sent again; when the service then says that
        the memory is there already, that is a success (``replayed``).

        Args:
            content: The text, at most 1 MB of UTF-8.
            metadata: A JSON object of your own.
            category: The category, kept in the metadata.
            department: The department, kept in the metadata.
            tags: Labels to filter by, kept in the metadata.
            source: The writer, kept in the metadata.
            workspace_id: Where to store it; the default is the key's own workspace.
            ttl_seconds: After so many seconds it leaves all searches; it can still be read by its id.
            idempotency_key: Your own key, good for 24 hours; the default is a fresh one.

        Raises:
            OneBrainConflictError: The workspace has this text already, or the key was used for another one;
                ``existing_id`` names the memory where the service does.
        """
        body = _body(
            {
                "content": content,
                "metadata": _metadata(metadata, category, department, tags, source),
                "workspace_id": workspace_id,
                "ttl_seconds": ttl_seconds,
                "idempotency_key": idempotency_key,
            }
        )
        try:
            return (yield from self._service.get(Stored, POST("/memory/store", **body).but(safe=True)))
        except OneBrainConflictError as error:
            if error.in_doubt and error.existing_id is not None:
                return Stored(id=error.existing_id, replayed=True)
            raise

    @endpoint
    def batch(
        self,
        memories: Iterable[Mapping[str, Any] | str],
        *,
        on_progress: Callable[[int], object] | None = None,
    ) -> Steps[BatchResult]:
        """Store many memories, at most 100 in a request; one that is refused fails alone, and its result says why.

        All are checked before the first request. Where a later request fails as a whole, its error says in
        ``details`` what was stored until then: ``{"stored", "results", "failed_from", "failed_to"}``. Every memory
        carries an idempotency key; give your own ones to make it safe to send everything once more.

        Args:
            memories: Texts, or dicts with content, metadata, workspace_id, ttl_seconds and idempotency_key.
            on_progress: Called after each request with the number of memories worked on so far.
        """
        bodies = [_item(item, position) for position, item in enumerate(memories)]
        results: list[BatchItem] = []
        batches = Batches(bodies, MAX_BATCH, self._service.byte_limit)
        for chunk in batches:
            with batches.attempt(lambda error: _partly(error, results, batches.start, batches.size)):
                results.extend((yield from self._chunk(chunk, batches.start)))
                if on_progress is not None:
                    on_progress(len(results))
        stored = sum(item.ok for item in results)
        return BatchResult(stored=stored, failed=len(results) - stored, results=tuple(results))

    def _chunk(self, bodies: Sequence[Mapping[str, Any]], start: int) -> Steps[list[BatchItem]]:
        reply = yield from self._service.ask(
            Spec("POST", "/memory/batch", body={"memories": list(bodies)}, safe=True)
        )
        answer = read(BatchResult, reply.data, service=NAME)
        if len(answer.results) != len(bodies):
            raise OneBrainResponseError(
                f"{len(bodies)} memories were sent and {len(answer.results)} results came", service=NAME
            )
        items: list[BatchItem] = []
        for position, item in enumerate(answer.results):
            known = existing_id(dict(item.error)) if item.error is not None else None
            if not item.ok and reply.in_doubt and known is not None and _is_conflict(item):
                # An earlier attempt of this very request stored it, and its answer was lost.
                item = BatchItem(id=known, status="stored", replayed=True)
            items.append(item.model_copy(update={"index": start + position}))
        return items

    @endpoint
    def retrieve(
        self,
        q: str | None = None,
        *,
        keyword: str | None = None,
        limit: int = 10,
        cursor: str | None = None,
        category: str | None = None,
        tags: Sequence[str] | None = None,
        department: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        workspace_id: str | None = None,
        min_relevance: float | None = None,
        mode: SearchMode | None = None,
    ) -> Steps[Retrieved]:
        """Search and return one page.

        Args:
            q: The text to search for by meaning.
            keyword: Words to look for; give `q`, `keyword` or both.
            limit: 1..100.
            cursor: The ``next_cursor`` of the page before; everything else must be as it was there.
            category: Only this category.
            tags: Only memories with all of these tags.
            department: Only this department.
            created_after: Only later ones; a time without an offset is UTC.
            created_before: Only earlier ones.
            workspace_id: Where; the default is the key's own workspace.
            min_relevance: 0..1; only hits with at least this score.
            mode: ``semantic`` (the service's default), ``keyword`` or ``hybrid``.
        """
        if not (q and q.strip()) and not (keyword and keyword.strip()):
            raise wrong("retrieve: give q, keyword or both")
        check_integer("limit", limit, 1, MAX_PAGE)
        if mode is not None and mode not in MODES:
            raise wrong(f"mode: must be one of {', '.join(MODES)}, not {mode!r:.20}")
        if min_relevance is not None and not 0 <= min_relevance <= 1:
            raise wrong(f"min_relevance: must be between 0 and 1, not {min_relevance!r:.40}")
        spec = GET(
            "/memory/retrieve",
            q=q,
            keyword=keyword,
            limit=limit,
            cursor=cursor,
            category=category,
            tags=_joined(tags),
            department=department,
            created_after=_instant("created_after", created_after),
            created_before=_instant("created_before", created_before),
            workspace_id=workspace_id,
            min_relevance=min_relevance,
            mode=mode,
        )
        return (yield from self._service.get(Retrieved, spec))

    def _retrieve_all(
        self,
        q: str | None = None,
        *,
        keyword: str | None = None,
        page_size: int = MAX_PAGE,
        cursor: str | None = None,
        category: str | None = None,
        tags: Sequence[str] | None = None,
        department: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        workspace_id: str | None = None,
        min_relevance: float | None = None,
        mode: SearchMode | None = None,
    ) -> Steps[Page[Hit]]:
        """Iterate over all hits of a search, best first, page by page; the arguments are those of `retrieve`."""
        found = yield from MemoryResource.retrieve.plan(
            self,
            q,
            keyword=keyword,
            limit=page_size,
            cursor=cursor,
            category=category,
            tags=tags,
            department=department,
            created_after=created_after,
            created_before=created_before,
            workspace_id=workspace_id,
            min_relevance=min_relevance,
            mode=mode,
        )
        more = found.has_more and found.next_cursor is not None
        return Page(found.results, PageMeta(more, found.next_cursor if more else None, found.total))

    retrieve_all = listing(_retrieve_all)

    @endpoint
    def get(self, id: str) -> Steps[Memory]:
        """Return one memory, also one whose time to live is over; a deleted one is not found."""
        return (yield from self._service.get(Memory, GET(path("/memory/{}", check_id(id)))))

    @endpoint
    def delete(self, id: str) -> Steps[Deleted]:
        """Take one memory out of every answer."""
        return (yield from self._service.get(Deleted, DELETE(path("/memory/{}", check_id(id)))))


def _metadata(
    metadata: Mapping[str, Any] | None,
    category: str | None,
    department: str | None,
    tags: Sequence[str] | None,
    source: str | None,
) -> dict[str, Any] | None:
    """Return the metadata with the well-known fields in it; a field that is given twice is refused."""
    if isinstance(tags, str):
        raise wrong("tags: must be a list of strings, not one string")
    merged = dict(metadata or {})
    well_known = {
        "category": category,
        "department": department,
        "tags": None if tags is None else list(tags),
        "source": source,
    }
    for name, value in well_known.items():
        if value is None:
            continue
        if name in merged:
            raise wrong(f"{name}: is given as an argument and in the metadata; choose one")
        merged[name] = value
    return merged or None


def _body(fields: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Return the body of one memory to store, checked, with an idempotency key."""
    check_content(fields.get("content"), f"{where}content")
    check_integer(f"{where}ttl_seconds", fields.get("ttl_seconds"), 1)
    metadata = fields.get("metadata")
    if metadata is not None:
        if not isinstance(metadata, Mapping):
            raise wrong(f"{where}metadata: must be an object, not {type(metadata).__name__}")
        to_json(metadata, what=f"{where}metadata")
    body = {name: value for name, value in fields.items() if value is not None}
    if body.setdefault("idempotency_key", uuid.uuid4().hex) == "":
        raise wrong(f"{where}idempotency_key: must not be empty")
    return body


def _item(item: Mapping[str, Any] | str, position: int) -> dict[str, Any]:
    fields: Mapping[str, Any] = {"content": item} if isinstance(item, str) else item
    unknown = [name for name in fields if name not in _FIELDS]
    if unknown:
        raise wrong(f"memory {position}: unknown field {unknown[0]!r:.40}; there are {', '.join(_FIELDS)}")
    return _body(fields, f"memory {position}: ")


def _joined(tags: Sequence[str] | None) -> str | None:
    """Return tags to filter by as the service takes them."""
    if isinstance(tags, str):
        raise wrong("tags: must be a list of strings, not one string")
    for tag in tags or ():
        if not tag or "," in tag:
            raise wrong("tags: the service separates tags by commas, so one to filter by must hold none")
    return ",".join(tags) if tags else None


def _instant(name: str, value: datetime | None) -> str | None:
    if value is None:
        return None
    if not isinstance(value, date):
        raise wrong(f"{name}: must be a datetime, not {type(value).__name__}")
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()


def _is_conflict(item: BatchItem) -> bool:
    code = (item.error.code if item.error is not None else None) or ""
    return "conflict" in code or "duplicate" in code or "idempoten" in code


def _partly(error: OneBrainError, results: list[BatchItem], start: int, size: int) -> OneBrainError:
    """Return `error` with the results of the memories before it, so that a caller can go on from there."""
    stored = [item for item in results if item.ok]
    said = error.details
    error.details = {
        "stored": len(stored),
        "results": [{"index": item.index, "id": item.id, "status": item.status} for item in results],
        "failed_from": start,
        "failed_to": start + size - 1,
    }
    if said is not None:
        error.details["cause"] = said
    error.message += (
        f"; {len(stored)} memories were stored before this, their ids are in error.details, and the request with "
        f"memories {start} to {start + size - 1} failed as a whole"
    )
    return error

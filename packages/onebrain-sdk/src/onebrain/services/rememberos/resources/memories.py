"""Memories of a collection: made, read, changed, moved, forgotten, and the files attached to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from onebrain._core.batches import Batches
from onebrain._core.codec import UNSET, Unset, is_set, to_json
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.paging import Page, PageMeta
from onebrain._core.service import DELETE, GET, PATCH, POST, Spec
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read, rows
from onebrain.errors import OneBrainError, OneBrainInternalError, OneBrainTransportError
from onebrain.services.rememberos.models import BulkResult, FolderResult, Forgotten, Hit, Memory
from onebrain.services.rememberos.resources.uploads import FileLike, load_files
from onebrain.services.rememberos.service import (
    DEFAULT_COLLECTION,
    MAX_BULK,
    MAX_FOLDER,
    MAX_LIST,
    NAME,
    SLOW,
    Resource,
    check_number,
    check_text,
    collection_path,
    memory_body,
    wrong,
)


class Memories(Resource[Mode]):
    """The memories of a collection; every method takes the collection's name and defaults to ``"default"``."""

    @endpoint
    def create(
        self,
        text: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        importance: float | None = None,
        category: str | None = None,
        source: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        container_tag: str | None = None,
    ) -> Steps[Memory]:
        """Store one memory and return it.

        It is sent again only where the first request never arrived or was refused for its rate, since RememberOS
        knows no idempotency key and would store the text twice.

        Args:
            text: 1 to 10,000 characters.
            collection: Made if there is none of this name.
            importance: 0..1; the service's default is 0.7.
            category: The service's default is ``"other"``.
            source: Where it came from; the service's default is ``"api"``.
            metadata: A JSON object of your own.
            container_tag: A sub-namespace of the collection, such as a user.
        """
        body = memory_body(text, importance, category, source, metadata, container_tag)
        return (yield from self._service.get(Memory, POST(collection_path(collection, "/memories"), **body)))

    @endpoint
    def create_many(
        self,
        items: Iterable[Mapping[str, Any] | str],
        *,
        collection: str = DEFAULT_COLLECTION,
        on_progress: Callable[[int], object] | None = None,
    ) -> Steps[BulkResult]:
        """Store many memories, at most 100 in a request, and return how many were made and their ids in order.

        All items are checked before the first request. Where a later request fails, its error says in ``details``
        what was stored until then: ``{"created", "ids", "failed_from", "failed_to", "failed_stored"}``, the positions
        of the failed request's items, and whether those may be stored all the same (``"no"`` or ``"unknown"``).

        Args:
            items: Texts, or dicts with the arguments of `create`: text, importance, category, source, metadata,
                container_tag.
            collection: Where to store them all.
            on_progress: Called after each request with the number of items stored so far.
        """
        bodies = [_body(item, position) for position, item in enumerate(items)]
        ids: list[str] = []
        created = 0
        batches = Batches(bodies, MAX_BULK, self._service.byte_limit)

        def described(error: OneBrainError) -> OneBrainError:
            return _partly(error, created, ids, batches.start, batches.size)

        for chunk in batches:
            spec = Spec("POST", collection_path(collection, "/memories/bulk"), body=list(chunk))
            with batches.attempt(described):
                result = yield from self._service.get(BulkResult, spec)
                ids.extend(result.ids)
                created += result.created
                if on_progress is not None:
                    on_progress(created)
        return BulkResult(created=created, ids=tuple(ids))

    @endpoint
    def get(self, id: str, *, collection: str = DEFAULT_COLLECTION) -> Steps[Memory]:
        """Return one memory; the URLs of its files are presigned and expire."""
        return (yield from self._service.get(Memory, _one(collection, id)))

    @endpoint
    def related(
        self, id: str, *, collection: str = DEFAULT_COLLECTION, limit: int = 5, min_score: float = 0.0
    ) -> Steps[list[Hit]]:
        """Return the memories of the collection that are nearest to one in meaning, without itself."""
        check_number("limit", limit, 1)
        check_number("min_score", min_score, 0, 1)
        spec = GET(collection_path(collection, "/memories/{}/related", id), limit=limit, min_score=min_score)
        return (yield from self._service.get_rows(Hit, spec, "results", "related", "memories"))

    @endpoint
    def update(
        self,
        id: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        text: str | Unset = UNSET,
        importance: float | Unset = UNSET,
        category: str | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
    ) -> Steps[Memory]:
        """Change the given fields of one memory and return it; `metadata` replaces the whole object."""
        if is_set(text):
            check_text(text)
        check_number("importance", importance, 0, 1)
        spec = PATCH(
            collection_path(collection, "/memories/{}", id),
            text=text,
            importance=importance,
            category=category,
            metadata=metadata,
        )
        if not spec.body:
            raise wrong("update: give at least one of text, importance, category and metadata")
        return (yield from self._service.change(Memory, spec, _one(collection, id), proof="text"))

    @endpoint
    def move(self, id: str, *, to: str, collection: str = DEFAULT_COLLECTION) -> Steps[Memory]:
        """Move a memory to the collection `to`, which is made if there is none of this name, and return it."""
        if not to:
            raise wrong("to: must be the name of a collection")
        spec = POST(collection_path(collection, "/memories/{}/move", id), to_collection=to)
        return (yield from self._service.change(Memory, spec, _one(to, id), proof="text"))

    @endpoint
    def delete(self, id: str, *, collection: str = DEFAULT_COLLECTION) -> Steps[None]:
        """Remove a memory and its files."""
        yield from self._service.ask(DELETE(collection_path(collection, "/memories/{}", id)))

    @endpoint
    def forget(
        self, query: str, *, collection: str = DEFAULT_COLLECTION, min_score: float = 0.5, limit: int = 10
    ) -> Steps[Forgotten]:
        """Remove the memories that match a query in meaning. There is no dry run: try `client.search` first."""
        if not isinstance(query, str) or not query.strip():
            raise wrong("query: must be text that is not blank")
        check_number("min_score", min_score, 0, 1)
        check_number("limit", limit, 1)
        spec = POST(collection_path(collection, "/forget"), query=query, min_score=min_score, limit=limit)
        return (yield from self._service.get(Forgotten, spec))

    # ---- files --------------------------------------------------------------------------------------------------

    @endpoint
    def upload(
        self,
        text: str,
        files: Sequence[FileLike],
        *,
        collection: str = DEFAULT_COLLECTION,
        importance: float | None = None,
        category: str | None = None,
        source: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        container_tag: str | None = None,
    ) -> Steps[Memory]:
        """Store one memory with files attached; each file may have up to 10 MB."""
        fields = memory_body(text, importance, category, source, metadata, container_tag)
        # A form has no objects, so the metadata is JSON text in it.
        if "metadata" in fields:
            fields["metadata"] = to_json(fields["metadata"])
        parts = yield from load_files(files, "files")
        path = collection_path(collection, "/memories/upload")
        spec = Spec("POST", path, form=(parts, fields), timeout=SLOW)
        return (yield from self._service.get(Memory, spec))

    @endpoint
    def upload_folder(
        self, files: Sequence[FileLike], *, collection: str = DEFAULT_COLLECTION
    ) -> Steps[FolderResult]:
        """Store one memory for each of up to 50 files of up to 10 MB."""
        if len(files) > MAX_FOLDER:
            raise wrong(f"files: at most {MAX_FOLDER} in one call, not {len(files)}")
        parts = yield from load_files(files, "files")
        path = collection_path(collection, "/memories/folder")
        spec = Spec("POST", path, form=(parts, {}), timeout=SLOW)
        reply = yield from self._service.ask(spec)
        data: Any = reply.data
        return read(FolderResult, {"memories": data} if isinstance(data, list) else data, service=NAME)

    @endpoint
    def attach(self, id: str, file: FileLike, *, collection: str = DEFAULT_COLLECTION) -> Steps[Memory]:
        """Attach a file of up to 10 MB to a memory and return the memory with all of its files."""
        parts = yield from load_files([file], "file")
        path = collection_path(collection, "/memories/{}/images", id)
        spec = Spec("POST", path, form=(parts, {}), timeout=SLOW)
        return (yield from self._service.change(Memory, spec, _one(collection, id), proof="text"))

    @endpoint
    def detach(self, id: str, index: int, *, collection: str = DEFAULT_COLLECTION) -> Steps[None]:
        """Detach the file at `index` of ``memory.images``.

        The places of the files behind it change with that, so read the memory again before detaching another one.
        It is sent once only: a repeated request could detach the next file.
        """
        check_number("index", index, 0)
        spec = DELETE(collection_path(collection, "/memories/{}/images/{}", id, str(index)))
        yield from self._service.ask(spec.but(safe=False))

    # ---- lists --------------------------------------------------------------------------------------------------

    @endpoint
    def page(
        self,
        *,
        collection: str = DEFAULT_COLLECTION,
        limit: int = 50,
        offset: int = 0,
        include_archived: bool = False,
    ) -> Steps[list[Memory]]:
        """Return up to `limit` (at most 200) memories from `offset` on: pinned ones first, then newest first."""
        page = yield from self._page(collection, limit, offset, include_archived)
        return list(page.data)

    def _page(self, collection: str, limit: int, offset: int, include_archived: bool) -> Steps[Page[Memory]]:
        check_number("limit", limit, 1, MAX_LIST)
        check_number("offset", offset, 0)
        spec = GET(
            collection_path(collection, "/memories"),
            limit=limit,
            offset=offset,
            include_archived=include_archived or None,
        )
        reply = yield from self._service.ask(spec)
        found = [
            read(Memory, row, service=NAME) for row in rows(reply.data, "memories", "items", service=NAME)
        ]
        more = len(found) >= limit
        return Page(tuple(found), PageMeta(more, str(offset + len(found)) if more else None))

    # Last, because a method named list hides the type from annotations below it.
    def _list(
        self,
        *,
        collection: str = DEFAULT_COLLECTION,
        page_size: int = MAX_LIST,
        include_archived: bool = False,
        cursor: str | None = None,
    ) -> Steps[Page[Memory]]:
        """Iterate over all memories of a collection, pinned ones first, then newest first.

        Pages are cut by position, so a memory that is stored or removed meanwhile can move others across the cut.

        Args:
            collection: Its name.
            page_size: How many to ask for at a time, at most 200.
            include_archived: Archived memories, too.
            cursor: The position to begin at, as text.
        """
        return (yield from self._page(collection, page_size, int(cursor or 0), include_archived))

    list = listing(_list)


def _one(collection: str, id: str) -> Spec:
    return GET(collection_path(collection, "/memories/{}", id))


_FIELDS = ("text", "importance", "category", "source", "metadata", "container_tag")


def _body(item: Mapping[str, Any] | str, position: int) -> dict[str, Any]:
    fields: Mapping[str, Any] = {"text": item} if isinstance(item, str) else item
    unknown = [name for name in fields if name not in _FIELDS]
    if unknown:
        raise wrong(f"item {position}: unknown field {unknown[0]!r:.40}; there are {', '.join(_FIELDS)}")
    try:
        return memory_body(*(fields.get(name) for name in _FIELDS))  # type: ignore[arg-type]  # checked there
    except OneBrainError as error:
        raise wrong(f"item {position}: {error.message}") from None


def _partly(error: OneBrainError, created: int, ids: list[str], start: int, size: int) -> OneBrainError:
    """Return `error` with the memories stored before it, so that a caller can go on from there."""
    lost = isinstance(error, OneBrainTransportError) and not error.never_sent
    unknown = (
        lost
        or error.in_doubt
        or isinstance(error, OneBrainInternalError)
        or error.status_code in range(200, 300)
    )
    said = error.details
    error.details = {
        "created": created,
        "ids": ids,
        "failed_from": start,
        "failed_to": start + size - 1,
        "failed_stored": "unknown" if unknown else "no",
    }
    if said is not None:
        error.details["cause"] = said
    error.message += (
        f"; {created} memories were stored before this, their ids are in error.details, "
        f"items {start} to {start + size - 1} {'may or may not be' if unknown else 'are not'} stored, "
        "and what follows was not sent"
    )
    return error

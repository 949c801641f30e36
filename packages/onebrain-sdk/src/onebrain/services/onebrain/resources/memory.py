"""Memories: store, read, change, search, extract, import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, cast

from onebrain._core.batches import Batches
from onebrain._core.codec import UNSET, Unset, is_set
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.former import formerly
from onebrain._core.paging import Page
from onebrain._core.service import DELETE, GET, PATCH, POST, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read, rows
from onebrain.errors import OneBrainError, OneBrainNotFoundError, OneBrainValidationError
from onebrain.services.onebrain.fields import (
    SOURCE_TYPES,
    item_fields,
    memory_fields,
    moment,
    plain,
    reserved_form,
    title_of,
    with_annotations,
)
from onebrain.services.onebrain.models import (
    BatchResult,
    Consolidation,
    EmbeddingStatus,
    Extracted,
    ImportResult,
    Json,
    Memory,
    MemoryDuplicate,
    MemoryHit,
    MemoryStatus,
    MemoryType,
    Proposal,
    Proposals,
    ReindexResult,
    SearchMode,
    SearchResults,
    SourceType,
)
from onebrain.services.onebrain.resources.resource import (
    Resource,
    check_limit,
    chunks,
    noted,
    one_of,
    strings,
)

MOST_HITS = 50
_IMPORT = 100
_BATCH = 10


class Memories(Resource[Mode]):
    """Memories: texts with a type, tags and metadata."""

    @endpoint
    @formerly("type", "title", "body")
    def create(
        self,
        content: str | None = None,
        *,
        body: str | None = None,
        title: str | None = None,
        type: MemoryType = "fact",
        tags: Iterable[str] | None = None,
        entity_id: str | None = None,
        project_id: str | None = None,
        source: str | None = None,
        source_type: SourceType | None = None,
        confidence: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[Memory]:
        """Store a memory.

        Args:
            content: The text, at most 10,000 characters; `body` is the wire's name for it.
            body: The text, by its other name.
            title: A heading, at most 500 characters; made of the first line of the text where it is left out.
            type: The kind of memory.
            tags: Labels to search by.
            entity_id: The entity that it is about; a link is made.
            project_id: The project that it belongs to; a link is made.
            source: Where it came from, in your own words.
            source_type: Where it came from, in the wire's words; the server's default is user_input.
            confidence: 0..1; the server's default is 1.
            metadata: A JSON object of your own.
            idempotency_key: Makes the call safe to repeat, by this client and by you, on servers that honour the
                header ``Idempotency-Key`` as OneBrain's Python server does.

        Raises:
            OneBrainError: Linking failed; the memory was deleted again, or the message says that it was not.
        """
        fields = memory_fields(
            one_of(content=content, body=body),
            title=title,
            type=type,
            tags=tags,
            entity_id=entity_id,
            project_id=project_id,
            source=source,
            source_type=source_type,
            confidence=confidence,
            metadata=metadata,
        )
        return (yield from self._store(fields, idempotency_key=idempotency_key))

    def _store(self, fields: Json, *, idempotency_key: str | None = None) -> Steps[Memory]:
        """Store a memory given as the wire's fields, with its links."""
        spec = POST("/v1/memory").but(body=fields)
        if idempotency_key is not None:
            headers = {"idempotency-key": idempotency_key}
            spec = spec.but(idempotency_header="idempotency-key", headers=headers)
        row = yield from self._object(spec)
        memory = read(Memory, row, service="onebrain")
        links = (
            ("/v1/entities/{}/links", fields.get("entityId"), "about", "entity"),
            ("/v1/projects/{}/memory-links", fields.get("projectId"), "context", "project"),
        )
        if "entityId" in row or "projectId" in row:
            # The server knows these fields and made the links itself.
            return memory
        for template, owner, link_type, what in links:
            if owner is None:
                continue
            try:
                yield from self._data(POST(path(template, owner), memoryItemId=memory.id, linkType=link_type))
            except OneBrainError as error:
                raise (yield from self._undo(memory.id, error, f"linked to its {what}")) from error.__cause__
        return memory

    def _undo(self, id: str, error: OneBrainError, what: str) -> Steps[OneBrainError]:
        """Delete a memory that was stored but could not be completed, and return `error` saying so."""
        try:
            yield from self._none(DELETE(path("/v1/memory/{}", id)))
        except OneBrainError:
            return noted(error, f"the memory {id} was stored but not {what}, and could not be deleted again")
        return noted(error, f"the memory was stored but could not be {what}, so it was deleted again")

    @endpoint
    @formerly(memory_id="id")
    def get(self, id: str, *, as_of: datetime | date | str | None = None) -> Steps[Memory]:
        """Return one memory; raise `OneBrainNotFoundError` where there is none with this id.

        Args:
            id: Its id.
            as_of: Return it as it was at this moment, even if it was deleted since.

        Raises:
            UnsupportedByServer: The server keeps no past, as OneBrain's hosted one.
        """
        when = yield from self._as_of(as_of)
        return (yield from self._one(Memory, GET(path("/v1/memory/{}", id), asOf=when)))

    def _as_of(self, when: datetime | date | str | None) -> Steps[str | None]:
        """Return a moment for the wire; a server that does not know the parameter would answer with the present."""
        if when is None:
            return None
        text = moment("as_of", when)
        if not (yield from self._service.has("memory.asOf")):
            raise self._service.lacks("memories as they were at an earlier moment")
        return text

    @endpoint
    def get_many(self, ids: Iterable[str]) -> Steps[tuple[Memory, ...]]:
        """Return the memories with these ids, in the order of `ids`; those that do not exist are left out.

        One request on servers with the feature ``memory.lookup``, else one for each id.
        """
        wanted = strings("ids", ids)
        found: dict[str, Memory] = {}
        if len(wanted) > 2 and (yield from self._service.has("memory.lookup")):
            for some in chunks(wanted, _IMPORT):
                spec = POST("/v1/memory/lookup", ids=list(some)).but(safe=True)
                for memory in (yield from self._many(Memory, spec)):
                    found[memory.id] = memory
        else:
            for id in wanted:
                try:
                    found[id] = yield from self._one(Memory, GET(path("/v1/memory/{}", id)))
                except OneBrainNotFoundError:
                    continue
        return tuple(found[id] for id in wanted if id in found)

    @endpoint
    @formerly(memory_id="id")
    def update(
        self,
        id: str,
        *,
        content: str | Unset = UNSET,
        body: str | Unset = UNSET,
        title: str | Unset = UNSET,
        confidence: float | Unset = UNSET,
        status: Literal["active", "candidate", "archived"] | Unset = UNSET,
        tags: Iterable[str] | Unset | None = UNSET,
        source: str | Unset | None = UNSET,
        metadata: Mapping[str, Any] | Unset | None = UNSET,
    ) -> Steps[Memory]:
        """Change the given fields of a memory and return it.

        New `content` gives a title that was made of the old content a new one, too; new `body` leaves the title as it
        is. `metadata` is replaced as a whole, None empties it. For `content`, `tags`, `source` and `metadata` the memory is
        read first, so that nothing else of it is lost.
        """
        text = _new_text(content, body)
        fields: Json = {"title": title, "body": text, "confidence": confidence, "status": status}
        own: Json = {} if isinstance(source, Unset) else {"source": source}
        if not isinstance(tags, Unset):
            own["tags"] = list(strings("tags", tags))
        if is_set(content) or own or is_set(metadata):
            old = yield from self._one(Memory, GET(path("/v1/memory/{}", id)))
            if is_set(content) and not is_set(title) and old.title == title_of(old.content):
                fields["title"] = title_of(str(content))
            if own or is_set(metadata):
                given = old.metadata if isinstance(metadata, Unset) else metadata
                fields["metadata"] = _annotated(given, {**old.annotations, **reserved_form(own)})
        if own.get("source") in SOURCE_TYPES:
            raise OneBrainValidationError(
                f"source: {own['source']!r} is a source_type, which is set when a memory is created and stays"
            )
        return (yield from self._one(Memory, PATCH(path("/v1/memory/{}", id), **fields, **own)))

    @endpoint
    @formerly(memory_id="id")
    def delete(self, id: str) -> Steps[None]:
        """Delete a memory; raise `OneBrainNotFoundError` where there is none with this id."""
        yield from self._none(DELETE(path("/v1/memory/{}", id)))

    @endpoint
    def search(
        self,
        query: str,
        *,
        limit: int | None = None,
        top_k: int | None = None,
        mode: SearchMode | None = None,
        alpha: float | None = None,
        type: MemoryType | None = None,
        entity_id: str | None = None,
        project_id: str | None = None,
        tags: Iterable[str] | None = None,
    ) -> Steps[SearchResults]:
        """Find the active memories that answer a query, best first.

        A server that cannot filter by type, entity, project or tags looks at its best 50, and this client filters them:
        ``exhausted`` says whether more may match.

        Args:
            query: The question or keywords.
            limit: How many hits at most, 1 to 50; the server's default is 10. `top_k` is the wire's name.
            top_k: The same, by its other name.
            mode: hybrid (the server's default), keyword or vector.
            alpha: 0..1, the weight of meaning against keywords in hybrid mode; the server's default is 0.6.
            type: Only memories of this type.
            entity_id: Only memories linked to this entity.
            project_id: Only memories linked to this project.
            tags: Only memories with all of these tags.
        """
        if limit is not None and top_k is not None:
            raise OneBrainValidationError("limit and top_k are one argument: give one of them")
        wanted = limit if limit is not None else top_k
        labels = strings("tags", tags)
        narrowed = bool(labels) or any(one is not None for one in (type, entity_id, project_id))
        spec = POST(
            "/v1/memory/search",
            query=query,
            mode=mode,
            top_k=MOST_HITS if narrowed else wanted,
            alpha=alpha,
            type=type,
            entityId=entity_id,
            projectId=project_id,
            tags=list(labels) or None,
        ).but(safe=True)
        found = yield from self._one(SearchResults, spec)
        if not narrowed:
            return found.model_copy(update={"exhausted": len(found.data) < (wanted or 10)})
        if found.filtered:
            exhausted = len(found.data) < MOST_HITS
            return found.model_copy(update={"data": found.data[:wanted], "exhausted": exhausted})
        linked = yield from self._linked(entity_id, project_id)
        hits = tuple(
            hit for hit in found.data if type in (None, hit.type) and (linked is None or hit.id in linked)
        )
        if labels:
            hits = yield from self._tagged(hits, labels)
        most = wanted or 10
        exhausted = len(found.data) < MOST_HITS and len(hits) <= most
        return found.model_copy(update={"data": hits[:most], "exhausted": exhausted})

    def _tagged(self, hits: Sequence[MemoryHit], labels: Sequence[str]) -> Steps[tuple[MemoryHit, ...]]:
        """Return the hits whose memories have all labels; the rows of a search may lack their tags."""
        whole = yield from Memories.get_many.plan(self, [hit.id for hit in hits])
        tagged = {memory.id for memory in whole if set(labels) <= set(memory.tags)}
        return tuple(hit for hit in hits if hit.id in tagged)

    @endpoint
    @formerly("type", "title", "body")
    def extract(
        self,
        text: str | None = None,
        *,
        entity_id: str | None = None,
        project_id: str | None = None,
        tags: Iterable[str] | None = None,
        ai_provider: Literal["gemini", "openai"] | None = None,
        type: MemoryType = "fact",
        title: str | None = None,
        body: str | None = None,
        source_type: SourceType | None = None,
        confidence: float | None = None,
    ) -> Steps[Extracted]:
        """Extract memories from a text, store them, and return them.

        With `body` instead of `text` it is the wire's own call: that one memory is stored as a candidate and compared with
        the active ones at once. `ai_extract` proposes without storing.

        Args:
            text: The text, at most 50,000 characters.
            entity_id: The entity that the memories are about.
            project_id: The project that they belong to.
            tags: Labels for all of them.
            ai_provider: The language model's provider, where the server has several.
            type: For `body`: its type.
            title: For `body`: its title.
            body: One memory, as it is.
            source_type: For `body`: where it came from.
            confidence: For `body`: 0..1.

        Raises:
            OneBrainError: Storing failed on the way; the message says how many memories were stored.
        """
        one_of(text=text, body=body)
        if body is not None:
            fields = memory_fields(
                body,
                title=title,
                type=type,
                tags=tags,
                entity_id=entity_id,
                project_id=project_id,
                source_type=source_type,
                confidence=confidence,
            )
            memory = yield from self._one(Memory, POST("/v1/memory/extract").but(body=fields))
            return Extracted(data=(memory,))
        spec = POST(
            "/v1/memory/ai-extract",
            text=text,
            aiProvider=ai_provider,
            store=True,
            entityId=entity_id,
            projectId=project_id,
            tags=list(strings("tags", tags)) or None,
        )
        answer = yield from self._object(spec)
        found = rows(answer, "memories", "data", service="onebrain")
        stored: list[Memory] = []
        for row in found:
            # The server stored it itself.
            if row.get("id"):
                stored.append(read(Memory, row, service="onebrain"))
                continue
            proposal = read(Proposal, row, service="onebrain")
            fields = memory_fields(
                proposal.content,
                title=proposal.title or None,
                type=proposal.type,
                tags=tags,
                entity_id=entity_id,
                project_id=project_id,
                source_type="ai_extraction",
                confidence=proposal.confidence,
            )
            try:
                stored.append((yield from self._store(fields)))
            except OneBrainError as error:
                raise noted(error, f"{len(stored)} of {len(found)} extracted memories are stored") from error
        return Extracted(data=tuple(stored), provider=answer.get("provider"))

    @endpoint
    def ai_extract(
        self, text: str, *, ai_provider: Literal["gemini", "openai"] | None = None
    ) -> Steps[Proposals]:
        """Propose memories from a text of at most 50,000 characters; nothing is stored."""
        spec = POST("/v1/memory/ai-extract", text=text, aiProvider=ai_provider).but(safe=True)
        return (yield from self._one(Proposals, spec))

    @endpoint
    def parse_chat(
        self, transcript: str, *, format: Literal["auto", "user-assistant", "timestamp"] | None = None
    ) -> Steps[Proposals]:
        """Propose memories from a chat of at most 100,000 characters; nothing is stored as a memory."""
        return (
            yield from self._one(
                Proposals, POST("/v1/memory/parse-chat", transcript=transcript, format=format)
            )
        )

    @endpoint
    def ingest_url(self, url: str) -> Steps[Proposals]:
        """Let the server fetch an https page and propose memories from it; nothing is stored as a memory."""
        return (yield from self._one(Proposals, POST("/v1/memory/ingest-url", url=url)))

    @endpoint
    def upload(
        self, file: bytes, *, filename: str, media_type: str = "application/octet-stream"
    ) -> Steps[Proposals]:
        """Propose memories from a .txt, .csv, .json, .pdf or .docx file of at most 10 MB."""
        if not isinstance(file, bytes):
            raise OneBrainValidationError("file: must be the file's bytes, as from Path(...).read_bytes()")
        form = ([("file", (filename, file, media_type))], cast("Json", {}))
        return (yield from self._one(Proposals, POST("/v1/memory/upload").but(form=form)))

    @endpoint
    def batch(self, items: Iterable[Mapping[str, Any] | str]) -> Steps[BatchResult]:
        """Store memories as candidates for review, ten to a request.

        Raises:
            OneBrainError: A request failed; the message says how many memories earlier ones stored.
        """
        wire = [item_fields(item) for item in items]
        made: list[Memory] = []
        created = duplicates = 0
        for some in chunks(wire, _BATCH):
            try:
                result = yield from self._one(BatchResult, POST("/v1/memory/batch").but(body=list(some)))
            except OneBrainError as error:
                raise noted(error, f"{created} of {len(wire)} memories were stored before") from error
            made.extend(result.data)
            created, duplicates = created + result.created, duplicates + result.duplicates
        return BatchResult(data=tuple(made), created=created, duplicates=duplicates)

    @endpoint
    def import_bulk(
        self, memories: Iterable[Mapping[str, Any] | str], *, project_id: str | None = None
    ) -> Steps[ImportResult]:
        """Store many memories and return how many; an item is a text or a dict of ``create``'s arguments.

        Items that the server's import would cut down (it keeps title, text and type only) are created one by one where it
        is such a server. Every item is checked before the first is sent.

        Raises:
            OneBrainValidationError: An item is not a memory; nothing was stored.
            OneBrainError: A request failed; the message says how many memories were stored before.
        """
        wire: list[Json] = []
        for position, item in enumerate(memories):
            try:
                wire.append(item_fields(item, project_id=project_id))
            except OneBrainValidationError as error:
                raise OneBrainValidationError(
                    f"memories[{position}]: {error.message}; nothing was stored"
                ) from None
        whole = all(plain(fields) for fields in wire) or (yield from self._service.has("memory.import"))
        data: list[Memory] = []
        errors: list[str] = []
        created = 0
        try:
            if whole:
                batches = Batches(wire, _IMPORT, self._service.byte_limit)
                for some in batches:
                    with batches.attempt():
                        spec = POST("/v1/memory/import", items=list(some))
                        result = yield from self._one(ImportResult, spec)
                        created += result.created
                        errors.extend(result.errors)
                        data.extend(result.data)
            else:
                for position, fields in enumerate(wire):
                    try:
                        data.append((yield from self._store(fields)))
                        created += 1
                    except OneBrainValidationError as error:
                        errors.append(f"memories[{position}]: {error.message}")
        except OneBrainError as error:
            raise noted(error, f"{created} of {len(wire)} memories were stored before") from error
        return ImportResult(created=created, errors=tuple(errors), data=tuple(data))

    @endpoint
    def import_memories(self, items: Iterable[Mapping[str, Any] | str]) -> Steps[ImportResult]:
        """Store many memories: `import_bulk` by the wire's name."""
        return (yield from Memories.import_bulk.plan(self, items))

    @endpoint
    def consolidate(
        self, *, type: MemoryType | None = None, threshold: float | None = None, dry_run: bool = False
    ) -> Steps[Consolidation]:
        """Merge memories that say nearly the same.

        Args:
            type: Only memories of this type.
            threshold: How similar they must be, 0.1..1.
            dry_run: Only return the memories that would be merged.
        """
        spec = POST("/v1/memory/consolidate", type=type, threshold=threshold, dryRun=dry_run)
        return (yield from self._one(Consolidation, spec))

    @endpoint
    def expire(self, *, ttl_days: int | None = None) -> Steps[int]:
        """Archive memories older than `ttl_days` (the server's default is 365) and return how many."""
        answer = yield from self._object(POST("/v1/memory/expire", ttlDays=ttl_days))
        return int(answer.get("expired") or 0)

    @endpoint
    def duplicates(self) -> Steps[tuple[MemoryDuplicate, ...]]:
        """Return pairs of memories with similar titles."""
        answer = yield from self._data(GET("/v1/memory/duplicates"))
        pairs: list[Any] = []
        for row in rows(answer, "duplicates", service="onebrain"):
            if "memoryA" in row:
                pairs.append(row)
            else:
                # One documentation shows this form: a memory with its duplicates.
                pairs.extend(
                    {"memoryA": row, "memoryB": other, "similarity": other.get("similarity") or 0.0}
                    for other in row.get("duplicates") or ()
                )
        return tuple(read(MemoryDuplicate, pair, service="onebrain") for pair in pairs)

    @endpoint
    def embedding_status(self) -> Steps[EmbeddingStatus]:
        """Return how many memories have a vector."""
        return (yield from self._one(EmbeddingStatus, GET("/v1/memory/embeddings/status")))

    @endpoint
    def reindex(
        self, *, status: Literal["failed", "missing"] | None = None, max_items: int | None = None
    ) -> Steps[ReindexResult]:
        """Make vectors for memories that have none; at most `max_items` (1..1000, the server's default is 500)."""
        spec = POST("/v1/memory/embeddings/reindex", status=status, maxItems=max_items)
        return (yield from self._one(ReindexResult, spec))

    def _list(
        self,
        *,
        type: MemoryType | None = None,
        status: MemoryStatus | None = None,
        search: str | None = None,
        entity_id: str | None = None,
        project_id: str | None = None,
        tags: Iterable[str] | None = None,
        as_of: datetime | date | str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> Steps[Page[Memory]]:
        """List memories, newest first.

        ``list`` returns one page with ``data`` and ``meta``, ``all`` iterates over the rows of all pages. Filters that the
        server does not have are applied here, so a page may hold fewer rows than `limit` and still have a next one.

        Args:
            type: Only this type.
            status: Only this status; without it archived memories are listed, too.
            search: Only memories with this text in title or content, regardless of case.
            entity_id: Only memories linked to this entity.
            project_id: Only memories linked to this project.
            tags: Only memories with all of these tags.
            as_of: List them as they were at this moment, those included that were deleted since; without `entity_id` and
                `project_id`, for links have no past.
            cursor: ``page.meta.cursor`` of the page before.
            limit: Rows of a page, 1 to 100; the server's default is 20.

        Raises:
            UnsupportedByServer: `as_of` was given, and the server keeps no past, as OneBrain's hosted one.
        """
        check_limit(limit)
        labels = strings("tags", tags)
        when = yield from self._as_of(as_of)
        spec = GET(
            "/v1/memory",
            type=type,
            status=status,
            search=search,
            entityId=entity_id,
            projectId=project_id,
            tags=list(labels) or None,
            asOf=when,
            cursor=cursor,
            limit=limit,
        )
        found = yield from self._page(Memory, spec)
        if not labels and entity_id is None and project_id is None:
            return found
        linked = yield from self._linked(entity_id, project_id)
        kept: Sequence[Memory] = [
            memory
            for memory in found.data
            if set(labels) <= set(memory.tags) and (linked is None or memory.id in linked)
        ]
        return Page(tuple(kept), found.meta)

    all = listing(_list)
    list = endpoint(_list)


def _new_text(content: str | Unset, body: str | Unset) -> str | Unset:
    """Return the new text of a memory, which has two names."""
    if is_set(content) and is_set(body):
        raise OneBrainValidationError("content and body are one field: give one of them")
    text = content if is_set(content) else body
    if is_set(text) and (not isinstance(text, str) or not text.strip()):
        raise OneBrainValidationError("content: must be text that is not blank; delete the memory instead")
    return text


def _annotated(metadata: Mapping[str, Any] | None, annotations: Mapping[str, Any]) -> Json | None:
    """Return metadata with the annotations that have a value."""
    kept = {name: value for name, value in annotations.items() if value not in (None, [])}
    return with_annotations(metadata or None, kept)

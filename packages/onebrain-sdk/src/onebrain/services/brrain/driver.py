"""bRRAIn as a brain.

Where the parts of a scope go: the space is a workspace (none: the key's own), the agent is ``metadata.source``, user
and session are tags to filter by, and all four are in the metadata, under one reserved key
(`onebrain.memory.envelope`). Memories of other programs are read, too: their space is their workspace, its agent
what the metadata name as source. A search without a space looks where the key looks by itself, which may be one
workspace only.

bRRAIn cannot list and cannot update, and neither is pretended: `Brain.list`, `count`, `forget` and `update` are refused,
and so is a search without a query. A memory can be read as soon as it is stored; a search finds it when its embedding
is made, which ``wait=True`` waits for.

A memory cannot be marked as superseded once it is stored. The one that supersedes it has its id in its metadata and as a tag,
and each search and each read by id sends one more request, for the memories with such a tag.

bRRAIn refuses a text that its workspace holds already. As a brain keeps every memory, a second copy is stored with an
invisible mark behind it, which is taken off again when it is read.

Scores are the relevance scores of the service, 0..1. Of a query, the first 4,000 characters count.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Unpack, cast

from onebrain._core.client import ClientOptions, DriverKeywords
from onebrain._core.codec import is_sequence
from onebrain._core.paging import Page
from onebrain._core.steps import Delegate, Steps
from onebrain.errors import (
    ConfigurationError,
    OneBrainConflictError,
    OneBrainError,
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
    expiry,
    unsupported,
)
from onebrain.memory.envelope import KEY, Envelope, fold, mark, unfold
from onebrain.memory.filters import Cmp
from onebrain.memory.linking.fields import links_of, with_links
from onebrain.memory.models import Hit, Memory, NewMemory, Scope, SearchMode, StoreResult
from onebrain.memory.moments import instant_of
from onebrain.memory.translation import (
    addressable,
    any_stored,
    check_extra,
    comparisons,
    drafts_of,
    each,
    failed,
    in_order,
    marks,
    removed,
)
from onebrain.services.brrain import models
from onebrain.services.brrain.client import Client
from onebrain.services.brrain.service import (
    MAX_BATCH,
    MAX_CONTENT_BYTES,
    MAX_PAGE,
    NAME,
    ROUTES,
    check_content,
    make_service,
)

# The metadata fields that bRRAIn knows by name; a caller's own fields of these names travel in the envelope.
NATIVE: Final = frozenset({"category", "department", "tags", "source"})

_MODES: Final[dict[SearchMode, models.SearchMode]] = {
    "hybrid": "hybrid",
    "vector": "semantic",
    "keyword": "keyword",
}
# A query travels in the URL, which servers bound; an embedding is made from less than this, anyway.
_QUERY: Final = 4000
# Before the mark of a second copy: a line break, so that no word changes, and a character that is not shown.
_COPY: Final = "\n\u2063"
_COPY_LENGTH: Final = len(_COPY) + 40
# The tag of memories that supersede others.
_LINKED: Final = mark("l", "supersedes")
# How a service may answer an id that it cannot even read: it has no such memory.
_NO_ID: Final = frozenset({400, 414, 422})


class BrrainCapabilities(Capabilities):
    """Tags are filtered by a comma-separated list."""

    def can(self, comparison: Cmp) -> bool:
        """Return whether the service decides `comparison` exactly as we do."""
        tag: Any = comparison.value
        sayable = isinstance(tag, str) and bool(tag) and "," not in tag and tag == tag.strip()
        return sayable and super().can(comparison)


CAPABILITIES: Final = BrrainCapabilities(
    service=NAME,
    update=False,
    created_at=True,
    expiry=True,
    search_limit=MAX_PAGE,
    rechecked=True,
    batch_size=MAX_BATCH,
    list=False,
    filters={"$tags": frozenset({"contains"})},
    logic=frozenset({"all"}),
    content_limit=MAX_CONTENT_BYTES,
    consistency="eventual",
    supersede="emulated",
    validity="emulated",
)


def driver(
    url: str,
    *,
    api_key: str | None = None,
    **keywords: Unpack[DriverKeywords],
) -> BrrainDriver:
    """Return a driver for ``brrain+https://host``, with or without ``/v1``.

    Args:
        url: Where the host is; its scheme after the ``+`` is http or https.
        api_key: ``brr_live_...``; the default is ``$BRRAIN_API_KEY``.
        keywords: The options of `ClientOptions`.
    """
    base_url = url.partition("+")[2]
    if not base_url.startswith(("http://", "https://")):
        raise ConfigurationError("use a URL such as brrain+https://api.brrain.io", service=NAME)
    options = driver_options(keywords)
    service = make_service(base_url, api_key=api_key, options=options)
    return BrrainDriver(Client(Delegate(), service), options=options)


class BrrainDriver(HttpDriver):
    """Keeps memories in bRRAIn."""

    def __init__(self, client: Client[Delegate], *, options: ClientOptions) -> None:
        super().__init__(options, CAPABILITIES)
        self._client = client

    # ---- store ------------------------------------------------------------------------------------------------------

    def store(self, items: Sequence[NewMemory], /) -> Steps[Sequence[StoreResult]]:
        """Store all items in one request; those that are refused as second copies are stored once more, marked."""
        results, bodies = drafts_of(items, _body)
        left = list(bodies)
        if len(left) > 1:
            left = yield from self._store_batch(bodies, results)
        for position in left:
            try:
                results[position] = yield from self._store(bodies[position])
            except OneBrainError as error:
                if not any_stored(results):
                    raise
                results[position] = failed(error)
        return in_order(results)

    def _store_batch(
        self, bodies: Mapping[int, dict[str, Any]], results: dict[int, StoreResult]
    ) -> Steps[list[int]]:
        """Store `bodies` in one request and fill in their `results`; return the places that are to be stored alone."""
        try:
            answer = yield from self._client.memory.batch(list(bodies.values()))
        except (OneBrainValidationError, OneBrainConflictError) as error:
            # The batch was refused as a whole: find out which of its items it was.
            return self._note_stored(error, bodies, results)
        except OneBrainError as error:
            left = self._note_stored(error, bodies, results)
            if len(left) == len(bodies):
                raise
            results.update(dict.fromkeys(left, failed(error)))
            return []
        left = list[int]()
        for (position, body), item in zip(bodies.items(), answer.results, strict=True):
            if item.ok and item.id is not None:
                if item.replayed and not (yield from self._is_ours(item.id, body)):
                    left.append(position)
                else:
                    results[position] = StoreResult(id=item.id)
                continue
            refusal = _refusal(item)
            if refusal is not None:
                results[position] = failed(refusal)
            else:
                left.append(position)
        return left

    def _note_stored(
        self, error: OneBrainError, bodies: Mapping[int, dict[str, Any]], results: dict[int, StoreResult]
    ) -> list[int]:
        """Fill in the `results` of requests before the failed one; return the places that have none yet."""
        details = cast("Mapping[str, Any]", error.details or {})
        done = cast("Sequence[Mapping[str, Any]]", details.get("results", ()))
        stored = {int(item["index"]): str(item["id"]) for item in done if item["status"] == "stored"}
        left: list[int] = []
        for index, position in enumerate(bodies):
            if index in stored:
                results[position] = StoreResult(id=stored[index])
            else:
                left.append(position)
        return left

    def _store(self, body: dict[str, Any]) -> Steps[StoreResult]:
        """Store one memory, as it is or, where its text is there already, as a marked copy."""
        for attempt in (body, _copy(body)):
            try:
                stored = yield from self._client.memory.store(**attempt)
            except OneBrainConflictError as error:
                if error.in_doubt and error.existing_id is None:
                    # The text that is there may be this very memory, and its id is not known. A copy would be one too many.
                    raise
                continue
            except OneBrainValidationError as error:
                return failed(error)
            if not stored.replayed or (yield from self._is_ours(stored.id, body)):
                return StoreResult(id=stored.id)
        raise OneBrainConflictError("the service takes this text for one that it has already", service=NAME)

    def _is_ours(self, id: str, body: Mapping[str, Any]) -> Steps[bool]:
        """Return whether the memory that stood in our way is the very one that we were storing."""
        row = yield from self._row(id)
        if row is None:
            return False
        return unfold(row.metadata).text("write") == unfold(body["metadata"]).text("write")

    def settled(self, ids: Sequence[str], /) -> Steps[Sequence[str]]:
        """Return those of `ids` whose embeddings are made; one that failed will not get better by waiting."""
        ready: list[str] = []
        for id in ids:
            row = yield from self._row(id)
            status = (
                row.processing.embedding_status if row is not None and row.processing is not None else None
            )
            if row is not None and status not in ("pending", "processing", "queued"):
                ready.append(id)
        return ready

    # ---- search -----------------------------------------------------------------------------------------------------

    def search(self, request: SearchRequest, /) -> Steps[Found]:
        """Search one page."""
        if request.query is None:
            raise unsupported(self.capabilities, "searching without a query")
        if request.alpha is not None and request.mode == "hybrid":
            raise unsupported(self.capabilities, "choosing alpha", "leave it out")
        now = datetime.now(UTC)
        query = request.query[:_QUERY]
        page = yield from self._client.memory.retrieve(
            None if request.mode == "keyword" else query,
            keyword=None if request.mode == "vector" else query,
            limit=max(request.limit, 1),
            cursor=request.cursor,
            tags=[*_marks(request.scope), *(part.value for part in comparisons(request.filter))] or None,
            workspace_id=request.scope.space,
            mode=_MODES[request.mode],
        )
        hits = [
            Hit(memory=memory, score=min(1.0, max(0.0, row.relevance_score)))
            for row in page.results
            if _alive(memory := _memory(row, row.metadata, row.created_at, request.scope.space), now)
        ]
        cursor = page.next_cursor if page.has_more and page.results else None
        return Found(hits=hits, more=cursor is not None, cursor=cursor, mode=request.mode)

    def successors(self, memories: Sequence[Memory], /) -> Steps[Sequence[Memory]]:
        """Search for the memories that supersede others, or where these are many, for those that supersede each memory."""
        spaces: dict[str | None, list[Memory]] = {}
        for memory in memories:
            spaces.setdefault(memory.scope.space, []).append(memory)
        found: list[Memory] = []
        for space, some in spaces.items():
            users = {memory.scope.user for memory in some}
            user = next(iter(users)) if len(users) == 1 else None
            tags = [_LINKED, *marks(("u", user))]
            rows, more = yield from self._tagged(some[0].content, tags, space)
            found += rows
            if more:
                for memory in some:
                    found += (yield from self._tagged(memory.content, [mark("o", memory.id)], space))[0]
        return found

    def _tagged(self, query: str, tags: Sequence[str], space: str | None) -> Steps[tuple[list[Memory], bool]]:
        """Return memories with some tags, and whether there are more."""
        page = yield from self._client.memory.retrieve(
            query[:_QUERY], limit=MAX_PAGE, tags=tags, workspace_id=space, mode="semantic"
        )
        now = datetime.now(UTC)
        rows = [_memory(row, row.metadata, row.created_at, space) for row in page.results]
        return [row for row in rows if _alive(row, now)], page.has_more

    # ---- read -------------------------------------------------------------------------------------------------------

    def get(
        self, ids: Sequence[str], scope: Scope, /, *, with_embeddings: bool = False
    ) -> Steps[Sequence[Memory]]:
        """Read one by one: the service has no call for several."""
        return (yield from each(ids, lambda id: self._read(id, scope)))

    def _read(self, id: str, scope: Scope) -> Steps[Memory | None]:
        row = yield from self._row(id)
        if row is None:
            return None
        memory = _memory(row, row.metadata, row.created_at, row.workspace_id, row.updated_at)
        # An expired memory leaves the searches, but the service still gives it out by its id.
        return memory if _alive(memory, datetime.now(UTC)) and scope.covers(memory.scope) else None

    def _row(self, id: str) -> Steps[models.Memory | None]:
        if id in ROUTES or not addressable(id, 200):
            return None
        try:
            return (yield from self._client.memory.get(id))
        except OneBrainNotFoundError:
            return None
        except OneBrainError as error:
            if error.status_code in _NO_ID:
                return None
            raise

    def list(self, request: ListRequest, /) -> Steps[Page[Memory]]:
        """Refuse: the service cannot list."""
        yield from ()
        raise unsupported(self.capabilities, "listing memories without a query", "use search")

    # ---- change -----------------------------------------------------------------------------------------------------

    def update(self, id: str, changes: Changes, scope: Scope, /) -> Steps[Memory]:
        """Refuse: the service cannot update."""
        yield from ()
        raise unsupported(self.capabilities, "updating a memory", "delete it and store it again")

    def delete(self, ids: Sequence[str], scope: Scope, /) -> Steps[int]:
        """Remove one by one, after looking whether each is in the scope."""
        count = 0
        for id in ids:
            if (yield from self._read(id, scope)) is not None:
                count += yield from removed(self._client.memory.delete(id))
        return count


def _refusal(item: models.BatchItem) -> OneBrainValidationError | None:
    """Return the error for an item that was refused for good; None for a second copy, or a failure that may pass."""
    code = (item.error.code if item.error is not None else None) or ""
    if item.error is None or "validation" not in code:
        return None
    reason = item.error.message or "the service refused this memory"
    return OneBrainValidationError(reason, service=NAME, code=code)


def _body(item: NewMemory) -> dict[str, Any]:
    """Return the arguments of `memory.store` for one item."""
    check_content(item.content)
    check_extra(item.extra, ("department",), NAME)
    now = datetime.now(UTC)
    expires_at = expiry(item, now)
    write = secrets.token_hex(16)
    kept = {
        "title": item.title,
        "tags": list(item.tags) or None,
        "importance": item.importance,
        "source": item.source,
        "created_at": item.created_at,
        "expires_at": expires_at,
        "write": write,
        **links_of(item),
    }
    native = {
        "category": item.type,
        "department": item.extra.get("department"),
        "tags": [*item.tags, *_marks(item.scope), *_link_marks(item.supersedes)] or None,
        "source": item.scope.agent or item.source,
    }
    metadata = fold(item.metadata, item.scope, kept, taken=NATIVE)
    metadata.update((name, value) for name, value in native.items() if value is not None)
    body: dict[str, Any] = {"content": item.content, "metadata": metadata, "idempotency_key": write}
    if item.scope.space is not None:
        body["workspace_id"] = item.scope.space
    if expires_at is not None:
        body["ttl_seconds"] = max(1, math.ceil((expires_at - now).total_seconds()))
    return body


def _copy(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return `body` with a mark behind its text that makes it another text."""
    bits = f"{secrets.randbits(40):040b}"
    suffix = _COPY + bits.replace("0", "\u200b").replace("1", "\u200c")
    metadata: dict[str, Any] = body["metadata"]
    return {
        **body,
        "content": body["content"] + suffix,
        "metadata": {**metadata, KEY: {**metadata[KEY], "copy": True}},
        "idempotency_key": f"{body['idempotency_key']}-copy",
    }


def _text(content: str, envelope: Envelope) -> str:
    """Return a stored text without the mark of a copy."""
    if envelope.kept.get("copy") is True and content[-_COPY_LENGTH:].startswith(_COPY):
        return content[:-_COPY_LENGTH]
    return content


def _memory(
    row: models.Memory | models.Hit,
    metadata: Mapping[str, Any],
    created_at: datetime | None,
    space: str | None,
    updated_at: datetime | None = None,
) -> Memory:
    """Return a row as a memory; `space` is the workspace that it was found in, where that is known."""
    envelope = unfold(metadata, taken=NATIVE)
    source, category = metadata.get("source"), metadata.get("category")
    native: Any = metadata.get("tags")
    if envelope.ours:
        scope, tags, source = envelope.scope, envelope.texts("tags") or (), envelope.text("source")
    else:
        source = source if isinstance(source, str) and source.strip() else None
        scope = Scope(space, agent=source)
        tags = tuple(map(str, native)) if is_sequence(native) else ()
    department = metadata.get("department")
    memory = Memory(
        id=row.id,
        content=_text(row.content, envelope),
        scope=scope,
        title=envelope.text("title"),
        type=category if isinstance(category, str) else None,
        tags=tags,
        metadata=envelope.metadata,
        importance=envelope.number("importance"),
        source=source,
        created_at=envelope.instant("created_at") or instant_of(created_at),
        updated_at=instant_of(updated_at),
        expires_at=envelope.instant("expires_at"),
        extra={} if department is None else {"department": department},
    )
    return with_links(memory, metadata, envelope)


def _marks(scope: Scope) -> list[str]:
    """Return the tags that stand for a scope's user and session."""
    return marks(("u", scope.user), ("s", scope.session))


def _link_marks(supersedes: Sequence[str]) -> list[str]:
    """Return the tags by which a memory is found that supersedes others: one for all such memories, and one for each id."""
    return [_LINKED, *(mark("o", id) for id in supersedes)] if supersedes else []


def _alive(memory: Memory, now: datetime) -> bool:
    return memory.expires_at is None or memory.expires_at > now


__all__ = ["CAPABILITIES", "BrrainDriver", "driver"]

"""The driver for OneBrain, hosted or self-hosted: ``onebrain+https://host/api/eu``.

Where things go:

* The whole scope is in the metadata, with everything else that the wire has no field for, and is checked on every memory
  that comes back.
* ``space`` is a project and ``user`` an entity of type person, both found by name or made, and linked to the memory, so that
  OneBrain's own pages show it there; ``links=False`` saves these requests.
* ``session`` also puts one opaque word into the title, and so does ``pinned``: lists can be narrowed by a text in the title,
  and by nothing else that a scope says.
* A type that OneBrain does not have is kept in the metadata and stored as a fact.
* A memory names those that it supersedes in its metadata. They are archived, with its id in theirs, so that other clients of
  OneBrain do not find them, either.

* Entities are the account's own, those made in OneBrain's console included; extracting asks the server to read one memory
  after the other, with its model where it has one. The links that stand for ``user`` are not shown as mentions. An entity is
  removed by its links to the memories of a scope, and itself where none is left.

What it costs: the hosted server's search looks at its best 50 of the whole account, and its rows come without metadata. So
the memories behind them are read, at most one request for each. Where a scope leaves fewer than asked for, up to
``scan_limit`` memories (1,000) are listed, newest first, and ranked here by the words they share with the query; the result
says ``exhausted=False`` where even that did not reach the end. OneBrain's own Python server filters by scope itself and
returns whole memories, and none of this happens there.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, Unpack, cast, get_args

from onebrain._core.batches import Batches
from onebrain._core.client import ClientOptions, DriverKeywords
from onebrain._core.codec import UNSET, is_object
from onebrain._core.paging import Page, PageMeta
from onebrain._core.service import DELETE, GET, PATCH, POST, path
from onebrain._core.steps import Delegate, Steps
from onebrain._core.wire import read, rows
from onebrain.errors import (
    ConfigurationError,
    OneBrainError,
    OneBrainInternalError,
    OneBrainNotFoundError,
    OneBrainValidationError,
)
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.driver import (
    Changes,
    Found,
    HttpDriver,
    ListRequest,
    Mention,
    SearchRequest,
    driver_options,
    unsupported,
)
from onebrain.memory.entities import THING, Entity
from onebrain.memory.envelope import KEY, fold, mark, unfold
from onebrain.memory.filters import TRUE, Filter
from onebrain.memory.linking.fields import (
    Links,
    changed_links,
    has_begun,
    is_hidden,
    kept_marks,
    links_of,
    relinked,
    with_links,
)
from onebrain.memory.locks import KeyedLock
from onebrain.memory.models import Hit, Memory, NewMemory, Scope, SearchMode, StoreResult
from onebrain.memory.translation import (
    addressable,
    any_stored,
    check_extra,
    comparisons,
    drafts_of,
    failed,
    in_order,
    marks,
    removed,
    sequence,
    unknown_id,
)
from onebrain.memory.words import share_of, text_of
from onebrain.services.onebrain import models as wire
from onebrain.services.onebrain.client import Client
from onebrain.services.onebrain.fields import CONTENT_LIMIT, TITLE_LIMIT, title_of, units
from onebrain.services.onebrain.resources.memory import MOST_HITS
from onebrain.services.onebrain.resources.resource import MAX_PAGE, noted
from onebrain.services.onebrain.resources.resource import page as page_of
from onebrain.services.onebrain.service import OneBrainService, enveloped

CAPABILITIES: Final = Capabilities(
    service="onebrain",
    archive=True,
    search_limit=MOST_HITS,
    newest=False,
    rechecked=True,
    batch_size=MAX_PAGE,
    orders=frozenset({"-created_at"}),
    filters={
        "$type": frozenset({"eq"}),
        "$archived": frozenset({"eq"}),
        "$pinned": frozenset({"eq"}),
    },
    logic=frozenset({"all"}),
    content_limit=CONTENT_LIMIT,
    entities=True,
    supersede="emulated",
    validity="emulated",
)

_TYPES: Final = frozenset(get_args(wire.MemoryType))
_EXTRA: Final = {"confidence": "confidence", "sourceType": "sourceType", "source_type": "sourceType"}
_KEPT: Final = ("tags", "importance", "source", "pinned", "type")
_PINNED: Final = "obpinned"
_WORD: Final = re.compile(r"\w+")
_FORMAT: Final = 1
# Archived memories that a search makes room for.
_ARCHIVED: Final = 10
# The most memories that one request deletes.
_FORGOTTEN: Final = 500
# The most entities that /v1/entities/graph returns.
_GRAPH_ROWS: Final = 200
_OWNER_TYPE: Final = "person"
_OWNER_LINK: Final = "user"
# The driver has a method named list, which hides the type.
Rows: TypeAlias = list[Memory]
Hits: TypeAlias = list[Hit]


def driver(
    url: str,
    *,
    api_key: str | None = None,
    access_token: str | None = None,
    links: bool = True,
    scan_limit: int = 1000,
    **keywords: Unpack[DriverKeywords],
) -> OneBrainDriver:
    """Return the driver for ``onebrain+https://host/api/eu``, with or without the API's ``/v1``.

    Args:
        url: Where the API is; ``onebrain:`` alone is the default region.
        api_key: The key; ``$ONEBRAIN_API_KEY`` where left out.
        access_token: The access token of a login, instead of a key.
        links: Make and link projects for spaces and entities for users.
        scan_limit: How many memories one search may list at most, where the server cannot filter by scope itself.
        keywords: The options of `ClientOptions`.
    """
    base_url: str | None = url.partition("+")[2]
    if not base_url and url.rstrip("/").lower() != "onebrain:":
        raise ConfigurationError("an OneBrain URL looks like 'onebrain+https://onebrain.rocks/api/eu'")
    if isinstance(scan_limit, bool) or not isinstance(scan_limit, int) or scan_limit < 0:
        raise ConfigurationError(f"scan_limit: must be 0 or more, not {scan_limit!r:.40}")
    options = driver_options(keywords)
    service = OneBrainService(
        api_key=api_key, base_url=base_url or None, access_token=access_token, options=options
    )
    return OneBrainDriver(service, options=options, links=links, scan_limit=scan_limit)


class OneBrainDriver(HttpDriver):
    """Translates between `Brain` and OneBrain.

    Example:
        >>> made = driver("onebrain+https://onebrain.rocks/api/eu", api_key="ob_0123456789abcdef_secret")
        >>> made.capabilities.search_limit
        50
    """

    def __init__(
        self,
        service: OneBrainService,
        *,
        options: ClientOptions,
        links: bool = True,
        scan_limit: int = 1000,
    ) -> None:
        super().__init__(options, replace(CAPABILITIES, scan_limit=scan_limit))
        self._service = service
        self._api = Client(Delegate(), service)
        self._lock = KeyedLock()
        self._owners = (
            (
                _Owners("/v1/projects", {}, "/v1/projects/{}/memory-links", "space"),
                _Owners("/v1/entities", {"type": _OWNER_TYPE}, "/v1/entities/{}/links", _OWNER_LINK),
            )
            if links
            else ()
        )
        self._narrows: bool | None = None
        # Whether the server filters by scope, as one that searches archived memories does; None before the first search.
        self._filters: bool | None = None

    # ---- store ------------------------------------------------------------------------------------------------------

    def propose(self, messages: Sequence[tuple[str, str]], scope: Scope, /) -> Steps[Sequence[str]]:
        """Return the memories that the service proposes; it stores none of them."""
        transcript = "\n".join(f"{role.capitalize()}: {' '.join(text.split())}" for role, text in messages)
        found = yield from self._api.memory.parse_chat(transcript, format="user-assistant")
        return [proposal.content for proposal in found if proposal.content.strip()]

    def store(self, items: Sequence[NewMemory], /) -> Steps[Sequence[StoreResult]]:
        """Store each memory; in one request where the server's import keeps everything."""
        results, drafts = drafts_of(items, _draft)
        if len(drafts) > 1 and (yield from self._service.has("memory.import")):
            results.update((yield from self._import(drafts)))
        else:
            for position, draft in drafts.items():
                try:
                    results[position] = yield from self._store(draft, items[position])
                except OneBrainError as error:
                    if not isinstance(error, OneBrainValidationError) and not any_stored(results):
                        raise
                    results[position] = failed(error)
        return in_order(results)

    def _import(self, drafts: Mapping[int, wire.Json]) -> Steps[dict[int, StoreResult]]:
        positions = list(drafts)
        results: dict[int, StoreResult] = {}
        batches = Batches(list(drafts.values()), MAX_PAGE, self._service.byte_limit)
        for bodies in batches:
            sent = positions[batches.start : batches.start + batches.size]
            try:
                with batches.attempt():
                    results.update((yield from self._import_batch(sent, bodies)))
            except OneBrainError as error:
                if error.status_code != 413 and not any_stored(results):
                    raise
                # A single memory is too large, or earlier requests have stored some: whoever asked has to learn which.
                results.update(dict.fromkeys(sent, failed(error)))
        return results

    def _import_batch(
        self, positions: Sequence[int], bodies: Sequence[wire.Json]
    ) -> Steps[dict[int, StoreResult]]:
        spec = POST("/v1/memory/import", items=list(bodies))
        answer = enveloped(self._service, (yield from self._service.ask(spec)))
        results: dict[int, StoreResult] = {}
        for position, row in zip(positions, answer.get("results") or (), strict=True):
            if row.get("status") == "failed":
                reason = str(row.get("message") or "refused")
                results[position] = failed(OneBrainValidationError(reason, service="onebrain"))
            else:
                results[position] = StoreResult(id=str(row["id"]))
        return results

    def _store(self, draft: wire.Json, item: NewMemory) -> Steps[StoreResult]:
        spec = POST("/v1/memory").but(body=draft)
        row = enveloped(self._service, (yield from self._service.ask(spec)))
        id = str(row["id"])
        try:
            # A server that knows scopes made its own links; one that does not takes no status on creation, either.
            if item.archived and row.get("status") != "archived":
                yield from self._service.ask(PATCH(path("/v1/memory/{}", id), status="archived"))
            if "scope" not in row:
                yield from self._link(id, item.scope)
        except OneBrainError as error:
            try:
                yield from self._service.ask(DELETE(path("/v1/memory/{}", id)))
            except OneBrainError:
                raise noted(
                    error, f"the memory {id} is stored, but not completely, and could not be deleted again"
                ) from error
            raise noted(
                error, "the memory could not be stored completely, so it was deleted again"
            ) from error
        return StoreResult(id=id)

    def _link(self, id: str, scope: Scope) -> Steps[None]:
        for owners in self._owners:
            name: str | None = getattr(scope, owners.part)
            if name is not None:
                owner = yield from owners.find(self._service, name[:255])
                yield from self._service.ask(
                    POST(path(owners.links, owner), memoryItemId=id, linkType=owners.part)
                )

    # ---- search -----------------------------------------------------------------------------------------------------

    def search(self, request: SearchRequest, /) -> Steps[Found]:
        """Search; a server that looks at a part of the account only says so by ``partial``."""
        # `newest` is not declared, so there is a query.
        query = request.query or ""
        plain = not request.scope and request.filter == TRUE and not request.include_archived
        # A few more, in place of archived ones.
        top = min(MOST_HITS, request.limit + _ARCHIVED * (self._filters is True)) if plain else MOST_HITS
        archived = request.include_archived or self._filters is not False
        found = yield from self._ask(request, top, archived=archived)
        self._filters = found.filtered
        mode = _mode(found.search_mode, request.mode)
        hits = yield from self._hits(found)
        left = [hit for hit in hits if not hit.memory.archived]
        if (
            len(found.data) >= MOST_HITS
            and len(left) < min(request.limit, len(hits))
            and not request.include_archived
        ):
            more = yield from self._hits((yield from self._ask(request, top, archived=False)))
            known = {hit.id for hit in hits}
            hits = sorted([*hits, *(hit for hit in more if hit.id not in known)], key=lambda hit: -hit.score)
        if request.mode == "keyword" and not found.filtered:
            # This server's keywords are a likeness of letters, which finds texts without one word in common.
            words = _words(query)
            hits = [hit for hit in hits if _shares(words, hit.memory)]
        partial = not found.filtered and mode != "vector"
        return Found(hits=hits, more=partial or len(found.data) >= top, partial=partial, mode=mode)

    def _ask(self, request: SearchRequest, top: int, *, archived: bool) -> Steps[wire.SearchResults]:
        """Search, also among archived memories if the server can: those that others supersede are archived."""
        spec = POST(
            "/v1/memory/search",
            query=request.query or "",
            mode=request.mode,
            top_k=top,
            alpha=request.alpha,
            scope=_parts(request.scope) or None,
            includeArchived=archived or None,
        ).but(safe=True)
        answer = enveloped(self._service, (yield from self._service.ask(spec)))
        return read(wire.SearchResults, answer, service="onebrain")

    def _hits(self, found: wire.SearchResults) -> Steps[Hits]:
        memories = yield from self._whole(found.data)
        return [
            Hit(memory=memories[row.id], score=min(1.0, max(0.0, row.score)))
            for row in found.data
            if row.id in memories
        ]

    def _whole(self, hits: Sequence[wire.MemoryHit]) -> Steps[dict[str, Memory]]:
        """Return the memories behind a search's rows, which come without metadata from some servers."""
        if all(hit.model_fields_set & {"metadata", "tags"} for hit in hits):
            return {hit.id: _memory(hit) for hit in hits}
        found: dict[str, Memory] = {}
        ids = [hit.id for hit in hits]
        # In small accounts the newest hundred, read in one request, include most of the hits.
        if len(ids) > 3:
            page = yield from self._api.memory.list(status="active", limit=MAX_PAGE)
            found = {row.id: _memory(row) for row in page.data if row.id in set(ids)}
        missing = [id for id in ids if id not in found]
        if missing:
            for row in (yield from self._api.memory.get_many(missing)):
                found[row.id] = _memory(row)
        return found

    # ---- read -------------------------------------------------------------------------------------------------------

    def get(
        self, ids: Sequence[str], scope: Scope, /, *, with_embeddings: bool = False
    ) -> Steps[Sequence[Memory]]:
        """Get each memory."""
        rows = yield from self._api.memory.get_many([id for id in ids if addressable(id)])
        return [memory for row in rows if scope.covers((memory := _memory(row)).scope)]

    def list(self, request: ListRequest, /) -> Steps[Page[Memory]]:
        """Return one page, newest first."""
        wanted = {part.field: part.value for part in comparisons(request.filter)}
        # Memories that others supersede are archived.
        superseded = request.include_superseded or request.at is not None
        active = not superseded and (not request.include_archived or wanted.get("$archived") is False)
        marked = marks(("s", request.scope.session)) or ([_PINNED] if wanted.get("$pinned") is True else [])
        narrows = bool(marked) and (yield from self._narrows_by_text())
        type = wanted.get("$type")
        spec = GET(
            "/v1/memory",
            type=_wire_type(type) if isinstance(type, str) else None,
            status="active" if active else None,
            search=marked[0] if narrows else None,
            cursor=request.cursor,
            limit=min(request.limit, MAX_PAGE),
        )
        reply = yield from self._service.ask(spec)
        page = page_of(wire.Memory, enveloped(self._service, reply), reply.data.get("meta"))
        memories = [_memory(row) for row in page.data]
        # Messages of one millisecond: their own numbers decide.
        order = {row.id: (row.created_at, row.annotations.get("sequence") or 0) for row in page.data}
        memories.sort(key=lambda memory: order[memory.id], reverse=True)
        exact = not request.scope and request.filter == TRUE
        meta = page.meta
        return Page(tuple(memories), meta if exact else PageMeta(meta.has_more, meta.cursor))

    def count(self, scope: Scope, filter: Filter, /, *, include_archived: bool) -> Steps[int | None]:
        """Return the server's total, which it knows of the whole account only."""
        if scope or filter != TRUE:
            return None
        request = ListRequest(limit=MAX_PAGE, include_archived=include_archived)
        page = yield from self.list(request)
        return page.meta.total

    def _narrows_by_text(self) -> Steps[bool]:
        """Return whether lists find a text in titles; a server that encrypts memories sees ciphertext there."""
        if self._narrows is None:
            newest = yield from self._api.memory.list(limit=1)
            words = _WORD.findall(newest.data[0].title) if newest.data else []
            word = max((word for word in words if word.isascii()), key=len, default="")
            if len(word) < 3:
                # There is no word to try it with. The next list tries again.
                return True
            found = yield from self._api.memory.list(search=word, limit=1)
            self._narrows = bool(found.data)
        return self._narrows

    # ---- change -----------------------------------------------------------------------------------------------------

    def update(self, id: str, changes: Changes, scope: Scope, /) -> Steps[Memory]:
        """Read the memory, change it and write it back; one writer of this process after the other."""
        return (yield from self._lock.hold(id, lambda: self._update(id, changes, scope)))

    def _update(self, id: str, changes: Changes, scope: Scope) -> Steps[Memory]:
        found = yield from self._api.memory.get_many([id] if addressable(id) else [])
        if not found or not scope.covers(_memory(found[0]).scope):
            raise unknown_id("onebrain")
        row, old, given = found[0], _memory(found[0]), dict(changes.fields)
        if "type" in given and _wire_type(given["type"]) != row.type:
            raise unsupported(CAPABILITIES, "changing the type of a memory", "delete it and store it again")
        title = given.get("title", old.title)
        kept = {name: value for name, value in row.annotations.items() if name not in ("scope", "metadata")}
        kept |= {name: given[name] for name in _KEPT if name in given} | {"title": title}
        kept |= changed_links(row.annotations, given)
        archives = given.get("archived") is True
        hidden = is_hidden(row.metadata)
        content = given.get("content", old.content)
        _check_length(content)
        spec = PATCH(
            path("/v1/memory/{}", id),
            title=_title(content, title, old.scope.session, bool(kept.get("pinned"))),
            body=content if "content" in given else UNSET,
            metadata={
                **fold(changes.metadata(old.metadata), old.scope, {**kept, "format": _FORMAT}),
                **kept_marks(row.metadata, archived=archives),
            },
            confidence=_extra(given.get("extra") or {}).get("confidence", UNSET),
            status=("archived" if archives or hidden else "active") if "archived" in given else UNSET,
            tags=list(kept.get("tags") or ()),
            source=kept.get("source"),
            importance=kept.get("importance"),
            pinned=bool(kept.get("pinned")),
        )
        answer = enveloped(self._service, (yield from self._service.ask(spec)))
        return _memory(read(wire.Memory, answer, service="onebrain"))

    def relink(self, id: str, owner: Scope, change: Callable[[Links], Links], /) -> Steps[None]:
        """Write links into the metadata of a memory; one that others supersede is archived."""
        yield from self._lock.hold(id, lambda: self._relink(id, owner, change))

    def _relink(self, id: str, owner: Scope, change: Callable[[Links], Links]) -> Steps[None]:
        found = yield from self._api.memory.get_many([id] if addressable(id) else [])
        if not found or not owner.covers(_memory(found[0]).scope):
            raise unknown_id("onebrain")
        row = found[0]
        was_hidden = is_hidden(row.metadata)
        own = row.status == "active" or was_hidden
        now = datetime.now(UTC)
        metadata = relinked(
            _metadata(row), change, row.updated_at, hides=lambda marks: own and has_begun(marks, now)
        )
        if metadata is None:
            return
        hidden = is_hidden(metadata)
        status = UNSET if hidden == was_hidden else "archived" if hidden else "active"
        yield from self._service.ask(PATCH(path("/v1/memory/{}", id), metadata=metadata, status=status))

    def delete(self, ids: Sequence[str], scope: Scope, /) -> Steps[int]:
        """Look at each memory where a scope is given, and remove it."""
        wanted = [id for id in ids if addressable(id)]
        if scope:
            wanted = [memory.id for memory in (yield from self.get(wanted, scope))]
        if len(wanted) > 1 and (yield from self._service.has("memory.forget")):
            return (yield from self._delete_together(wanted))
        gone = 0
        for id in wanted:
            gone += yield from removed(self._api.memory.delete(id))
        return gone

    def _delete_together(self, ids: Sequence[str]) -> Steps[int]:
        gone = 0
        for start in range(0, len(ids), _FORGOTTEN):
            spec = POST("/v1/memory/forget", ids=list(ids[start : start + _FORGOTTEN]))
            spec = spec.but(idempotency_header="idempotency-key")
            answer = enveloped(self._service, (yield from self._service.ask(spec)))
            gone += read(wire.Forgotten, answer, service="onebrain").count
        return gone

    # ---- entities ---------------------------------------------------------------------------------------------------

    def extract(self, memories: Sequence[Memory], /) -> Steps[int]:
        """Let the server read each memory that no entity was linked to since its last change."""
        read_at = _latest_links((yield from self._entities()))
        count = 0
        named: list[tuple[str, wire.Entity]] = []
        for memory in memories:
            changed = memory.updated_at or memory.created_at
            seen = read_at.get(memory.id)
            if seen is None or (changed is not None and seen < changed):
                answer = yield from self._api.entity.auto_extract(memory.id)
                named.extend((memory.id, one) for one in answer.extracted if one.name and not one.id)
                count += 1
        if named:
            yield from self._link_named(named)
        return count

    def _link_named(self, named: Sequence[tuple[str, wire.Entity]]) -> Steps[None]:
        """Make and link what the hosted server found: it answers with names and types, and may leave it at that."""
        ids: dict[tuple[str, str], str] = {}
        linked: set[tuple[str, str]] = set()
        for entity in (yield from self._entities()):
            ids[entity.name, entity.type.lower()] = entity.id
            linked.update(
                (entity.id, link.memory_item_id)
                for link in entity.links
                if not _stands_for_user(entity, link)
            )
        for memory_id, one in named:
            key = one.name[:255], one.type.lower()[:100] or THING
            if key not in ids:
                ids[key] = (yield from self._api.entity.create(key[0], type=key[1])).id
            if (ids[key], memory_id) not in linked:
                linked.add((ids[key], memory_id))
                yield from self._api.entity.add_link(ids[key], memory_id, link_type="mentions")

    def mentions(self, memories: Sequence[Memory], /) -> Steps[Sequence[Mention]]:
        """Find the entities that are linked to the memories."""
        by_id = {memory.id: memory for memory in memories}
        found: dict[tuple[str, str], Mention] = {}
        for row in (yield from self._entities()):
            entity = Entity(
                id=row.id,
                name=row.name,
                type=row.type.lower(),
                description=row.description,
                metadata=row.metadata or {},
            )
            for link in row.links:
                memory = by_id.get(link.memory_item_id)
                if memory is not None and not _stands_for_user(row, link):
                    found.setdefault((row.id, memory.id), Mention(memory, entity))
        return [*found.values()]

    def forget_mentions(self, entity_id: str, memories: Sequence[Memory], /) -> Steps[int]:
        """Remove the links to the memories, and the entity where it has no others."""
        ids = {memory.id for memory in memories}
        try:
            entity = yield from self._api.entity.get(entity_id)
        except OneBrainNotFoundError:
            return 0
        gone = [
            link for link in entity.links if link.memory_item_id in ids and not _stands_for_user(entity, link)
        ]
        if len(gone) == len(entity.links):
            yield from removed(self._api.entity.delete(entity_id))
        else:
            for link in gone:
                yield from removed(self._api.entity.remove_link(entity_id, link.id))
        return len({link.memory_item_id for link in gone})

    def _entities(self) -> Steps[Sequence[wire.Entity]]:
        """Return all entities with their links: in one request where there are few, else one more for each."""
        answer = enveloped(self._service, (yield from self._service.ask(GET("/v1/entities/graph"))))
        linked = {
            entity.id: entity
            for row in rows(answer, "entities", service="onebrain")
            if (entity := read(wire.Entity, row, service="onebrain")).id
        }
        if len(linked) < _GRAPH_ROWS:
            return [*linked.values()]
        cursor: str | None = None
        while True:
            page = yield from self._api.entity.list(limit=MAX_PAGE, cursor=cursor)
            for entity in page.data:
                if entity.id not in linked:
                    try:
                        linked[entity.id] = yield from self._api.entity.get(entity.id)
                    except OneBrainNotFoundError:
                        # It was removed meanwhile.
                        continue
            if not page.meta.has_more or page.meta.cursor in (None, cursor):
                return [*linked.values()]
            cursor = page.meta.cursor


class _Owners:
    """The projects or entities that stand for one part of scopes, by name; each is found or made once."""

    def __init__(self, route: str, fields: wire.Json, links: str, part: str) -> None:
        self.links = links
        self.part = part
        self._route = route
        self._fields = fields
        self._ids: dict[str, str] = {}
        self._listed = False
        self._lock = threading.Lock()

    def find(self, service: OneBrainService, name: str) -> Steps[str]:
        """Return the id for a name."""
        if not self._listed:
            yield from self._read(service)
        if name in self._ids:
            return self._ids[name]
        spec = POST(self._route, name=name, **self._fields)
        try:
            made = enveloped(service, (yield from service.ask(spec)))
        except OneBrainError as error:
            if not isinstance(error, OneBrainInternalError) and error.status_code != 409:
                raise
            # Servers answer so if another process has just made it.
            yield from self._read(service)
            if name not in self._ids:
                raise
            return self._ids[name]
        with self._lock:
            return self._ids.setdefault(name, str(made["id"]))

    def _read(self, service: OneBrainService) -> Steps[None]:
        cursor: str | None = None
        while True:
            spec = GET(self._route, limit=MAX_PAGE, cursor=cursor, **self._fields)
            reply = yield from service.ask(spec)
            page = page_of(wire.Project, enveloped(service, reply), reply.data.get("meta"))
            with self._lock:
                for owner in page.data:
                    self._ids.setdefault(owner.name, owner.id)
            cursor = page.meta.cursor
            if not page.meta.has_more:
                break
        self._listed = True


# ---- translation ----------------------------------------------------------------------------------------------------


def _draft(item: NewMemory) -> wire.Json:
    """Return the body that stores `item`."""
    _check_length(item.content)
    extra = _extra(item.extra)
    # Servers that know these fields have them on the wire, the others in the metadata.
    shared = {
        "tags": list(item.tags) or None,
        "importance": item.importance,
        "source": item.source,
        "pinned": item.pinned or None,
    }
    kept = {
        **shared,
        **links_of(item),
        "format": _FORMAT,
        "title": item.title,
        "type": item.type,
        "sequence": sequence(),
    }
    status = "archived" if item.archived else None
    own = {**shared, "scope": _parts(item.scope) or None, "status": status}
    return {
        "type": _wire_type(item.type),
        "title": _title(item.content, item.title, item.scope.session, item.pinned),
        "body": item.content,
        "metadata": fold(item.metadata, item.scope, kept),
        **extra,
        **{name: value for name, value in own.items() if value is not None},
    }


def _wire_type(type: str | None) -> str:
    """Return the type that OneBrain has for a memory's own; the memory's own is kept in the metadata."""
    return type if type is not None and type in _TYPES else "fact"


def _stands_for_user(entity: wire.Entity, link: wire.Link) -> bool:
    """Return whether a link was made by `_Owners` to say whose a memory is, which is no mention."""
    return entity.type.lower() == _OWNER_TYPE and link.link_type == _OWNER_LINK


def _latest_links(entities: Sequence[wire.Entity]) -> dict[str, datetime]:
    """Return when each memory was last linked to an entity that it mentions, by the memory's id."""
    latest: dict[str, datetime] = {}
    for entity in entities:
        for link in entity.links:
            if link.created_at is not None and not _stands_for_user(entity, link):
                seen = latest.get(link.memory_item_id, link.created_at)
                latest[link.memory_item_id] = max(seen, link.created_at)
    return latest


def _title(content: str, title: str | None, session: str | None, pinned: bool) -> str:
    words = ([mark("s", session)] if session is not None else []) + ([_PINNED] if pinned else [])
    tail = "".join(f" {word}" for word in words)
    return title_of(title or content, TITLE_LIMIT - len(tail)) + tail


def _memory(row: wire.Memory) -> Memory:
    """Return a row as a memory of ours, whoever stored it."""
    metadata = _metadata(row)
    envelope = unfold(metadata)
    ours = envelope.kept.get("format") is not None
    native: Any = (row.model_extra or {}).get("scope")
    scope = envelope.scope
    if is_object(native):
        scope = Scope(**{name: native[name] for name in _SCOPE if native.get(name) is not None})
    extra = {
        "status": "active" if is_hidden(metadata) else row.status,
        "confidence": row.confidence,
        "sourceType": row.source_type,
        "entityId": row.entity_id,
        "projectId": row.project_id,
    }
    memory = Memory(
        id=row.id,
        content=row.content,
        scope=scope,
        title=envelope.text("title") if ours else row.title or None,
        type=envelope.text("type") if ours else row.type,
        tags=envelope.texts("tags") or () if ours else row.tags,
        metadata=envelope.metadata,
        importance=envelope.number("importance"),
        source=envelope.text("source") if ours else row.source,
        pinned=envelope.kept.get("pinned") is True,
        archived=row.status != "active",
        created_at=row.created_at,
        updated_at=row.updated_at,
        extra={name: value for name, value in extra.items() if value is not None},
    )
    return with_links(memory, metadata, envelope)


def _metadata(row: wire.Memory) -> wire.Json:
    """Return the metadata of a row as it is stored."""
    return {**row.metadata, KEY: row.annotations} if row.annotations else dict(row.metadata)


_SCOPE: Final = ("space", "user", "agent", "session")


def _parts(scope: Scope) -> wire.Json:
    return {name: getattr(scope, name) for name in _SCOPE if getattr(scope, name) is not None}


def _extra(extra: Mapping[str, Any]) -> wire.Json:
    check_extra(extra, _EXTRA, "onebrain")
    return {_EXTRA[name]: value for name, value in extra.items()}


def _check_length(content: str) -> None:
    length = units(content)
    if length > CONTENT_LIMIT:
        raise OneBrainValidationError(
            f"the content has {length} UTF-16 units; onebrain takes at most {CONTENT_LIMIT}",
            service="onebrain",
        )


def _words(query: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(query)]


def _shares(words: Sequence[str], memory: Memory) -> bool:
    """Return whether a memory has one of the words, give or take an ending; scripts without spaces always pass."""
    if not all(word.isascii() for word in words):
        return True
    stems = [word[: max(4, len(word) - 2)] for word in words]
    return not stems or share_of(stems, text_of(memory)) > 0


def _mode(answered: str, asked: SearchMode) -> SearchMode:
    return cast("SearchMode", answered) if answered in get_args(SearchMode) else asked

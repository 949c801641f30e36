"""RememberOS as a brain.

Where the parts of a scope go: the space is a collection (none: ``"default"``), the user is a container tag, agent and
session are in the metadata, which holds all four once more (`onebrain.memory.envelope`). Memories that other programs
stored is read, too: its space is its collection, and its user is known where the service shows the container tag or
where a search was bound to it.

An id is ``collection/id``, since RememberOS addresses a memory by both; the service's own id works, too, with the space
named in the scope. There is no field for a title, tags or a time of the caller's own: they are kept in the metadata. So are
the ids of the memories that one supersedes, which have its id in theirs; the relations that RememberOS finds by itself are not
shown with a memory.

Scores: in vector mode the cosine; in hybrid and keyword mode the number that the service ranks by, which compares the
hits of one search and has no fixed scale (a fusion of ranks may be 0.03 at best). They are cut to 0..1, and divided by
the best one where that is above 1. RememberOS lists pinned memories first, which is none of our orders, and lists by
collection only, so a list reads the whole collection and is sorted here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, Unpack

from onebrain._core.client import ClientOptions, DriverKeywords
from onebrain._core.paging import Page
from onebrain._core.steps import Delegate, Steps
from onebrain.errors import (
    ConfigurationError,
    OneBrainError,
    OneBrainNotFoundError,
    OneBrainPermissionError,
    OneBrainResponseError,
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
from onebrain.memory.envelope import KEY, MARKS, Envelope, fold, unfold
from onebrain.memory.filters import Cmp, Filter, kind
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
    sequence,
    unknown_id,
)
from onebrain.services.rememberos import models
from onebrain.services.rememberos.client import Client
from onebrain.services.rememberos.service import (
    DEFAULT_COLLECTION,
    MAX_BULK,
    MAX_LIST,
    MAX_SEARCH,
    MAX_TEXT,
    NAME,
    make_service,
)

# The service's own values for fields that were not given; read back as "not given" unless it was.
_DEFAULTS: Final[dict[str, Any]] = {"importance": 0.7, "category": "other", "source": "api"}
_MODES: Final[dict[SearchMode, models.SearchMode]] = {
    "hybrid": "hybrid",
    "vector": "vector",
    "keyword": "text",
}
# How a host may answer an id that it cannot even read, such as one that is no UUID: it has no such memory.
_NO_ID: Final = frozenset({400, 414, 422})

Ids: TypeAlias = list[str]
# The driver has a method named list, which hides the type.
Memories: TypeAlias = list[Memory]


class RememberOSCapabilities(Capabilities):
    """Containment of JSON is equality for texts and booleans at the top of the metadata.

    Other values may be kept out of the service's sight, as exact JSON (see `onebrain.memory.envelope`).
    """

    def can(self, comparison: Cmp) -> bool:
        """Return whether the service decides `comparison` exactly as we do."""
        name, value = comparison.field, comparison.value
        # A dotted key has two readings, and ISO text is the instant of a stored date as well.
        plain = name not in (KEY, MARKS) and "." not in name and "\\" not in name
        return (
            plain
            and kind(value) in ("string", "bool")
            and instant_of(value) is None
            and super().can(comparison)
        )


CAPABILITIES: Final = RememberOSCapabilities(
    service=NAME,
    created_at=True,
    archive=True,
    search_limit=MAX_SEARCH,
    rerank=True,
    newest=False,
    rechecked=True,
    batch_size=MAX_BULK,
    filters={"*": frozenset({"eq"})},
    logic=frozenset({"all"}),
    content_limit=MAX_TEXT,
    supersede="emulated",
    validity="emulated",
)


def driver(
    url: str,
    *,
    api_key: str | None = None,
    collection: str = DEFAULT_COLLECTION,
    **keywords: Unpack[DriverKeywords],
) -> RememberOSDriver:
    """Return a driver for ``rememberos+https://host``.

    Args:
        url: Where the host is; its scheme after the ``+`` is http or https.
        api_key: ``mv_...``; the default is ``$REMEMBEROS_API_KEY``, else ``$LONGMEM_API_KEY``.
        collection: Where memories without a space go.
        keywords: The options of `ClientOptions`.
    """
    base_url = url.partition("+")[2]
    if not base_url.startswith(("http://", "https://")):
        raise ConfigurationError("use a URL such as rememberos+https://rememberos.ai", service=NAME)
    if not collection.strip():
        raise ConfigurationError("collection: must not be blank", service=NAME)
    options = driver_options(keywords)
    service = make_service(base_url, api_key=api_key, options=options)
    return RememberOSDriver(Client(Delegate(), service), collection=collection, options=options)


# Where the service puts the facts that it finds, until they are read.
_SCRATCH: Final = "onebrain-extract"


class RememberOSDriver(HttpDriver):
    """Keeps memories in RememberOS."""

    def __init__(
        self,
        client: Client[Delegate],
        *,
        collection: str = DEFAULT_COLLECTION,
        options: ClientOptions,
    ) -> None:
        super().__init__(options, CAPABILITIES)
        self._client = client
        self._default = collection
        self._lock = KeyedLock()

    # ---- store ------------------------------------------------------------------------------------------------------

    def store(self, items: Sequence[NewMemory], /) -> Steps[Sequence[StoreResult]]:
        """Store each item in its collection, one request for each collection."""
        results, bodies = drafts_of(items, self._body)
        groups: dict[str, list[int]] = {}
        for position in bodies:
            groups.setdefault(items[position].scope.space or self._default, []).append(position)
        for collection, group in groups.items():
            try:
                stored = yield from self._create(collection, [bodies[position] for position in group])
            except OneBrainError as error:
                if not any_stored(results):
                    raise
                stored = [failed(error)] * len(group)
            results.update(zip(group, stored, strict=True))
        for position, item in enumerate(items):
            id = results[position].id
            if (item.pinned or item.archived) and id is not None:
                results[position] = yield from self._mark(id, item)
        return in_order(results)

    def _create(self, collection: str, bodies: Sequence[dict[str, Any]]) -> Steps[list[StoreResult]]:
        results = (yield from self._create_batch(collection, bodies)) if len(bodies) > 1 else []
        # What a batch that was refused as a whole did not store goes one by one, to find the item at fault.
        for body in bodies[len(results) :]:
            try:
                memory = yield from self._client.memories.create(collection=collection, **body)
            except OneBrainError as error:
                if not isinstance(error, OneBrainValidationError) and not results:
                    raise
                results.append(failed(error))
            else:
                results.append(StoreResult(id=_join(collection, memory.id)))
        return results

    def _create_batch(self, collection: str, bodies: Sequence[dict[str, Any]]) -> Steps[list[StoreResult]]:
        """Store a batch in one call; return the results of all, or of those stored before the batch was refused."""
        try:
            made = yield from self._client.memories.create_many(bodies, collection=collection)
        except OneBrainError as error:
            details: Mapping[str, Any] = error.details or {}
            ids: Sequence[str] = details.get("ids", ())
            stored = [StoreResult(id=_join(collection, id)) for id in ids]
            if isinstance(error, OneBrainValidationError):
                return stored
            if not stored:
                raise
            return stored + [failed(error)] * (len(bodies) - len(stored))
        if len(made.ids) != len(bodies):
            raise OneBrainResponseError(
                f"{len(bodies)} memories were stored and {len(made.ids)} ids came", service=NAME
            )
        return [StoreResult(id=_join(collection, id)) for id in made.ids]

    def _mark(self, id: str, item: NewMemory) -> Steps[StoreResult]:
        """Pin or archive a memory that was just stored; a failure is in the result, and the memory stays."""
        collection, own = _split(id)
        try:
            if item.pinned:
                yield from self._client.intelligence.pin(own, collection=collection)
            if item.archived:
                yield from self._client.intelligence.archive(own, collection=collection)
        except OneBrainError as error:
            error.message += "; the memory is stored, but not pinned or archived as asked"
            return StoreResult(id=id, status="failed", error=error)
        return StoreResult(id=id)

    def _body(self, item: NewMemory) -> dict[str, Any]:
        check_extra(item.extra, (), NAME)
        given = {"importance": item.importance, "category": item.type, "source": item.source}
        kept = {
            **self._named(links_of(item), item.scope),
            "title": item.title,
            "tags": list(item.tags) or None,
            "created_at": item.created_at,
            "sequence": sequence(),
            "given": sorted(name for name, value in given.items() if value is not None) or None,
        }
        body = {
            "text": item.content,
            **given,
            "metadata": fold(item.metadata, item.scope, kept),
            "container_tag": item.scope.user,
        }
        return {name: value for name, value in body.items() if value is not None}

    def _named(self, links: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
        """Return the fields of links with the ids by which lists and searches name memories."""
        named = dict(links)
        for name in ("supersedes", "sources"):
            ids: Sequence[str] = named.get(name) or ()
            if ids:
                named[name] = [id if "/" in id else _join(scope.space or self._default, id) for id in ids]
        return named

    # ---- search -----------------------------------------------------------------------------------------------------

    def search(self, request: SearchRequest, /) -> Steps[Found]:
        """Search one collection or all."""
        if request.alpha is not None and request.mode == "hybrid":
            raise unsupported(self.capabilities, "choosing alpha", "leave it out")
        wanted = _containment(request.filter)
        if wanted is None:
            return Found(mode=request.mode)
        parts = {"agent": request.scope.agent, "session": request.scope.session}
        bound = {name: value for name, value in parts.items() if value is not None}
        # The user is bound by its container tag, which other programs set, too.
        if bound:
            wanted[KEY] = {"scope": bound}
        limit = min(request.limit, MAX_SEARCH)
        try:
            answer = yield from self._client.search(
                request.query or "",
                collection=request.scope.space,
                limit=limit,
                # A threshold of the vectors, while ours is one of the score.
                min_score=0.0,
                mode=_MODES[request.mode],
                metadata_filter=wanted or None,
                container_tag=request.scope.user,
                include_archived=request.include_archived,
                rerank=request.rerank,
            )
        except OneBrainNotFoundError:
            # There is no such collection.
            return Found(mode=request.mode)
        # Scores of a fusion have no fixed scale.
        scale = max(1.0, *(row.score or 0.0 for row in answer.results), 0.0)
        hits = [self._hit(row, request.scope, scale) for row in answer.results]
        reranked = bool(answer.reranked) if request.rerank else None
        return Found(hits=hits, more=len(answer.results) >= limit, mode=request.mode, reranked=reranked)

    def _hit(self, row: models.Hit, scope: Scope, scale: float) -> Hit:
        collection = scope.space or row.collection
        if collection is None:
            raise OneBrainResponseError(
                "a search of all collections was answered without saying where a memory is", service=NAME
            )
        memory = self._memory(row, collection, searched=scope.user)
        return Hit(memory=memory, score=min(1.0, max(0.0, (row.score or 0.0) / scale)))

    # ---- read -------------------------------------------------------------------------------------------------------

    def get(
        self, ids: Sequence[str], scope: Scope, /, *, with_embeddings: bool = False
    ) -> Steps[Sequence[Memory]]:
        """Read one by one: the service has no call for several."""
        return (yield from each(ids, lambda id: self._read(id, scope)))

    def _read(self, id: str, scope: Scope) -> Steps[Memory | None]:
        """Return one memory of `scope`, under the id that it was asked by."""
        address = self._address(id, scope)
        row = (yield from self._row(*address)) if address is not None else None
        if address is None or row is None:
            return None
        memory = self._memory(row, address[0])
        return memory.model_copy(update={"id": id}) if scope.covers(memory.scope) else None

    def _row(self, collection: str, own: str) -> Steps[models.Memory | None]:
        try:
            return (yield from self._client.memories.get(own, collection=collection))
        except OneBrainNotFoundError:
            return None
        except OneBrainError as error:
            if error.status_code in _NO_ID:
                return None
            raise

    def _address(self, id: str, scope: Scope) -> tuple[str, str] | None:
        """Return the collection and the service's own id; None for an id that no memory of `scope` can have."""
        collection, own = _split(id) if "/" in id else (scope.space or self._default, id)
        return (collection, own) if addressable(own, 200) and addressable(collection) else None

    def list(self, request: ListRequest, /) -> Steps[Page[Memory]]:
        """Return everything as one page, in the order of storing."""
        return Page(tuple((yield from self._everything(request.scope, request.include_archived))))

    def _everything(self, scope: Scope, include_archived: bool) -> Steps[Memories]:
        names: Ids = [scope.space] if scope.space is not None else []
        if not names:
            names = [collection.name for collection in (yield from self._client.collections.list())]
        rows: dict[str, tuple[int, Memory]] = {}
        for name in dict.fromkeys(names):
            cursor: str | None = None
            while True:
                try:
                    page = yield from self._client.memories.list(
                        collection=name, page_size=MAX_LIST, include_archived=include_archived, cursor=cursor
                    )
                except OneBrainNotFoundError:
                    # There is no such collection, or it was removed meanwhile.
                    break
                except OneBrainPermissionError:
                    if scope.space is not None:
                        raise
                    # It is restricted to other agents, so this key may not see it.
                    break
                for row in page.data:
                    memory = self._memory(row, name)
                    rows[memory.id] = (_position(row), memory)
                cursor = page.meta.cursor
                if cursor is None:
                    break
        return [memory for _, memory in sorted(rows.values(), key=lambda pair: pair[0])]

    def _memory(self, row: models.Memory, collection: str, *, searched: str | None = None) -> Memory:
        """Return a row as a memory; `searched` is the container tag that the service was told to search."""
        envelope = unfold(row.metadata)
        fields: dict[str, Any] = {
            "importance": row.importance,
            "type": row.category,
            "source": row.source,
            "created_at": instant_of(row.created_at),
        }
        if not envelope.ours:
            scope = Scope(collection, row.container_tag or searched)
        else:
            scope = envelope.scope
            scope = Scope(self._space(envelope, collection), scope.user, scope.agent, scope.session)
            given = envelope.texts("given") or ()
            for wire, default in _DEFAULTS.items():
                name = "type" if wire == "category" else wire
                if wire not in given and fields[name] == default:
                    fields[name] = None
            # The service's own field cannot be changed.
            changed = envelope.text("source")
            if changed is not None:
                fields["source"] = changed or None
            fields["created_at"] = envelope.instant("created_at") or fields["created_at"]
            fields["title"] = envelope.text("title")
            fields["tags"] = envelope.texts("tags") or ()
        memory = Memory(
            id=_join(collection, row.id),
            content=row.text,
            scope=scope,
            metadata=envelope.metadata,
            pinned=row.pinned,
            archived=row.archived,
            updated_at=instant_of(row.updated_at),
            extra={"images": [*row.images]} if row.images else {},
            **fields,
        )
        return with_links(memory, row.metadata, envelope)

    def _space(self, envelope: Envelope, collection: str) -> str | None:
        """Return the space of a memory found in `collection`.

        The collection decides, for a memory may have been moved; but one that was stored without a space has none in
        the default collection, and where a host takes two names for one collection, the name stored tells them apart.
        """
        stored = envelope.scope.space
        if stored is None:
            return None if collection == self._default else collection
        return stored if stored.strip().casefold() == collection.strip().casefold() else collection

    # ---- change -----------------------------------------------------------------------------------------------------

    def update(self, id: str, changes: Changes, scope: Scope, /) -> Steps[Memory]:
        """Read, change and write one memory.

        RememberOS replaces metadata as a whole and has no conditional writes: changes of one driver wait for each
        other, those of several processes can overwrite each other's metadata.
        """
        fields = dict(changes.fields)
        check_extra(fields.get("extra") or {}, (), NAME)
        address = self._address(id, scope)
        if address is None:
            raise unknown_id(NAME)
        collection, own = address

        def change() -> Steps[Memory]:
            row = yield from self._row(collection, own)
            memory = None if row is None else self._memory(row, collection)
            if row is None or memory is None or not scope.covers(memory.scope):
                raise unknown_id(NAME)
            patch = _patch(row, collection, changes, self._named(fields, memory.scope))
            if patch:
                yield from self._client.memories.update(own, collection=collection, **patch)
            if "pinned" in fields:
                yield from self._client.intelligence.pin(own, pinned=fields["pinned"], collection=collection)
            if "archived" in fields:
                yield from self._client.intelligence.archive(
                    own, archived=fields["archived"], collection=collection
                )
            memory = yield from self._read(id, scope)
            if memory is None:
                raise unknown_id(NAME)
            return memory

        return (yield from self._lock.hold(_join(collection, own), change))

    def relink(self, id: str, owner: Scope, change: Callable[[Links], Links], /) -> Steps[None]:
        """Write links into the metadata of a memory."""
        address = self._address(id, owner)
        if address is None:
            raise unknown_id(NAME)
        yield from self._lock.hold(_join(*address), lambda: self._relink(*address, owner, change))

    def _relink(
        self, collection: str, own: str, owner: Scope, change: Callable[[Links], Links]
    ) -> Steps[None]:
        row = yield from self._row(collection, own)
        if row is None or not owner.covers(self._memory(row, collection).scope):
            raise unknown_id(NAME)
        metadata = relinked(row.metadata, change, instant_of(row.updated_at))
        if metadata is not None:
            yield from self._client.memories.update(own, collection=collection, metadata=metadata)

    def delete(self, ids: Sequence[str], scope: Scope, /) -> Steps[int]:
        """Remove one by one; whoever names more than a space is asked to prove that the memory is in the scope."""
        count = 0
        for id in ids:
            address = self._address(id, scope)
            if address is None:
                continue
            if scope and (yield from self._read(id, scope)) is None:
                continue
            try:
                yield from self._client.memories.delete(address[1], collection=address[0])
            except OneBrainNotFoundError:
                continue
            except OneBrainError as error:
                if error.status_code in _NO_ID:
                    continue
                raise
            count += 1
        return count

    def propose(self, messages: Sequence[tuple[str, str]], scope: Scope, /) -> Steps[Sequence[str]]:
        """Return the facts that the service's model finds.

        The service stores them without a scope, beside memories of others that they would overtake. So they are stored in a
        collection of their own, and removed at once.
        """
        text = "\n".join(words for _, words in messages)
        found = yield from self._client.graph.remember(text, collection=_SCRATCH)
        if found.job_id is not None and not found.memories and found.facts:
            raise OneBrainResponseError(
                "RememberOS found the facts in a job, which does not return them; pass a model of your own",
                service=NAME,
            )
        for fact in found.memories:
            if fact.id is not None:
                try:
                    yield from self._client.memories.delete(fact.id, collection=_SCRATCH)
                except OneBrainNotFoundError:
                    continue
        # A text without facts is stored as it is.
        return [fact.text for fact in found.memories if fact.text.strip() != text.strip()]


# The form in which each field is kept in the envelope.
_KEPT_FORMS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "source": lambda value: value or "",
    "title": lambda value: value,
    "tags": lambda value: list(value or ()) or None,
    "created_at": lambda value: value,
}


def _patch(row: models.Memory, collection: str, changes: Changes, links: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `memories.update` that make the changes to `row`; `links` are those to links."""
    patch: dict[str, Any] = {}
    fields = changes.fields
    envelope = unfold(row.metadata)
    scope = envelope.scope
    kept: dict[str, Any] = dict(envelope.kept)
    # These are the envelope's own and are made anew below.
    for name in ("scope", "metadata"):
        kept.pop(name, None)
    given = set(envelope.texts("given") or ())
    # Another program stored it. From now on, the memory says itself where it belongs.
    if not envelope.ours:
        scope = Scope(collection, row.container_tag)
        kept = {"sequence": _position(row)}
        given = set(_DEFAULTS)
    if "content" in fields:
        patch["text"] = fields["content"]
    for name, wire in (("importance", "importance"), ("type", "category")):
        if name in fields:
            value = fields[name]
            patch[wire] = _DEFAULTS[wire] if value is None else value
            given = given - {wire} if value is None else given | {wire}
    kept |= {name: form(fields[name]) for name, form in _KEPT_FORMS.items() if name in fields}
    kept["given"] = sorted(given) or None
    kept |= changed_links(envelope.kept, links)
    whole = {**fold(changes.metadata(envelope.metadata), scope, kept), **kept_marks(row.metadata)}
    if whole != row.metadata:
        patch["metadata"] = whole
    return patch


def _containment(condition: Filter) -> dict[str, Any] | None:
    """Return the object that metadata must contain to match; None where nothing can match."""
    wanted: dict[str, Any] = {}
    for part in comparisons(condition):
        known = wanted.setdefault(part.field, part.value)
        if known != part.value or kind(known) != kind(part.value):
            return None
    return wanted


def _join(collection: str, id: str) -> str:
    return f"{collection}/{id}"


def _split(id: str) -> tuple[str, str]:
    collection, _, own = id.rpartition("/")
    return collection, own


def _position(row: models.Memory) -> int:
    """Return a memory's position in the order of storing; memories of other programs go by their time."""
    number = unfold(row.metadata).number("sequence")
    if number is not None:
        return int(number)
    created = instant_of(row.created_at)
    return 0 if created is None else int(created.timestamp() * 1_000_000)


__all__ = ["CAPABILITIES", "RememberOSDriver", "driver"]

"""The driver for ai-memory daemons, version 0.6.3.1 and newer, with 0.6.4 as the one it is proved on.

Where things go:

* ``space`` is the namespace, as it is where it can be one and percent-encoded where not; no space is ``global``. A
  space with ``/`` in it is a path: ai-memory's recall looks into the namespaces above it, too, and what it finds
  there is dropped here. The daemon's own namespaces (``_agents``, ``_messages/...``) are not shown.
* ``user`` and ``session`` are in the metadata, each with a tag for the daemon to filter by; ``agent`` is in the metadata
  and, where its characters allow it, the memory's ``agent_id``.
* An id of the caller's own becomes a UUID made from it, its user and its space, with a tag to find it by where a scope does
  not name both. It is in the metadata, too.
* A title has to be unique in ai-memory, so ours gets a short random word behind it, and is kept as it is in the metadata.
  A memory without a title gets one from its first words.
* Every memory is in tier ``long``, also when it expires: recalling moves the expiry of the other tiers. `importance`
  is kept exactly, and decides the priority.
* One memory is stored by the usual call. Several together, and those with an id or time of their own, are imported;
  on daemons with an embedder each of them is then touched once more, because an import makes no vectors.

Scores are ``s / (s + 5)`` in keyword mode, where ``s`` is the daemon's score without what recalling itself adds; in hybrid
mode they are the daemon's own.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, TypeAlias, Unpack, cast
from urllib.parse import quote

from onebrain._core.client import ClientOptions, DriverKeywords, client_options
from onebrain._core.codec import to_json
from onebrain._core.paging import Page, PageMeta
from onebrain._core.steps import Delegate, Steps
from onebrain.errors import (
    OneBrainConflictError,
    OneBrainError,
    OneBrainInternalError,
    OneBrainNotFoundError,
    OneBrainTransportError,
    OneBrainValidationError,
)
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.driver import (
    Changes,
    Found,
    HttpDriver,
    ListRequest,
    SearchRequest,
    expiry,
    several_with_id,
    unsupported,
)
from onebrain.memory.envelope import KEY, Envelope, Turns, fold, mark, unfold
from onebrain.memory.filters import TRUE, Cmp
from onebrain.memory.models import Hit, Memory, NewMemory, Scope, SearchMode, Status, StoreResult
from onebrain.memory.translation import (
    address_of,
    check_extra,
    drafts_of,
    failed,
    in_order,
    marks,
    offset_of,
    unknown_id,
)
from onebrain.services.ai_memory import models as wire
from onebrain.services.ai_memory import service as rules
from onebrain.services.ai_memory.client import Client
from onebrain.services.ai_memory.service import make_service

CAPABILITIES: Final = Capabilities(
    service=rules.NAME,
    client_ids=True,
    created_at=True,
    expiry=True,
    modes=frozenset[SearchMode]({"hybrid", "keyword"}),
    search_limit=rules.MOST_RECALLED,
    newest=False,
    rechecked=True,
    batch_size=rules.MOST_ROWS,
    # One tag can be filtered by, and none where a part of the scope is.
    filters={"$tags": frozenset({"contains"})},
    content_limit=rules.MOST_CONTENT_BYTES,
)

# The keys that the daemon reads in a memory's metadata; a caller's own keys of these names are kept out of its way.
NATIVE: Final = frozenset({"agent_id", "scope", "governance"})
EXTRA: Final = frozenset({"tier", "priority", "confidence", "scope", "governance"})
_SHARED: Final[tuple[str, ...]] = ("scope", "governance")
_DEFAULT_NAMESPACE: Final = "global"
_IDS: Final = uuid.UUID("6f1f5a0e-7c53-5d0b-9a50-6a8f3d1c2b4e")
_LIFETIMES: Final = {"short": timedelta(hours=6), "mid": timedelta(days=7)}
_TIER_BONUS: Final = {"long": 3.0, "mid": 1.0}

# The driver has a method named list, which hides the type.
Ids: TypeAlias = Sequence[str]
Rows: TypeAlias = list[Any]


def driver(
    url: str,
    *,
    api_key: str | None = None,
    agent_id: str | None = None,
    **keywords: Unpack[DriverKeywords],
) -> AiMemoryDriver:
    """Return the driver for ``ai-memory+http://host:9077``; the options are those of `AiMemoryClient`.

    The default of `api_key` is ``$AI_MEMORY_API_KEY``.
    """
    address, agent_id = address_of(
        url, agent_id, service=rules.NAME, option="agent_id", example="ai-memory+http://localhost:9077"
    )
    return AiMemoryDriver(
        address,
        api_key=api_key,
        agent_id=agent_id,
        options=client_options("driver", keywords),
    )


class AiMemoryDriver(HttpDriver):
    """Translates between `Brain` and an ai-memory daemon.

    Example:
        >>> AiMemoryDriver("http://localhost:9077").capabilities.consistency
        'immediate'
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        agent_id: str | None = None,
        options: ClientOptions | None = None,
    ) -> None:
        super().__init__(options or ClientOptions(), CAPABILITIES)
        service = make_service(base_url, api_key=api_key, agent_id=agent_id, options=self._options)
        self._api = Client(Delegate(), service, agent_id=agent_id)
        self._agent_id = agent_id
        self._turns = Turns()

    # ---- store ------------------------------------------------------------------------------------------------------

    def store(self, items: Sequence[NewMemory], /) -> Steps[Sequence[StoreResult]]:
        """Store one memory by the usual call, and several, or ones with an id or a past of their own, by import."""
        now = datetime.now(UTC)
        # Every memory has its own microsecond, so that lists keep the order of storing.
        times = (now + timedelta(microseconds=number) for number in count())
        results, drafts = drafts_of(items, lambda item: _draft(item, next(times), self._agent_id))
        if len(items) == 1 and drafts and drafts[0].plain:
            results[0] = yield from self._store_one(drafts[0])
            return [results[0]]
        for position in list(drafts):
            # An id that looks like the daemon's own may be the one of a memory that was stored without any.
            row = (yield from self._row(drafts[position].id)) if rules.is_uuid(drafts[position].id) else None
            if row is not None and drafts[position].replaces(row):
                results[position] = yield from self._replace(drafts.pop(position), row)
        if drafts:
            results.update((yield from self._import(drafts)))
        return in_order(results)

    def _store_one(self, draft: _Draft) -> Steps[StoreResult]:
        fields = draft.fields
        try:
            created = yield from self._api.memories.store(
                fields["title"],
                fields["content"],
                tier=fields["tier"],
                namespace=fields["namespace"],
                tags=fields["tags"],
                priority=fields["priority"],
                confidence=fields["confidence"],
                source=fields["source"],
                expires_at=fields.get("expires_at"),
                metadata={name: value for name, value in fields["metadata"].items() if name != "agent_id"},
                agent_id=fields["metadata"].get("agent_id"),
                # The title is unique, so merging happens only with an attempt of our own whose answer got lost.
                on_conflict="merge",
            )
        except OneBrainValidationError as error:
            return failed(error)
        if isinstance(created, wire.Pending):
            return StoreResult(id=created.id, status="pending")
        return StoreResult(id=created.id)

    def _import(self, drafts: Mapping[int, _Draft]) -> Steps[dict[int, StoreResult]]:
        positions = list(drafts)
        lines, lost = yield from self._import_rows([draft.fields for draft in drafts.values()])
        results = {positions[number]: failed(error) for number, error in lost.items()}
        not_sent = frozenset(results)
        problems: dict[str, Rows] = {}
        for line in lines:
            id, _, reason = line.partition(": ")
            problems.setdefault(id, []).append(reason)
        # An id twice in one import: the first was written, and the errors are those of the ones after it.
        for position in sorted(drafts.keys() - not_sent, reverse=True):
            draft = drafts[position]
            reasons = problems.get(draft.fields["id"])
            if reasons:
                results[position] = failed(_refused(reasons.pop()))
            else:
                results[position] = StoreResult(id=draft.id)
        for position in drafts:
            draft = drafts[position]
            if not results[position].ok and draft.chosen and position not in not_sent:
                row = yield from self._row(draft.fields["id"])
                # Without a row, the import failed for another reason.
                if row is not None:
                    results[position] = yield from self._replace(draft, row)
        created = [drafts[position].fields for position in drafts if results[position].status == "created"]
        if created and not not_sent:
            yield from self._embed_all(created)
        return results

    def _embed_all(self, rows: Rows) -> Steps[None]:
        """Have vectors made for imported rows where the daemon's import makes none."""
        try:
            health = yield from self._api.health()
            if health.embedder_ready and not health.import_embeds:
                for fields in rows:
                    yield from self._embed(fields)
        except (OneBrainTransportError, OneBrainInternalError):
            # The rows are stored, and an error here would lose their ids. Without vectors they are found by words.
            return

    def _import_rows(self, fields: Rows) -> Steps[tuple[Rows, dict[int, OneBrainError]]]:
        """Import rows; return the daemon's messages for those that it refused, and the errors of those that it never got."""
        problems: Rows = []
        lost: dict[int, OneBrainError] = {}
        start = imported = 0
        while start < len(fields):
            try:
                done = yield from self._api.transfer.import_(fields[start:])
            except OneBrainError as error:
                details = cast("Mapping[str, Any]", error.details or {})
                if "written" not in details:
                    raise
                problems += details["written"]["errors"]
                imported += details["written"]["imported"]
                first = start + int(details["written"]["rows"])
                if error.status_code == 413:
                    # This one row is too large; those after it are not.
                    lost[first] = error
                    start = first + 1
                    continue
                if not imported:
                    raise
                # Earlier requests have stored some, and whoever asked has to learn which.
                lost.update(dict.fromkeys(range(first, len(fields)), error))
                break
            problems += done.errors
            break
        return problems, lost

    def _embed(self, fields: Mapping[str, Any]) -> Steps[None]:
        """Have a vector made for an imported memory: the daemon's import makes none, a change of the title does."""
        try:
            yield from self._api.memories.update(fields["id"], title=fields["title"])
        except OneBrainNotFoundError:
            # It has expired, or was removed, since it was imported.
            return

    def _replace(self, draft: _Draft, row: wire.Memory) -> Steps[StoreResult]:
        """Write a memory over the one that has its id."""
        status: Status = "created" if _gone(row) else "updated"
        fields = draft.fields
        if row.expires_at is not None and fields.get("expires_at") is None:
            # Nothing else removes an expiry.
            yield from self._api.memories.promote(row.id)
        if draft.created_at is None and row.created_at is not None and not _gone(row):
            # The older memory keeps its age, which a replacement may have been given by a caller before.
            kept = unfold(row.metadata).text("created_at")
            fields["metadata"][KEY].update({"created_at": kept} if kept else {})
        else:
            fields["metadata"][KEY]["created_at"] = fields["created_at"]
        changes = {name: value for name, value in fields.items() if name in _CHANGEABLE and value is not None}
        try:
            yield from self._api.memories.update(row.id, changes)
        except OneBrainValidationError as error:
            return failed(error)
        return StoreResult(id=draft.id, status=status)

    # ---- search -----------------------------------------------------------------------------------------------------

    def search(self, request: SearchRequest, /) -> Steps[Found]:
        """Recall, or search the full text where the daemon weighs meaning and keywords were asked for."""
        if request.alpha is not None:
            raise unsupported(CAPABILITIES, "choosing the weight of meaning (alpha)", "leave `alpha` out")
        if not _satisfiable(request.filter):
            return Found(mode=request.mode)
        # A NUL in a query makes the daemon fail, and no control character is a word.
        words = _clean(request.query or "")
        if not words.strip():
            return Found(mode=request.mode)
        namespace, tag = _selection(request.scope, request.filter)
        limit = max(1, min(request.limit, rules.MOST_RECALLED))
        recalled = yield from self._api.memories.recall(words, namespace=namespace, tags=tag, limit=limit)
        mode: SearchMode = "hybrid" if recalled.mode == "hybrid" else "keyword"
        rows: Sequence[wire.Memory] = recalled.memories
        scores = [_score(row, mode) for row in recalled.memories]
        if request.mode == "keyword" and mode == "hybrid":
            # The daemon weighs meaning in every recall; its full-text search does not.
            found = yield from self._api.memories.search(words, namespace=namespace, tags=tag, limit=limit)
            rows, mode = found.memories, "keyword"
            scores = [_keyword_rank(position) for position in range(len(rows))]
        hits = [
            Hit(memory=_memory(row), score=score)
            for row, score in zip(rows, scores, strict=True)
            if _visible(row)
        ]
        hits.sort(key=lambda hit: -hit.score)
        return Found(hits=hits, more=len(rows) >= limit, mode=mode)

    # ---- read -------------------------------------------------------------------------------------------------------

    def get(
        self, ids: Sequence[str], scope: Scope, /, *, with_embeddings: bool = False
    ) -> Steps[Sequence[Memory]]:
        """Get each memory."""
        memories: Rows = []
        for id in ids:
            memories += [_memory(row) for row in (yield from self._find(id, scope))]
        return memories

    def _find(self, id: str, scope: Scope) -> Steps[Rows]:
        """Return the daemon's rows of the memories in `scope` with one of our ids: each user in each space has one."""

        def wanted(row: wire.Memory | None) -> bool:
            if row is None or _gone(row) or not _visible(row):
                return False
            memory = _memory(row)
            return memory.id == id and scope.covers(memory.scope)

        if rules.is_uuid(id):
            row = yield from self._row(id)
            if wanted(row):
                return [row]
        if scope.space is not None and scope.user is not None:
            row = yield from self._row(_wire_id(id, scope))
            return [row] if wanted(row) else []
        namespace = None if scope.space is None else _namespace(scope.space)
        rows: Rows = []
        offset = 0
        while True:
            page = yield from self._api.memories.page(
                namespace=namespace, tags=mark("i", id), limit=rules.MOST_LISTED, offset=offset
            )
            rows += filter(wanted, page.memories)
            offset += rules.MOST_LISTED
            if page.count < rules.MOST_LISTED:
                rows.sort(key=lambda row: _age(_memory(row)))
                return rows

    def _row(self, wire_id: str) -> Steps[wire.Memory | None]:
        try:
            return (yield from self._api.memories.get(wire_id))
        except OneBrainNotFoundError:
            return None

    def list(self, request: ListRequest, /) -> Steps[Page[Memory]]:
        """Return one page, in the daemon's order, which is none of ours."""
        offset = offset_of(request.cursor, rules.NAME)
        if not _satisfiable(request.filter):
            return Page(())
        found = yield from self._rows(request.scope, request.filter, request.limit, offset)
        more = found.count >= request.limit
        return Page(
            tuple(_memory(row) for row in found.memories if _visible(row)),
            PageMeta(more, str(offset + request.limit) if more else None),
        )

    def _rows(self, scope: Scope, filter: Any, limit: int, offset: int) -> Steps[wire.ListResponse]:
        namespace, tag = _selection(scope, filter)
        return (
            yield from self._api.memories.page(
                namespace=namespace, tags=tag, limit=min(limit, rules.MOST_LISTED), offset=offset
            )
        )

    # ---- change -----------------------------------------------------------------------------------------------------

    def update(self, id: str, changes: Changes, scope: Scope, /) -> Steps[Memory]:
        """Read the memory, change it and write it back; one writer of this process after the other."""
        return (yield from self._turns.take(id, lambda: self._update(id, changes, scope)))

    def _update(self, id: str, changes: Changes, scope: Scope) -> Steps[Memory]:
        rows = yield from self._find(id, scope)
        if not rows:
            raise unknown_id(rules.NAME)
        if len(rows) > 1:
            raise several_with_id(rules.NAME)
        row: wire.Memory = rows[0]
        old, given = _memory(row), changes.fields
        new = _changed(old, changes)
        extra = _checked_extra(given.get("extra") or {})
        if "expires_at" in given and new.expires_at is None and row.expires_at is not None:
            # Nothing else removes an expiry.
            yield from self._api.memories.promote(row.id)
        envelope = unfold(row.metadata, taken=NATIVE)
        fields = _fields(
            new,
            created_at=new.created_at if "created_at" in given else envelope.instant("created_at"),
            id=envelope.text("id"),
            native={name: row.metadata[name] for name in NATIVE if name in row.metadata},
            extra={**old.extra, **extra},
        )
        wanted = _columns(given, extra, ours=envelope.ours)
        update = {name: fields[name] for name in wanted if fields.get(name) is not None}
        return _memory((yield from self._api.memories.update(row.id, update)))

    def delete(self, ids: Sequence[str], scope: Scope, /) -> Steps[int]:
        """Look at each memory and remove it, if it is in `scope`."""
        gone = 0
        for id in ids:
            for row in (yield from self._find(id, scope)):
                gone += yield from self._remove(row.id)
        return gone

    def _remove(self, wire_id: str) -> Steps[int]:
        try:
            answer = yield from self._api.memories.delete(wire_id)
        except OneBrainNotFoundError as error:
            # An earlier attempt whose answer got lost may have removed it.
            return int(error.in_doubt)
        if isinstance(answer, wire.Pending):
            raise unsupported(
                CAPABILITIES,
                "deleting here without an approval",
                f"the namespace's policy made it wait as action {answer.id}",
            )
        return 1


# ---- from a memory to a row -----------------------------------------------------------------------------------------

_CHANGEABLE: Final = frozenset(
    {"title", "content", "tier", "namespace", "tags", "priority", "confidence", "expires_at", "metadata"}
)


def _changed(old: Memory, changes: Changes) -> Memory:
    """Return a memory with changes that the daemon can keep."""
    given = changes.fields
    for name in ("pinned", "archived", "embedding"):
        if given.get(name):
            raise unsupported(CAPABILITIES, f"changing `{name}`")
    update = {name: value for name, value in given.items() if name != "extra"}
    if "tags" in given:
        update["tags"] = tuple(given["tags"] or ())
    return old.model_copy(update={**update, "metadata": changes.metadata(old.metadata)})


def _columns(given: Mapping[str, Any], extra: Mapping[str, Any], *, ours: bool) -> set[str]:
    """Return the daemon's columns that a change writes; `ours` says whether this driver stored the memory."""
    wanted = {"metadata", *(extra.keys() & {"tier", "confidence", "priority"})}
    if "importance" in given:
        wanted.add("priority")
    if "content" in given:
        wanted.add("content")
    # Another client's title stays as it is, unless a new one is given.
    if "title" in given or (ours and "content" in given):
        wanted.add("title")
    if "tags" in given or not ours:
        wanted.add("tags")
    if given.get("expires_at") is not None:
        wanted |= {"expires_at", "tier"}
    return wanted


class _Draft:
    """A memory on its way to the daemon.

    Attributes:
        fields: The row.
        id: The id by which the caller will know it.
        chosen: Whether the caller chose the id.
        plain: Whether the usual call can store it.
        created_at: The time that the caller gave it, if any.
    """

    __slots__ = ("chosen", "created_at", "fields", "id", "plain", "scope")

    def __init__(self, fields: dict[str, Any], item: NewMemory, now: datetime) -> None:
        self.fields = fields
        self.id = item.id if item.id is not None else cast("str", fields["id"])
        self.chosen = item.id is not None
        self.created_at = item.created_at
        self.scope = item.scope
        past = (
            "expires_at" in fields and expiry(item, now) is not None and cast("Any", expiry(item, now)) <= now
        )
        self.plain = not self.chosen and item.created_at is None and not past

    def replaces(self, row: wire.Memory) -> bool:
        """Whether `row` is this very memory: of the same id, user and space."""
        memory = _memory(row)
        return (memory.id, memory.scope.user, memory.scope.space) == (
            self.id,
            self.scope.user,
            self.scope.space,
        )


def _draft(item: NewMemory, now: datetime, agent_id: str | None) -> _Draft:
    """Return `item` as a row; raise if ai-memory would refuse it."""
    ends = expiry(item, now)
    extra = _checked_extra(item.extra)
    wire_id = _wire_id(item.id, item.scope) if item.id is not None else str(uuid.uuid4())
    new = Memory(
        id=wire_id,
        content=item.content,
        scope=item.scope,
        title=item.title,
        type=item.type,
        tags=item.tags,
        metadata=item.metadata,
        importance=item.importance,
        source=item.source,
        created_at=item.created_at or now,
        expires_at=ends,
    )
    agent = item.scope.agent if _is_agent(item.scope.agent) else agent_id
    fields = _fields(
        new,
        created_at=None,
        id=item.id,
        native={"agent_id": agent} if agent else {},
        extra=extra,
    )
    fields |= {
        "id": wire_id,
        "created_at": _text(item.created_at or now),
        "updated_at": _text(now),
        "access_count": 0,
    }
    if ends is None and extra.get("tier") in _LIFETIMES:
        # The daemon gives a tier its lifetime only when storing, not when importing.
        fields["expires_at"] = _text(now + _LIFETIMES[extra["tier"]])
    rules.check_fields({name: fields[name] for name in ("title", "content", "namespace", "tags", "metadata")})
    return _Draft({name: value for name, value in fields.items() if value is not None}, item, now)


def _fields(
    memory: Memory,
    *,
    created_at: datetime | None,
    id: str | None,
    native: Mapping[str, Any],
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the daemon's fields for `memory`."""
    content = _clean(memory.content)
    tags = [*dict.fromkeys(_clean(tag) for tag in memory.tags if tag.strip())]
    kept = {
        "id": id,
        "title": memory.title,
        "type": memory.type,
        "importance": None if memory.importance is None else repr(memory.importance),
        "source": memory.source,
        # The daemon raises its own value at each recall.
        "priority": extra.get("priority"),
        "created_at": None if created_at is None else _text(created_at),
        # Characters that the daemon refuses, such as the line ends of Windows, are kept here.
        "content": None if content == memory.content else memory.content,
        "tags": None if tuple(tags) == memory.tags else list(memory.tags),
    }
    metadata = fold(memory.metadata, memory.scope, kept, taken=NATIVE)
    return {
        "title": _title(memory),
        "content": content,
        "namespace": _namespace(memory.scope.space),
        "tier": extra.get("tier", "long"),
        "tags": tags + _marks(memory.scope, id),
        "priority": extra.get("priority") or _priority(memory.importance),
        "confidence": extra.get("confidence", 1.0),
        "source": memory.source if memory.source in rules.SOURCES else "api",
        "expires_at": None if memory.expires_at is None else _text(memory.expires_at),
        "metadata": {
            **metadata,
            **native,
            **{name: extra[name] for name in _SHARED if name in extra},
        },
    }


def _title(memory: Memory) -> str:
    """Return a title that no other memory has, readable by people who look into the daemon."""
    words = " ".join(_clean(memory.title or memory.content).split()) or "memory"
    length = 400 if memory.title else 60
    return f"{words[:length].strip()} [{uuid.uuid4().hex[:12]}]"


def _clean(text: str) -> str:
    """Return `text` without the characters that the daemon refuses, each replaced by a space."""
    if rules.clean(text):
        return text
    return "".join(character if rules.clean(character) else " " for character in text)


def _checked_extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    check_extra(extra, EXTRA, rules.NAME)
    tier = extra.get("tier")
    if tier is not None and tier not in tuple(wire.Tier):
        raise OneBrainValidationError("extra: tier must be short, mid or long", service=rules.NAME)
    rules.check_fields({name: extra.get(name) for name in ("priority", "confidence", "scope")})
    return {
        name: str(value) if name == "tier" else value for name, value in extra.items() if value is not None
    }


def _refused(reason: str) -> OneBrainError:
    if "UNIQUE" in reason:
        return OneBrainConflictError("a memory with this id exists already", service=rules.NAME)
    # The daemon quotes parts of a refused text.
    return OneBrainValidationError(
        f"ai-memory refused the memory: {reason.partition(' (got')[0].partition(chr(39))[0]}",
        service=rules.NAME,
    )


def _wire_id(id: str, scope: Scope) -> str:
    """Return the daemon's id for one that a caller chose: a UUID made from it and from whose it is.

    An id is unique for one user in one space here, and in the whole daemon there; and because the daemon matches ids
    by their beginning, all of them must have one length.
    """
    return str(uuid.uuid5(_IDS, to_json([scope.space, scope.user, id])))


def _namespace(space: str | None) -> str:
    """Return the namespace of a space."""
    if space is None:
        return _DEFAULT_NAMESPACE
    if rules.namespace_problem(space) is None and not space.startswith("_"):
        return space
    encoded = quote(space, safe="-:@~").replace(".", "%2E").replace("_", "%5F")
    return encoded if len(encoded) <= 512 else mark("n", space)


def _marks(scope: Scope, id: str | None) -> Rows:
    """Return the tags that stand for a scope, and for an id that a caller chose."""
    return marks(("u", scope.user), ("a", scope.agent), ("s", scope.session), ("i", id))


def _selection(scope: Scope, filter: Any) -> tuple[str | None, str | None]:
    """Return the namespace and the one tag that the daemon can select by; `Brain` checks the rest."""
    tag = next(iter(marks(("s", scope.session), ("u", scope.user), ("a", scope.agent))), None)
    if (
        tag is None
        and isinstance(filter, Cmp)
        and isinstance(filter.value, str)
        and filter.value.strip()
        and rules.clean(filter.value)
    ):
        tag = filter.value
    return (None if scope.space is None else _namespace(scope.space)), tag


# ---- from a row to a memory -----------------------------------------------------------------------------------------


def _memory(row: wire.Memory) -> Memory:
    """Return a row as a memory."""
    envelope = unfold(row.metadata, taken=NATIVE)
    agent = row.metadata.get("agent_id")
    if not envelope.ours:
        return Memory(
            id=row.id,
            content=row.content,
            scope=Scope(
                space=row.namespace or None, agent=agent if isinstance(agent, str) and agent else None
            ),
            title=row.title or None,
            tags=row.tags,
            metadata=envelope.metadata,
            source=row.source,
            created_at=row.created_at,
            updated_at=row.updated_at,
            expires_at=row.expires_at,
            extra=_extra(row),
        )
    exact_tags = envelope.texts("tags")
    own = set(_marks(envelope.scope, envelope.text("id")))
    return Memory(
        id=envelope.text("id") or row.id,
        content=envelope.text("content") or row.content,
        scope=envelope.scope,
        title=envelope.text("title"),
        type=envelope.text("type"),
        tags=exact_tags if exact_tags is not None else tuple(tag for tag in row.tags if tag not in own),
        metadata=envelope.metadata,
        importance=_importance(envelope),
        source=envelope.text("source"),
        created_at=envelope.instant("created_at") or row.created_at,
        updated_at=row.updated_at,
        expires_at=row.expires_at,
        extra=_extra(row, envelope),
    )


def _extra(row: wire.Memory, envelope: Envelope | None = None) -> dict[str, Any]:
    """Return the daemon's own facts, without those that every recall changes."""
    extra: dict[str, Any] = {"tier": str(row.tier), "confidence": row.confidence}
    priority = envelope.number("priority") if envelope is not None else None
    if priority is not None:
        extra["priority"] = int(priority)
    return extra | {name: row.metadata[name] for name in _SHARED if name in row.metadata}


def _importance(envelope: Envelope) -> float | None:
    text = envelope.text("importance")
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _priority(importance: float | None) -> int:
    return 5 if importance is None else 1 + round(9 * importance)


def _visible(row: wire.Memory) -> bool:
    """Whether a row is somebody's memory: agents and messages are kept as memories by the daemon, too."""
    return not row.namespace.startswith("_") or KEY in row.metadata


def _gone(row: wire.Memory) -> bool:
    """Whether a row has expired, which the daemon still shows by its id for up to half an hour."""
    return row.expires_at is not None and row.expires_at <= datetime.now(UTC)


def _satisfiable(filter: Any) -> bool:
    """Whether any memory can match: tags are texts, so none contains anything else."""
    return filter == TRUE or not isinstance(filter, Cmp) or isinstance(filter.value, str)


def _score(row: wire.RecalledMemory, mode: SearchMode) -> float:
    """Return 0..1 for the daemon's score.

    In keyword mode that is bm25 plus bonuses; the part that earlier recalls have added is taken out again, so that the same
    search gives the same scores. It is rounded, because the bonus for being new falls a little with every second.
    """
    if mode == "hybrid":
        return min(1.0, max(0.0, row.score))
    envelope = unfold(row.metadata)
    drift = 0.1 * min(row.access_count, 50)
    if envelope.ours:
        drift += 0.5 * max(
            0, row.priority - (envelope.number("priority") or _priority(_importance(envelope)))
        )
    total = max(0.0, round(row.score - drift, 2))
    return total / (total + 5.0)


def _keyword_rank(position: int) -> float:
    """Return a score for the position in a full-text search, which gives none."""
    return 1.0 / (1.0 + position)


def _age(memory: Memory) -> datetime:
    return memory.created_at or datetime.min.replace(tzinfo=UTC)


def _text(value: datetime) -> str:
    # The daemon compares times as text, so all must have its own form.
    return value.astimezone(UTC).isoformat()


def _is_agent(value: str | None) -> bool:
    return value is not None and rules.is_agent_id(value)


__all__ = ["CAPABILITIES", "AiMemoryDriver", "driver"]

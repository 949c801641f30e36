"""The driver for ai-memory daemons, version 0.6.3.1 and newer, with 0.6.4 as the one it is proved on.

`rows` says where each part of a memory is kept.

* A space with ``/`` in it is a path: ai-memory's recall looks into the namespaces above it, too, and what it finds there is
  dropped here. The daemon's own namespaces (``_agents``, ``_messages/...``) are not shown.
* One memory is stored by the usual call. Several together, and those with an id or time of their own, are imported;
  on daemons with an embedder each of them is then touched once more, because an import makes no vectors.

* A memory has the ids of those that it supersedes in its metadata, and these have its id in theirs. The daemon's own link of
  the relation ``supersedes`` is made beside that, for other clients; searches do not read it, as that takes a request for
  each hit.

Scores are ``s / (s + 5)`` in keyword mode, where ``s`` is the daemon's score without what recalling itself adds; in hybrid
mode they are the daemon's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, TypeAlias, Unpack, cast

from onebrain._core.client import ClientOptions, DriverKeywords
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
    driver_options,
    several_with_id,
    unsupported,
)
from onebrain.memory.envelope import KEY, mark, unfold
from onebrain.memory.filters import TRUE, Cmp
from onebrain.memory.identity import owner_of
from onebrain.memory.linking.fields import (
    Links,
    Replaced,
    changed_links,
    kept_marks,
    marks_of,
    relinked,
)
from onebrain.memory.locks import KeyedLock
from onebrain.memory.models import Hit, Memory, NewMemory, Scope, SearchMode, Status, StoreResult
from onebrain.memory.translation import (
    address_of,
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
from onebrain.services.ai_memory.rows import (
    CHANGEABLE,
    NATIVE,
    Draft,
    age,
    changed,
    checked_extra,
    cleaned,
    columns,
    draft_of,
    fields_of,
    importance_of,
    is_gone,
    is_visible,
    memory_of,
    namespace_of,
    priority_of,
    wire_id_of,
)
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
    supersede="emulated",
    validity="emulated",
)

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
        options=driver_options(keywords),
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
        self._lock = KeyedLock()

    # ---- store ------------------------------------------------------------------------------------------------------

    def store(self, items: Sequence[NewMemory], /) -> Steps[Sequence[StoreResult]]:
        """Store one memory by the usual call, and several, or ones with an id or a past of their own, by import."""
        now = datetime.now(UTC)
        # Every memory has its own microsecond, so that lists keep the order of storing.
        times = (now + timedelta(microseconds=number) for number in count())
        results, drafts = drafts_of(items, lambda item: draft_of(item, next(times), self._agent_id))
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

    def _store_one(self, draft: Draft) -> Steps[StoreResult]:
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

    def _import(self, drafts: Mapping[int, Draft]) -> Steps[dict[int, StoreResult]]:
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

    def _replace(self, draft: Draft, row: wire.Memory) -> Steps[StoreResult]:
        """Write a memory over the one that has its id."""
        status: Status = "created" if is_gone(row) else "updated"
        fields = draft.fields
        former = memory_of(row)
        if not is_gone(row):
            fields["metadata"].update(kept_marks(row.metadata))
        if row.expires_at is not None and fields.get("expires_at") is None:
            # Nothing else removes an expiry.
            yield from self._api.memories.promote(row.id)
        if draft.created_at is None and row.created_at is not None and not is_gone(row):
            # The older memory keeps its age, which a replacement may have been given by a caller before.
            kept = unfold(row.metadata).text("created_at")
            fields["metadata"][KEY].update({"created_at": kept} if kept else {})
        else:
            fields["metadata"][KEY]["created_at"] = fields["created_at"]
        changes = {name: value for name, value in fields.items() if name in CHANGEABLE and value is not None}
        try:
            yield from self._api.memories.update(row.id, changes)
        except OneBrainValidationError as error:
            return failed(error)
        if former.supersedes:
            return Replaced(id=draft.id, status=status, former=former)
        return StoreResult(id=draft.id, status=status)

    # ---- search -----------------------------------------------------------------------------------------------------

    def search(self, request: SearchRequest, /) -> Steps[Found]:
        """Recall, or search the full text where the daemon weighs meaning and keywords were asked for."""
        if request.alpha is not None:
            raise unsupported(CAPABILITIES, "choosing the weight of meaning (alpha)", "leave `alpha` out")
        if not _satisfiable(request.filter):
            return Found(mode=request.mode)
        # A NUL in a query makes the daemon fail, and no control character is a word.
        words = cleaned(request.query or "")
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
            Hit(memory=memory_of(row), score=score)
            for row, score in zip(rows, scores, strict=True)
            if is_visible(row)
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
            memories += [memory_of(row) for row in (yield from self._find(id, scope))]
        return memories

    def _find(self, id: str, scope: Scope) -> Steps[Rows]:
        """Return the daemon's rows of the memories in `scope` with one of our ids: each user in each space has one."""

        def wanted(row: wire.Memory | None) -> bool:
            if row is None or is_gone(row) or not is_visible(row):
                return False
            memory = memory_of(row)
            return memory.id == id and scope.covers(memory.scope)

        if rules.is_uuid(id):
            row = yield from self._row(id)
            if wanted(row):
                return [row]
        if scope.space is not None and scope.user is not None:
            row = yield from self._row(wire_id_of(id, scope))
            return [row] if wanted(row) else []
        namespace = None if scope.space is None else namespace_of(scope.space)
        rows: Rows = []
        offset = 0
        while True:
            page = yield from self._api.memories.page(
                namespace=namespace, tags=mark("i", id), limit=rules.MOST_LISTED, offset=offset
            )
            rows += filter(wanted, page.memories)
            offset += rules.MOST_LISTED
            if page.count < rules.MOST_LISTED:
                rows.sort(key=lambda row: age(memory_of(row)))
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
            tuple(memory_of(row) for row in found.memories if is_visible(row)),
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
        return (yield from self._lock.hold(id, lambda: self._update(id, changes, scope)))

    def _update(self, id: str, changes: Changes, scope: Scope) -> Steps[Memory]:
        rows = yield from self._find(id, scope)
        if not rows:
            raise unknown_id(rules.NAME)
        if len(rows) > 1:
            raise several_with_id(rules.NAME)
        row: wire.Memory = rows[0]
        old, given = memory_of(row), changes.fields
        for name in ("pinned", "archived", "embedding"):
            if given.get(name):
                raise unsupported(CAPABILITIES, f"changing `{name}`")
        new = changed(old, changes)
        extra = checked_extra(given.get("extra") or {})
        if "expires_at" in given and new.expires_at is None and row.expires_at is not None:
            # Nothing else removes an expiry.
            yield from self._api.memories.promote(row.id)
        envelope = unfold(row.metadata, taken=NATIVE)
        fields = fields_of(
            new,
            created_at=new.created_at if "created_at" in given else envelope.instant("created_at"),
            id=envelope.text("id"),
            native={name: row.metadata[name] for name in NATIVE if name in row.metadata},
            extra={**old.extra, **extra},
            links=changed_links(envelope.kept, given),
        )
        fields["metadata"].update(kept_marks(row.metadata))
        wanted = columns(given, extra, ours=envelope.ours)
        update = {name: fields[name] for name in wanted if fields.get(name) is not None}
        return memory_of((yield from self._api.memories.update(row.id, update)))

    def relink(self, id: str, owner: Scope, change: Callable[[Links], Links], /) -> Steps[None]:
        """Write links into the metadata of a memory, and have the daemon link those that supersede it, too."""
        yield from self._lock.hold(id, lambda: self._relink(id, owner, change))

    def _relink(self, id: str, owner: Scope, change: Callable[[Links], Links]) -> Steps[None]:
        rows = [row for row in (yield from self._find(id, owner)) if owner_of(memory_of(row)) == owner]
        if not rows:
            raise unknown_id(rules.NAME)
        row: wire.Memory = rows[0]
        metadata = relinked(row.metadata, change, row.updated_at)
        if metadata is None:
            return
        before, after = ({mark.by for mark in marks_of(some)} for some in (row.metadata, metadata))
        for new in (yield from self._wire_ids(after - before, owner)):
            yield from self._api.links.create(new, row.id, wire.Relation.SUPERSEDES)
        # A link from a memory that is gone is gone, too.
        for new in (yield from self._wire_ids(before - after, owner)):
            yield from self._api.links.delete(new, row.id)
        yield from self._api.memories.update(row.id, {"metadata": metadata})

    def _wire_ids(self, ids: Iterable[str], owner: Scope) -> Steps[Ids]:
        """Return the daemon's ids of the memories with these ids that exist."""
        found: list[str] = []
        for id in ids:
            rows = yield from self._find(id, owner)
            found += [row.id for row in rows if owner_of(memory_of(row)) == owner]
        return found

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


def _refused(reason: str) -> OneBrainError:
    if "UNIQUE" in reason:
        return OneBrainConflictError("a memory with this id exists already", service=rules.NAME)
    # The daemon quotes parts of a refused text.
    return OneBrainValidationError(
        f"ai-memory refused the memory: {reason.partition(' (got')[0].partition(chr(39))[0]}",
        service=rules.NAME,
    )


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
    return (None if scope.space is None else namespace_of(scope.space)), tag


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
            0, row.priority - (envelope.number("priority") or priority_of(importance_of(envelope)))
        )
    total = max(0.0, round(row.score - drift, 2))
    return total / (total + 5.0)


def _keyword_rank(position: int) -> float:
    """Return a score for the position in a full-text search, which gives none."""
    return 1.0 / (1.0 + position)


__all__ = ["CAPABILITIES", "AiMemoryDriver", "driver"]

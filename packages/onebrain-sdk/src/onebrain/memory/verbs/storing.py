"""Storing memories, one or many, with the refusal of everything that the service would lose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final, Literal, TypeAlias, cast

from onebrain._core.codec import is_object
from onebrain._core.endpoint import endpoint
from onebrain._core.steps import Mode, Sleep, Steps
from onebrain.errors import OneBrainError, OneBrainValidationError
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.checks import check_function, check_whole
from onebrain.memory.driver import (
    unsupported,
)
from onebrain.memory.ids import Id
from onebrain.memory.models import (
    EVERYTHING,
    Hit,
    Memory,
    NewMemory,
    Scope,
    StoreResult,
    StoreResults,
)
from onebrain.memory.translation import drafts_of, in_order
from onebrain.memory.verbs.base import (
    QUERY_CHARACTERS,
    Embedding,
    check_iterable,
    check_scope,
)
from onebrain.memory.verbs.searching import Searching
from onebrain.memory.words import normalized

Storable: TypeAlias = NewMemory | Mapping[str, Any] | str

Dedupe: TypeAlias = Literal["exact"]
# The scope and the normalized text of a memory: memories are duplicates if these are equal.
_Said: TypeAlias = tuple[Scope, str]

_STORE_BATCH = 1000
_COLLECTIONS: Final = frozenset({list, tuple, set, frozenset})  # of ids
# Hits of a search for a text among which a copy of it is looked for; more of them if the last one's score is nearly as high as
# the first one's.
_COPIES: Final = 20
_MORE_COPIES: Final = 200
_AS_LIKE: Final = 0.9


class Storing(Searching[Mode]):
    """Storing memories."""

    @endpoint
    def store(
        self,
        content: Storable,
        *,
        scope: Scope = EVERYTHING,
        id: Id | None = None,
        title: str | None = None,
        type: str | None = None,
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        pinned: bool = False,
        archived: bool = False,
        created_at: datetime | None = None,
        expires_at: datetime | None = None,
        ttl: float | timedelta | None = None,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
        supersedes: Id | Iterable[Id] = (),
        sources: Id | Iterable[Id] = (),
        embedding: Embedding | Literal[False] | None = None,
        extra: Mapping[str, Any] | None = None,
        wait: bool = False,
        dedupe: Dedupe | None = None,
        similar: int = 0,
    ) -> Steps[StoreResult]:
        """Store one memory and return its id and status.

        A memory comes back byte for byte. A `NewMemory` or a dict may be given instead of text and arguments.

        Args:
            content: The text, or the whole memory.
            scope: Where it belongs.
            id: An id of your own, a string, a whole number or a UUID; storing it again replaces the memory.
            title: A short heading.
            type: A kind such as ``"fact"``.
            tags: Labels.
            metadata: A JSON object of your own, to filter on.
            importance: 0..1.
            source: Where it came from.
            pinned: Rank it first in contexts.
            archived: Keep it out of searches.
            created_at: When it happened; the default is now.
            expires_at: When it vanishes.
            ttl: How long it lives, in seconds or as a timedelta, instead of `expires_at`.
            valid_from: When it begins to hold in the world, if that is not `created_at`.
            valid_until: When it ceases to hold. It is kept; searches leave it out from then on.
            supersedes: The id or ids of memories that it replaces, of the same user and space. They are kept; searches leave
                them out while this memory is there.
            sources: The id or ids of memories that it was drawn from.
            embedding: Your own vector for it.
            extra: Fields of the service behind the brain, by its own names.
            wait: Wait until it can be read, where the service takes its time. If that takes more than a minute the
                result's status is ``pending``.
            dedupe: ``"exact"`` stores nothing if the same scope has a memory of the same text that holds, and is not
                archived. The status is then ``duplicate``, and the id is that memory's. Case, white space, closing
                punctuation and compatibility forms of Unicode make no difference. A memory that supersedes others is
                a duplicate only of one that supersedes them too. The embedded engine finds every copy. On a service, and in
                a space of the engine that is too large for memory, it is looked for among the 20 best hits of a search, or
                among 200 if the scores of these are nearly equal. Two calls at the same time may both store. None, the
                default, stores whatever is given.
            similar: The number of similar memories of this user and space to return beside the result, as a hint.

        Raises:
            OneBrainValidationError: The memory is not valid; nothing was stored.
            Unsupported: The service cannot keep a given field, such as an id of your own.
            OneBrainNotFoundError: A memory that it supersedes does not exist; nothing was stored.
        """
        given: dict[str, Any] = {
            "id": id,
            "title": title,
            "type": type,
            "tags": tags or None,
            "metadata": metadata,
            "importance": importance,
            "source": source,
            "pinned": pinned or None,
            "archived": archived or None,
            "created_at": created_at,
            "expires_at": expires_at,
            "ttl": ttl,
            "valid_from": valid_from,
            "valid_until": valid_until,
            "supersedes": _given(supersedes),
            "sources": _given(sources),
            "embedding": embedding,
            "extra": extra,
        }
        check_scope(scope)
        check_dedupe(dedupe)
        check_whole("similar", similar, 0)
        item = new_memory(content, scope, {name: value for name, value in given.items() if value is not None})
        check_storable(self.capabilities, item)
        copy = None if dedupe is None else (yield from self._copy_of(item))
        if copy is not None:
            result = StoreResult(id=copy, status="duplicate")
        else:
            (result,) = yield from self._driver.store([item])
            if result.error is not None:
                raise result.error
            if wait:
                (result,) = yield from self._settle([result])
        if similar:
            hits = yield from self._similar(item, similar, but=result.id)
            result = result.model_copy(update={"similar": hits})
        return result

    def _copy_of(self, item: NewMemory) -> Steps[str | None]:
        """Return the id of a memory of the same scope that says the same; None if there is none, or only itself."""
        wanted = _said(item)
        for memory in (yield from self._alike(item)):
            same = (memory.scope, normalized(memory.content)) == wanted and memory.id != item.id
            if same and set(item.supersedes) <= set(memory.supersedes):
                return memory.id
        return None

    def _alike(self, item: NewMemory) -> Steps[Sequence[Memory]]:
        """Return memories among which each copy of one is, as far as the service can tell."""
        if self._repeats is not None:
            known = yield from self._repeats.saying(item.scope, item.content)
            if known is not None:
                return known
        query = item.content[:QUERY_CHARACTERS]
        found = yield from Searching.search.plan(self, query, scope=item.scope, limit=_COPIES)
        if len(found) == _COPIES and found[-1].score >= _AS_LIKE * found[0].score:
            # A copy may stand behind others that are as like as it is.
            found = yield from Searching.search.plan(self, query, scope=item.scope, limit=_MORE_COPIES)
        return found.memories

    def _similar(self, item: NewMemory, count: int, *, but: str | None) -> Steps[tuple[Hit, ...]]:
        """Return memories of the same user and space that are similar to one."""
        own = Scope(space=item.scope.space, user=item.scope.user)
        found = yield from Searching.search.plan(
            self, item.content[:QUERY_CHARACTERS], scope=own, limit=count + 1
        )
        return tuple(hit for hit in found if hit.id != but)[:count]

    @endpoint
    def store_many(
        self,
        items: Iterable[Storable],
        *,
        scope: Scope = EVERYTHING,
        on_progress: Callable[[int], object] | None = None,
        wait: bool = False,
        atomic: bool = False,
        dedupe: Dedupe | None = None,
    ) -> Steps[StoreResults]:
        """Store many memories in batches and return one result for each, in order.

        A bad item fails alone: its result says why, and the others are stored. A failure of the service raises if
        nothing is stored yet. After that, the results of the failed batch and of all later ones carry the error, and
        nothing more is sent. Call ``raise_for_failures()`` on the results where a failure should raise. `items` may
        be a generator; it is read as it is stored, or at once if `atomic`.

        Args:
            items: `NewMemory` objects, dicts of the same shape, or texts.
            scope: Where they belong; a part that an item names itself wins.
            on_progress: Called after each batch with the number of items done so far.
            wait: Wait until they can be read, where the service takes its time. A memory that takes more than a minute
                has the status ``pending``.
            atomic: Check every item before the first one is stored, and raise an error instead of returning it. One
                batch is stored whole or not at all where the capability ``atomic_batch`` says so; an earlier batch
                stays.
            dedupe: ``"exact"`` stores a text once for each scope, as in `store`, also if `items` have it several times;
                this takes a search for each item.
        """
        check_scope(scope)
        check_function("on_progress", on_progress)
        check_dedupe(dedupe)
        known: dict[_Said, str] | None = None if dedupe is None else {}
        results: list[StoreResult] = []
        stopped: OneBrainError | None = None
        stored: list[StoreResult] = []
        pending = self._pending(items, scope, atomic)
        while batch := list(islice(pending, self._batch_size)):
            if stopped is None:
                try:
                    stored = yield from self._store_batch(batch, scope, known)
                except OneBrainError as error:
                    if atomic or not any(result.ok for result in results):
                        raise
                    # Earlier batches are stored, and the caller has to learn which.
                    stopped = error
            if stopped is not None:
                stored = [StoreResult(id=None, status="failed", error=stopped)] * len(batch)
            results.extend(stored)
            if atomic:
                StoreResults.trusted({"results": tuple(stored)}).raise_for_failures()
            if on_progress is not None:
                on_progress(len(results))
        if wait:
            results = yield from self._settle(results)
        return StoreResults.trusted({"results": tuple(results)})

    def _pending(self, items: Iterable[Storable], scope: Scope, atomic: bool) -> Iterator[Storable]:
        """Return the items to store, all of them checked if `atomic`."""
        if isinstance(items, str | bytes | Mapping | NewMemory):
            raise OneBrainValidationError("items: must be a list of memories, not one; use store for one")
        check_iterable("items", items)
        return iter([self._storable(raw, scope) for raw in items] if atomic else items)

    @property
    def _batch_size(self) -> int:
        return max(1, min(self.capabilities.batch_size, _STORE_BATCH))

    def _store_batch(
        self, batch: Sequence[Storable], scope: Scope, known: dict[_Said, str] | None = None
    ) -> Steps[list[StoreResult]]:
        """Store a batch; a text of `known` is a duplicate, and texts that are stored are added to it."""
        results, good = drafts_of(batch, lambda raw: self._storable(raw, scope))
        copies = {} if known is None else (yield from self._copies_among(good, known))
        fresh = {index: item for index, item in good.items() if index not in copies}
        if fresh:
            stored = yield from self._driver.store(list(fresh.values()))
            results.update(zip(fresh, stored, strict=True))
        for index, first in copies.items():
            results[index] = _duplicate(results[first] if isinstance(first, int) else first)
        if known is not None:
            known.update(
                (_said(item), id) for index, item in fresh.items() if (id := results[index].id) is not None
            )
        return in_order(results)

    def _copies_among(
        self, items: Mapping[int, NewMemory], known: Mapping[_Said, str]
    ) -> Steps[dict[int, int | str]]:
        """Return the positions of items that say what another memory says, with its id, or the position of an earlier item."""
        firsts: dict[_Said, int] = {}
        copies: dict[int, int | str] = {}
        for index, item in items.items():
            said = _said(item)
            # Of the known ones it is not known here which memories they supersede.
            copy = None if item.supersedes else known.get(said)
            copy = copy or (yield from self._copy_of(item))
            if copy is not None and copy != item.id:
                copies[index] = copy
            elif said in firsts and _repeats(item, items[firsts[said]]):
                copies[index] = firsts[said]
            else:
                firsts[said] = index
        return copies

    def _storable(self, raw: Storable, scope: Scope) -> NewMemory:
        """Return `raw` as a memory that the service can keep, or raise."""
        item = new_memory(raw, scope, {})
        check_storable(self.capabilities, item)
        return item

    def _settle(self, results: list[StoreResult]) -> Steps[list[StoreResult]]:
        """Wait, up to about a minute, until every stored memory can be read, and set its status."""
        if self.capabilities.consistency == "immediate":
            return results
        stored = list(dict.fromkeys(result.id for result in results if result.id is not None))
        missing = stored
        pause = 0.05
        while missing:
            if self._settles is not None:
                there = set((yield from self._settles.settled(missing)))
            else:
                there = {memory.id for memory in (yield from self.driver.get(missing, EVERYTHING))}
            missing = [id for id in missing if id not in there]
            if not missing or pause > 30:
                break
            yield Sleep(pause)
            pause *= 2
        late = set(missing)
        return [
            result.model_copy(update={"status": "pending"})
            if result.id in late
            else result.model_copy(update={"status": "created"})
            if result.status == "pending"
            else result
            for result in results
        ]


def check_dedupe(dedupe: object) -> None:
    """Refuse anything but ``"exact"`` and None."""
    if dedupe not in (None, "exact"):
        raise OneBrainValidationError('dedupe: must be "exact" or None')


def _said(item: NewMemory) -> _Said:
    return item.scope, normalized(item.content)


def _duplicate(first: StoreResult | str) -> StoreResult:
    """Return the result for a memory that says what another one says; it fails with the other one."""
    if isinstance(first, str):
        return StoreResult(id=first, status="duplicate")
    return first if first.id is None else StoreResult(id=first.id, status="duplicate")


def check_storable(can: Capabilities, item: NewMemory) -> None:
    """Refuse a memory of which the service would lose a field."""
    given = (
        (item.id is not None and not can.client_ids, "ids of the caller's own", "leave `id` out"),
        (
            item.embedding is not None and not can.embeddings,
            "vectors of the caller's own",
            "leave `embedding` out",
        ),
        (item.created_at is not None and not can.created_at, "a creation time of the caller's own", ""),
        ((item.expires_at or item.ttl) is not None and not can.expiry, "memories that expire", ""),
        ((item.pinned or item.archived) and not can.archive, "pinned or archived memories", ""),
        (bool(item.tags) and not can.tags, "tags", ""),
        (item.importance is not None and not can.importance, "importance", ""),
        (
            bool(item.supersedes or item.sources) and not can.supersede,
            "links between memories",
            "leave `supersedes` and `sources` out",
        ),
        (
            (item.valid_from or item.valid_until) is not None and not can.validity,
            "a time for which a memory holds",
            "leave `valid_from` and `valid_until` out",
        ),
    )
    for lacking, what, hint in given:
        if lacking:
            raise unsupported(can, what, hint)
    if can.content_limit is not None and len(item.content) > can.content_limit:
        raise OneBrainValidationError(
            f"the content has {len(item.content)} characters; {can.service} takes at most {can.content_limit}",
            service=can.service,
        )


def _given(ids: object) -> object:
    """Return ids as they were given, or None for an empty collection; what is no id is refused later."""
    return None if type(ids) in _COLLECTIONS and not ids else ids


def _repeats(item: NewMemory, first: NewMemory) -> bool:
    """Return whether a memory adds nothing to an earlier one of the same text."""
    return (item.id is None or item.id != first.id) and set(item.supersedes) <= set(first.supersedes)


def new_memory(raw: Any, scope: Scope, given: Mapping[str, Any]) -> NewMemory:
    """Return `raw` as a validated memory in `scope`, with the fields `given` beside it."""
    if isinstance(raw, NewMemory):
        if not given and (not scope or raw.scope == scope):
            return raw.check()
        fields: dict[str, Any] = {name: getattr(raw, name) for name in raw.model_fields_set}
    elif isinstance(raw, str):
        fields = {"content": raw}
    elif is_object(raw):
        fields = dict(raw)
    else:
        raise OneBrainValidationError(
            f"a memory must be text, a NewMemory or a dict, not {type(raw).__name__}"
        )
    try:
        own = fields.get("scope") or EVERYTHING
        own = own if isinstance(own, Scope) else Scope(**cast("Mapping[str, Any]", own))
    except TypeError:
        raise OneBrainValidationError(
            "scope: must be a Scope, or a dict with space, user, agent and session"
        ) from None
    return NewMemory.checked(**{**fields, **given, "scope": own.within(scope) if scope else own})

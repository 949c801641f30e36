"""`OneBrainStore`: LangGraph's long-term store on a brain."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, cast

from langgraph.store.base import (
    Embeddings,
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    ensure_embeddings,
    validate_op_namespace,
)
from pydantic import SecretStr

from onebrain import (
    ConfigurationError,
    EmbedderMismatch,
    Hit,
    Memory,
    NewMemory,
    OneBrainError,
    OneBrainNotFoundError,
    OneBrainValidationError,
    Scope,
)
from onebrain.frameworks.connection import AnyBrain, Component, Connection, ScopeLike, in_space
from onebrain.frameworks.plans import Plan, ask, call
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.checks import check_whole
from onebrain.memory.filters import Filter, every
from onebrain.memory.models import Order, SearchMode
from onebrain_langchain.filters import value_filter
from onebrain_langchain.gathering import Gathering
from onebrain_langchain.items import (
    INDEXED,
    NAMESPACE,
    belongs,
    fields_of,
    item_id,
    labels_of,
    left_behind,
    lifetime,
    memories_of,
    owner_of,
    part_ids,
    parts_of,
    path_of,
    texts_of,
)
from onebrain_langchain.namespaces import IdLabels, labelled

_PAGE = 200
# The least number of candidates that are ranked here if another distance than the brain's decides.
_CANDIDATES = 200

# A union is made anew by each line that has it.
_MANY: Final = (SearchOp, ListNamespacesOp)
_OPERATIONS: Final = (GetOp, PutOp, *_MANY)

Vector = Sequence[float]
Distance = Literal["cosine", "l2", "inner_product"]


class OneBrainStore(Component, IdLabels):
    """Keeps values by namespace and key, finds them by filter and by meaning, and lets them expire.

    One memory keeps one item: its value and namespace as metadata, the text of its indexed fields as content. Get,
    put, delete, search, list and expiry all go to the brain, so several processes may share one store.

    Searches with a query rank by meaning and words; items that were put with ``index=False`` or hold no text follow
    unranked, with score None. Searches without one list the latest first. An update keeps ``created_at``.

    Asynchronous operations that begin within one turn of the event loop are done together, in few calls, as those of
    LangGraph's own async stores are: reads see the state before, and of several puts to one key the last one counts.

    Args:
        brain: A `Brain`, an `AsyncBrain` or both as a pair.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key.
        base_url: OneBrain's address, as an alternative to `url`.
        space: The name of the store in the brain; stores of different spaces never meet.
        scope: Whose store, beyond its namespaces; usually none.
        index: LangGraph's index configuration: ``fields`` says which text is searched, ``["$"]`` for all of it by
            default; ``embed`` and ``dims`` bring embeddings of your own, one vector for each field, and for each
            element of a field like ``tags[*]``. ``embed`` gets the same text as from LangGraph's own stores, so for ``"$"``
            the value as JSON. The best vector decides, and an item's score is its cosine, -1 to 1.
            ``distance_type`` may be ``l2`` (scores are negative distances) or ``inner_product``, which put the
            candidates that are nearest by cosine in order. Without ``embed`` the brain makes one vector for all the
            text, and scores are 0 to 1. So does a service, which takes no vectors; a warning says so.
        ttl: LangGraph's TTL configuration: ``default_ttl`` in minutes, ``refresh_on_read``. Expired items vanish at
            once and need no sweeping.
        search_mode: ``hybrid``, ``keyword`` or ``vector``.

    Example:
        >>> import onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> store = OneBrainStore(brain=brain)
        >>> store.put(("users", "maria"), "seat", {"text": "prefers window seats"}, ttl=60 * 24)
        >>> store.get(("users", "maria"), "seat").value
        {'text': 'prefers window seats'}
        >>> [item.key for item in store.search(("users",), query="where does she like to sit?")]
        ['seat']
        >>> store.list_namespaces()
        [('users', 'maria')]
        >>> brain.close()
    """

    supports_ttl = True

    def __init__(
        self,
        *,
        brain: AnyBrain | None = None,
        url: str | None = None,
        api_key: SecretStr | str | None = None,
        base_url: str | None = None,
        space: str | None = None,
        scope: ScopeLike | None = None,
        index: IndexConfig | None = None,
        ttl: TTLConfig | None = None,
        search_mode: SearchMode | None = None,
    ) -> None:
        self._connection = Connection(brain, url=url, api_key=api_key, base_url=base_url)
        self._scope = in_space(scope, space, "langgraph")
        self._search_mode: SearchMode | None = search_mode
        self._gathering: Gathering[list[Op], list[Result]] = Gathering()
        self.index_config = index
        settings = _index_settings(index)
        self._fields: list[str] = settings.get("fields") or ["$"]
        self._dimensions: int | None = settings.get("dims")
        self._distance: Distance = settings.get("distance_type") or "cosine"
        self._warned = False
        self._embeddings: Embeddings | None = None
        if settings.get("embed") is not None:
            self._embeddings = ensure_embeddings(settings["embed"])
        _check_keys(
            "ttl",
            cast("dict[str, Any]", dict(ttl or {})),
            {"default_ttl", "refresh_on_read", "omit_expired", "sweep_interval_minutes"},
        )
        if ttl is not None and ttl.get("omit_expired") is False:
            raise ConfigurationError("ttl: omit_expired=False is not possible; expired items vanish at once")
        self.ttl_config = ttl

    @property
    def embeddings(self) -> Embeddings | None:
        """The model that makes the vectors; None if the brain makes them."""
        return self._embeddings

    # ---- the two methods that all others of a store lead to ---------------------------------------------------------

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Execute operations together, in few calls, and return one result for each, in order.

        Reads see the state before the batch's puts. Of several puts to one key the last one counts. An item that cannot
        be put raises before any is.
        """
        return self._connection.run(self._execute(_checked(ops)))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do the same as `batch`, asynchronously, together with the other operations of this turn of the event loop."""
        listed = _checked(ops)
        if not listed:
            return []
        return await self._gathering.do(listed, self._together)

    async def _together(self, calls: Sequence[list[Op]]) -> Sequence[list[Result] | BaseException]:
        """Execute the operations of several calls as one batch; where that fails, each call has its own result."""
        merged = [op for one in calls for op in one]
        run = self._connection.arun
        try:
            results, known = await run(self._read(merged))
        except Exception:
            if len(calls) == 1:
                raise
            return [await self._alone(one) for one in calls]
        outcomes: list[list[Result] | BaseException] = []
        start = 0
        for one in calls:
            outcomes.append(results[start : start + len(one)])
            start += len(one)
        try:
            await run(self._write(merged, known))
        except Exception:
            if len(calls) == 1:
                raise
            for position, one in enumerate(calls):
                try:
                    await run(self._write(one, known))
                except Exception as error:
                    outcomes[position] = error
        return outcomes

    async def _alone(self, ops: list[Op]) -> list[Result] | BaseException:
        try:
            return await self._connection.arun(self._execute(ops))
        except Exception as error:
            return error

    def _execute(self, ops: Sequence[Op]) -> Plan[list[Result]]:
        if len(ops) == 1 and isinstance(ops[0], GetOp):
            return [(yield from self._one(ops[0]))]
        results, known = yield from self._read(ops)
        yield from self._write(ops, known)
        return results

    # ---- read -------------------------------------------------------------------------------------------------------

    def _one(self, op: GetOp) -> Plan[Item | None]:
        """Return one item, the most frequent operation of all, by one call."""
        found: list[Memory] = yield ask("get_many", (item_id(self._scope, op),), scope=self._scope)
        if not found:
            return None
        memory = found[-1]
        if op.refresh_ttl:
            yield from self._refresh({memory.id: memory})
        return Item(**fields_of(memory))

    def _read(self, ops: Sequence[Op]) -> Plan[tuple[list[Result], dict[str, Memory]]]:
        """Return the results of all operations, and the items to be replaced that are there already."""
        can: Capabilities = yield ask("capabilities")
        vectors = yield from self._query_vectors(ops, can)
        results: list[Result] = [None] * len(ops)
        touched: dict[str, Memory] = {}
        known = yield from self._get(ops, results, touched, can)
        answered: dict[Any, Result] = {}
        for position, op in enumerate(ops):
            if not isinstance(op, SearchOp | ListNamespacesOp):
                continue
            question = _hashable(op)
            if question not in answered:
                if isinstance(op, SearchOp):
                    answered[question] = yield from self._search(op, vectors, touched, can)
                else:
                    answered[question] = yield from self._list_namespaces(op)
            results[position] = cast("Result", list(cast("list[Any]", answered[question])))
        yield from self._refresh(touched)
        return results, known

    def _get(
        self,
        ops: Sequence[Op],
        results: list[Result],
        touched: dict[str, Memory],
        can: Capabilities,
    ) -> Plan[dict[str, Memory]]:
        ids = {position: item_id(self._scope, op) for position, op in enumerate(ops) if isinstance(op, GetOp)}
        wanted = dict.fromkeys(ids.values())
        if _parts(can):
            # Parts of items that are replaced or removed have to go with them.
            embeds = self._embeddings is not None
            puts = (op for op in ops if isinstance(op, PutOp) and (embeds or op.value is None))
            wanted.update(dict.fromkeys(item_id(self._scope, op) for op in puts))
        if not wanted:
            return {}
        found: list[Memory] = yield ask("get_many", wanted, scope=self._scope)
        by_id = {memory.id: memory for memory in found}
        for position, id in ids.items():
            memory = by_id.get(id)
            if memory is None:
                continue
            if cast("GetOp", ops[position]).refresh_ttl:
                touched[id] = memory
            results[position] = Item(**fields_of(memory))
        return by_id

    def _refresh(self, touched: Mapping[str, Memory]) -> Plan[None]:
        """Start the time to live of the items that were read again, from now."""
        for id, memory in touched.items():
            minutes = memory.metadata["item"].get("ttl")
            if minutes is None:
                continue
            for each in (*self._parts_of(memory), id):
                # It was deleted meanwhile, or has expired.
                with suppress(OneBrainNotFoundError):
                    yield ask("update", each, scope=self._scope, ttl=lifetime(minutes))

    def _search(
        self,
        op: SearchOp,
        vectors: Mapping[str, Vector],
        touched: dict[str, Memory],
        can: Capabilities,
    ) -> Plan[list[SearchItem]]:
        there = every(
            NAMESPACE.starts_with(path_of(op.namespace_prefix)), value_filter(op.filter, "item", "value")
        )
        end = op.offset + op.limit
        ranked: list[tuple[Memory, float | None]] = []
        if op.query and op.query.strip() and op.limit:
            condition = every(there, INDEXED.eq(True))
            ranked.extend((yield from self._ranked(op.query, vectors.get(op.query), condition, end, can)))
            there = every(there, INDEXED.eq(False))
        if len(ranked) < end and op.limit:
            rest = yield from self._listed(there, "-updated_at", end - len(ranked))
            ranked.extend((memory, None) for memory in rest)
        page = ranked[op.offset : end]
        if op.refresh_ttl:
            touched.update((memory.id, memory) for memory, _ in page)
        return [SearchItem(**fields_of(memory), score=score) for memory, score in page]

    def _ranked(
        self, query: str, vector: Vector | None, condition: Filter, limit: int, can: Capabilities
    ) -> Plan[list[tuple[Memory, float]]]:
        """Return the best items of a search with their scores: an item's is that of its best vector."""
        mode = self._search_mode or ("vector" if vector is not None else None)
        by_vector = vector is not None and mode == "vector"
        asked: dict[str, Any] = {
            "scope": self._scope,
            "filter": condition,
            "mode": mode,
            "embedding": None if mode == "keyword" else vector,
            "include_archived": vector is not None and _parts(can),
            "with_embeddings": by_vector and self._distance != "cosine",
        }
        wanted = max(_CANDIDATES, 10 * limit) if asked["with_embeddings"] else limit
        while True:
            try:
                hits: Sequence[Hit] = list((yield ask("search", query, limit=wanted, **asked)))
            except EmbedderMismatch:
                if (yield from self._is_ranked()):
                    raise
                return []
            scores = yield from self._scores(hits, vector if by_vector else None)
            items = yield from self._items(hits)
            yield from self._sweep(hits, items)
            best = _best(hits, scores, items)
            if len(best) >= limit or len(hits) < wanted:
                # Equal scores stay in the order of the search.
                order = sorted(best, key=lambda id: -best[id])
                return [(items[id], best[id]) for id in order[:limit]]
            wanted *= 2

    def _scores(self, hits: Sequence[Hit], vector: Vector | None) -> Plan[list[float]]:
        """Return the score of each hit, by the distance that was configured where a vector was asked for."""
        if vector is None:
            return [hit.score for hit in hits]
        if self._distance != "cosine":
            return [_score(self._distance, hit.memory.embedding, vector) for hit in hits]
        # A brain's scores end at 0, where the cosines of the unlike do not.
        unlike = [hit.memory.id for hit in hits if hit.score <= 0]
        if not unlike:
            return [hit.score for hit in hits]
        found: list[Memory] = yield ask("get_many", unlike, scope=self._scope, with_embeddings=True)
        cosines = {memory.id: _score("cosine", memory.embedding, vector) for memory in found}
        return [cosines.get(hit.memory.id, hit.score) for hit in hits]

    def _items(self, hits: Sequence[Hit]) -> Plan[dict[str, Memory]]:
        """Return the items that hits are, or are parts of."""
        items = {hit.memory.id: hit.memory for hit in hits if owner_of(hit.memory) == hit.memory.id}
        missing = dict.fromkeys(owner_of(hit.memory) for hit in hits if owner_of(hit.memory) not in items)
        if missing:
            found: list[Memory] = yield ask("get_many", missing, scope=self._scope)
            items.update((memory.id, memory) for memory in found)
        return items

    def _sweep(self, hits: Sequence[Hit], items: Mapping[str, Memory]) -> Plan[None]:
        """Remove parts whose item is gone, which one who deletes memories by id leaves behind."""
        orphans = [hit.memory for hit in hits if owner_of(hit.memory) not in items]
        if orphans:
            # A caller that may only read still gets the other items.
            with suppress(OneBrainError):
                yield ask("forget", filter=left_behind(orphans), scope=self._scope, keep_facts=True)

    def _is_ranked(self) -> Plan[bool]:
        """Return whether the space holds any item that is indexed."""
        count: int = yield ask("count", scope=Scope(space=self._scope.space), filter=INDEXED.eq(True))
        return count > 0

    def _listed(
        self,
        condition: Filter,
        order: Order,
        limit: int | None,
        *,
        scope: Scope | None = None,
        with_embeddings: bool = False,
    ) -> Plan[list[Memory]]:
        rows: list[Memory] = []
        cursor: str | None = None
        while limit is None or len(rows) < limit:
            page = yield ask(
                "page",
                scope=scope or self._scope,
                filter=condition,
                order=order,
                limit=_PAGE if limit is None else min(_PAGE, limit),
                cursor=cursor,
                with_embeddings=with_embeddings,
            )
            rows.extend(page.data)
            if not page.meta.has_more or page.meta.cursor in (None, cursor):
                break
            cursor = page.meta.cursor
        return rows[:limit]

    def _list_namespaces(self, op: ListNamespacesOp) -> Plan[list[tuple[str, ...]]]:
        conditions = op.match_conditions or ()
        # The labels before the first wildcard of a prefix are compared by the brain, the others here.
        leading = [_leading(condition.path) for condition in conditions if condition.match_type == "prefix"]
        pushed = every(*(NAMESPACE.starts_with(path_of(labels)) for labels in leading or [()]))
        rows = yield from self._listed(pushed, "sequence", None)
        paths = {memory.metadata["item"]["namespace"] for memory in rows}
        namespaces = {labels_of(path) for path in paths}
        kept = {
            namespace[: op.max_depth]
            for namespace in namespaces
            if all(_matches(condition, namespace) for condition in conditions)
        }
        return sorted(kept)[op.offset : op.offset + op.limit]

    # ---- write ------------------------------------------------------------------------------------------------------

    def _write(self, ops: Sequence[Op], known: Mapping[str, Memory]) -> Plan[None]:
        can: Capabilities = yield ask("capabilities")
        puts = {item_id(self._scope, op): op for op in ops if isinstance(op, PutOp)}
        vectors = yield from self._text_vectors(puts.values(), can)
        items: list[NewMemory] = []
        gone: list[str] = []
        for id, op in puts.items():
            before = parts_of(known[id]) if id in known else 0
            if op.value is None:
                gone.extend([id, *part_ids(self._scope, op, 1, before)])
                continue
            texts = texts_of(op, self._fields)
            own = [vectors[text.embedded(op)] for text in texts] if vectors and texts else None
            new = list(memories_of(op, texts, self._scope, own, bare=can.embeddings))
            items.extend(new)
            gone.extend(part_ids(self._scope, op, len(new), before))
        yield from self._store(items)
        if gone:
            yield ask("delete", gone, scope=self._scope, keep_facts=True)

    def _store(self, items: Sequence[NewMemory]) -> Plan[None]:
        # Those with vectors first and by themselves: where these do not fit, nothing is stored.
        for group in (
            [item for item in items if item.embedding],
            [item for item in items if not item.embedding],
        ):
            if not group:
                continue
            try:
                yield ask("store_many", group, wait=True, atomic=True)
            except EmbedderMismatch:
                if self._embeddings is None or not (yield from self._unclaim()):
                    raise
                yield ask("store_many", group, wait=True, atomic=True)

    def _unclaim(self) -> Plan[bool]:
        """Take the vectors that the brain made of items without texts, and return whether there were any.

        Earlier versions let the brain make vectors of items that were not indexed, and it then took no others.
        """
        space = Scope(space=self._scope.space)
        rows = yield from self._listed(INDEXED.eq(False), "sequence", None, scope=space, with_embeddings=True)
        filled = [memory for memory in rows if memory.embedding is not None]
        for memory in filled:
            with suppress(OneBrainNotFoundError):
                yield ask("update", memory.id, scope=memory.scope, embedding=False)
        return bool(filled)

    def _parts_of(self, memory: Memory) -> list[str]:
        item = memory.metadata["item"]
        op = PutOp(labels_of(item["namespace"]), item["key"], None)
        return part_ids(self._scope, op, 1, parts_of(memory))

    # ---- vectors ----------------------------------------------------------------------------------------------------

    def _used(self, can: Capabilities) -> Embeddings | None:
        """Return the embedder where the brain takes its vectors; where it does not, say so once."""
        if self._embeddings is None or can.embeddings:
            return self._embeddings
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"index: {can.service} makes its own vectors, one of all the text of an item, so embed and distance_type "
                "are not used and scores are 0 to 1; leave them out, or use an embedded brain",
                UserWarning,
                stacklevel=2,
            )
        return None

    def _query_vectors(self, ops: Sequence[Op], can: Capabilities) -> Plan[dict[str, Vector]]:
        """Return the vectors of the queries, by their texts; none if the brain makes the vectors."""
        embedder = self._used(can)
        if embedder is None:
            return {}
        queries = list(dict.fromkeys(op.query for op in ops if isinstance(op, SearchOp) and op.query))
        made: list[Vector] = []
        for query in queries:
            made.append((yield call(embedder.embed_query, embedder.aembed_query, query)))
        return self._keyed(queries, made)

    def _text_vectors(self, puts: Iterable[PutOp], can: Capabilities) -> Plan[dict[str, Vector]]:
        """Return the vectors of the puts, by the texts that the embedder gets, each text once."""
        embedder = self._used(can)
        if embedder is None:
            return {}
        texts = list(dict.fromkeys(text.embedded(op) for op in puts for text in texts_of(op, self._fields)))
        if not texts:
            return {}
        made: Sequence[Vector] = yield call(embedder.embed_documents, embedder.aembed_documents, texts)
        return self._keyed(texts, made)

    def _keyed(self, texts: Sequence[str], made: Sequence[Vector]) -> dict[str, Vector]:
        """Return the vectors by their texts; raise if they differ from the configuration."""
        if len(made) != len(texts):
            raise EmbedderMismatch(f"index: embed made {len(made)} vectors of {len(texts)} texts")
        for vector in made:
            if self._dimensions not in (None, len(vector)):
                raise EmbedderMismatch(
                    f"index: dims says {self._dimensions}, but embed made a vector of {len(vector)}"
                )
        if len({len(vector) for vector in made}) > 1:
            raise EmbedderMismatch("index: embed made vectors of several lengths")
        return dict(zip(texts, made, strict=True))


def _parts(can: Capabilities) -> bool:
    """Return whether an item may have several vectors."""
    return can.embeddings and can.archive


def _best(hits: Sequence[Hit], scores: Sequence[float], items: Mapping[str, Memory]) -> dict[str, float]:
    """Return the score of each item that was found: that of its best vector."""
    best: dict[str, float] = {}
    for hit, score in zip(hits, scores, strict=True):
        owner = owner_of(hit.memory)
        if belongs(hit.memory, items.get(owner)):
            best[owner] = max(score, best.get(owner, score))
    return best


def _score(distance: Distance, one: Vector | None, other: Vector) -> float:
    """Return how near two vectors are: the larger, the nearer."""
    if one is None:
        return -math.inf
    if distance == "l2":
        return -math.dist(one, other)
    product = math.fsum(a * b for a, b in zip(one, other, strict=True))
    if distance == "inner_product":
        return product
    lengths = math.hypot(*one) * math.hypot(*other)
    return max(-1.0, min(1.0, product / lengths)) if lengths else 0.0


def _hashable(op: SearchOp | ListNamespacesOp) -> Any:
    """Return something that is equal for equal operations only."""
    try:
        hash(op)
    except TypeError:
        # The operation holds a dict.
        return repr(op)
    return op


def _index_settings(index: IndexConfig | None) -> dict[str, Any]:
    """Return the settings of a configuration, also of one for LangGraph's stores on databases."""
    settings = {
        name: value for name, value in cast("dict[str, Any]", dict(index or {})).items() if name[:2] != "__"
    }
    _check_keys(
        "index", settings, {"dims", "embed", "fields", "text_fields", "distance_type", "ann_index_config"}
    )
    # The store on SQLite calls them so.
    fields = settings.pop("text_fields", None)
    if fields and settings.get("fields") not in (None, [], fields):
        raise ConfigurationError("index: fields and text_fields differ; give one of the two")
    settings["fields"] = settings.get("fields") or fields
    distance = settings.get("distance_type")
    if distance not in (None, "cosine", "l2", "inner_product"):
        raise ConfigurationError(
            f"index: distance_type must be 'cosine', 'l2' or 'inner_product', not {distance!r:.40}"
        )
    if settings.pop("ann_index_config", None):
        warnings.warn(
            "index: ann_index_config has no effect, for a brain has an index of its own; leave it out",
            UserWarning,
            stacklevel=3,
        )
    return settings


def _checked(ops: Iterable[Op]) -> list[Op]:
    """Return the operations as a list, with keys as strings; `batch` may be called without the public methods' checks."""
    listed: list[Op] = []
    for op in ops:
        if not isinstance(op, _OPERATIONS):
            raise OneBrainValidationError(f"unknown operation {type(op).__name__}")
        op = labelled(op)
        validate_op_namespace(op)
        if isinstance(op, _MANY):
            check_whole("limit", op.limit)
            check_whole("offset", op.offset)
        elif not isinstance(op.key, str):
            op = op._replace(key=str(op.key))
        if isinstance(op, PutOp) and op.value is not None and not isinstance(op.value, Mapping):
            raise OneBrainValidationError(f"a value must be a dict, not {type(op.value).__name__}")
        listed.append(op)
    return listed


def _check_keys(option: str, given: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise ConfigurationError(
            f"{option}: unknown {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        )


def _leading(labels: Sequence[str]) -> Sequence[str]:
    return labels[: labels.index("*")] if "*" in labels else labels


def _matches(condition: MatchCondition, namespace: tuple[str, ...]) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    if condition.match_type == "prefix":
        part = namespace[: len(path)]
    elif condition.match_type == "suffix":
        part = namespace[len(namespace) - len(path) :]
    else:
        raise OneBrainValidationError(f"unknown match type {condition.match_type!r:.40}")
    return all(wanted in ("*", label) for label, wanted in zip(part, path, strict=True))

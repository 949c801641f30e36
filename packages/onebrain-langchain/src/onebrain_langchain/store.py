"""`OneBrainStore`: LangGraph's long-term store on a brain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from langgraph.store.base import (
    BaseStore,
    Embeddings,
    GetOp,
    IndexConfig,
    InvalidNamespaceError,
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
    get_text_at_path,
    tokenize_path,
    validate_op_namespace,
)
from pydantic import SecretStr

from onebrain import (
    Brain,
    ConfigurationError,
    EmbedderMismatch,
    F,
    Memory,
    NewMemory,
    OneBrainNotFoundError,
    OneBrainValidationError,
    Scope,
    SearchResult,
)
from onebrain.memory.brain import AsyncBrain
from onebrain.memory.filters import Filter, every
from onebrain.memory.models import Order, SearchMode
from onebrain_langchain.connection import AnyBrain, Connection, ScopeLike, as_scope
from onebrain_langchain.documents import new_memory
from onebrain_langchain.filters import value_filter
from onebrain_langchain.ids import encode
from onebrain_langchain.verbs import Plan, arun, ask, run

_PAGE = 200
_BATCH = 1000
_LONGEST_TTL = 60 * 24 * 365 * 1000  # minutes; dates end some millennia later

# A label holds no dot and is not empty, so labels that each end with one are an injective encoding of a namespace in
# which prefixes compare label by label: ("a",) is "a.", which "ab." does not begin with.
_NAMESPACE = F("item.namespace")


class OneBrainStore(BaseStore):
    """Keeps values by namespace and key, finds them by filter and by meaning, and lets them expire.

    One memory keeps one item: its value and namespace as metadata, the text of its indexed fields as content. Get,
    put, delete, search, list and expiry all go to the brain, so several processes may share one store.

    Searches with a query rank by meaning and words; items that were put with ``index=False`` or hold no text follow
    unranked, with score None. Searches without one list the latest first. An update keeps ``created_at``.

    Args:
        brain: A `Brain`, an `AsyncBrain` or both as a pair.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key.
        base_url: OneBrain's address, as an alternative to `url`.
        space: The name of the store in the brain; stores of different spaces never meet.
        scope: Whose store, beyond its namespaces; usually none.
        index: LangGraph's index configuration: ``fields`` says which text is searched, ``["$"]`` for all of it by
            default; ``embed`` and ``dims`` bring embeddings of your own, one vector for each item. Without ``embed``
            the brain makes the vectors.
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
        given = as_scope(scope)
        if space is not None and given.space not in (None, space):
            raise ConfigurationError("space and scope.space differ: give one of the two")
        self._connection = Connection(brain, url=url, api_key=api_key, base_url=base_url)
        self._scope = given.within(Scope(space=space or "langgraph"))
        self._search_mode: SearchMode | None = search_mode
        self.index_config = index
        settings = cast("dict[str, Any]", dict(index or {}))
        _check_keys("index", settings, {"dims", "embed", "fields"})
        self._fields: list[str] = settings.get("fields") or ["$"]
        self._dimensions: int | None = settings.get("dims")
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

    def __repr__(self) -> str:
        where = repr(self._connection)
        return f"{type(self).__name__}({where + ', ' if where else ''}scope={self._scope!r})"

    @property
    def embeddings(self) -> Embeddings | None:
        """What makes the vectors, where that is not the brain."""
        return self._embeddings

    def close(self) -> None:
        """Close what was opened here; a brain that was given stays open."""
        self._connection.close()

    async def aclose(self) -> None:
        """Close what was opened here; a brain that was given stays open."""
        await self._connection.aclose()

    # ---- the two methods that all others of a store lead to ---------------------------------------------------------

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Execute operations together, in few calls, and return one result for each, in order.

        Reads see the state before the batch's puts. Of several puts to one key the last one counts.
        """
        listed, brain = _checked(ops), self._connection.sync
        vectors: dict[str, Sequence[float]] = {}
        embedder = self._embedder(brain)
        if embedder is not None:
            queries, texts = self._to_embed(listed)
            vectors.update((query, embedder.embed_query(query)) for query in queries)
            vectors.update(zip(texts, embedder.embed_documents(texts) if texts else (), strict=True))
        return run(brain, self._batch(listed, vectors))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do what `batch` does, asynchronously."""
        listed, brain = _checked(ops), await self._connection.open()
        vectors: dict[str, Sequence[float]] = {}
        embedder = self._embedder(brain)
        if embedder is not None:
            queries, texts = self._to_embed(listed)
            for query in queries:
                vectors[query] = await embedder.aembed_query(query)
            vectors.update(zip(texts, await embedder.aembed_documents(texts) if texts else (), strict=True))
        return await arun(brain, self._batch(listed, vectors))

    def _batch(self, ops: Sequence[Op], vectors: Mapping[str, Sequence[float]]) -> Plan[list[Result]]:
        if self._dimensions is not None:
            for vector in vectors.values():
                if len(vector) != self._dimensions:
                    raise EmbedderMismatch(
                        f"index: dims says {self._dimensions}, but embed made a vector of {len(vector)}"
                    )
        results: list[Result] = [None] * len(ops)
        touched: dict[str, Memory] = {}
        yield from self._get(ops, results, touched)
        answered: list[tuple[Op, Result]] = []
        for place, op in enumerate(ops):
            if not isinstance(op, SearchOp | ListNamespacesOp):
                continue
            known = next((result for other, result in answered if other == op), None)
            if known is None:
                if isinstance(op, SearchOp):
                    known = yield from self._search(op, vectors, touched)
                else:
                    known = yield from self._list_namespaces(op)
                answered.append((op, known))
            results[place] = cast("Result", list(cast("list[Any]", known)))
        yield from self._refresh(touched)
        yield from self._put(ops, vectors)
        return results

    # ---- get --------------------------------------------------------------------------------------------------------

    def _get(self, ops: Sequence[Op], results: list[Result], touched: dict[str, Memory]) -> Plan[None]:
        ids = {place: self._id(op) for place, op in enumerate(ops) if isinstance(op, GetOp)}
        if not ids:
            return
        found: list[Memory] = yield ask("get_many", dict.fromkeys(ids.values()), scope=self._scope)
        by_id = {memory.id: memory for memory in found}
        for place, id in ids.items():
            memory = by_id.get(id)
            if memory is None:
                continue
            if cast("GetOp", ops[place]).refresh_ttl:
                touched[id] = memory
            results[place] = Item(**_fields(memory))

    def _refresh(self, touched: Mapping[str, Memory]) -> Plan[None]:
        """Let what was read live on for its time to live, from now."""
        for id, memory in touched.items():
            minutes = memory.metadata["item"].get("ttl")
            if minutes is None:
                continue
            with suppress(OneBrainNotFoundError):  # it was deleted meanwhile, or its time was up
                yield ask("update", id, scope=self._scope, ttl=_lifetime(minutes))

    # ---- put and delete ---------------------------------------------------------------------------------------------

    def _put(self, ops: Sequence[Op], vectors: Mapping[str, Sequence[float]]) -> Plan[None]:
        puts = {self._id(op): op for op in ops if isinstance(op, PutOp)}
        if gone := [id for id, op in puts.items() if op.value is None]:
            yield ask("delete", gone, scope=self._scope)
        items = [self._memory(id, op, vectors) for id, op in puts.items() if op.value is not None]
        for start in range(0, len(items), _BATCH):
            stored = yield ask("store_many", items[start : start + _BATCH], wait=True)
            stored.raise_for_failures()

    def _memory(self, id: str, op: PutOp, vectors: Mapping[str, Sequence[float]]) -> NewMemory:
        text = self._text(op)
        vector = vectors.get(text)
        name = _path(op.namespace) + op.key
        item: dict[str, Any] = {
            "namespace": _path(op.namespace),
            "key": op.key,
            "value": dict(op.value or {}),
            "indexed": bool(text),
            "updated_at": datetime.now(UTC).isoformat(),
        }
        if op.ttl is not None:
            item["ttl"] = op.ttl
        return new_memory(
            id=id,
            content=text or f"({name.strip()})",  # without text it is found by get, and unranked
            scope=self._scope,
            metadata={"item": item},
            ttl=None if op.ttl is None else _lifetime(op.ttl),
            embedding=None if vector is None else tuple(vector),
        )

    def _text(self, op: PutOp) -> str:
        """Return the text of an item's indexed fields; empty where there is none."""
        if op.value is None or op.index is False:
            return ""
        texts: list[str] = []
        for field in self._fields if op.index is None else op.index:
            if field == "$":
                texts.extend(_readable(op.value))
            else:
                texts.extend(get_text_at_path(op.value, tokenize_path(field)))
        return "\n".join(text for text in texts if text.strip()).strip()

    def _embedder(self, brain: Brain | AsyncBrain) -> Embeddings | None:
        return self._embeddings if brain.capabilities.embeddings else None

    def _to_embed(self, ops: Sequence[Op]) -> tuple[list[str], list[str]]:
        queries = [op.query for op in ops if isinstance(op, SearchOp) and op.query]
        puts = {self._id(op): op for op in ops if isinstance(op, PutOp)}
        texts = [text for op in puts.values() if (text := self._text(op))]
        return list(dict.fromkeys(queries)), list(dict.fromkeys(texts))

    # ---- search -----------------------------------------------------------------------------------------------------

    def _search(
        self, op: SearchOp, vectors: Mapping[str, Sequence[float]], touched: dict[str, Memory]
    ) -> Plan[list[SearchItem]]:
        if op.limit < 0 or op.offset < 0:
            raise OneBrainValidationError("limit and offset must not be negative")
        there = every(
            _NAMESPACE.starts_with(_path(op.namespace_prefix)), value_filter(op.filter, "item", "value")
        )
        end = op.offset + op.limit
        ranked: list[tuple[Memory, float | None]] = []
        if op.query and op.query.strip() and op.limit:
            vector = vectors.get(op.query)
            mode = self._search_mode or ("vector" if vector is not None else None)
            found: SearchResult = yield ask(
                "search",
                op.query,
                scope=self._scope,
                filter=every(there, F("item.indexed").eq(True)),
                limit=end,
                mode=mode,
                embedding=None if mode == "keyword" else vector,
            )
            ranked = [(hit.memory, hit.score) for hit in found]
            there = every(there, F("item.indexed").eq(False))
        if len(ranked) < end and op.limit:
            rest = yield from self._listed(there, "-updated_at", end - len(ranked))
            ranked.extend((memory, None) for memory in rest)
        page = ranked[op.offset : end]
        if op.refresh_ttl:
            touched.update((memory.id, memory) for memory, _ in page)
        return [SearchItem(**_fields(memory), score=score) for memory, score in page]

    def _listed(self, condition: Filter, order: Order, limit: int | None) -> Plan[list[Memory]]:
        rows: list[Memory] = []
        cursor: str | None = None
        while limit is None or len(rows) < limit:
            page = yield ask(
                "page",
                scope=self._scope,
                filter=condition,
                order=order,
                limit=_PAGE if limit is None else min(_PAGE, limit),
                cursor=cursor,
            )
            rows.extend(page.data)
            if not page.meta.has_more or page.meta.cursor in (None, cursor):
                break
            cursor = page.meta.cursor
        return rows[:limit]

    # ---- namespaces -------------------------------------------------------------------------------------------------

    def _list_namespaces(self, op: ListNamespacesOp) -> Plan[list[tuple[str, ...]]]:
        if op.limit < 0 or op.offset < 0:
            raise OneBrainValidationError("limit and offset must not be negative")
        conditions = op.match_conditions or ()
        # What stands before the first wildcard of a prefix is decided by the brain, the rest here.
        leading = [_leading(condition.path) for condition in conditions if condition.match_type == "prefix"]
        pushed = every(*(_NAMESPACE.starts_with(_path(labels)) for labels in leading or [()]))
        rows = yield from self._listed(pushed, "sequence", None)
        paths = {memory.metadata["item"]["namespace"] for memory in rows}
        namespaces = {_labels(path) for path in paths}
        kept = {
            namespace[: op.max_depth]
            for namespace in namespaces
            if all(_matches(condition, namespace) for condition in conditions)
        }
        return sorted(kept)[op.offset : op.offset + op.limit]

    # ---- ids --------------------------------------------------------------------------------------------------------

    def _id(self, op: GetOp | PutOp) -> str:
        # Labels hold no dot, so the first empty one, which two dots in a row make, ends the namespace.
        return encode(self._scope, _path(op.namespace) + "." + op.key, kind="item", hashed=True)


def _checked(ops: Iterable[Op]) -> list[Op]:
    """Return the operations as a list, with keys as strings; `batch` may be called without the public methods' checks."""
    listed: list[Op] = []
    for op in ops:
        if not isinstance(op, GetOp | PutOp | SearchOp | ListNamespacesOp):
            raise OneBrainValidationError(f"unknown operation {type(op).__name__}")
        validate_op_namespace(op)
        if isinstance(op, GetOp | PutOp) and not isinstance(op.key, str):
            op = op._replace(key=str(op.key))
        if isinstance(op, PutOp) and op.value is not None and not isinstance(op.value, Mapping):
            raise OneBrainValidationError(f"a value must be a dict, not {type(op.value).__name__}")
        listed.append(op)
    return listed


def _check_keys(what: str, given: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise ConfigurationError(
            f"{what}: unknown {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        )


def _lifetime(minutes: float) -> timedelta:
    if not minutes > 0:
        raise OneBrainValidationError("ttl: must be more than 0 minutes; None keeps an item for ever")
    return timedelta(minutes=min(minutes, _LONGEST_TTL))


def _path(namespace: Sequence[str]) -> str:
    path = "".join(label + "." for label in namespace)
    if "\x00" in path:  # older releases of LangGraph let it pass
        raise InvalidNamespaceError("a namespace label cannot hold NUL")
    return path


def _labels(path: str) -> tuple[str, ...]:
    return tuple(path.split(".")[:-1])


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


def _fields(memory: Memory) -> dict[str, Any]:
    item = memory.metadata["item"]
    updated = datetime.fromisoformat(
        item["updated_at"]
    )  # of the last put; what refreshes a lifetime is no update
    created = memory.created_at or updated
    return {
        "namespace": _labels(item["namespace"]),
        "key": item["key"],
        "value": item["value"],
        "created_at": created,
        "updated_at": max(created, updated),
    }


def _readable(value: Any) -> list[str]:
    """Return the text in a value as lines: what a person would read, without the punctuation of JSON."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        lines: list[str] = []
        for key, item in cast("Mapping[str, Any]", value).items():
            inner = _readable(item)
            lines.extend(f"{key}: {line}" for line in inner)
        return lines
    if isinstance(value, list | tuple):
        return [line for item in cast("Sequence[Any]", value) for line in _readable(item)]
    return [] if value is None else [str(value)]

"""`OneBrainVectorStore`: a space of a brain as a LangChain vector store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self, TypeAlias
from uuid import uuid4

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from pydantic import SecretStr

from onebrain import (
    ConfigurationError,
    Hit,
    Memory,
    NewMemory,
    OneBrainError,
    OneBrainValidationError,
    Scope,
    SearchResult,
    StoreResults,
)
from onebrain.frameworks.connection import (
    AnyBrain,
    Component,
    Connection,
    Method,
    ScopeLike,
    as_scope,
    in_space,
    refuse,
)
from onebrain.frameworks.ids import decode, encode, prefix
from onebrain.frameworks.plans import Plan, ask, call
from onebrain.frameworks.recall import diverse
from onebrain.memory import deletion
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.checks import check_ids, check_new_ids, check_range, check_whole
from onebrain.memory.ids import Id
from onebrain.memory.models import SearchMode
from onebrain.memory.vectors import one_for_each
from onebrain_langchain.filters import FilterLike, checked

# A brain keeps no blank text; a document may be blank (a scanned page), so its text travels here.
BLANK = "onebrain:blank"
_NO_VECTORS = "it returns no vectors; use similarity_search"

Scored: TypeAlias = list[tuple[Document, float]]


class _Row(NamedTuple):
    """One text to add."""

    text: str
    metadata: dict[str, Any]
    id: str | None


class OneBrainVectorStore(Component, VectorStore):
    """Keeps documents in a space of a brain, and finds them by meaning, by words, or by both.

    Documents come back exactly as they were added, apart from an `id` where they had none. Ids belong to the store's
    scope: two stores in one brain may use the same ids. Scores are 0..1, higher is better, in every method.

    With an `embedding`, vectors are made by it, where the brain takes vectors of its callers, and searches go by
    vector unless `search_mode` says otherwise. Without one, or where the brain takes none, the brain makes its own, and
    searches use its best mode, usually hybrid.

    Args:
        embedding: Makes the vectors; None leaves that to the brain.
        brain: A `Brain`, an `AsyncBrain` or both as a pair.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key.
        base_url: OneBrain's address, as an alternative to `url`.
        space: The name of the store, like a collection; documents of different spaces never meet.
        scope: Whose documents within the space; its `space` may be given here instead.
        search_mode: ``hybrid``, ``keyword`` or ``vector``.
        alpha: 0..1, the weight of meaning against keywords in hybrid mode.
        batch_size: How many documents are embedded and stored at a time.

    Example:
        >>> import onebrain
        >>> from langchain_core.documents import Document
        >>> brain = onebrain.connect("sqlite://")
        >>> store = OneBrainVectorStore(brain=brain, space="travel")
        >>> store.add_documents([Document("Maria prefers window seats", id="seat", metadata={"year": 2025})])
        ['seat']
        >>> store.similarity_search("where does Maria sit?", k=1, filter={"year": {"$gte": 2025}})
        [Document(id='seat', metadata={'year': 2025}, page_content='Maria prefers window seats')]
        >>> brain.close()
    """

    def __init__(
        self,
        embedding: Embeddings | None = None,
        *,
        brain: AnyBrain | None = None,
        url: str | None = None,
        api_key: SecretStr | str | None = None,
        base_url: str | None = None,
        space: str | None = None,
        scope: ScopeLike | None = None,
        search_mode: SearchMode | None = None,
        alpha: float | None = None,
        batch_size: int = 256,
    ) -> None:
        if embedding is not None and not isinstance(embedding, Embeddings):
            raise ConfigurationError(
                f"embedding: must be a LangChain Embeddings, not {type(embedding).__name__}"
            )
        check_whole("batch_size", batch_size, 1, error=ConfigurationError)
        self._connection = Connection(brain, url=url, api_key=api_key, base_url=base_url)
        self._embedding = embedding
        self._scope = in_space(scope, space, "langchain")
        self._prefix = prefix(self._scope)
        self._search_mode: SearchMode | None = search_mode
        self._alpha = alpha
        self._batch_size = batch_size

    @property
    def embeddings(self) -> Embeddings | None:
        """The model that makes the vectors; None if the brain makes them."""
        return self._embedding

    @property
    def scope(self) -> Scope:
        """Where the documents are."""
        return self._scope

    # ---- add --------------------------------------------------------------------------------------------------------

    def plan_add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[Id | None] | None = None,
        scope: ScopeLike | None = None,
        batch_size: int | None = None,
        on_progress: Callable[[int], object] | None = None,
        **kwargs: Any,
    ) -> Plan[list[str]]:
        """Add or replace texts, in batches, and return their ids in order.

        Args:
            texts: The texts; a blank one is kept, too.
            metadatas: One dict for each text.
            ids: One id for each text, a string, a whole number or a UUID, which is kept as text; where it is None, a
                new one is made. An id that exists is replaced.
            scope: Whose, within the store's scope.
            batch_size: How many to embed and store at a time.
            on_progress: Called after each batch with the number of texts done so far.
            kwargs: None: an unknown argument raises.

        Raises:
            OneBrainValidationError: The lists differ in length, or a text or its metadata cannot be kept; a note on
                the error names the texts that were stored.
        """
        refuse(self, kwargs)
        can: Capabilities = yield ask("capabilities")
        where, embedder = self._within(scope), self._embedder(can)
        added: list[str] = []
        for batch in _batches(_rows(texts, metadatas, ids), self._size(batch_size)):
            vectors = None
            if embedder is not None:
                pages = [row.text for row in batch]
                made = yield call(embedder.embed_documents, embedder.aembed_documents, pages)
                vectors = one_for_each(made, len(pages), embedder)
            stored = yield ask("store_many", _memories(batch, vectors, where, can, len(added)))
            added.extend(_added(stored, where, len(added)))
            if on_progress is not None:
                on_progress(len(added))
        return added

    add_texts = Method(plan_add_texts).sync
    aadd_texts = Method(plan_add_texts).asynchronous

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[Id | None] | None = None,
        on_progress: Callable[[int], object] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Return a store with these texts in it; further arguments are those of the class."""
        store = cls(embedding, **kwargs)
        plan = store.plan_add_texts(texts, metadatas, ids=ids, on_progress=on_progress)
        store._connection.run(plan)
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[Id | None] | None = None,
        on_progress: Callable[[int], object] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Do the same as `from_texts`, asynchronously."""
        store = cls(embedding, **kwargs)
        plan = store.plan_add_texts(texts, metadatas, ids=ids, on_progress=on_progress)
        await store._connection.arun(plan)
        return store

    # ---- get and delete ---------------------------------------------------------------------------------------------

    def plan_get(self, ids: Sequence[Id], /) -> Plan[list[Document]]:
        """Return the documents with these ids that exist, in the order of `ids`."""
        found: list[Memory] = yield ask("get_many", self._stored(ids, self._scope), scope=self._scope)
        return [self._document(memory) for memory in found]

    def plan_delete(
        self,
        ids: Sequence[Id] | None = None,
        *,
        filter: FilterLike | None = None,
        scope: ScopeLike | None = None,
        delete_all: bool = False,
        **kwargs: Any,
    ) -> Plan[bool | None]:
        """Remove documents by id, by `filter`, or all of the store; ids that do not exist are no failure.

        Raises:
            OneBrainValidationError: Not exactly one of `ids`, `filter` and `delete_all` was given.
        """
        refuse(self, kwargs)
        where = self._within(scope)
        if _by_ids(ids, filter, delete_all):
            yield ask("delete", self._stored(ids or (), where), scope=where, keep_facts=True)
        else:
            yield ask("forget", filter=filter, scope=where, keep_facts=True)
        return True

    get_by_ids = Method(plan_get).sync
    aget_by_ids = Method(plan_get).asynchronous
    delete = Method(plan_delete).sync
    adelete = Method(plan_delete).asynchronous

    # ---- search -----------------------------------------------------------------------------------------------------

    def _search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> Plan[Scored]:
        """Return the documents most similar to `query`, best first, with their scores, 0..1.

        Args:
            query: The query.
            k: How many documents at most.
            kwargs: `filter` (``F("year").ge(2025)`` or ``{"year": {"$gte": 2025}}``), `scope` (whose, within the
                store's), `search_mode`, `alpha`, `min_score` and `include_archived`, as for `Brain.search`. An unknown
                argument raises.
        """
        _, found = yield from self._found(query, None, k, **kwargs)
        return self._scored(found)

    def _search(self, query: str, k: int = 4, **kwargs: Any) -> Plan[list[Document]]:
        """Return the documents most similar to `query`; the arguments are those of `similarity_search_with_score`."""
        return _documents((yield from self._search_with_score(query, k, **kwargs)))

    def _search_with_score_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> Plan[Scored]:
        """Return the documents whose vectors are most similar to `embedding`, with their scores."""
        _, found = yield from self._found(None, embedding, k, **kwargs)
        return self._scored(found)

    def _search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> Plan[list[Document]]:
        """Return the documents whose vectors are most similar to `embedding`."""
        return _documents((yield from self._search_with_score_by_vector(embedding, k, **kwargs)))

    similarity_search = Method(_search).sync
    asimilarity_search = Method(_search).asynchronous
    similarity_search_with_score = Method(_search_with_score).sync
    asimilarity_search_with_score = Method(_search_with_score).asynchronous
    similarity_search_by_vector = Method(_search_by_vector).sync
    asimilarity_search_by_vector = Method(_search_by_vector).asynchronous
    similarity_search_with_score_by_vector = Method(_search_with_score_by_vector).sync
    asimilarity_search_with_score_by_vector = Method(_search_with_score_by_vector).asynchronous

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        # A brain's scores are relevance already.
        return lambda score: score

    # ---- diverse search ---------------------------------------------------------------------------------------------

    def _diverse_with_score(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> Plan[Scored]:
        """Return the documents of `max_marginal_relevance_search`, each with its score for the query, 0..1."""
        candidates = _candidates(k, fetch_k, lambda_mult)
        vector, found = yield from self._found(query, None, candidates, with_embeddings=True, **kwargs)
        return self._scored(diverse(found, vector, k, lambda_mult, hint=_NO_VECTORS))

    def _diverse(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> Plan[list[Document]]:
        """Return documents that are similar to `query` and different from each other.

        Args:
            query: The query.
            k: How many documents at most.
            fetch_k: How many to choose them from.
            lambda_mult: 0..1, the weight of similarity against difference.
            kwargs: As for `similarity_search_with_score`.
        """
        return _documents((yield from self._diverse_with_score(query, k, fetch_k, lambda_mult, **kwargs)))

    def _diverse_with_score_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> Plan[Scored]:
        """Return the documents of `max_marginal_relevance_search_by_vector`, each with its score, 0..1."""
        candidates = _candidates(k, fetch_k, lambda_mult)
        _, found = yield from self._found(None, embedding, candidates, with_embeddings=True, **kwargs)
        return self._scored(diverse(found, embedding, k, lambda_mult, hint=_NO_VECTORS))

    def _diverse_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> Plan[list[Document]]:
        """Return documents whose vectors are similar to `embedding` and different from each other."""
        scored = yield from self._diverse_with_score_by_vector(embedding, k, fetch_k, lambda_mult, **kwargs)
        return _documents(scored)

    max_marginal_relevance_search = Method(_diverse).sync
    amax_marginal_relevance_search = Method(_diverse).asynchronous
    max_marginal_relevance_search_with_score = Method(_diverse_with_score).sync
    amax_marginal_relevance_search_with_score = Method(_diverse_with_score).asynchronous
    max_marginal_relevance_search_by_vector = Method(_diverse_by_vector).sync
    amax_marginal_relevance_search_by_vector = Method(_diverse_by_vector).asynchronous
    max_marginal_relevance_search_with_score_by_vector = Method(_diverse_with_score_by_vector).sync
    amax_marginal_relevance_search_with_score_by_vector = Method(_diverse_with_score_by_vector).asynchronous

    def _size(self, batch_size: int | None) -> int:
        return self._batch_size if batch_size is None else check_whole("batch_size", batch_size, 1)

    # ---- between the two worlds -------------------------------------------------------------------------------------

    def _within(self, scope: ScopeLike | None) -> Scope:
        return self._scope if scope is None else as_scope(scope).within(self._scope)

    def _found(
        self,
        query: str | None,
        vector: Sequence[float] | None,
        k: int,
        *,
        filter: FilterLike | None = None,
        scope: ScopeLike | None = None,
        search_mode: SearchMode | None = None,
        alpha: float | None = None,
        min_score: float = 0.0,
        include_archived: bool = False,
        with_embeddings: bool = False,
        **unknown: Any,
    ) -> Plan[tuple[Sequence[float] | None, SearchResult]]:
        """Return the vector that was searched by, and the hits."""
        refuse(self, unknown)
        # Both are checked before an embedding is made.
        limit, condition = check_whole("k", k), checked(filter)
        can: Capabilities = yield ask("capabilities")
        embedder = self._embedder(can)
        mode = search_mode or ("vector" if query is None else self._search_mode)
        if mode is None and embedder is not None:
            mode = "vector"
        if query is not None and embedder is not None and mode != "keyword":
            vector = yield call(embedder.embed_query, embedder.aembed_query, query)
        found: SearchResult = yield ask(
            "search",
            # A brain that is given a vector has no use for the text of a search by vector alone.
            None if vector is not None and mode == "vector" else query,
            embedding=vector,
            scope=self._within(scope),
            limit=limit,
            filter=condition,
            mode=mode,
            alpha=self._alpha if alpha is None else alpha,
            min_score=min_score,
            include_archived=include_archived,
            with_embeddings=with_embeddings,
        )
        return vector, found

    def _embedder(self, can: Capabilities) -> Embeddings | None:
        """Return the model that makes the vectors; None if the brain makes them."""
        return self._embedding if can.embeddings else None

    def _stored(self, ids: Iterable[Id], scope: Scope) -> list[str]:
        """Return the ids under which documents may be kept: by this store, or by whoever else stored into its space."""
        stored: list[str] = []
        for id in check_ids("ids", ids):
            # An id that is too long to be stored is not found.
            with suppress(OneBrainValidationError):
                stored.append(encode(scope, id))
            stored.append(id)
        return stored

    def _document(self, memory: Memory) -> Document:
        metadata = memory.metadata
        content = memory.content
        if BLANK in metadata:
            content = metadata[BLANK]
            metadata = {key: value for key, value in metadata.items() if key != BLANK}
        return Document(id=memory.id.removeprefix(self._prefix), page_content=content, metadata=metadata)

    def _scored(self, found: Iterable[Hit]) -> Scored:
        return [(self._document(hit.memory), hit.score) for hit in found]


def _rows(
    texts: Iterable[str], metadatas: Sequence[dict[str, Any]] | None, ids: Sequence[Id | None] | None
) -> list[_Row]:
    if isinstance(texts, str):
        raise OneBrainValidationError("texts: must be a list of texts, not one text")
    listed = list(texts)
    known = check_new_ids("ids", () if ids is None else ids)
    for name, values in (("metadatas", metadatas), ("ids", known)):
        if values and len(values) != len(listed):
            raise OneBrainValidationError(f"{name}: there are {len(values)} for {len(listed)} texts")
    nothing: dict[str, Any] = {}
    return [
        _Row(
            text,
            (metadatas[i] if metadatas else None) or nothing,
            (known[i] if known else None) or None,
        )
        for i, text in enumerate(listed)
    ]


def _batches(rows: Sequence[_Row], size: int) -> Iterator[Sequence[_Row]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _memories(
    batch: Sequence[_Row],
    vectors: Sequence[tuple[float, ...]] | None,
    scope: Scope,
    can: Capabilities,
    before: int,
) -> list[NewMemory]:
    """Return rows as memories, or raise with a note on which one cannot be kept; `before` counts those stored before."""
    memories: list[NewMemory] = []
    for i, (text, metadata, id) in enumerate(batch):
        if id is None and can.client_ids:
            # Known beforehand, so that a repeated request stores nothing twice.
            id = str(uuid4())
        blank = isinstance(text, str) and not text.strip()
        try:
            memory = NewMemory.checked(
                id=None if id is None else encode(scope, id),
                content="(blank)" if blank else text,
                metadata={**metadata, BLANK: text} if blank else metadata,
                scope=scope,
                embedding=None if vectors is None else vectors[i],
            )
        except OneBrainError as error:
            error.add_note(
                f"the text at position {before + i} cannot be kept; of the texts, {before} were stored"
            )
            raise
        memories.append(memory)
    return memories


def _added(stored: StoreResults, scope: Scope, before: int) -> list[str]:
    """Return the ids of a batch, or raise its first failure with a note on the rest."""
    try:
        return decode(scope, stored.ids)
    except OneBrainError as error:
        failed, total = stored.failed, before + len(stored)
        error.add_note(
            f"of the texts up to position {total - 1}, {len(failed)} were not stored, "
            f"the first of them at position {before + failed[0]}; the other {total - len(failed)} were"
        )
        raise


def _by_ids(ids: Sequence[Id] | None, filter: FilterLike | None, delete_all: bool) -> bool:
    if (ids is not None) + (filter is not None) + delete_all != 1:
        raise OneBrainValidationError(
            "delete: give ids, a filter, or delete_all=True for every document of the store, and one of them only"
        )
    deletion.condition(
        filter, everything=False, instead="delete_all=True removes every document of the store"
    )
    return ids is not None


def _candidates(k: int, fetch_k: int, lambda_mult: float) -> int:
    """Return how many hits a diverse search asks for; none where it is to return none."""
    check_range("lambda_mult", lambda_mult, 0, 1)
    wanted, fetched = check_whole("k", k), check_whole("fetch_k", fetch_k)
    return max(wanted, fetched) if wanted else 0


def _documents(scored: Scored) -> list[Document]:
    return [document for document, _ in scored]

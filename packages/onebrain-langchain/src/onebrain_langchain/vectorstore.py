"""`OneBrainVectorStore`: a space of a brain as a LangChain vector store."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self
from uuid import uuid4

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from pydantic import SecretStr

from onebrain import (
    Brain,
    ConfigurationError,
    Hit,
    Memory,
    NewMemory,
    OneBrainError,
    OneBrainValidationError,
    Scope,
    StoreResults,
    Unsupported,
)
from onebrain.memory import deletion
from onebrain.memory.brain import AsyncBrain
from onebrain.memory.checks import check_ids, check_new_ids, check_range, check_whole
from onebrain.memory.ids import Id
from onebrain.memory.models import SearchMode
from onebrain.memory.vectors import one_for_each
from onebrain_langchain.connection import AnyBrain, Connection, ScopeLike, as_scope, refuse
from onebrain_langchain.documents import new_memory
from onebrain_langchain.filters import FilterLike, checked
from onebrain_langchain.ids import decode, encode, prefix

# A brain keeps no blank text; a document may be blank (a scanned page), so its text travels here.
BLANK = "onebrain:blank"


class _Row(NamedTuple):
    """One text to add."""

    text: str
    metadata: dict[str, Any]
    id: str | None


class OneBrainVectorStore(VectorStore):
    """Keeps documents in a space of a brain, and finds them by meaning, by words, or by both.

    Documents come back exactly as they were added, apart from an `id` where they had none. Ids belong to the store's
    scope: two stores in one brain may use the same ids. Scores are 0..1, higher is better, in every method.

    With an `embedding`, vectors are made by it, where the brain takes vectors of its callers, and searches go by
    vector unless `search_mode` says otherwise. Without one, or where the brain takes none, the brain makes its own, and
    searches are what it does best, usually hybrid.

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
        given = as_scope(scope)
        if space is not None and given.space not in (None, space):
            raise ConfigurationError("space and scope.space differ: give one of the two")
        self._connection = Connection(brain, url=url, api_key=api_key, base_url=base_url)
        self._embedding = embedding
        self._scope = given.within(Scope(space=space or "langchain"))
        self._prefix = prefix(self._scope)
        self._search_mode: SearchMode | None = search_mode
        self._alpha = alpha
        self._batch_size = batch_size

    def __repr__(self) -> str:
        where = repr(self._connection)
        return f"{type(self).__name__}({where + ', ' if where else ''}scope={self._scope!r})"

    @property
    def embeddings(self) -> Embeddings | None:
        """What makes the vectors, where that is not the brain."""
        return self._embedding

    @property
    def scope(self) -> Scope:
        """Where the documents are."""
        return self._scope

    def close(self) -> None:
        """Close what was opened here; a brain that was given stays open."""
        self._connection.close()

    async def aclose(self) -> None:
        """Close what was opened here; a brain that was given stays open."""
        await self._connection.aclose()

    # ---- add --------------------------------------------------------------------------------------------------------

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[Id | None] | None = None,
        scope: ScopeLike | None = None,
        batch_size: int | None = None,
        on_progress: Callable[[int], object] | None = None,
        **kwargs: Any,
    ) -> list[str]:
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
                the error says what was stored all the same.
        """
        refuse(self, kwargs)
        brain, where = self._connection.sync, self._within(scope)
        embedder = self._embedder(brain)
        added: list[str] = []
        for batch in _batches(_rows(texts, metadatas, ids), self._size(batch_size)):
            pages = [row.text for row in batch]
            vectors = (
                None
                if embedder is None
                else one_for_each(embedder.embed_documents(pages), len(pages), embedder)
            )
            stored = brain.store_many(_memories(batch, vectors, where, brain, len(added)))
            added.extend(_added(stored, where, len(added)))
            if on_progress is not None:
                on_progress(len(added))
        return added

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[Id | None] | None = None,
        scope: ScopeLike | None = None,
        batch_size: int | None = None,
        on_progress: Callable[[int], object] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Do what `add_texts` does, asynchronously."""
        refuse(self, kwargs)
        brain, where = await self._connection.open(), self._within(scope)
        embedder = self._embedder(brain)
        added: list[str] = []
        for batch in _batches(_rows(texts, metadatas, ids), self._size(batch_size)):
            pages = [row.text for row in batch]
            vectors = (
                None
                if embedder is None
                else one_for_each(await embedder.aembed_documents(pages), len(pages), embedder)
            )
            stored = await brain.store_many(_memories(batch, vectors, where, brain, len(added)))
            added.extend(_added(stored, where, len(added)))
            if on_progress is not None:
                on_progress(len(added))
        return added

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
        store.add_texts(texts, metadatas, ids=ids, on_progress=on_progress)
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
        """Do what `from_texts` does, asynchronously."""
        store = cls(embedding, **kwargs)
        await store.aadd_texts(texts, metadatas, ids=ids, on_progress=on_progress)
        return store

    # ---- get and delete ---------------------------------------------------------------------------------------------

    def get_by_ids(self, ids: Sequence[Id], /) -> list[Document]:
        """Return the documents with these ids that exist, in the order of `ids`."""
        return self._found(self._connection.sync.get_many(self._stored(ids, self._scope), scope=self._scope))

    async def aget_by_ids(self, ids: Sequence[Id], /) -> list[Document]:
        """Do what `get_by_ids` does, asynchronously."""
        brain = await self._connection.open()
        return self._found(await brain.get_many(self._stored(ids, self._scope), scope=self._scope))

    def delete(
        self,
        ids: Sequence[Id] | None = None,
        *,
        filter: FilterLike | None = None,
        scope: ScopeLike | None = None,
        delete_all: bool = False,
        **kwargs: Any,
    ) -> bool | None:
        """Remove documents by id, by `filter`, or all of the store; ids that do not exist are no failure.

        Raises:
            OneBrainValidationError: It was not said which: nothing at all was given, or more than one of them.
        """
        refuse(self, kwargs)
        brain, where = self._connection.sync, self._within(scope)
        if _by_ids(ids, filter, delete_all):
            brain.delete(self._stored(ids or (), where), scope=where)
        else:
            brain.forget(filter=filter, scope=where)
        return True

    async def adelete(
        self,
        ids: Sequence[Id] | None = None,
        *,
        filter: FilterLike | None = None,
        scope: ScopeLike | None = None,
        delete_all: bool = False,
        **kwargs: Any,
    ) -> bool | None:
        """Do what `delete` does, asynchronously."""
        refuse(self, kwargs)
        brain, where = await self._connection.open(), self._within(scope)
        if _by_ids(ids, filter, delete_all):
            await brain.delete(self._stored(ids or (), where), scope=where)
        else:
            await brain.forget(filter=filter, scope=where)
        return True

    # ---- search -----------------------------------------------------------------------------------------------------

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Return the documents most similar to `query`; the arguments are those of `similarity_search_with_score`."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Do what `similarity_search` does, asynchronously."""
        return [document for document, _ in await self.asimilarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the documents most similar to `query`, best first, with their scores, 0..1.

        Args:
            query: What to look for.
            k: How many documents at most.
            kwargs: `filter` (``F("year").ge(2025)`` or ``{"year": {"$gte": 2025}}``), `scope` (whose, within the
                store's), `search_mode`, `alpha`, `min_score` and `include_archived`, as for `Brain.search`. An unknown
                argument raises.
        """
        brain = self._connection.sync
        arguments = self._arguments(brain, k, **kwargs)
        embedder = self._embedder(brain, arguments["mode"])
        vector = None if embedder is None else embedder.embed_query(query)
        return self._scored(brain.search(**_query(query, vector, arguments)))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Do what `similarity_search_with_score` does, asynchronously."""
        brain = await self._connection.open()
        arguments = self._arguments(brain, k, **kwargs)
        embedder = self._embedder(brain, arguments["mode"])
        vector = None if embedder is None else await embedder.aembed_query(query)
        return self._scored(await brain.search(**_query(query, vector, arguments)))

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """Return the documents whose vectors are most similar to `embedding`."""
        return [
            document for document, _ in self.similarity_search_with_score_by_vector(embedding, k, **kwargs)
        ]

    async def asimilarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        """Do what `similarity_search_by_vector` does, asynchronously."""
        scored = await self.asimilarity_search_with_score_by_vector(embedding, k, **kwargs)
        return [document for document, _ in scored]

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the documents whose vectors are most similar to `embedding`, with their scores."""
        brain = self._connection.sync
        arguments = self._arguments(brain, k, by_vector=True, **kwargs)
        return self._scored(brain.search(**_query(None, embedding, arguments)))

    async def asimilarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Do what `similarity_search_with_score_by_vector` does, asynchronously."""
        brain = await self._connection.open()
        arguments = self._arguments(brain, k, by_vector=True, **kwargs)
        return self._scored(await brain.search(**_query(None, embedding, arguments)))

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda score: score  # a brain's scores are relevance already

    # ---- diverse search ---------------------------------------------------------------------------------------------

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Return documents that are similar to `query` and different from each other.

        Args:
            query: What to look for.
            k: How many documents at most.
            fetch_k: How many to choose them from.
            lambda_mult: 0..1, the weight of similarity against difference.
            kwargs: As for `similarity_search_with_score`.
        """
        scored = self.max_marginal_relevance_search_with_score(query, k, fetch_k, lambda_mult, **kwargs)
        return [document for document, _ in scored]

    async def amax_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Do what `max_marginal_relevance_search` does, asynchronously."""
        scored = await self.amax_marginal_relevance_search_with_score(
            query, k, fetch_k, lambda_mult, **kwargs
        )
        return [document for document, _ in scored]

    def max_marginal_relevance_search_with_score(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return what `max_marginal_relevance_search` does, each document with its score for the query, 0..1."""
        brain = self._connection.sync
        arguments = self._arguments(brain, _candidates(k, fetch_k, lambda_mult), **kwargs)
        embedder = self._embedder(brain, arguments["mode"])
        vector = None if embedder is None else embedder.embed_query(query)
        hits = brain.search(**_query(query, vector, arguments), with_embeddings=True)
        return self._scored(diverse(hits, vector, k, lambda_mult))

    async def amax_marginal_relevance_search_with_score(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Do what `max_marginal_relevance_search_with_score` does, asynchronously."""
        brain = await self._connection.open()
        arguments = self._arguments(brain, _candidates(k, fetch_k, lambda_mult), **kwargs)
        embedder = self._embedder(brain, arguments["mode"])
        vector = None if embedder is None else await embedder.aembed_query(query)
        hits = await brain.search(**_query(query, vector, arguments), with_embeddings=True)
        return self._scored(diverse(hits, vector, k, lambda_mult))

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Return documents whose vectors are similar to `embedding` and different from each other."""
        scored = self.max_marginal_relevance_search_with_score_by_vector(
            embedding, k, fetch_k, lambda_mult, **kwargs
        )
        return [document for document, _ in scored]

    async def amax_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Do what `max_marginal_relevance_search_by_vector` does, asynchronously."""
        scored = await self.amax_marginal_relevance_search_with_score_by_vector(
            embedding, k, fetch_k, lambda_mult, **kwargs
        )
        return [document for document, _ in scored]

    def max_marginal_relevance_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return what `max_marginal_relevance_search_by_vector` does, each document with its score, 0..1."""
        brain = self._connection.sync
        arguments = self._arguments(brain, _candidates(k, fetch_k, lambda_mult), by_vector=True, **kwargs)
        hits = brain.search(**_query(None, embedding, arguments), with_embeddings=True)
        return self._scored(diverse(hits, embedding, k, lambda_mult))

    async def amax_marginal_relevance_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Do what `max_marginal_relevance_search_with_score_by_vector` does, asynchronously."""
        brain = await self._connection.open()
        arguments = self._arguments(brain, _candidates(k, fetch_k, lambda_mult), by_vector=True, **kwargs)
        hits = await brain.search(**_query(None, embedding, arguments), with_embeddings=True)
        return self._scored(diverse(hits, embedding, k, lambda_mult))

    def _size(self, batch_size: int | None) -> int:
        return self._batch_size if batch_size is None else check_whole("batch_size", batch_size, 1)

    # ---- between the two worlds -------------------------------------------------------------------------------------

    def _within(self, scope: ScopeLike | None) -> Scope:
        return self._scope if scope is None else as_scope(scope).within(self._scope)

    def _arguments(
        self,
        brain: Brain | AsyncBrain,
        k: int,
        *,
        by_vector: bool = False,
        filter: FilterLike | None = None,
        scope: ScopeLike | None = None,
        search_mode: SearchMode | None = None,
        alpha: float | None = None,
        min_score: float = 0.0,
        include_archived: bool = False,
        **unknown: Any,
    ) -> dict[str, Any]:
        """Return the arguments of a search; of the mode, what the caller, the store and the embedding ask for."""
        refuse(self, unknown)
        mode = search_mode or ("vector" if by_vector else self._search_mode)
        if mode is None and self._embedder(brain) is not None:
            mode = "vector"
        return {
            "scope": self._within(scope),
            # Checked here, before an embedding is made.
            "limit": check_whole("k", k),
            "filter": checked(filter),
            "mode": mode,
            "alpha": self._alpha if alpha is None else alpha,
            "min_score": min_score,
            "include_archived": include_archived,
        }

    def _embedder(self, brain: Brain | AsyncBrain, mode: SearchMode | None = None) -> Embeddings | None:
        """Return what makes the vectors that the brain is given; None where it is given none."""
        return self._embedding if brain.capabilities.embeddings and mode != "keyword" else None

    def _stored(self, ids: Iterable[Id], scope: Scope) -> list[str]:
        """Return the ids under which documents may be kept: by this store, or by whoever else stored into its space."""
        stored: list[str] = []
        for id in check_ids("ids", ids):
            with suppress(OneBrainValidationError):  # an id that is too long to be stored is not found
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

    def _found(self, memories: Iterable[Memory]) -> list[Document]:
        return [self._document(memory) for memory in memories]

    def _scored(self, found: Iterable[Hit]) -> list[tuple[Document, float]]:
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
            (metadatas[place] if metadatas else None) or nothing,
            (known[place] if known else None) or None,
        )
        for place, text in enumerate(listed)
    ]


def _batches(rows: Sequence[_Row], size: int) -> Iterator[Sequence[_Row]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _memories(
    batch: Sequence[_Row],
    vectors: Sequence[tuple[float, ...]] | None,
    scope: Scope,
    brain: Brain | AsyncBrain,
    before: int,
) -> list[NewMemory]:
    """Return rows as memories, or raise with a note on which one cannot be kept; `before` counts those stored before."""
    memories: list[NewMemory] = []
    for place, (text, metadata, id) in enumerate(batch):
        if id is None and brain.capabilities.client_ids:
            id = str(uuid4())  # known beforehand, so that a repeated request stores nothing twice
        blank = isinstance(text, str) and not text.strip()
        try:
            memory = new_memory(
                id=None if id is None else encode(scope, id),
                content="(blank)" if blank else text,
                metadata={**metadata, BLANK: text} if blank else metadata,
                scope=scope,
                embedding=None if vectors is None else vectors[place],
            )
        except OneBrainError as error:
            error.add_note(
                f"the text at position {before + place} cannot be kept; of the texts, {before} were stored"
            )
            raise
        memories.append(memory)
    return memories


def _added(stored: StoreResults, scope: Scope, before: int) -> list[str]:
    """Return the ids of a batch, or raise its first failure with a note on what became of the rest."""
    try:
        return decode(scope, stored.ids)
    except OneBrainError as error:
        failed, total = stored.failed, before + len(stored)
        error.add_note(
            f"of the texts up to position {total - 1}, {len(failed)} were not stored, "
            f"the first of them at position {before + failed[0]}; the other {total - len(failed)} were"
        )
        raise


def _query(query: str | None, vector: Sequence[float] | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    # A brain that is given a vector has no use for the text of a search by vector alone.
    text = None if vector is not None and arguments["mode"] == "vector" else query
    return {"query": text, "embedding": vector, **arguments}


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


def diverse(hits: Sequence[Hit], vector: Sequence[float] | None, k: int, lambda_mult: float) -> list[Hit]:
    """Choose `k` hits by maximal marginal relevance: like the query, and unlike what was chosen already.

    How like the query a memory is, is the cosine of the two vectors, or its score where the brain made the vectors.

    Raises:
        Unsupported: The brain returns no vectors to compare.
    """
    vectors = [_unit(hit.memory.embedding) for hit in hits]
    query = None if vector is None else _unit(vector)
    relevance = [
        hit.score if query is None else _dot(query, own) for hit, own in zip(hits, vectors, strict=True)
    ]
    nearest = [-1.0] * len(hits)
    chosen: list[int] = []
    while len(chosen) < min(k, len(hits)):
        best = max(
            (place for place in range(len(hits)) if place not in chosen),
            key=lambda place: (
                lambda_mult * relevance[place] - ((1 - lambda_mult) * nearest[place] if chosen else 0.0)
            ),
        )
        chosen.append(best)
        nearest = [max(near, _dot(own, vectors[best])) for near, own in zip(nearest, vectors, strict=True)]
    return [hits[place] for place in chosen]


def _unit(vector: Sequence[float] | None) -> list[float]:
    if vector is None:
        raise Unsupported("diverse search", hint="it returns no vectors; use similarity_search")
    length = math.hypot(*vector)
    return [number / length for number in vector] if length else list(vector)


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))

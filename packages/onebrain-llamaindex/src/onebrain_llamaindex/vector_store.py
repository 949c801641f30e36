"""`OneBrainVectorStore`: a space of a brain as a LlamaIndex vector store."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, TypeAlias

from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from pydantic import Field, PrivateAttr

from onebrain import Brain, EmbedderMismatch, Hit, OneBrainValidationError, SearchResult
from onebrain.frameworks.connection import Method, in_space, refuse
from onebrain.frameworks.ids import store_under_ids, with_ids
from onebrain.frameworks.plans import Plan, ask
from onebrain.frameworks.recall import diverse
from onebrain.memory import deletion
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.checks import check_id, check_ids, check_range, check_whole
from onebrain.memory.filters import TRUE, Filter, every
from onebrain.memory.models import SearchMode
from onebrain_llamaindex.connection import Connected
from onebrain_llamaindex.embedding import is_of_a_model, offer_embedding
from onebrain_llamaindex.filters import RESERVED, own, translate
from onebrain_llamaindex.ids import encode
from onebrain_llamaindex.nodes import VECTOR, has_own_vector, is_node, marked, memory_of, node_of

Mode: TypeAlias = VectorStoreQueryMode
Result: TypeAlias = VectorStoreQueryResult

DEFAULT_SPACE = "llamaindex"
_TEXT_MODES = (Mode.TEXT_SEARCH, Mode.SPARSE)
_MODES = (Mode.DEFAULT, Mode.HYBRID, Mode.MMR, *_TEXT_MODES)
_REMEDY = (
    "A space holds vectors of one embedding model or of the memory: give the index the embed_model with which it was "
    "filled, BrainEmbedding() for the memory's own, or take another space"
)
_NO_VECTORS = "query mode 'mmr' needs the vectors of the memories found"
# Candidates of an mmr query for each of its results, and at least.
_PREFETCH = 4
_PREFETCH_MIN = 50


class OneBrainVectorStore(Connected, BasePydanticVectorStore):
    """Keeps nodes in a space of a brain, and finds them by meaning, by words, or by both.

    Nodes come back as they were added, relationships included; `get_nodes` returns their embeddings, too. Scores are
    0..1, higher is better. Node ids belong to the store's scope: two stores in one brain may use the same ids. A memory that
    something else stored in the same space is found, too, as a `TextNode`.

    Who embeds follows the framework. Nodes that carry the vectors of an embedding model keep them, and queries go by
    the vector that the index's model makes. Without a model, with `BrainEmbedding` or with the framework's
    `MockEmbedding`, the memory makes the vectors and queries go by their text. A space holds vectors of one origin, and
    it alone decides which: vectors of another origin are refused with `EmbedderMismatch`. Services make all vectors themselves;
    there the store warns once that those of a model are not kept.

    | query mode | searches |
    |---|---|
    | default | by the query's vector if a model made it, else in the memory's best mode, usually hybrid |
    | hybrid | by words and meaning; `alpha` weighs meaning against words, `hybrid_top_k` limits the results |
    | text_search, sparse | by words; `sparse_top_k` limits the results |
    | mmr | like default, then spread out by `mmr_threshold` (1 is relevance only, 0 diversity only, default 0.5) |

    Other modes raise. Filters are described in `onebrain_llamaindex.filters`.

    Attributes:
        scope: Whose nodes, and where. Its space is the store's name, by default "llamaindex".
        space: The name of the store, like a collection, instead of ``scope.space``.
        use_embeddings: Who embeds, where that is to be fixed: True keeps the embeddings of all nodes and requires them,
            and those of queries; False leaves them to the memory in silence.
        batch_size: How many nodes are stored at a time.

    Example:
        >>> from llama_index.core import Document, VectorStoreIndex
        >>> store = OneBrainVectorStore(url="sqlite://", space="travel")
        >>> index = VectorStoreIndex.from_vector_store(store)
        >>> index.insert(Document(text="Maria prefers window seats", metadata={"year": 2025}))
        >>> [found.text for found in index.as_retriever(similarity_top_k=1).retrieve("where does Maria sit?")]
        ['Maria prefers window seats']
        >>> store.close()
    """

    stores_text: bool = True
    is_embedding_query: bool = False
    space: str | None = None
    use_embeddings: bool | None = None
    batch_size: int = Field(default=1000, ge=1)

    _warned: bool = PrivateAttr(default=False)

    def model_post_init(self, context: Any, /) -> None:
        """Settle the space, and who embeds; open nothing."""
        super().model_post_init(context)
        self.scope = in_space(self.scope, self.space, DEFAULT_SPACE)
        self.space = self.scope.space
        self.stores_text = True
        self.is_embedding_query = self.use_embeddings is not False
        if not self.use_embeddings:
            offer_embedding()

    @classmethod
    def class_name(cls) -> str:
        """The name in serialized form."""
        return "OneBrainVectorStore"

    @property
    def client(self) -> Brain:
        """The brain, for calls that this interface does not have."""
        return self._connection.sync

    # ---- write ------------------------------------------------------------------------------------------------------

    def _add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Plan[list[str]]:
        """Store nodes and return their ids; a node whose id is there already is replaced."""
        refuse(self, kwargs)
        keep = yield from self._keeps_vectors(nodes)
        try:
            for start in range(0, len(nodes), self.batch_size):
                batch = nodes[start : start + self.batch_size]
                items = [memory_of(node, self.scope, use_embedding=keep) for node in batch]
                yield from store_under_ids(items, self.scope, RESERVED)
        except EmbedderMismatch as error:
            raise _other_origin(error) from error
        return [node.node_id for node in nodes]

    add = Method(_add).sync
    async_add = Method(_add).asynchronous

    def _keeps_vectors(self, nodes: Sequence[BaseNode]) -> Plan[bool]:
        """Return whether the vectors of `nodes` are kept, which all of them have then."""
        if self.use_embeddings is False:
            return False
        of_model = bool if self.use_embeddings else is_of_a_model
        bare = [node for node in nodes if not of_model(node.embedding)]
        if self.use_embeddings is None:
            if len(bare) == len(nodes):
                return False
            if not (yield ask("capabilities")).embeddings:
                self._leave_embedding("nodes")
                return False
        if bare:
            raise OneBrainValidationError(
                f"node {bare[0].node_id!r:.80} has no embedding; embed it first, or leave use_embeddings out"
                if self.use_embeddings
                else f"node {bare[0].node_id!r:.80} has no embedding, and others of the same call have one: embed all or none"
            )
        return True

    def _leave_embedding(self, owner: str) -> None:
        """Say once that the vectors of a model are not used, for the service makes its own."""
        self.is_embedding_query = False
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"the service makes its own vectors, so those of the embedding model for {owner} are not used; pass "
                "embed_model=BrainEmbedding() to save their cost, or use_embeddings=False to say that this is meant",
                UserWarning,
                stacklevel=2,
            )

    def _delete(self, ref_doc_id: str, **delete_kwargs: Any) -> Plan[None]:
        """Remove all nodes of a source document; an unknown one is no error."""
        refuse(self, delete_kwargs)
        return self._forget(_of_document(ref_doc_id))

    def _delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> Plan[None]:
        """Remove the nodes that have one of `node_ids` and match `filters`; without either, none.

        Raises:
            OneBrainValidationError: There are only `filters`, and they are empty or hold for every node; ``clear()``
                removes all.
        """
        refuse(self, delete_kwargs)
        wanted = translate(filters)
        if node_ids:
            yield from self._forget(every((yield from self._with_ids(node_ids)), wanted))
        elif node_ids is None and filters is not None:
            yield from self._forget(
                deletion.condition(wanted, everything=False, instead="clear() removes every node")
            )

    def _clear(self) -> Plan[None]:
        """Remove every node of the store's scope, and whatever else is stored in it."""
        return self._forget(None)

    delete = Method(_delete).sync
    adelete = Method(_delete).asynchronous
    delete_nodes = Method(_delete_nodes).sync
    adelete_nodes = Method(_delete_nodes).asynchronous
    clear = Method(_clear).sync
    aclear = Method(_clear).asynchronous

    def _forget(self, wanted: Filter | None) -> Plan[None]:
        yield ask("forget", filter=wanted, scope=self.scope, keep_facts=True)

    # ---- read -------------------------------------------------------------------------------------------------------

    def _get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> Plan[list[BaseNode]]:
        """Return the nodes that have one of `node_ids` and match `filters`, in the order of adding.

        They are as they were added, also those that other memories supersede.
        """
        if node_ids == []:
            return []
        condition = every((yield from self._with_ids(node_ids)), translate(filters))
        can: Capabilities = yield ask("capabilities")
        memories = yield ask(
            "list",
            filter=condition,
            scope=self.scope,
            order="sequence",
            include_superseded=True,
            with_embeddings=can.embeddings and self.use_embeddings is not False,
        )
        return [node_of(memory) for memory in memories]

    def _query(self, query: VectorStoreQuery, **kwargs: Any) -> Plan[VectorStoreQueryResult]:
        """Return the best nodes for a query with their scores; the class explains the modes.

        Args:
            query: The query. Empty lists of `node_ids` and `doc_ids` restrict nothing.
            kwargs: For the mode mmr, as ``vector_store_kwargs`` of a retriever: ``mmr_threshold``, and
                ``mmr_prefetch_k`` or ``mmr_prefetch_factor``, the number of candidates or its ratio to the results.
        """
        mode, threshold, prefetch = self._checked(query, kwargs)
        condition = yield from self._condition(query)
        limit = _limit(query, mode)
        vector = yield from self._vector(query, mode)
        try:
            found: SearchResult = yield ask(
                "search",
                query.query_str,
                scope=self.scope,
                filter=condition,
                limit=prefetch or limit,
                with_embeddings=mode is Mode.MMR,
                **_how(query, mode, vector),
            )
        except EmbedderMismatch as error:
            raise _other_origin(error) from error
        if mode not in _TEXT_MODES and self.use_embeddings is None:
            yield from self._check_origin(found, vector)
        hits: Sequence[Hit] = found
        if mode is Mode.MMR:
            hits = diverse(found, vector, limit, threshold, against_all=False, hint=_NO_VECTORS)
        nodes = [
            marked(node_of(hit.memory.model_copy(update={"embedding": None})), hit.memory) for hit in hits
        ]
        return VectorStoreQueryResult(
            nodes=nodes, similarities=[hit.score for hit in hits], ids=[node.node_id for node in nodes]
        )

    get_nodes = Method(_get_nodes).sync
    aget_nodes = Method(_get_nodes).asynchronous
    query = Method(_query).sync
    aquery = Method(_query).asynchronous

    def _checked(self, query: VectorStoreQuery, kwargs: dict[str, Any]) -> tuple[Mode, float, int]:
        """Return the mode of a query with its threshold and number of candidates for mmr; raise if it has no meaning."""
        mode = Mode(query.mode)
        threshold, prefetch = _mmr_options(query, kwargs) if mode is Mode.MMR else (0.0, 0)
        refuse(self, kwargs)
        if mode not in _MODES:
            raise OneBrainValidationError(
                f"query mode {mode.value!r} is not supported; there are {', '.join(m.value for m in _MODES)}"
            )
        for name in ("output_fields", "embedding_field"):
            if getattr(query, name):
                raise OneBrainValidationError(f"{name}: is not supported; nodes come back whole")
        return mode, threshold, prefetch

    def _condition(self, query: VectorStoreQuery) -> Plan[Filter]:
        """Return the filter of a query."""
        condition = translate(query.filters)
        if query.node_ids:
            condition = every(condition, (yield from self._with_ids(query.node_ids)))
        if query.doc_ids:
            condition = every(condition, own("ref_doc_id").in_(check_ids("doc_ids", query.doc_ids)))
        return condition

    def _vector(self, query: VectorStoreQuery, mode: VectorStoreQueryMode) -> Plan[list[float] | None]:
        """Return the vector to search by; None for a search by text."""
        if mode in _TEXT_MODES:
            return None
        if self.use_embeddings:
            if not query.query_embedding:
                raise OneBrainValidationError(
                    f"query mode {mode.value!r} needs query_embedding, for the store was made with use_embeddings=True"
                )
            return query.query_embedding
        given = query.query_embedding if is_of_a_model(query.query_embedding) else None
        if self.use_embeddings is None and given is not None:
            if (yield ask("capabilities")).embeddings:
                return given
            if query.query_str is not None:
                self._leave_embedding("queries")
        if given is not None and query.query_str is None:
            raise OneBrainValidationError(
                "the query has an embedding and no text, and the memory makes its own vectors; pass query_str"
                + (", or make the store with use_embeddings=True" if self.use_embeddings is False else "")
            )
        return None

    def _check_origin(self, found: SearchResult, vector: list[float] | None) -> Plan[None]:
        """Refuse an answer to a vector of one origin from a space with vectors of the other."""
        if vector is not None:
            # Vectors of two origins may be equally long, so that nothing else tells them apart.
            if any(is_node(memory) and not has_own_vector(memory) for memory in found.memories):
                raise EmbedderMismatch(
                    f"space {self.space!r} holds vectors that the memory made, and the query has one of an embedding "
                    f"model. {_REMEDY}"
                )
        elif found.mode == "keyword" and (yield ask("capabilities")).embeddings:
            owned = own(VECTOR).exists()
            if (yield ask("list", filter=owned, scope=self.scope, limit=1)):
                raise EmbedderMismatch(
                    f"space {self.space!r} holds vectors of an embedding model, and the query has none. {_REMEDY}"
                )

    def _with_ids(self, node_ids: list[str] | None) -> Plan[Filter]:
        if node_ids is None:
            return TRUE
        can = yield ask("capabilities")
        ids = (id for node_id in node_ids for id in (encode(self.scope, node_id), node_id))
        return with_ids(can, ids, RESERVED)


def _how(query: VectorStoreQuery, mode: VectorStoreQueryMode, vector: list[float] | None) -> dict[str, Any]:
    """Return the arguments of a search by text or vector; raise if the query lacks the one that its mode needs."""
    if mode in _TEXT_MODES:
        if query.query_str is None:
            raise OneBrainValidationError(f"query mode {mode.value!r} needs query_str")
        return {"mode": "keyword"}
    if vector is None:
        chosen: SearchMode | None = "hybrid" if mode is Mode.HYBRID else None
        return {"mode": chosen, "alpha": query.alpha}
    if mode is Mode.HYBRID:
        if query.query_str is None:
            raise OneBrainValidationError("query mode 'hybrid' needs query_str beside query_embedding")
        return {"mode": "hybrid", "alpha": query.alpha, "embedding": vector}
    return {"mode": "vector", "embedding": vector}


def _other_origin(error: EmbedderMismatch) -> EmbedderMismatch:
    return EmbedderMismatch(f"{error.message}. {_REMEDY}", service=error.service)


def _of_document(ref_doc_id: str) -> Filter:
    known = check_id("ref_doc_id", ref_doc_id)
    if not known:
        raise OneBrainValidationError("ref_doc_id: must be the id of a document")
    return own("ref_doc_id").eq(known)


def _limit(query: VectorStoreQuery, mode: Mode) -> int:
    if mode is Mode.HYBRID and query.hybrid_top_k is not None:
        return check_whole("hybrid_top_k", query.hybrid_top_k)
    if mode in _TEXT_MODES and query.sparse_top_k is not None:
        return check_whole("sparse_top_k", query.sparse_top_k)
    return check_whole("similarity_top_k", query.similarity_top_k)


def _mmr_options(query: VectorStoreQuery, options: dict[str, Any]) -> tuple[float, int]:
    """Take the options of an mmr query out of `options`; return its threshold and the number of candidates."""
    threshold = options.pop("mmr_threshold", None)
    threshold = query.mmr_threshold if threshold is None else threshold
    threshold = 0.5 if threshold is None else threshold
    check_range("mmr_threshold", threshold, 0, 1)
    if "mmr_prefetch_k" in options and "mmr_prefetch_factor" in options:
        raise OneBrainValidationError("mmr_prefetch_k and mmr_prefetch_factor: give one of the two")
    factor = options.pop("mmr_prefetch_factor", None)
    wanted = options.pop("mmr_prefetch_k", None)
    limit = check_whole("similarity_top_k", query.similarity_top_k)
    if wanted is not None:
        return threshold, max(check_whole("mmr_prefetch_k", wanted), limit)
    if factor is not None:
        return threshold, max(int(check_range("mmr_prefetch_factor", factor, 0) * limit), limit)
    return threshold, max(_PREFETCH * limit, _PREFETCH_MIN)

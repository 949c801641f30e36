"""`OneBrainRetriever`: the memories of a brain as the nodes of a retriever."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.schema import IndexNode, NodeWithScore, QueryBundle
from pydantic import SecretStr

from onebrain import Hit, SearchResult
from onebrain.frameworks.connection import AnyBrain, Component, Connection, Method, ScopeLike, as_scope
from onebrain.frameworks.plans import Plan, ask
from onebrain.memory.fallback import warn_of_words
from onebrain.memory.models import SearchMode
from onebrain_llamaindex.filters import Filters, translate
from onebrain_llamaindex.nodes import marked, node_of
from onebrain_llamaindex.reranking import reranker


class OneBrainRetriever(Component, BaseRetriever):
    """Finds memories by meaning and words, whatever stored them.

    Each memory is a `TextNode` with its score (0..1, higher is better). Its metadata holds the known facts about it:
    the caller's own metadata, ``title type tags source importance created_at updated_at`` and the parts of its scope.
    A node of a `OneBrainVectorStore` comes back as it was. The query's text is searched for; an embedding
    that another retriever left in the query bundle is of another model, and is not used. Memories whose vectors an
    embedding model of LlamaIndex made are found by their words alone, and a warning says so; the vector store that
    stored them finds them by meaning.

    Args:
        brain: A `Brain`, an `AsyncBrain`, or both as a pair.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key.
        base_url: OneBrain's address, as an alternative to `url`.
        scope: Whose memories, and where.
        similarity_top_k: How many memories at most.
        filters: LlamaIndex's `MetadataFilters`, a brain's filter such as ``F("year").ge(2025)``, or a Mongo-style dict.
        mode: ``hybrid``, ``keyword`` or ``vector``; the default is the best that the memory has.
        alpha: 0..1, the weight of meaning against words in hybrid mode.
        min_score: Only memories with at least this score, 0..1.
        min_confidence: No nodes if the answer is less likely than this to be among them, 0..1. If it is set, the metadata holds
            the ``confidence``, unless the memory's own metadata has that key.
        rerank: Orders the nodes anew: a `BaseNodePostprocessor`, or what `Brain.search` takes.
        include_archived: Archived memories, too.
        include_superseded: Memories that others supersede, too; ``superseded_by`` in the metadata marks them.
        at: The moment at which the memories hold, a datetime or ISO 8601 text; the default is now.

    Example:
        >>> import onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> _ = brain.store("Maria prefers window seats", scope=onebrain.Scope(user="maria"), tags=["travel"])
        >>> retriever = OneBrainRetriever(brain=brain, scope={"user": "maria"}, similarity_top_k=1)
        >>> [
        ...     (found.text, found.metadata["tags"])
        ...     for found in retriever.retrieve("where does she like to sit?")
        ... ]
        [('Maria prefers window seats', ['travel'])]
        >>> brain.close()
    """

    def __init__(
        self,
        *,
        brain: AnyBrain | None = None,
        url: str | None = None,
        api_key: SecretStr | str | None = None,
        base_url: str | None = None,
        scope: ScopeLike | None = None,
        similarity_top_k: int = 10,
        filters: Filters | None = None,
        mode: SearchMode | None = None,
        alpha: float | None = None,
        min_score: float = 0.0,
        min_confidence: float = 0.0,
        rerank: Any = None,
        include_archived: bool = False,
        include_superseded: bool = False,
        at: datetime | str | None = None,
        callback_manager: CallbackManager | None = None,
        object_map: dict[str, Any] | None = None,
        objects: list[IndexNode] | None = None,
        verbose: bool = False,
    ) -> None:
        self._connection = Connection(brain, url=url, api_key=api_key, base_url=base_url)
        self._scope = as_scope(scope)
        self.similarity_top_k = similarity_top_k
        self._filter = translate(filters)
        self._mode = mode
        self._alpha = alpha
        self._min_score = min_score
        self._min_confidence = min_confidence
        self._rerank = reranker(rerank)
        self._include_archived = include_archived
        self._include_superseded = include_superseded
        self._at = at
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  # the base leaves a dict's types open
            callback_manager=callback_manager, object_map=object_map, objects=objects, verbose=verbose
        )

    def _search(self, query_bundle: QueryBundle) -> Plan[list[NodeWithScore]]:
        found: SearchResult = yield ask(
            "search",
            query_bundle.query_str,
            scope=self._scope,
            limit=self.similarity_top_k,
            filter=self._filter,
            mode=self._mode,
            alpha=self._alpha,
            min_score=self._min_score,
            min_confidence=self._min_confidence,
            rerank=self._rerank,
            include_archived=self._include_archived,
            include_superseded=self._include_superseded,
            at=self._at,
        )
        warn_of_words(found)
        nodes = [self._node(hit) for hit in found]
        if found.confidence is not None:
            for one in nodes:
                one.node.metadata.setdefault("confidence", found.confidence)
        return nodes

    _retrieve = Method(_search).sync
    _aretrieve = Method(_search).asynchronous

    def _node(self, hit: Hit) -> NodeWithScore:
        return NodeWithScore(node=marked(node_of(hit.memory), hit.memory), score=hit.score)

"""`OneBrainRetriever`: memories as documents, for chains and agents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from pydantic import Field, field_validator, model_validator

from onebrain import Hit, SearchResult
from onebrain.frameworks.connection import ScopeLike, as_scope, refuse
from onebrain.frameworks.plans import Plan, ask
from onebrain.memory.fallback import warn_of_words
from onebrain.memory.models import SearchMode
from onebrain_langchain.connection import STRICT, Connected
from onebrain_langchain.documents import document
from onebrain_langchain.filters import FilterLike, checked, jsonable
from onebrain_langchain.reranking import reranker


class OneBrainRetriever(Connected, BaseRetriever):
    """Finds the memories that answer a query, best first.

    Every option may also be given to one call: ``retriever.invoke("...", k=3, scope=Scope(user="maria"))``. A
    document's metadata holds the memory's own metadata, ``score`` (0..1, higher is better), ``created_at`` and the
    other known facts about the memory; its id is the memory's. Memories whose vectors the caller's embeddings made are found
    by their words alone, and a warning says so; the vector store that stored them finds them by meaning.

    Attributes:
        k: How many documents at most; `top_k` is another name for it.
        search_mode: ``hybrid``, ``keyword`` or ``vector``; None leaves it to the brain.
        alpha: 0..1, the weight of meaning against keywords in hybrid mode.
        filter: Which memories count: ``F("year").ge(2025)`` or ``{"year": {"$gte": 2025}}``.
        min_score: Only memories with at least this score.
        min_confidence: No documents if the answer is less likely than this to be among them, 0..1. If it is set, the metadata
            holds the ``confidence``, unless the memory's own metadata has that key.
        rerank: Orders the documents anew: a `BaseDocumentCompressor`, or what `Brain.search` takes.
        include_archived: Look at archived memories, too.
        include_superseded: Look at memories that others supersede, too; ``superseded_by`` in the metadata marks them.
        at: The moment at which the memories hold, a datetime or ISO 8601 text; the default is now.

    Example:
        >>> import onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> _ = brain.store("Maria prefers window seats", scope=onebrain.Scope(user="maria"))
        >>> retriever = OneBrainRetriever(brain=brain, scope=onebrain.Scope(user="maria"), k=3)
        >>> [document.page_content for document in retriever.invoke("where does she like to sit?")]
        ['Maria prefers window seats']
        >>> brain.close()
    """

    model_config = STRICT

    k: int = Field(default=10, ge=0, strict=True)
    top_k: int | None = Field(default=None, ge=0, strict=True)
    search_mode: SearchMode | None = None
    alpha: float | None = Field(default=None, ge=0, le=1, strict=True)
    filter: FilterLike | None = None
    min_score: float = Field(default=0.0, ge=0, le=1, strict=True)
    min_confidence: float = Field(default=0.0, ge=0, le=1, strict=True)
    rerank: Any = Field(default=None, exclude=True)
    include_archived: bool = False
    include_superseded: bool = False
    at: datetime | str | None = None

    @field_validator("filter")
    @classmethod
    def _filter(cls, value: Any) -> Any:
        return checked(value)

    @model_validator(mode="after")
    def _one_number(self) -> OneBrainRetriever:
        if self.top_k is not None:
            if "k" in self.model_fields_set and self.k != self.top_k:
                raise ValueError("k and top_k are the same option: give one of the two")
            self.k, self.top_k = self.top_k, None
        return self

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return self._connection.run(self._documents(query, **kwargs))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return await self._connection.arun(self._documents(query, **kwargs))

    def _documents(self, query: str, **kwargs: Any) -> Plan[list[Document]]:
        found: SearchResult = yield ask("search", query, **self._arguments(**kwargs))
        warn_of_words(found)
        documents = [self._document(hit) for hit in found]
        if found.confidence is not None:
            for one in documents:
                one.metadata.setdefault("confidence", found.confidence)
        return documents

    def _document(self, hit: Hit) -> Document:
        return document(hit.memory, hit.score)

    def _arguments(
        self,
        *,
        k: int | None = None,
        top_k: int | None = None,
        scope: ScopeLike | None = None,
        search_mode: SearchMode | None = None,
        alpha: float | None = None,
        filter: FilterLike | None = None,
        min_score: float | None = None,
        min_confidence: float | None = None,
        rerank: Any = None,
        include_archived: bool | None = None,
        include_superseded: bool | None = None,
        at: datetime | str | None = None,
        verbose: bool = False,
        **unknown: Any,
    ) -> dict[str, Any]:
        """Return the arguments of a search, from those of one call and the retriever's own."""
        refuse(self, unknown)
        if k is not None and top_k is not None and k != top_k:
            raise TypeError("k and top_k are the same option: give one of the two")
        limit = k if k is not None else top_k if top_k is not None else self.k
        return {
            "scope": self.scope if scope is None else as_scope(scope).within(self.scope),
            "limit": limit,
            "filter": self.filter if filter is None else filter,
            "mode": search_mode or self.search_mode,
            "alpha": self.alpha if alpha is None else alpha,
            "min_score": self.min_score if min_score is None else min_score,
            "min_confidence": self.min_confidence if min_confidence is None else min_confidence,
            "rerank": reranker(self.rerank if rerank is None else rerank),
            "include_archived": self.include_archived if include_archived is None else include_archived,
            "include_superseded": self.include_superseded
            if include_superseded is None
            else include_superseded,
            "at": self.at if at is None else at,
        }

    def _get_ls_params(self, **kwargs: Any) -> LangSmithRetrieverParams:
        params = super()._get_ls_params(**kwargs)
        params["ls_vector_store_provider"] = "OneBrain"
        return params

    def to_json(self) -> Any:
        """Return LangChain's serialized form."""
        if self.rerank is not None and not isinstance(self.rerank, str | bool):
            return self.to_json_not_implemented()
        form = super().to_json()
        if form["type"] == "constructor" and self.filter is not None:
            form["kwargs"]["filter"] = jsonable(self.filter)
            if form["kwargs"]["filter"] is None:
                return self.to_json_not_implemented()
        if form["type"] == "constructor" and isinstance(self.at, datetime):
            form["kwargs"]["at"] = self.at.isoformat()
        return form

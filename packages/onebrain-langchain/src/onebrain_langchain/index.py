"""`OneBrainIndex`: a vector store that is also a retriever, as LangChain's `DocumentIndex`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import DeleteResponse, DocumentIndex, UpsertResponse
from pydantic import Field, PrivateAttr

from onebrain import OneBrainValidationError
from onebrain.frameworks.connection import Method, refuse
from onebrain.frameworks.plans import Plan
from onebrain_langchain.connection import STRICT, Connected
from onebrain_langchain.vectorstore import OneBrainVectorStore


class OneBrainIndex(Connected, DocumentIndex):
    """Upserts, gets, deletes and retrieves documents of one space.

    Attributes:
        space: The name of the index.
        k: How many documents a query returns.
        embedding: Makes the vectors; None leaves that to the brain.

    Example:
        >>> import onebrain
        >>> from langchain_core.documents import Document
        >>> brain = onebrain.connect("sqlite://")
        >>> index = OneBrainIndex(brain=brain, space="travel")
        >>> index.upsert([Document("Maria prefers window seats", id="seat")])
        {'succeeded': ['seat'], 'failed': []}
        >>> [document.id for document in index.invoke("where does Maria sit?")]
        ['seat']
        >>> brain.close()
    """

    model_config = STRICT

    space: str | None = None
    k: int = Field(default=4, ge=0, strict=True)
    embedding: Embeddings | None = Field(default=None, exclude=True, repr=False)

    _store: OneBrainVectorStore = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Check how to connect; open nothing."""
        super().model_post_init(context)
        self._store = OneBrainVectorStore(
            self.embedding, brain=self._connection.brains, space=self.space, scope=self.scope
        )

    def _upsert(self, items: Sequence[Document], /, **kwargs: Any) -> Plan[UpsertResponse]:
        """Add or replace documents; `kwargs` are those of `OneBrainVectorStore.add_texts` but `ids`."""
        ids = [document.id for document in items]
        texts, metadatas = [one.page_content for one in items], [one.metadata for one in items]
        options: dict[str, Any] = {"ids": ids if any(ids) else None, **kwargs}
        added = yield from self._store.plan_add_texts(texts, metadatas, **options)
        return {"succeeded": added, "failed": []}

    def _delete(self, ids: list[str] | None = None, **kwargs: Any) -> Plan[DeleteResponse]:
        """Remove documents by id; ids that do not exist are no failure."""
        refuse(self, kwargs)
        if ids is None:
            raise OneBrainValidationError("delete: say which documents, by their ids")
        there = [document.id for document in (yield from self._store.plan_get(ids)) if document.id]
        yield from self._store.plan_delete(there)
        return {"succeeded": there, "num_deleted": len(there), "failed": [], "num_failed": 0}

    def _get(self, ids: Sequence[str], /, **kwargs: Any) -> Plan[list[Document]]:
        """Return the documents with these ids that exist."""
        refuse(self, kwargs)
        return self._store.plan_get(ids)

    upsert = Method(_upsert).sync
    aupsert = Method(_upsert).asynchronous
    delete = Method(_delete).sync
    adelete = Method(_delete).asynchronous
    get = Method(_get).sync
    aget = Method(_get).asynchronous

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return self._store.similarity_search(query, **{"k": self.k, **kwargs})

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return await self._store.asimilarity_search(query, **{"k": self.k, **kwargs})

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain may write this component as JSON: no, since its embedding may not be."""
        return False

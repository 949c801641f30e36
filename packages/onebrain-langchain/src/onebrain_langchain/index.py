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
from onebrain_langchain.connection import STRICT, Connected, refuse
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

    def upsert(self, items: Sequence[Document], /, **kwargs: Any) -> UpsertResponse:
        """Add or replace documents; `kwargs` are those of `OneBrainVectorStore.add_texts` but `ids`."""
        return {"succeeded": self._store.add_documents(list(items), **kwargs), "failed": []}

    async def aupsert(self, items: Sequence[Document], /, **kwargs: Any) -> UpsertResponse:
        """Do what `upsert` does, asynchronously."""
        return {"succeeded": await self._store.aadd_documents(list(items), **kwargs), "failed": []}

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> DeleteResponse:
        """Remove documents by id; those that do not exist are no failure."""
        refuse(self, kwargs)
        there = [document.id for document in self._store.get_by_ids(_some(ids))]
        self._store.delete([id for id in there if id])
        return _deleted(there)

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> DeleteResponse:
        """Do what `delete` does, asynchronously."""
        refuse(self, kwargs)
        there = [document.id for document in await self._store.aget_by_ids(_some(ids))]
        await self._store.adelete([id for id in there if id])
        return _deleted(there)

    def get(self, ids: Sequence[str], /, **kwargs: Any) -> list[Document]:
        """Return the documents with these ids that exist."""
        refuse(self, kwargs)
        return self._store.get_by_ids(ids)

    async def aget(self, ids: Sequence[str], /, **kwargs: Any) -> list[Document]:
        """Do what `get` does, asynchronously."""
        refuse(self, kwargs)
        return await self._store.aget_by_ids(ids)

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


def _some(ids: list[str] | None) -> list[str]:
    if ids is None:
        raise OneBrainValidationError("delete: say which documents, by their ids")
    return ids


def _deleted(ids: Sequence[str | None]) -> DeleteResponse:
    there = [id for id in ids if id]
    return {"succeeded": there, "num_deleted": len(there), "failed": [], "num_failed": 0}

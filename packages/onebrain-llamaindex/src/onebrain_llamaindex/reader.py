"""`OneBrainReader`: the memories of a brain as documents, to index or export them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from llama_index.core.readers.base import BasePydanticReader
from llama_index.core.schema import Document

from onebrain import Memory, OneBrainValidationError
from onebrain.memory.models import Order, SearchMode
from onebrain_llamaindex.connection import Connected
from onebrain_llamaindex.filters import Filters, translate
from onebrain_llamaindex.nodes import document_of

# The most results of a query without a limit.
_FOUND = 100


class OneBrainReader(Connected, BasePydanticReader):
    """Reads memories as documents: all of them, page by page, or those that answer a query.

    A document has the memory's id and text. Its metadata holds the memory's own and the known facts about it.

    Example:
        >>> import onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> _ = brain.store_many(["Maria prefers window seats", "Mario is afraid of heights"])
        >>> [document.text for document in OneBrainReader(brain=brain).load_data()]
        ['Maria prefers window seats', 'Mario is afraid of heights']
        >>> brain.close()
    """

    is_remote: bool = True

    @classmethod
    def class_name(cls) -> str:
        """The name in serialized form."""
        return "OneBrainReader"

    def lazy_load_data(
        self,
        query: str | None = None,
        *,
        filters: Filters | None = None,
        limit: int | None = None,
        order: Order = "sequence",
        mode: SearchMode | None = None,
        min_score: float = 0.0,
        include_archived: bool = False,
    ) -> Iterator[Document]:
        """Yield documents; the next page is asked for when the last one is used up.

        Args:
            query: The query; None reads everything.
            filters: Which memories: `MetadataFilters`, a brain's filter, or a Mongo-style dict.
            limit: How many at most; the default is all, or 100 for a query.
            order: Of a reading without a query: by default the order of storing.
            mode: How to search.
            min_score: Only hits with at least this score, 0..1, of a query.
            include_archived: Archived memories, too.
        """
        arguments = self._arguments(query, filters, limit, order, mode, min_score, include_archived)
        brain = self._connection.sync
        if query is None:
            return (self._document(memory) for memory in brain.list(**arguments))
        return (self._document(memory) for memory in brain.search(query, **arguments).memories)

    async def aiter_data(
        self,
        query: str | None = None,
        *,
        filters: Filters | None = None,
        limit: int | None = None,
        order: Order = "sequence",
        mode: SearchMode | None = None,
        min_score: float = 0.0,
        include_archived: bool = False,
    ) -> AsyncIterator[Document]:
        """Yield documents as `lazy_load_data` does, without blocking the event loop."""
        arguments = self._arguments(query, filters, limit, order, mode, min_score, include_archived)
        brain = await self._connection.open()
        if query is None:
            async for memory in brain.list(**arguments):
                yield self._document(memory)
        else:
            for memory in (await brain.search(query, **arguments)).memories:
                yield self._document(memory)

    async def alazy_load_data(self, *args: Any, **load_kwargs: Any) -> Iterable[Document]:
        """Return all documents at once, as the framework's interface has it; `aiter_data` yields them one by one."""
        return await self.aload_data(*args, **load_kwargs)

    async def aload_data(self, *args: Any, **load_kwargs: Any) -> list[Document]:
        """Return all documents; the arguments are those of `lazy_load_data`."""
        return [document async for document in self.aiter_data(*args, **load_kwargs)]

    def _document(self, memory: Memory) -> Document:
        return document_of(memory)

    def _arguments(
        self,
        query: str | None,
        filters: Filters | None,
        limit: int | None,
        order: Order,
        mode: SearchMode | None,
        min_score: float,
        include_archived: bool,
    ) -> dict[str, Any]:
        common: dict[str, Any] = {
            "scope": self.scope,
            "filter": translate(filters),
            "include_archived": include_archived,
        }
        if query is not None:
            return common | {
                "limit": _FOUND if limit is None else limit,
                "mode": mode,
                "min_score": min_score,
            }
        if mode is not None or min_score:
            raise OneBrainValidationError("mode and min_score: are for a query; give one, or leave them out")
        return common | {"limit": limit, "order": order}

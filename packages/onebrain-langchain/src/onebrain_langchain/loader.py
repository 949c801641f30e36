"""`OneBrainLoader`: memories as documents, all of them, for export and for indexing elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from pydantic import SecretStr

from onebrain.frameworks.connection import AnyBrain, Component, Connection, ScopeLike, as_scope
from onebrain.memory.models import Order
from onebrain_langchain.documents import document
from onebrain_langchain.filters import FilterLike, checked


class OneBrainLoader(Component, BaseLoader):
    """Loads every memory of a scope, page by page, as it is read.

    Documents look like those of `OneBrainRetriever`, without scores.

    Args:
        brain: A `Brain`, an `AsyncBrain` or both as a pair.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key.
        base_url: OneBrain's address, as an alternative to `url`.
        scope: Whose memories; all that the key may see, by default.
        filter: Which of them.
        order: ``created_at``, ``updated_at``, ``importance`` or ``sequence``, with ``-`` in front for descending.
        limit: How many at most.
        include_archived: Archived memories, too.

    Example:
        >>> import onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> _ = brain.store("Maria prefers window seats", metadata={"year": 2025})
        >>> [document.page_content for document in OneBrainLoader(brain=brain).lazy_load()]
        ['Maria prefers window seats']
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
        filter: FilterLike | None = None,
        order: Order = "created_at",
        limit: int | None = None,
        include_archived: bool = False,
    ) -> None:
        self._connection = Connection(brain, url=url, api_key=api_key, base_url=base_url)
        self._scope = as_scope(scope)
        self._arguments: dict[str, Any] = {
            "scope": self._scope,
            "filter": checked(filter),
            "order": order,
            "limit": limit,
            "include_archived": include_archived,
        }

    def lazy_load(self) -> Iterator[Document]:
        """Yield one document for each memory."""
        for memory in self._connection.sync.list(**self._arguments):
            yield document(memory)

    async def alazy_load(self) -> AsyncIterator[Document]:
        """Yield one document for each memory."""
        brain = await self._connection.open()
        async for memory in brain.list(**self._arguments):
            yield document(memory)

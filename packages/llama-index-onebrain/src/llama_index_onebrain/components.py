"""`OneBrainReader` and `OneBrainRetriever` with the arguments and the metadata of version 0.1."""

from __future__ import annotations

from typing import Any

from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.schema import Document, NodeWithScore
from pydantic import SecretStr

from onebrain import F, Hit, Memory
from onebrain.frameworks.lazy import former_metadata
from onebrain.memory.models import SearchMode
from onebrain_llamaindex.reader import OneBrainReader as Reader
from onebrain_llamaindex.retriever import OneBrainRetriever as Retriever


class OneBrainReader(Reader):
    """Reads memories as documents, with the arguments of version 0.1.

    Args:
        api_key: The service's key.
        base_url: OneBrain's address.
        options: The further arguments of `onebrain_llamaindex.OneBrainReader`.

    Example:
        >>> import onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> _ = brain.store("Maria prefers window seats", type="fact")
        >>> reader = OneBrainReader(brain=brain)
        >>> [document.metadata["type"] for document in reader.load_data(memory_type="fact", limit=50)]
        ['fact']
        >>> brain.close()
    """

    def __init__(
        self, api_key: SecretStr | str | None = None, base_url: str | None = None, **options: Any
    ) -> None:
        key = SecretStr(api_key) if isinstance(api_key, str) else api_key
        super().__init__(api_key=key, base_url=base_url, **options)

    def load_data(
        self,
        query: str | None = None,
        memory_type: str | None = None,
        limit: int | None = 100,
        **options: Any,
    ) -> list[Document]:
        """Return documents: those that answer `query`, or the stored ones of a type."""
        return list(self.lazy_load_data(query, limit=limit, **_of_type(memory_type, options)))

    async def aload_data(
        self,
        query: str | None = None,
        memory_type: str | None = None,
        limit: int | None = 100,
        **options: Any,
    ) -> list[Document]:
        """Do what `load_data` does, asynchronously."""
        found = self.aiter_data(query, limit=limit, **_of_type(memory_type, options))
        return [document async for document in found]

    def _document(self, memory: Memory) -> Document:
        found = super()._document(memory)
        found.metadata = former_metadata(memory) | found.metadata
        return found


def _of_type(memory_type: str | None, options: dict[str, Any]) -> dict[str, Any]:
    return options if memory_type is None else {"filters": F.type.eq(memory_type), **options}


class OneBrainRetriever(Retriever):
    """Finds memories, with the arguments of version 0.1.

    Args:
        api_key: The service's key.
        top_k: How many memories at most.
        search_mode: ``hybrid``, ``keyword`` or ``vector``.
        base_url: OneBrain's address.
        callback_manager: LlamaIndex's callbacks.
        options: The further arguments of `onebrain_llamaindex.OneBrainRetriever`.

    Example:
        >>> import onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> _ = brain.store("Maria prefers window seats", type="preference")
        >>> [found] = OneBrainRetriever(brain=brain, top_k=5).retrieve("where does Maria sit?")
        >>> found.metadata["type"]
        'preference'
        >>> brain.close()
    """

    def __init__(
        self,
        api_key: SecretStr | str | None = None,
        top_k: int = 10,
        search_mode: SearchMode = "hybrid",
        base_url: str | None = None,
        callback_manager: CallbackManager | None = None,
        **options: Any,
    ) -> None:
        given: dict[str, Any] = {"similarity_top_k": top_k, "mode": search_mode} | options
        super().__init__(api_key=api_key, base_url=base_url, callback_manager=callback_manager, **given)

    def _node(self, hit: Hit) -> NodeWithScore:
        found = super()._node(hit)
        found.node.metadata = former_metadata(hit.memory) | found.node.metadata
        return found

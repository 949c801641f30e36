"""`BrainEmbedding`: the embedding model to give LlamaIndex where the memory makes its own vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Final, NoReturn

from llama_index.core import Settings
from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding

from onebrain import ConfigurationError

# The number of which `MockEmbedding` makes all its vectors.
_MOCKED: Final = 0.5


def _no_vectors() -> ConfigurationError:
    return ConfigurationError(
        "BrainEmbedding makes no vectors: it serves a OneBrainVectorStore whose memory embeds for itself. "
        "Set Settings.embed_model, or pass embed_model=, for everything else"
    )


class NoVector(list[float]):
    """The embedding of a query that the memory embeds itself: false, and an error for whoever reads numbers from it."""

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        raise _no_vectors()

    def __iter__(self) -> Iterator[float]:
        raise _no_vectors()

    # NumPy asks for this before it looks at a list's items.
    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _no_vectors()

    def __reduce__(self) -> tuple[type[NoVector], tuple[()]]:
        return NoVector, ()


def is_of_a_model(embedding: Sequence[float] | None) -> bool:
    """Whether an embedding is a model's: not missing, and not one of `BrainEmbedding` or the framework's `MockEmbedding`."""
    if not embedding:
        return False
    return any(number != _MOCKED for number in embedding)


class BrainEmbedding(BaseEmbedding):
    """An embedding model that leaves embedding to the memory, so that none has to be installed or paid for.

    LlamaIndex's indexes and pipelines insist on an embedding model even if the vector store makes its own vectors,
    and its default is a remote one. This one answers every text with an empty vector, which `OneBrainVectorStore`
    takes as "make your own". It refuses to embed a query, so another vector store that meets it fails with a message.

    Example:
        >>> from llama_index.core import Document, VectorStoreIndex
        >>> from onebrain_llamaindex import OneBrainVectorStore
        >>> store = OneBrainVectorStore(url="sqlite://")
        >>> index = VectorStoreIndex.from_vector_store(store, embed_model=BrainEmbedding())
        >>> index.insert(Document(text="Maria prefers window seats"))
        >>> [found.text for found in index.as_retriever(similarity_top_k=1).retrieve("where does Maria sit?")]
        ['Maria prefers window seats']
        >>> store.close()
    """

    model_name: str = "onebrain"

    @classmethod
    def class_name(cls) -> str:
        """The name in serialized form."""
        return "BrainEmbedding"

    def _get_text_embedding(self, text: str) -> Embedding:
        return []

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return []

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return [[] for _ in texts]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return [[] for _ in texts]

    def get_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Embedding] | None = None
    ) -> Embedding:
        """Return the embedding that a retriever hands to its vector store; only a `OneBrainVectorStore` can use it."""
        return NoVector()

    async def aget_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Embedding] | None = None
    ) -> Embedding:
        """Return the embedding that a retriever hands to its vector store; only a `OneBrainVectorStore` can use it."""
        return NoVector()

    def _get_query_embedding(self, query: str) -> Embedding:
        raise _no_vectors()

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return self._get_query_embedding(query)


def offer_embedding() -> None:
    """Make `BrainEmbedding` the embedding model of LlamaIndex where it has none and could load none.

    `VectorStoreIndex.from_vector_store(store)` looks the global model up, although a store that embeds for itself
    never uses it. Without the package of the framework's remote default that lookup raises ImportError; a model that
    was set is never touched, and setting one later works as ever.
    """
    if _installed("llama_index.embeddings.openai"):
        return
    try:
        _ = Settings.embed_model
    except ImportError:
        Settings.embed_model = BrainEmbedding()


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False

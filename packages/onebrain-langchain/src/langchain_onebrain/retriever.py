"""`OneBrainRetriever` with the metadata of onebrain-langchain 0.1."""

from __future__ import annotations

from langchain_core.documents import Document

from onebrain import Hit
from onebrain.frameworks.lazy import former_metadata
from onebrain.memory.models import SearchMode
from onebrain_langchain.retriever import OneBrainRetriever as Retriever


class OneBrainRetriever(Retriever):
    """A retriever whose documents have the metadata of version 0.1 besides that of today.

    Those are ``id``, ``type``, ``title``, ``confidence``, ``source_type`` and ``created_at``, empty if they are not
    known. A key of the memory's own metadata wins.

    Example:
        >>> import onebrain
        >>> brain = onebrain.connect("sqlite://")
        >>> id = brain.store("Maria prefers window seats", type="preference").id
        >>> [document] = OneBrainRetriever(brain=brain, top_k=5, search_mode="hybrid").invoke("seats")
        >>> document.metadata["id"] == id, document.metadata["type"], document.metadata["confidence"]
        (True, 'preference', 0.0)
        >>> brain.close()
    """

    search_mode: SearchMode | None = "hybrid"

    def _document(self, hit: Hit) -> Document:
        found = super()._document(hit)
        found.metadata = {"title": ""} | former_metadata(hit.memory) | found.metadata
        return found

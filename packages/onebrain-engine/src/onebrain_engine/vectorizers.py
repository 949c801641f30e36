"""The embedders of an engine: its own, and those that tenants gave to their spaces."""

from __future__ import annotations

from typing import Any

from onebrain.errors import ConfigurationError
from onebrain_engine.embedders.names import from_environment, from_name
from onebrain_engine.embedders.shapes import adapted
from onebrain_engine.embedding import Checked, Vectorizer
from onebrain_engine.wordllama import WordLlama


def vectorizer(embedder: Any) -> Vectorizer | None:
    """Return an embedder as the engine uses it.

    Args:
        embedder: A name (see `onebrain_engine.embedders.from_name`), an object with ``embed_documents`` and ``embed_query``, a
            LlamaIndex embedding, None for none, or ``...`` for the one that ``$ONEBRAIN_EMBEDDER`` names, by default
            `WordLlama`.

    Raises:
        ConfigurationError: There is no embedder of this name, or the object lacks a method.
    """
    if embedder is ...:
        embedder = from_environment()
    elif isinstance(embedder, str):
        embedder = from_name(embedder)
    if embedder is None or isinstance(embedder, WordLlama | Checked):
        return embedder
    if isinstance(embedder, type):
        raise ConfigurationError(f"embedder: pass an object, not the class {embedder.__name__}")
    return Checked(adapted(embedder))


class Vectorizers:
    """Chooses the embedder of each space; safe to share between threads.

    A space keeps the fingerprint of its embedder. The engine's own embedder serves all spaces until `reembed` gives another
    one to some of them; this process then has several.

    Args:
        own: The engine's embedder; None for no vectors but the caller's own.
    """

    def __init__(self, own: Vectorizer | None) -> None:
        self.own = own
        self._known: dict[str, Vectorizer] = {}
        # By tenant and name of the space; None for all other spaces of the tenant.
        self._assigned: dict[tuple[str, str | None], Vectorizer] = {}

    @property
    def several(self) -> bool:
        """Whether there are others than the engine's own."""
        return bool(self._known)

    def know(self, fingerprint: str, embedder: Vectorizer) -> None:
        """Serve every space that holds the vectors of an embedder by it."""
        self._known[fingerprint] = embedder

    def assign(self, tenant: str, space: str | None, embedder: Vectorizer) -> None:
        """Make the vectors of new memories in a space by an embedder; None means every space without one of its own."""
        self._assigned[tenant, space] = embedder

    def for_new(self, tenant: str, space: str) -> Vectorizer | None:
        """Return the embedder for memories to store in a space."""
        if not self._assigned:
            return self.own
        found = self._assigned.get((tenant, space))
        return found or self._assigned.get((tenant, None)) or self.own

    def holding(self, fingerprint: str | None) -> Vectorizer | None:
        """Return the embedder with a fingerprint among those that spaces were given; None if it is not one of them."""
        return self._known.get(fingerprint) if fingerprint is not None else None

    def for_vectors(self, fingerprint: str | None) -> Vectorizer | None:
        """Return the embedder for queries to a space that holds the vectors of one; the engine's own if that is not known."""
        return self.holding(fingerprint) or self.own

"""A warning for components that return the hits of a search, and cannot return how it was answered."""

from __future__ import annotations

import warnings

from onebrain.memory.models import SearchResult


def warn_of_words(found: SearchResult) -> None:
    """Warn if a search could not go by meaning in some spaces, as another embedder made their vectors."""
    if not found.without_vectors:
        return
    # The reader cannot do anything about more of them than about a few.
    names = ", ".join(map(repr, found.without_vectors[:5]))
    warnings.warn(
        f"another embedder made the vectors of space {names}, so it was not searched by meaning; search with the "
        'component that stored them, or choose the mode "keyword" to say that words are meant',
        UserWarning,
        stacklevel=3,
    )

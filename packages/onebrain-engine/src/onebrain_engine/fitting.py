"""Which vectors fit a space: a space holds those of one embedder, all of one length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from onebrain.errors import EmbedderMismatch
from onebrain_engine.store.protocol import Writing
from onebrain_engine.store.records import Space

CALLER: Final = "caller"  # the embedder of a space whose vectors the caller makes


def vector_bytes(embedding: Sequence[float]) -> bytes:
    """Return a vector as the store keeps it: float32."""
    return np.array(embedding, np.float32).tobytes()


def claimed(service: str, write: Writing, tenant: str, space: Space, embedder: str, dimension: int) -> Space:
    """Return a space as one that holds vectors of this kind.

    Raises:
        EmbedderMismatch: The space holds vectors of another kind.
    """
    if (space.embedder, space.dimension) == (embedder, dimension):
        return space
    if not _claimable(write, tenant, space):
        raise mismatch(service, space, embedder, dimension)
    return write.claim_vectors(tenant, space, embedder, dimension)


def _claimable(write: Writing, tenant: str, space: Space) -> bool:
    """Return whether a space may hold vectors of any kind, because it holds none."""
    if space.embedder is None:
        return True
    # The database's own indexes are made for vectors of one length.
    in_database = space.served or space.filling is not None or space.filled is not None
    return not in_database and not write.has_vectors(tenant, space)


def mismatch(service: str, space: Space, offered: str, dimension: int | None) -> EmbedderMismatch:
    """Return the error for a vector that does not fit a space."""
    holds = f"{space.embedder or 'no embedder'}, {space.dimension} dimensions"
    brings = offered if dimension is None else f"{offered}, {dimension} dimensions"
    return EmbedderMismatch(
        f"space {space.name or 'default'!r} holds vectors of another kind: it holds {holds}; this is {brings}. "
        "Use the same embedder, or another space",
        service=service,
    )

"""Vectors that an embedding model of the caller's returned."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, cast

from onebrain.errors import ConfigurationError


def one_for_each(vectors: Any, count: int, model: object) -> list[tuple[float, ...]]:
    """Return a model's answer for `count` texts as one vector for each.

    Raises:
        ConfigurationError: It is not one vector of finite numbers for each text, all of one length.

    Example:
        >>> one_for_each([[0.5, 1]], 1, "a model")
        [(0.5, 1.0)]
    """
    try:
        found = [tuple(float(number) for number in vector) for vector in _iterable(vectors)]
    except (TypeError, ValueError, OverflowError):
        found = []
    lengths = {len(vector) for vector in found}
    fits = len(found) == count and len(lengths) <= 1 and 0 not in lengths
    if not fits or not all(math.isfinite(number) for vector in found for number in vector):
        raise ConfigurationError(
            f"the embedding model {type(model).__name__} must return one list of finite numbers for each text, all of "
            f"one length; for {count} texts it returned {len(found)} such lists"
        )
    return found


def _iterable(vectors: Any) -> Iterable[Any]:
    return cast("Iterable[Any]", vectors) if isinstance(vectors, Iterable) else ()

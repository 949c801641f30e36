"""Curves of confidence of known models.

They were fitted on facts among others: questions with an answer among the first five hits against questions that nothing
answers, both kinds with the same weight.
"""

from __future__ import annotations

import re
from typing import Final

from onebrain_engine.embedding import Scale

_FITTED: Final = (
    (re.compile(r"use-m3"), Scale(midpoint=0.2, slope=13.9)),
    (
        re.compile(r"(?:fastembed|sentence-transformers):(?:.*/)?all-MiniLM-L6-v2", re.IGNORECASE),
        Scale(0.28, 9.0),
    ),
)


def fitted(name: str) -> Scale | None:
    """Return the curve of the embedder with a name; None if none was fitted.

    Example:
        >>> fitted("use-m3").midpoint
        0.2
        >>> fitted("openai:text-embedding-3-small")
    """
    return next((scale for pattern, scale in _FITTED if pattern.fullmatch(name)), None)

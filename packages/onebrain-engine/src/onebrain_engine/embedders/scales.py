"""Curves of confidence of known models.

They were fitted on facts among others: questions with an answer among the first five hits against questions that nothing
answers, both kinds with the same weight.
"""

from __future__ import annotations

from typing import Final

from onebrain_engine.embedding import Scale

_USE_M3: Final = Scale(midpoint=0.2, slope=13.9)
_MINILM: Final = Scale(midpoint=0.28, slope=9.0)


def fitted(name: str) -> Scale | None:
    """Return the curve of the embedder with a name; None if none was fitted.

    Example:
        >>> fitted("use-m3").midpoint
        0.2
        >>> fitted("openai:text-embedding-3-small")
    """
    if name == "use-m3":
        return _USE_M3
    library, _, model = name.partition(":")
    known = library.lower() in ("fastembed", "sentence-transformers")
    return _MINILM if known and model.lower().rpartition("/")[2] == "all-minilm-l6-v2" else None

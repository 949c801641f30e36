"""Cross-encoders of sentence-transformers, run by PyTorch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from onebrain._core.model_apis import offline
from onebrain_engine.rerankers.loading import NamedReranker


class SentenceTransformersReranker(NamedReranker):
    """A `CrossEncoder` by its name, or in a folder.

    Example:
        >>> SentenceTransformersReranker("cross-encoder/ms-marco-MiniLM-L6-v2")
        SentenceTransformersReranker('cross-encoder/ms-marco-MiniLM-L6-v2')
    """

    kind = "sentence-transformers"

    def _load(self) -> Callable[[str, list[str]], Sequence[float]]:
        try:
            library: Any = importlib.import_module("sentence_transformers")
        except ImportError as error:
            raise self._missing(error) from error
        options = {**({"local_files_only": True} if offline() else {}), **self._options}
        try:
            model = library.CrossEncoder(self.model, **options)
        except OSError as error:
            self._forbid_fetching(error)
            raise
        return lambda query, texts: [
            float(score) for score in model.predict([(query, text) for text in texts])
        ]

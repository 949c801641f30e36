"""The base of rerankers on this machine: loading at the first use, and models on disk."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from onebrain._core.model_apis import OFFLINE, offline
from onebrain.errors import ConfigurationError, MissingDependency


class NamedReranker(ABC):
    """A reranker that loads its model at the first use; safe to share between threads.

    Args:
        model: The model's name, or the folder that holds it.
        options: Further arguments of the model library.
    """

    kind: ClassVar[str]

    def __init__(self, model: str, **options: Any) -> None:
        if not model.strip():
            raise ConfigurationError(f"rerank: {self.kind!r} needs the name of a model")
        self.model = model
        self._options = options
        self._lock = threading.Lock()
        self._rank: Callable[[str, list[str]], Sequence[float]] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"

    def rerank(self, query: str, texts: list[str], /) -> Sequence[float]:
        """Return how well each text answers the query, as the model says it.

        Raises:
            ConfigurationError: The model is not on this disk, and ``$ONEBRAIN_OFFLINE`` forbids to fetch it.
            MissingDependency: The model library is not installed.
        """
        if not texts:
            return []
        with self._lock:
            if self._rank is None:
                self._rank = self._load()
            return self._rank(query, texts)

    @abstractmethod
    def _load(self) -> Callable[[str, list[str]], Sequence[float]]: ...

    def _missing(self, error: ImportError) -> MissingDependency:
        return MissingDependency(
            f"the reranker {self.kind + ':' + self.model!r} needs {error.name or self.kind}, which is not installed: "
            f'pip install "onebrain-engine[{self.kind}]"'
        )

    def _forbid_fetching(self, error: Exception | None = None) -> None:
        if offline():
            raise ConfigurationError(
                f"the model of the reranker {self.kind + ':' + self.model!r} is not on this disk, and ${OFFLINE} forbids to "
                "fetch it; fetch it once without that variable, or name a folder that holds it"
            ) from error

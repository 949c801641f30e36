"""Embedders: from text to vectors, offline by default.

An embedder is any object with ``embed_documents(texts)`` and ``embed_query(text)``, which is what LangChain calls
`Embeddings`. Its fingerprint is kept beside the vectors it made, so that vectors of two embedders never mix.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from onebrain.errors import ConfigurationError, MissingDependency

Floats = npt.NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into vectors; all of one length."""

    def embed_documents(self, texts: list[str], /) -> Sequence[Sequence[float]] | Floats:
        """Return one vector for each text to store."""
        ...

    def embed_query(self, text: str, /) -> Sequence[float] | Floats:
        """Return the vector of a query."""
        ...


class WordLlama:
    """The default embedder: static word vectors of 256 dimensions, about 40 µs a text, no network, no GPU.

    A text's vector is the mean of its tokens' vectors, scaled to length one. It reads the files that the ``wordllama``
    package brings (importing the package itself costs a third of a second, for parts that are not needed here), and
    reads them at the first use.

    Example:
        >>> vector = WordLlama().embed_query("window seat")
        >>> vector.shape
        (256,)
    """

    fingerprint = "wordllama:l2_supercat_256"
    dimension = 256

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokenizer: Any = None
        self._table: Floats | None = None

    def embed_documents(self, texts: list[str], /) -> Floats:
        """Return the vectors of `texts`, one row each; the zero vector for a text without any token."""
        table = self._load()
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        if len(texts) == 1:
            encodings = [self._tokenizer.encode(texts[0], add_special_tokens=False)]
        else:
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        for vector, encoding in zip(vectors, encodings, strict=True):
            if ids := encoding.ids:
                np.sum(table[ids], axis=0, out=vector)
        return unit(vectors)

    def embed_query(self, text: str, /) -> Floats:
        """Return the vector of `text`."""
        return cast("Floats", self.embed_documents([text])[0])

    def _load(self) -> Floats:
        if self._table is not None:
            return self._table
        with self._lock:
            if self._table is None:
                spec = importlib.util.find_spec("wordllama")
                if spec is None or not spec.submodule_search_locations:
                    raise MissingDependency(
                        "the default embedder needs wordllama: pip install wordllama; or pass an embedder of your own"
                    )
                folder = Path(spec.submodule_search_locations[0])
                import safetensors.numpy
                import tokenizers

                tokenizer = tokenizers.Tokenizer.from_file(
                    str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json")
                )
                tokenizer.no_padding()
                weights: dict[str, Floats] = safetensors.numpy.load_file(  # pyright: ignore[reportUnknownMemberType]
                    folder / "weights" / "l2_supercat_256.safetensors"
                )
                self._tokenizer = tokenizer
                self._table = weights["embedding.weight"].astype(np.float32)
        return self._table


@cache
def default_embedder() -> WordLlama:
    """Return the default embedder, one for all engines of a process: its tables take 50 MB and 0.1 s to read."""
    return WordLlama()


class Checked:
    """A user's embedder behind one face: unit vectors as numpy arrays, a fingerprint, clear errors."""

    def __init__(self, embedder: Embedder) -> None:
        for method in ("embed_documents", "embed_query"):
            if not callable(getattr(embedder, method, None)):
                raise ConfigurationError(
                    f"embedder: needs the methods embed_documents and embed_query; {type(embedder).__name__} "
                    f"has no {method}"
                )
        self.embedder = embedder
        self.fingerprint = _fingerprint(embedder)

    def documents(self, texts: list[str]) -> Floats:
        """Return the vectors of texts to store, scaled to length one."""
        if not texts:
            return np.zeros((0, 0), np.float32)
        return self._matrix(self.embedder.embed_documents(texts), len(texts))

    def query(self, text: str) -> Floats:
        """Return the vector of a query, scaled to length one."""
        return cast("Floats", self._matrix([self.embedder.embed_query(text)], 1)[0])

    def _matrix(self, vectors: Any, count: int) -> Floats:
        try:
            matrix: npt.NDArray[Any] = np.asarray(vectors, np.float32)
        except (TypeError, ValueError):
            matrix = np.zeros((0, 0), np.float32)
        if (
            matrix.ndim != 2
            or matrix.shape[0] != count
            or matrix.shape[1] == 0
            or not np.isfinite(matrix).all()
        ):
            raise ConfigurationError(
                f"embedder: {type(self.embedder).__name__} must return one list of finite numbers for each text, "
                f"all of one length; it returned {type(vectors).__name__} of shape {matrix.shape} for {count} texts"
            )
        return unit(matrix)


def _fingerprint(embedder: Any) -> str:
    """Return what tells this embedder's vectors from another's: its own word for it, or its class and model name."""
    own = getattr(embedder, "fingerprint", None)
    if isinstance(own, str) and own:
        return own
    kind = cast("type[object]", type(embedder))
    for name in ("model", "model_name", "model_id", "deployment"):
        value = getattr(embedder, name, None)
        if isinstance(value, str) and value:
            return f"{kind.__module__}.{kind.__qualname__}:{value}"
    return f"{kind.__module__}.{kind.__qualname__}"


def unit(vectors: Floats) -> Floats:
    """Scale rows to length one; a zero row stays zero."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)).astype(np.float32)
    lengths[lengths == 0] = 1
    return cast("Floats", vectors / lengths[:, None])

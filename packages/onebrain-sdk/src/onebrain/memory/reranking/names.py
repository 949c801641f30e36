"""From a name to a reranker."""

from __future__ import annotations

import re
from typing import Any, Final

from onebrain.errors import ConfigurationError, MissingDependency, redact

GROUP: Final = "onebrain.rerankers"
HOSTED: Final = ("cohere", "jina", "litellm", "tei", "vllm", "voyage")
# Rerankers of onebrain-engine.
_LIBRARIES: Final = ("fastembed", "flashrank", "sentence-transformers")
_KIND: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def from_name(name: str, **options: Any) -> Any:
    """Return the reranker with a name. Nothing is loaded or sent before its first use.

    ``cohere:MODEL``, ``jina:MODEL`` and ``voyage:MODEL`` are hosted by their makers. ``KIND+URL#MODEL`` is an API that speaks like
    one of them, or like ``vllm``, ``litellm`` and ``tei``; the URL is the whole address. ``fastembed:MODEL``,
    ``sentence-transformers:MODEL`` and ``flashrank:MODEL`` run on this machine, and come with onebrain-engine. Other packages
    register further kinds under the entry-point group ``onebrain.rerankers``, as functions ``(model, **options)``.

    Args:
        name: The name.
        options: Further arguments of the reranker.

    Raises:
        ConfigurationError: There is no such kind, or the name lacks its model.

    Example:
        >>> from_name("cohere+http://localhost:8000/v2/rerank#bge-reranker-v2-m3")
        RerankAPI('cohere', 'http://localhost:8000/v2/rerank', 'bge-reranker-v2-m3')
    """
    kind, colon, model = name.partition(":")
    hosted, plus, _ = kind.partition("+")
    if hosted in HOSTED and (plus or colon):
        from onebrain.memory.reranking.http import RerankAPI, hosted_at

        if plus:
            address, _, model = name.partition("+")[2].partition("#")
            return RerankAPI(hosted, address, model, **options)
        return RerankAPI(hosted, hosted_at(hosted), model, **options)
    if not _KIND.fullmatch(kind) or not model.strip():
        raise ConfigurationError(
            f"rerank: {redact(name)!r:.120} is no name of a reranker; names are KIND:MODEL and KIND+URL#MODEL, such as "
            "fastembed:Xenova/ms-marco-MiniLM-L-6-v2 and vllm+http://localhost:8000/v1/rerank#bge-reranker-v2-m3"
        )
    # Imported here, because it takes longer than all of this module.
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP, name=kind):
        return point.load()(model, **options)
    if kind in _LIBRARIES:
        raise MissingDependency(
            f'rerank: {kind!r} comes with the engine: pip install "onebrain-engine[{kind}]"'
        )
    others = {point.name for point in entry_points(group=GROUP)}
    raise ConfigurationError(
        f"rerank: no kind {kind!r:.40}; the kinds are {', '.join(sorted({*HOSTED, *_LIBRARIES, *others}))}"
    )

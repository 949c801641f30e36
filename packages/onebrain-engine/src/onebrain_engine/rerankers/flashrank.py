"""Rerankers of flashrank."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from onebrain_engine.rerankers.loading import NamedReranker


class FlashRankReranker(NamedReranker):
    """A model of flashrank by its name. It is kept in ``~/.cache/flashrank`` unless `cache_dir` names another folder.

    Example:
        >>> FlashRankReranker("ms-marco-MiniLM-L-12-v2")
        FlashRankReranker('ms-marco-MiniLM-L-12-v2')
    """

    kind = "flashrank"

    def _load(self) -> Callable[[str, list[str]], Sequence[float]]:
        try:
            library: Any = importlib.import_module("flashrank")
        except ImportError as error:
            raise self._missing(error) from error
        # Its own default is a folder that is emptied when the machine starts.
        cache = Path(self._options.get("cache_dir") or "~/.cache/flashrank").expanduser()
        if not (cache / self.model).is_dir():
            self._forbid_fetching()
        ranker = library.Ranker(self.model, **{**self._options, "cache_dir": str(cache)})

        def rank(query: str, texts: list[str]) -> Sequence[float]:
            passages = [{"id": at, "text": text} for at, text in enumerate(texts)]
            # It answers in its own order.
            scores = {
                row["id"]: float(row["score"])
                for row in ranker.rerank(library.RerankRequest(query=query, passages=passages))
            }
            return [scores[at] for at in range(len(texts))]

        return rank

"""The texts that some models want in front of queries and documents.

A model that was trained with a prefix finds less without it, and raises no error.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The text in front of each query, and the one in front of each document."""

    query: str = ""
    document: str = ""

    def __str__(self) -> str:
        """Return the suffix of a fingerprint; empty without prefixes."""
        return f" {json.dumps([self.query, self.document], ensure_ascii=False)}" if self != NONE else ""


NONE: Final = Prefixes()
_PASSAGES: Final = Prefixes("Represent this sentence for searching relevant passages: ")
_TASK: Final = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"

# The first pattern that the name contains decides. Sources are the models' own cards.
_KNOWN: Final[tuple[tuple[re.Pattern[str], Prefixes], ...]] = (
    (re.compile(r"\be5-mistral|\be5-\w+-instruct|multilingual-e5-large-instruct"), Prefixes(f"{_TASK} ")),
    (re.compile(r"(?:\b|multilingual-)e5-(?:small|base|large)"), Prefixes("query: ", "passage: ")),
    (re.compile(r"\bbge-(?:small|base|large)-zh"), Prefixes("为这个句子生成表示以用于检索相关文章：")),
    (re.compile(r"\bbge-(?:small|base|large)"), _PASSAGES),
    (re.compile(r"\bnomic-embed-text"), Prefixes("search_query: ", "search_document: ")),
    (re.compile(r"\bmxbai-embed-large|\buae-large"), _PASSAGES),
    (re.compile(r"\bsnowflake-arctic-embed-?(?:[ml]-v2|2)"), Prefixes("query: ")),
    (re.compile(r"\bsnowflake-arctic-embed"), _PASSAGES),
    (re.compile(r"\bembeddinggemma"), Prefixes("task: search result | query: ", "title: none | text: ")),
    (re.compile(r"\bqwen3-embedding"), Prefixes(_TASK)),
)


def known_prefixes(model: str) -> Prefixes:
    """Return the prefixes that a model was trained with, by its name; empty ones for an unknown model.

    Example:
        >>> known_prefixes("intfloat/multilingual-e5-large")
        Prefixes(query='query: ', document='passage: ')
        >>> known_prefixes("nomic-embed-text:v1.5").query
        'search_query: '
        >>> known_prefixes("BAAI/bge-m3")
        Prefixes(query='', document='')
    """
    name = model.lower()
    return next((prefixes for pattern, prefixes in _KNOWN if pattern.search(name)), NONE)

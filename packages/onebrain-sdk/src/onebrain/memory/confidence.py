"""How likely the answer to a query is among the hits of a search.

The embedded engine tells it from vectors, by a curve for each embedder. On a service it is made of the scores and the words of
the hits, which differ between services: compare it with others of the same service alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from onebrain.memory.capabilities import Capabilities
from onebrain.memory.models import Hit
from onebrain.memory.words import share_of, text_of

# A context leaves its hits out below this confidence. It is low, because an answer that is missing costs more than a memory too
# many. Measured with the default embedder on stores of 5, 15 and 50 facts: of questions about the world it leaves out 9, 7 and 4 of
# 10; no answer to a question that names somebody; and 4, 3 and 1 of 10 answers that share no word with their question.
ABSTAIN: Final = 0.25

_FIRST: Final = 5
_WORD: Final = re.compile(r"\w+")
_SHORT: Final = 3  # letters of an ASCII word that tells nothing


def abstaining(can: Capabilities, least: float | None) -> float:
    """Return the least confidence of recalled memories: the one given, else the default of a service.

    The default is 0 for a service without vectors here, since its scores do not tell whether anything answers.
    """
    return (ABSTAIN if can.confidence else 0.0) if least is None else least


def from_scores(query: str, hits: Sequence[Hit]) -> float:
    """Return a confidence without vectors, 0..1: the best score, or the share of longer words that a hit holds if it is higher.

    Example:
        >>> from onebrain.memory.models import Memory
        >>> from_scores(
        ...     "the window seat", [Hit(memory=Memory(id="1", content="A window, please"), score=0.1)]
        ... )
        0.5
    """
    words = [word for word in _WORD.findall(query.casefold()) if len(word) > _SHORT or not word.isascii()]
    shares = [share_of(words, text_of(hit.memory)) for hit in hits[:_FIRST]]
    scores = [hit.score for hit in hits]
    return min(max([0.0, *shares, *scores]), 1.0)

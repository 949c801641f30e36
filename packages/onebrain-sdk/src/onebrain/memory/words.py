"""A memory as one text, the words of a query in a text, and texts that say exactly the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from onebrain.memory.models import Memory

_CLOSING: Final = " .!?;,:\u3002\uff01\uff1f\u2026"


def text_of(memory: Memory) -> str:
    """Return a memory's text behind its title, if it has one."""
    return f"{memory.title}\n{memory.content}" if memory.title else memory.content


def share_of(words: Sequence[str], text: str) -> float:
    """Return the share of `words` that `text` contains, 0..1, regardless of case.

    Example:
        >>> share_of(["window", "seat"], "A window, please")
        0.5
    """
    lowered = text.casefold()
    return sum(word in lowered for word in words) / len(words) if words else 0.0


def normalized(text: str) -> str:
    """Return the form in which two texts that say exactly the same are equal.

    Case, white space, closing punctuation and Unicode's compatibility forms make no difference.

    Example:
        >>> normalized("Ewa  likes tea.") == normalized("ewa likes TEA")
        True
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.rstrip(_CLOSING) or folded

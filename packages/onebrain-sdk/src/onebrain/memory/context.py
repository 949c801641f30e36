"""Memories as text for a prompt: fenced as data, dated, within a token budget, the same for the same memories."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from onebrain.errors import OneBrainValidationError
from onebrain.memory.fence import CLOSING, OPENING, fence, on_one_line
from onebrain.memory.models import Context, Memory

CountTokens = Callable[[str], float]


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of `text`: a quarter of its UTF-8 bytes, rounded up.

    Close for English, and on the safe side for scripts where a character takes several tokens.
    """
    return -(-len(text.encode("utf-8", "replace")) // 4)


def line(memory: Memory) -> str:
    """Return one memory as one bullet: its date and its text, on one line."""
    # A third of the time of strftime().
    date = f"[{memory.created_at.isoformat()[:10]}] " if memory.created_at is not None else ""
    return f"- {date}{on_one_line(memory.content)}\n"


def build(memories: Sequence[Memory], *, max_tokens: int, count_tokens: CountTokens | None = None) -> Context:
    """Return the text of as many `memories`, best first, as `max_tokens` allow; oldest first in the text.

    A memory that does not fit is left out and smaller ones after it are still tried. Where not even the best one
    fits, its beginning is used.

    Raises:
        OneBrainValidationError: `count_tokens` returned something else than a number of tokens.
    """
    count = estimate_tokens if count_tokens is None else _whole(count_tokens)
    frame = count(OPENING + CLOSING)
    left = max_tokens - frame
    chosen: list[tuple[Memory, str]] = []
    truncated = False
    for memory in memories:
        text = line(memory)
        cost = count(text)
        if cost <= left:
            chosen.append((memory, text))
            left -= cost
            continue
        truncated = True
    if not chosen and memories and left > 0:
        cut = _cut(line(memories[0]), left, count)
        if cut:
            chosen.append((memories[0], cut))
    if not chosen:
        return Context(truncated=bool(memories))
    while True:
        order = sorted(range(len(chosen)), key=lambda i: (_time(chosen[i][0]), i))
        text = fence("".join(chosen[i][1] for i in order))
        cost = count(text)
        if cost <= max_tokens:
            break
        # A counter may find more tokens in the whole than in its parts.
        chosen.pop()
        truncated = True
        if not chosen:
            return Context(truncated=True)
    return Context(
        text=text, memories=tuple(chosen[i][0] for i in order), token_count=cost, truncated=truncated
    )


def _whole(count_tokens: CountTokens) -> Callable[[str], int]:
    """Return a counter that rounds up, and raises if a count is no number of tokens."""

    def count(text: str) -> int:
        found = count_tokens(text)
        try:
            tokens = math.ceil(found)
        except (TypeError, ValueError, OverflowError):
            tokens = -1
        if tokens < 0:
            raise OneBrainValidationError(
                f"count_tokens: must return a number of tokens for each text, not {type(found).__name__}"
            )
        return tokens

    return count


def _time(memory: Memory) -> float:
    return memory.created_at.timestamp() if memory.created_at is not None else 0.0


def _cut(text: str, tokens: int, count: Callable[[str], int]) -> str:
    """Return the longest beginning of `text` that costs at most `tokens`, marked by an ellipsis; empty for none.

    It is cut between words where there are any, which not every script has.
    """
    body = text.rstrip("\n")
    head = body.index("] ") + 2 if body.startswith("- [") and "] " in body else 2
    low, high = head, len(body)
    while low < high:
        middle = (low + high + 1) // 2
        if count(body[:middle] + " …\n") <= tokens:
            low = middle
        else:
            high = middle - 1
    space = body.rfind(" ", head, low + 1)
    end = space if space > head + (low - head) // 2 else low
    return body[:end].rstrip() + " …\n" if end > head and count(body[:end] + " …\n") <= tokens else ""

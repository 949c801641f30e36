"""The answer of a model: JSON, in a code fence or behind other words, and the facts that it proposes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from onebrain._core.codec import is_array, is_object
from onebrain.memory.acceptance import text as without_surrogates

# Facts of one answer that are looked at.
MOST_FACTS: Final = 50
_FENCE: Final = "```"
# A model that thinks aloud may write JSON while it does.
_THOUGHTS: Final = (("<think>", "</think>"), ("<thinking>", "</thinking>"))
# Parts of an answer that are tried.
_MOST_PARTS: Final = 20
_DECIMAL: Final = re.compile(r"\s*\d{1,6}\s*")


class Unreadable(ValueError):
    """An answer is no JSON of the form that was asked for; the message quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """A fact as a model proposes it; nothing in it is checked yet.

    Attributes:
        text: The statement.
        quote: The words that say it.
        message: The number of the message that they are in; None if the model names none.
        valid_from: The day on which it begins to hold, as the model writes it.
        valid_until: The day on which it ceases to hold.
        same: The number of a known fact that says the same.
        replaces: The numbers of known facts that are no longer true.
        why: The reason for that.
        type: The type of the fact, if the model was given a choice.
    """

    text: str
    quote: str = ""
    message: int | None = None
    valid_from: str | None = None
    valid_until: str | None = None
    same: int | None = None
    replaces: tuple[int, ...] = ()
    why: str | None = None
    type: str | None = None


def read(answer: str) -> tuple[list[Proposed], list[tuple[str, str]]]:
    r"""Return the facts of an answer, and its other rows as pairs of text and reason.

    Raises:
        Unreadable: It is no JSON, or has no list of facts.

    Example:
        >>> read(
        ...     'Here you are: ```json\\n{"facts": [{"text": "Ewa likes tea", "quote": "I like tea", "from": 1}]}\\n```'
        ... )[0][0].quote
        'I like tea'
    """
    found = _json(answer)
    rows = found.get("facts") if is_object(found) else found
    if not is_array(rows):
        raise Unreadable('the object has no list under "facts"')
    facts: list[Proposed] = []
    others: list[tuple[str, str]] = []
    for row in rows:
        text = row.get("text") if is_object(row) else None
        if not isinstance(text, str) or not text.strip():
            others.append(("", "has no text"))
        elif len(facts) == MOST_FACTS:
            others.append((text, f"is one of more than {MOST_FACTS} facts"))
        else:
            facts.append(_proposed(text, row))
    return facts, others


def _proposed(text: str, row: Any) -> Proposed:
    replaces = row.get("replaces")
    return Proposed(
        text=" ".join(text.split()),
        quote=_string(row.get("quote")) or "",
        message=_number(row.get("from")),
        valid_from=_string(row.get("valid_from")),
        valid_until=_string(row.get("valid_until")),
        same=_number(row.get("same")),
        replaces=tuple(
            number
            for number in map(_number, replaces if is_array(replaces) else [replaces])
            if number is not None
        ),
        why=(_string(row.get("why")) or "")[:500] or None,
        type=_string(row.get("type")),
    )


def _json(answer: str) -> Any:
    problem = "it is no JSON"
    for text in _candidates(answer):
        try:
            found: Any = json.loads(text, parse_constant=_refused)
        except RecursionError:
            problem = "it is nested too deep"
        except ValueError:
            continue
        else:
            if is_object(found) or is_array(found):
                return found
            problem = "it is no JSON object"
    raise Unreadable(problem)


def _candidates(answer: str) -> Iterator[str]:
    """Return the parts of an answer that may be the JSON, the likeliest first."""
    answer = answer.lstrip("\ufeff")
    yield answer
    for opened, closed in _THOUGHTS:
        answer = _without(answer, opened, closed)
    # Every second part is inside of a fence, and begins with the name of a language. One without an end is no block.
    blocks = answer.split(_FENCE, 2 * _MOST_PARTS)[1:-1:2]
    for block in blocks:
        first, line_end, rest = block.partition("\n")
        yield rest if line_end and not first.strip().startswith(("{", "[")) else block.removeprefix("json")
    start, end = answer.find("{"), answer.rfind("}")
    if 0 <= start < end:
        yield answer[start : end + 1]


def _without(answer: str, opened: str, closed: str) -> str:
    """Return an answer without the parts between two marks; an end that is missing takes nothing away."""
    lowered = answer.lower()
    if len(lowered) != len(answer):
        # Some letters have lower forms of another length, which the marks have not.
        lowered = answer
    kept: list[str] = []
    start = 0
    while (begin := lowered.find(opened, start)) >= 0:
        end = lowered.find(closed, begin)
        if end < 0:
            break
        kept.append(answer[start:begin])
        start = end + len(closed)
    return "".join([*kept, answer[start:]])


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _number(value: Any) -> int | None:
    """Return a whole number, also one that a model wrote as text or as a float."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
        return int(value)
    return value if isinstance(value, int) and abs(value) < 10**6 else None


def storable(text: str) -> bool:
    """Return whether a memory can hold a text."""
    try:
        without_surrogates(text)
    except ValueError:
        return False
    return bool(text.strip())


__all__ = ["MOST_FACTS", "Proposed", "Unreadable", "read", "storable"]

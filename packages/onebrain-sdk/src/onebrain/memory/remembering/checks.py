"""Whether a proposed fact may be kept: checks that need no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Final

from onebrain.memory.models import Memory
from onebrain.memory.remembering.answers import Proposed, storable
from onebrain.memory.remembering.prompt import Said
from onebrain.memory.words import normalized

if TYPE_CHECKING:
    from onebrain.memory.remembering.dates import Evidence

LONGEST_FACT: Final = 500  # characters
# Known facts that one new fact may replace: a model that names more is wrong.
MOST_REPLACED: Final = 3
# Letters and digits of the shortest quote. Shorter ones are in every message.
_SHORTEST_QUOTE: Final = 3


@dataclass(frozen=True, slots=True)
class Checked:
    """A fact that may be kept.

    Attributes:
        text: The statement.
        quote: The words of the message that say it.
        source: The message.
        valid_from: When it begins to hold, if the model says so and it follows.
        valid_until: When it ceases to hold.
        same: The known fact that says the same.
        replaces: Known, older facts that the model says are no longer true.
        why: Its reason.
        left_out: A part of the proposal that was not kept, and why; None if all was.
        type: The type that the model names, whatever it is.
    """

    text: str
    quote: str
    source: Said
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    same: Memory | None = None
    replaces: tuple[Memory, ...] = ()
    why: str | None = None
    left_out: str | None = None
    type: str | None = None


def checked(one: Proposed, messages: Sequence[Said], known: Sequence[Memory]) -> Checked | str:
    """Return a proposed fact as one that may be kept, or the reason why it may not.

    Args:
        one: The proposal.
        messages: The messages that the model was shown, in order.
        known: The facts that it was shown.
    """
    # Imported here, because its patterns take longer to compile than the rest of the brain to import.
    from onebrain.memory.remembering.dates import Evidence

    if len(one.text) > LONGEST_FACT:
        return f"has {len(one.text)} characters, more than {LONGEST_FACT}"
    if not storable(one.text):
        return "holds characters that cannot be stored"
    source = _source(one, messages)
    if source is None:
        return "its quote is not in the message" if one.quote.strip() else "has no quote"
    evidence = Evidence(one.quote, source.at.date())
    lacking = evidence.lacking(one.text)
    if lacking is not None:
        return f"{lacking} in it does not follow from its quote"
    start, end, left_out = _validity(one, evidence)
    same = _same(one, known)
    replaces, not_replaced = _replaced(one, source, known, same)
    return Checked(
        text=one.text,
        quote=one.quote,
        source=source,
        valid_from=start,
        valid_until=end,
        same=same,
        replaces=replaces,
        why=one.why if one.why is not None and storable(one.why) else None,
        left_out="; ".join([*left_out, *not_replaced]) or None,
        type=one.type,
    )


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _source(one: Proposed, messages: Sequence[Said]) -> Said | None:
    """Return the message that a quote is in: the one that the model names, or any if it names none that was shown."""
    if not _says_anything(one.quote):
        return None
    if one.message is not None and 1 <= one.message <= len(messages):
        named = messages[one.message - 1]
        return named if _occurs(one.quote, named.text) else None
    return next((message for message in messages if _occurs(one.quote, message.text)), None)


def _occurs(quote: str, text: str) -> bool:
    quote = _spaced(quote)
    text = _spaced(text)
    return quote in text and (_says_enough(quote) or quote == text)


def _says_anything(quote: str) -> bool:
    return any(character.isalnum() for character in quote)


def _says_enough(quote: str) -> bool:
    return sum(character.isalnum() for character in quote) >= _SHORTEST_QUOTE


def _validity(one: Proposed, evidence: Evidence) -> tuple[datetime | None, datetime | None, list[str]]:
    left_out: list[str] = []
    found: dict[str, datetime | None] = {}
    for name, written in (("valid_from", one.valid_from), ("valid_until", one.valid_until)):
        day = None if written is None else evidence.day(written)
        if written is not None and day is None:
            left_out.append(f"{name} does not follow from its quote")
        found[name] = None if day is None else _midnight(day)
    start, end = found["valid_from"], found["valid_until"]
    if start is not None and end is not None and end <= start:
        end = None
        left_out.append("valid_until is not later than valid_from")
    return start, end, left_out


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _same(one: Proposed, known: Sequence[Memory]) -> Memory | None:
    """Return the known fact that says the same; two with other numbers do not, whatever the model says."""
    exact = next((memory for memory in known if normalized(memory.content) == normalized(one.text)), None)
    if exact is not None:
        return exact
    if one.same is None or not 1 <= one.same <= len(known):
        return None
    from onebrain.memory.remembering.dates import numbers_of

    named = known[one.same - 1]
    return named if numbers_of(one.text) <= numbers_of(named.content) else None


def _replaced(
    one: Proposed, source: Said, known: Sequence[Memory], same: Memory | None
) -> tuple[tuple[Memory, ...], list[str]]:
    """Return the known facts that a new one replaces, and why it does not replace others that the model names.

    They are facts that were shown and are older, at most `MOST_REPLACED`. A fact that is known already replaces none.
    """
    numbers = list(dict.fromkeys(one.replaces))
    if same is not None:
        return (), ["it replaces nothing, because it is known already"] if numbers else []
    named = [known[number - 1] for number in numbers if 1 <= number <= len(known)]
    older = [memory for memory in named if memory.created_at is None or memory.created_at <= source.at]
    left_out: list[str] = []
    if len(named) < len(numbers):
        left_out.append("it replaces no fact that the model was not shown")
    if len(older) < len(named):
        left_out.append("it replaces no fact that is newer")
    if len(older) > MOST_REPLACED:
        left_out.append(f"it replaces no more than {MOST_REPLACED} facts")
    return tuple(older[:MOST_REPLACED]), left_out


__all__ = ["LONGEST_FACT", "MOST_REPLACED", "Checked", "checked"]

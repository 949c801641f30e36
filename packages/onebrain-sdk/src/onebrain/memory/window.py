"""`window`: the latest messages of a conversation, within limits, as a model accepts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["user", "assistant", "system", "tool"]


@dataclass(frozen=True, slots=True)
class ConversationMessage:
    """The part of a chat message that decides where a conversation may be cut.

    Attributes:
        role: ``user`` also stands for any other person.
        calls: The ids of the tool calls that an assistant's message makes; None for a call without an id.
        answers: The id of the call that a tool's message answers; None where the framework gives none.
        tokens: How long the message is.
    """

    role: Role
    calls: tuple[str | None, ...] = ()
    answers: str | None = None
    tokens: int = 0


def window(
    messages: Sequence[ConversationMessage],
    *,
    max_messages: int | None = None,
    max_tokens: int | None = None,
    complete: bool = True,
    whole_last_turn: bool = False,
) -> list[int]:
    """Return the positions of the latest messages that stay within every limit, in order.

    The window begins with a user's message, system messages directly before it included, or with the conversation
    itself. It is empty if no such beginning is within the limits. Models refuse a tool's answer that does not follow
    its call and a call that is not followed by all its answers, so both are left out with all that belongs to the
    call. Calls at the end of the conversation may still be waiting for answers and stay.

    Args:
        messages: The end of a conversation.
        max_messages: The most messages.
        max_tokens: The most tokens of all messages together.
        complete: Whether `messages` begins with the conversation, rather than somewhere inside.
        whole_last_turn: Return the last user's message and all that follows it, whatever the limits say, rather than
            nothing.
    """
    kept = _acceptable(messages)
    starts = _starts(messages, kept, complete)
    first: int | None = None
    tokens = 0
    for place in range(len(kept) - 1, -1, -1):
        tokens += messages[kept[place]].tokens
        too_many = max_messages is not None and len(kept) - place > max_messages
        if too_many or (max_tokens is not None and tokens > max_tokens):
            break
        if place in starts:
            first = place
    if first is None and whole_last_turn:
        first = max(starts, default=None)
    return [] if first is None else kept[first:]


def _acceptable(messages: Sequence[ConversationMessage]) -> list[int]:
    """Return the positions of the messages that make a conversation in which each call and its answers are together."""
    kept: list[int] = []
    place = 0
    while place < len(messages):
        message = messages[place]
        if message.role == "assistant" and message.calls:
            answered, end = _answers(messages, place)
            if len(answered) == len(message.calls) or end == len(messages):
                kept += [place, *answered]
            place = end
            continue
        if message.role != "tool":
            kept.append(place)
        place += 1
    return kept


def _answers(messages: Sequence[ConversationMessage], place: int) -> tuple[list[int], int]:
    """Return the positions of the answers to the calls at `place`, and the position behind the tools' messages there."""
    waiting = list(messages[place].calls)
    answered: list[int] = []
    end = place + 1
    while end < len(messages) and messages[end].role == "tool":
        call = _call_of(messages[end], waiting)
        if call is not None:
            del waiting[call]
            answered.append(end)
        end += 1
    return answered, end


def _call_of(answer: ConversationMessage, waiting: Sequence[str | None]) -> int | None:
    """Return the place in `waiting` of the call that is answered; ids decide, or the order where one has none."""
    if answer.answers in waiting:
        return waiting.index(answer.answers)
    candidates = (place for place, call in enumerate(waiting) if answer.answers is None or call is None)
    return next(candidates, None)


def _starts(messages: Sequence[ConversationMessage], kept: Sequence[int], complete: bool) -> set[int]:
    """Return the places in `kept` at which a window may begin."""
    starts: set[int] = set()
    before_user = False
    for place in range(len(kept) - 1, -1, -1):
        role = messages[kept[place]].role
        before_user = role == "user" or (role == "system" and before_user)
        if before_user:
            starts.add(place)
    if complete and kept:
        starts.add(0)
    return starts

"""What a component asks of its memory, written once for both colours.

A method with more than one question is a generator: it yields each `Ask`, receives the answer and returns its result.
`drive` runs it on a `Brain`, `adrive` on an `AsyncBrain`; the sync and the async method of a component are one line each.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

from onebrain import AsyncBrain, Brain

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """A verb of a brain with its arguments; ``list`` is answered with a list, ``capabilities`` with the capabilities."""

    verb: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


Steps: TypeAlias = Generator[Ask, Any, T]


def ask(verb: str, /, *args: Any, **kwargs: Any) -> Ask:
    """Return a question for a brain: `verb` names its method."""
    return Ask(verb, args, kwargs)


def drive(brain: Brain, steps: Steps[T]) -> T:
    """Run `steps` to their end in the calling thread."""
    try:
        question = next(steps)
        while True:
            try:
                answer = _ask(brain, question)
                if question.verb == "list":
                    answer = list(answer)
            except Exception as error:
                question = steps.throw(error)
            else:
                question = steps.send(answer)
    except StopIteration as finished:
        return cast("T", finished.value)


async def adrive(brain: AsyncBrain, steps: Steps[T]) -> T:
    """Run `steps` to their end on the running event loop."""
    try:
        question = next(steps)
        while True:
            try:
                answer = _ask(brain, question)
                if question.verb == "list":
                    answer = [memory async for memory in answer]
                elif question.verb != "capabilities":
                    answer = await answer
            except Exception as error:
                question = steps.throw(error)
            else:
                question = steps.send(answer)
    except StopIteration as finished:
        return cast("T", finished.value)


def _ask(brain: Brain | AsyncBrain, question: Ask) -> Any:
    if question.verb == "capabilities":
        return brain.capabilities
    return getattr(brain, question.verb)(*question.args, **question.kwargs)

"""Logic that asks a brain several things, written once for both colours.

A plan is a generator that yields questions, each a function of a brain such as ``ask("get_many", ids)`` makes,
and receives the answers. `Brain` and `AsyncBrain` have the same verbs, so `run` and `arun` drive the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias, TypeVar, cast

from onebrain import AsyncBrain, Brain

T = TypeVar("T")
Question: TypeAlias = Callable[[Any], Any]
Plan: TypeAlias = Generator[Question, Any, T]


def run(brain: Brain, plan: Plan[T]) -> T:
    """Drive a plan in the calling thread."""
    try:
        question = next(plan)
        while True:
            try:
                answer = question(brain)
            except Exception as error:
                question = plan.throw(error)
            else:
                question = plan.send(answer)
    except StopIteration as finished:
        return cast("T", finished.value)
    finally:
        plan.close()


async def arun(brain: AsyncBrain, plan: Plan[T]) -> T:
    """Drive a plan on the running event loop."""
    try:
        question = next(plan)
        while True:
            try:
                answer = await question(brain)
            except Exception as error:
                question = plan.throw(error)
            else:
                question = plan.send(answer)
    except StopIteration as finished:
        return cast("T", finished.value)
    finally:
        plan.close()


def ask(verb: str, *args: Any, **kwargs: Any) -> Question:
    """Return the question that calls one verb of a brain."""
    return lambda brain: getattr(brain, verb)(*args, **kwargs)

"""Finding facts: a model is asked once for messages, and each fact that it proposes is checked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from onebrain._core.steps import Steps
from onebrain.errors import ModelError
from onebrain.memory.models import Memory
from onebrain.memory.remembering.answers import Proposed, Unreadable, read
from onebrain.memory.remembering.checks import Checked, checked
from onebrain.memory.remembering.model import Asked
from onebrain.memory.remembering.prompt import Said, again, prompt_of
from onebrain.memory.remembering.results import Dropped
from onebrain.memory.words import normalized


def find_facts(
    model: Asked,
    said: Sequence[Said],
    known: Sequence[Memory],
    dropped: list[Dropped],
    *,
    today: datetime,
    instructions: str | None = None,
    prompt: str | None = None,
    kinds: Sequence[str] = (),
) -> Steps[list[Checked]]:
    """Return the facts in messages that a model proposes and the checks let pass.

    An answer that is no JSON is asked for once more.

    Args:
        model: The model.
        said: The messages.
        known: Facts that the model may say the same as, or replace.
        dropped: Gets the statements that are not kept, or not whole, each with the reason.
        today: The day that relative dates are counted from.
        instructions: A wish about what to look for.
        prompt: Another instruction in place of the built-in one.
        kinds: The types among which the model chooses one for each fact; none for no choice.

    Raises:
        ModelError: The model failed, or neither of its answers can be read.
    """
    asked = prompt_of(said, known, today=today, instructions=instructions, prompt=prompt, kinds=kinds)
    answer = yield from model.answer(asked)
    try:
        proposals, others = read(answer)
    except Unreadable as error:
        answer = yield from model.answer(again(asked, str(error)))
        try:
            proposals, others = read(answer)
        except Unreadable as second:
            raise ModelError(
                f"the answer of the model {model.name!r:.80} cannot be used: {second}; the messages are kept. Call remember "
                "again, or with another model"
            ) from None
    dropped += [Dropped(text, why) for text, why in others]
    passed: list[Checked] = []
    for proposal in proposals:
        _check(proposal, said, known, passed, dropped)
    return passed


def _check(
    proposal: Proposed,
    said: Sequence[Said],
    known: Sequence[Memory],
    passed: list[Checked],
    dropped: list[Dropped],
) -> None:
    found: Checked | str
    try:
        found = checked(proposal, said, known)
    except Exception as error:
        # A model can write anything, and the other facts are good.
        found = f"could not be checked ({type(error).__name__})"
    if isinstance(found, str):
        dropped.append(Dropped(proposal.text, found))
    elif any(normalized(one.text) == normalized(found.text) for one in passed):
        dropped.append(Dropped(proposal.text, "the model said it twice"))
    else:
        passed.append(found)
        if found.left_out is not None:
            dropped.append(Dropped(found.text, f"kept, but {found.left_out}"))


__all__ = ["find_facts"]

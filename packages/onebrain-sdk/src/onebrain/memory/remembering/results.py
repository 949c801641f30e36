"""The result of `remember`."""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

from pydantic import ConfigDict

from onebrain.errors import OneBrainError
from onebrain.memory.models import Model, Status, StoreResult


class Fact(Model, frozen=True):
    """A fact that a model found in messages.

    Attributes:
        id: The id of its memory.
        content: The statement.
        status: ``created``, ``duplicate`` (a memory said it already; `id` is that one's), ``unchanged`` (an earlier call found
            it), or ``pending`` (accepted, not yet readable).
        quote: The words of the message that say it; empty if the service found it.
        sources: The ids of the memories that keep the messages it was drawn from.
        supersedes: The ids of older facts that it replaces.
        suggested: The ids of older facts that it replaces in the model's opinion; `Brain.supersede` or an update with
            ``supersedes`` applies it.
        reason: The model's reason for that.
    """

    id: str
    content: str
    status: Status = "created"
    quote: str = ""
    sources: tuple[str, ...] = ()
    supersedes: tuple[str, ...] = ()
    suggested: tuple[str, ...] = ()
    reason: str | None = None


class Dropped(NamedTuple):
    """A statement of the model that was not kept, or not whole."""

    text: str
    """The statement."""
    why: str
    """The reason."""


class RememberResult(Model, frozen=True):
    """What `remember` kept of messages.

    Attributes:
        raw: The result of each message, in order.
        facts: The facts found in them.
        dropped: The statements of the model that were not kept, or not whole, each with the reason.
        status: ``done``; ``unchanged`` if an earlier call with the same messages and model found the facts; ``pending`` if they
            are looked for in the background; ``failed`` if only the messages are kept.
        error: Why no facts were looked for, or not all of them kept; None if all went well.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    raw: tuple[StoreResult, ...] = ()
    facts: tuple[Fact, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    status: Literal["done", "unchanged", "pending", "failed"] = "done"
    error: OneBrainError | None = None

    def raise_for_error(self) -> Self:
        """Return this result, or raise its error if it has one."""
        if self.error is not None:
            raise self.error
        return self


__all__ = ["Dropped", "Fact", "RememberResult"]

"""Work whose caller was cancelled: it is not done if it has not been committed yet."""

from __future__ import annotations

from onebrain._core.steps import Caller, caller
from onebrain.errors import StorageError


class Abandoned(StorageError):
    """The caller was cancelled before its transaction ended, so nothing was written; nobody waits for this error."""


def this_caller() -> Caller | None:
    """Return the caller that waits for this thread; None for synchronous code."""
    return caller.get()


def abandoned(who: Caller | None) -> Abandoned | None:
    """Return the error for a caller that is gone, or None if it still waits."""
    if who is None or not who.gone:
        return None
    return Abandoned("the call was cancelled while it waited for other writers; nothing was written")


def stop_if_abandoned() -> None:
    """Raise `Abandoned` if the caller of this thread is gone; called just before a commit."""
    who = caller.get()
    if who is not None and (error := abandoned(who)) is not None:
        raise error

"""bRRAIn: the typed client, sync and async."""

from typing import TYPE_CHECKING

from onebrain._core.lazy import load

if TYPE_CHECKING:
    from onebrain.services.brrain.client import AsyncBrrain, Brrain

__all__ = ["AsyncBrrain", "Brrain"]


def __getattr__(name: str) -> object:
    return load(__name__, name, dict.fromkeys(__all__, ".client"))

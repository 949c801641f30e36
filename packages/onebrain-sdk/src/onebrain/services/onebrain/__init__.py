"""OneBrain's typed client."""

from typing import TYPE_CHECKING

from onebrain._core.lazy import load

if TYPE_CHECKING:
    from onebrain.services.onebrain.client import AsyncOneBrain, Client, OneBrain

__all__ = ["AsyncOneBrain", "Client", "OneBrain"]


def __getattr__(name: str) -> object:
    return load(__name__, name, dict.fromkeys(__all__, ".client"))

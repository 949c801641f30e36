"""bRRAIn: the typed client, sync and async."""

from onebrain.services.brrain.client import AsyncBrrain, Brrain

__all__ = ["AsyncBrrain", "Brrain"]

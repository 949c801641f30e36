"""OneBrain's typed client."""

from onebrain.services.onebrain.client import AsyncOneBrain, Client, OneBrain

__all__ = ["AsyncOneBrain", "Client", "OneBrain"]

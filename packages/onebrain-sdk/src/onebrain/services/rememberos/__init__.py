"""RememberOS: the typed client, sync and async."""

from onebrain.services.rememberos.client import AsyncRememberOS, RememberOS
from onebrain.services.rememberos.resources.uploads import Upload

__all__ = ["AsyncRememberOS", "RememberOS", "Upload"]

"""RememberOS: the typed client, sync and async."""

from typing import TYPE_CHECKING

from onebrain._core.lazy import load

if TYPE_CHECKING:
    from onebrain.services.rememberos.client import AsyncRememberOS, RememberOS
    from onebrain.services.rememberos.resources.uploads import Upload

__all__ = ["AsyncRememberOS", "RememberOS", "Upload"]


def __getattr__(name: str) -> object:
    return load(__name__, name, {**dict.fromkeys(__all__, ".client"), "Upload": ".resources.uploads"})

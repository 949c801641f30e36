"""The former address of `onebrain.services.brrain.driver`."""

from typing import Any

from onebrain._core.former import moved

_HOMES = {
    "brrain": "onebrain.services.brrain.driver:driver",
    "BrrainDriver": "onebrain.services.brrain.driver:BrrainDriver",
    "CAPABILITIES": "onebrain.services.brrain.driver:CAPABILITIES",
    "BrrainCapabilities": "onebrain.services.brrain.driver:BrrainCapabilities",
}


def __getattr__(name: str) -> Any:
    return moved(__name__, name, _HOMES)

"""The former address of `onebrain.services.onebrain.driver`."""

from typing import Any

from onebrain._core.former import moved

_HOMES = {
    "driver": "onebrain.services.onebrain.driver:driver",
    "OneBrainDriver": "onebrain.services.onebrain.driver:OneBrainDriver",
    "CAPABILITIES": "onebrain.services.onebrain.driver:CAPABILITIES",
}


def __getattr__(name: str) -> Any:
    return moved(__name__, name, _HOMES)

"""The former address of `onebrain.services.herobrain.driver`."""

from typing import Any

from onebrain._core.former import moved

_HOMES = {
    "connect": "onebrain.services.herobrain.driver:driver",
    "HeroBrainDriver": "onebrain.services.herobrain.driver:HeroBrainDriver",
    "CAPABILITIES": "onebrain.services.herobrain.driver:CAPABILITIES",
}


def __getattr__(name: str) -> Any:
    return moved(__name__, name, _HOMES)

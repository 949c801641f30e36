"""The former address of `onebrain.services.rememberos.driver`."""

from typing import Any

from onebrain._core.former import moved

_HOMES = {
    "rememberos": "onebrain.services.rememberos.driver:driver",
    "RememberOSDriver": "onebrain.services.rememberos.driver:RememberOSDriver",
    "CAPABILITIES": "onebrain.services.rememberos.driver:CAPABILITIES",
    "RememberOSCapabilities": "onebrain.services.rememberos.driver:RememberOSCapabilities",
}


def __getattr__(name: str) -> Any:
    return moved(__name__, name, _HOMES)

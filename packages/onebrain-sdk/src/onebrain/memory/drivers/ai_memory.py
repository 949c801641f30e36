"""The former address of `onebrain.services.ai_memory.driver`."""

from typing import Any

from onebrain._core.former import moved

_HOMES = {
    "connect": "onebrain.services.ai_memory.driver:driver",
    "AiMemoryDriver": "onebrain.services.ai_memory.driver:AiMemoryDriver",
    "CAPABILITIES": "onebrain.services.ai_memory.driver:CAPABILITIES",
}


def __getattr__(name: str) -> Any:
    return moved(__name__, name, _HOMES)

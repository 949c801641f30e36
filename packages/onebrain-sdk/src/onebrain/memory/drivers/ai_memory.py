"""The former address of `onebrain.services.ai_memory.driver`."""

from onebrain._core.former import moved

_HOME = "onebrain.services.ai_memory.driver"
__getattr__ = moved(__name__, _HOME, "CAPABILITIES", "AiMemoryDriver", connect="driver")

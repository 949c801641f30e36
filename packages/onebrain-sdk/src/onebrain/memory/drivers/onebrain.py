"""The former address of `onebrain.services.onebrain.driver`."""

from onebrain._core.former import moved

_HOME = "onebrain.services.onebrain.driver"
__getattr__ = moved(__name__, _HOME, "CAPABILITIES", "OneBrainDriver", driver="driver")

"""The former address of `onebrain.services.herobrain.driver`."""

from onebrain._core.former import moved

_HOME = "onebrain.services.herobrain.driver"
__getattr__ = moved(__name__, _HOME, "CAPABILITIES", "HeroBrainDriver", connect="driver")

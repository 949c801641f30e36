"""The former address of `onebrain.services.brrain.driver`."""

from onebrain._core.former import moved

_HOME = "onebrain.services.brrain.driver"
__getattr__ = moved(__name__, _HOME, "CAPABILITIES", "BrrainCapabilities", "BrrainDriver", brrain="driver")

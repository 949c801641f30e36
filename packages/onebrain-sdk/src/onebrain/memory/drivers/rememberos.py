"""The former address of `onebrain.services.rememberos.driver`."""

from onebrain._core.former import moved

_HOME = "onebrain.services.rememberos.driver"
__getattr__ = moved(
    __name__, _HOME, "CAPABILITIES", "RememberOSCapabilities", "RememberOSDriver", rememberos="driver"
)

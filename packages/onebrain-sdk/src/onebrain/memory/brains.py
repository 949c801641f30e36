"""The former address of `onebrain.brains`."""

from onebrain._core.former import moved

__getattr__ = moved(__name__, "onebrain.brains", "Brains")

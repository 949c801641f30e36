"""The former address of `onebrain.frameworks.brains`."""

from onebrain._core.former import moved

__getattr__ = moved(__name__, "onebrain.frameworks.brains", "Brains")

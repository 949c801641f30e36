"""The former address of `onebrain_engine.extraction.entities`."""

from onebrain._core.former import moved

__getattr__ = moved(__name__, "onebrain_engine.extraction.entities", "Named", "find_entities")

"""The former address of `onebrain_engine.extraction.likeness`."""

from onebrain._core.former import moved

__getattr__ = moved(__name__, "onebrain_engine.extraction.likeness", "alike_pairs", "likeness")

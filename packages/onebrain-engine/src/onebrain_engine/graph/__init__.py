"""The former address of `onebrain_engine.extraction`."""

from onebrain._core.former import moved

_HOME = "onebrain_engine.extraction"
__getattr__ = moved(__name__, _HOME, "Named", "Proposal", "find_entities", "propose", "propose_from_chat")

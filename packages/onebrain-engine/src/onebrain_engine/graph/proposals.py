"""The former address of `onebrain_engine.extraction.proposals`."""

from onebrain._core.former import moved

_HOME = "onebrain_engine.extraction.proposals"
__getattr__ = moved(
    __name__,
    _HOME,
    "ChatFormat",
    "Proposal",
    "classify",
    "propose",
    "propose_from_chat",
    "sentences",
    "title_of",
)

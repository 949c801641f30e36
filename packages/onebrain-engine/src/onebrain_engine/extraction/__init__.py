"""Texts read by rules: the entities that they name, memories to propose, how alike they are."""

from onebrain_engine.extraction.entities import Named, find_entities
from onebrain_engine.extraction.proposals import Proposal, propose, propose_from_chat

__all__ = ["Named", "Proposal", "find_entities", "propose", "propose_from_chat"]

"""Texts read by rules or a language model: the entities that they name, memories to propose, how alike they are."""

from onebrain_engine.graph.extraction import Named, find_entities
from onebrain_engine.graph.proposals import Proposal, propose, propose_from_chat

__all__ = ["Named", "Proposal", "find_entities", "propose", "propose_from_chat"]

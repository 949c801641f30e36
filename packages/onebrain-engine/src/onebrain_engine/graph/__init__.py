"""Entities and how they hang together: people, organizations, places and things, their relations and their memories."""

from onebrain_engine.graph.entities import Entity, Graph, Link, NameTaken, Relation, TenantGraph
from onebrain_engine.graph.extraction import Named, find_entities
from onebrain_engine.graph.proposals import Proposal, propose, propose_from_chat

__all__ = [
    "Entity",
    "Graph",
    "Link",
    "NameTaken",
    "Named",
    "Proposal",
    "Relation",
    "TenantGraph",
    "find_entities",
    "propose",
    "propose_from_chat",
]

"""Whose a memory is: an id is unique for one user in one space."""

from __future__ import annotations

from typing import TypeAlias

from onebrain.memory.models import Memory, Scope

Identity: TypeAlias = tuple[str | None, str | None, str]


def owner_of(memory: Memory) -> Scope:
    """Return the scope of all memories of a memory's space and user, within which its id is unique."""
    return Scope(memory.scope.space, memory.scope.user)


def identity(memory: Memory) -> Identity:
    """Return the identity of a memory: an id is unique for one user in one space."""
    return memory.scope.space, memory.scope.user, memory.id

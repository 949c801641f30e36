"""Ids of users, conversations and memories, as frameworks and programs write them, and the text that is stored."""

from __future__ import annotations

from enum import Enum
from numbers import Integral
from typing import Any, TypeAlias, TypeGuard
from uuid import UUID

Id: TypeAlias = str | int | UUID | Enum


def as_id(value: Any) -> str:
    """Return an id as text: a string as it is, a whole number in decimal digits, a UUID in its usual form.

    An enum member stands for its value. A boolean, a float and everything else is no id, because two ids that differ
    might become the same text.

    Raises:
        ValueError: `value` is no id.
    """
    if type(value) is str:
        return value
    if isinstance(value, Enum):
        return as_id(value.value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    raise ValueError(f"must be a string, a whole number or a UUID, not {type(value).__name__}")


def is_id(value: object) -> TypeGuard[Id]:
    """Return whether `value` is one id, rather than several or none."""
    try:
        as_id(value)
    except ValueError:
        return False
    return True

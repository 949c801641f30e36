"""``metadata_filter``: JSONB containment, as an engine's filter.

An object contains another where each of its keys is there with a value that contains the other's; a list contains another
where each of its elements has a match. What no filter says exactly (an empty object or list, objects inside lists) is
decided here, on the memories that the rest of the filter lets through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onebrain.memory.filters import TRUE, Cmp, Filter, every, field_name, kind, negate
from onebrain.memory.models import Scope
from onebrain_server.dialects.rememberos.rules import memories
from onebrain_server.dialects.rememberos.rules.partition import Partition
from onebrain_server.json_values import is_array, is_object


def containing(partition: Partition, scope: Scope, wanted: Mapping[str, Any] | None) -> Filter:
    """Return the filter for memories of a scope whose metadata contains an object."""
    if not wanted:
        return TRUE
    pushed, exact = _object(wanted, ())
    if exact:
        return pushed
    candidates = memories.everything(partition, scope, pushed, archived=True)
    return Cmp("$id", "in", [one.id for one in candidates if contains(one.metadata, wanted)])


def contains(stored: Any, wanted: Any) -> bool:
    """Return whether a JSON value contains another.

    Example:
        >>> contains({"tags": ["a", "b"], "year": 2026}, {"tags": ["b"]})
        True
        >>> contains({"tags": ["a"]}, {"tags": "a"})
        False
    """
    if is_object(wanted):
        return is_object(stored) and all(
            key in stored and contains(stored[key], value) for key, value in wanted.items()
        )
    if is_array(wanted):
        return is_array(stored) and all(any(contains(item, one) for item in stored) for one in wanted)
    return kind(stored) == kind(wanted) and stored == wanted


def _object(wanted: Mapping[str, Any], path: tuple[str, ...]) -> tuple[Filter, bool]:
    """Return a filter that nothing which contains `wanted` fails, and whether it lets through nothing else."""
    parts = [_value(value, (*path, key)) for key, value in wanted.items()]
    return every(*(part for part, _ in parts)), all(exact for _, exact in parts)


def _value(value: Any, path: tuple[str, ...]) -> tuple[Filter, bool]:
    field = field_name(*path)
    if is_object(value):
        return _object(value, path) if value else (Cmp(field, "exists", True), False)
    if is_array(value):
        plain = [item for item in value if item is not None and not isinstance(item, Mapping | list)]
        # Every text begins so; "contains" would look inside it.
        text = Cmp(field, "starts_with", "")
        exact = bool(value) and len(plain) == len(value)
        return every(negate(text), *(Cmp(field, "contains", item) for item in plain)), exact
    if value is None:
        return every(Cmp(field, "exists", True), Cmp(field, "eq", None)), True
    return Cmp(field, "eq", value), True

r"""Names of fields: how a filter names a value inside a memory, and how the value is found.

A name is read the same way by every filter, driver and framework. The key that is spelled exactly like the name wins.
Where there is no such key, each dot leads into a nested object: ``a.b`` is ``{"a.b": ...}`` if that is there, else
``{"a": {"b": ...}}``. A longer name is read from the longest key to the shortest, so ``{"a": {"b.c": ...}}`` is found
as ``a.b.c``, too.

A backslash makes a name say more exactly what it means: ``a\.b`` is the key with a dot only, ``a\/b`` the nested object
only. `field_name` writes such names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from onebrain._core.codec import is_object
from onebrain.errors import OneBrainValidationError

Value: TypeAlias = Any

MISSING: Final = object()
OwnKind = Literal["id", "text", "number", "flag", "time", "labels", "object"]
# The kind of each of a memory's own fields.
OWN_KINDS: Final[Mapping[str, OwnKind]] = {
    **dict.fromkeys(("$id", "$user", "$agent", "$session", "$space"), "id"),
    **dict.fromkeys(("$content", "$title", "$type", "$source"), "text"),
    **dict.fromkeys(("$pinned", "$archived"), "flag"),
    **dict.fromkeys(("$created_at", "$updated_at", "$expires_at"), "time"),
    "$importance": "number",
    "$tags": "labels",
    "$extra": "object",
}
OWN_FIELDS: Final = frozenset(OWN_KINDS)


@lru_cache(maxsize=4096)
def field_path(field: str) -> tuple[str, ...]:
    """Return the keys of a field name, as its dots and backslashes divide it; raise where it names nothing."""
    if not isinstance(field, str) or not field:
        raise OneBrainValidationError(f"a filter field must be a non-empty string, not {field!r:.40}")
    if field.startswith("$"):
        head, _, rest = field.partition(".")
        if head not in OWN_FIELDS or (rest and head != "$extra"):
            raise OneBrainValidationError(
                f"{field!r:.40} is not a field of a memory; there are {', '.join(sorted(OWN_FIELDS))}. "
                "A metadata key that begins with a dollar sign is written with a backslash in front"
            )
        return (head, *field_path(rest)) if rest else (head,)
    return tuple(key for group in _groups(field) for key in group)


def field_name(*path: str) -> str:
    """Return the name of the value at exactly this path of keys, whatever characters they hold."""
    return _guarded("\\/".join(key.replace("\\", "\\\\").replace(".", "\\.") for key in path))


def key_name(key: str, *inside: str) -> str:
    """Return the name of a key as a framework's filter spells it, in the object at the path `inside`.

    The key itself wins; where it is not there, its dots lead into nested objects. Nothing else in it has a meaning.
    """
    outer = [part.replace("\\", "\\\\").replace(".", "\\.") for part in inside]
    return _guarded("\\/".join([*outer, key.replace("\\", "\\\\")]))


def _guarded(name: str) -> str:
    """Return a name with a backslash in front where it would be empty, or begin as an own field does."""
    return "\\" + name if not name or name.startswith("$") else name


@lru_cache(maxsize=4096)
def _groups(name: str) -> tuple[tuple[str, ...], ...]:
    r"""Divide a name at each ``\/`` into groups, and each group at its dots into keys."""
    groups: list[list[str]] = [[""]]
    literal = False
    for character in name:
        if literal and character == "/":
            groups.append([""])
        elif literal or character not in ".\\":
            groups[-1][-1] += character
        elif character == ".":
            groups[-1].append("")
        literal = not literal and character == "\\"
    return tuple(map(tuple, groups))


def lookup(value: Mapping[str, Value], name: str) -> Value:
    """Return the value at the path `name` in an object, or `MISSING`."""
    found = value.get(name, MISSING)
    if found is not MISSING or ("." not in name and "\\" not in name):
        return found
    found = value
    for keys in _groups(name):
        found = _descend(found, keys)
    return found


def _descend(value: Value, keys: Sequence[str]) -> Value:
    """Return the value at `keys`, read as the longest keys first, or `MISSING` if no reading leads to one."""
    if not is_object(value):
        return MISSING
    inside = value
    if len(keys) == 1:
        return inside.get(keys[0], MISSING)
    for end in range(len(keys), 0, -1):
        key = ".".join(keys[:end])
        if key in inside:
            found = inside[key] if end == len(keys) else _descend(inside[key], keys[end:])
            if found is not MISSING:
                return found
    return MISSING

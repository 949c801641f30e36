"""JSON schemas that every MCP client accepts.

Pydantic writes an optional argument as ``anyOf`` with ``null``, and a model within a model as ``$ref``. Some clients drop
such arguments or refuse the whole tool, so both are written out here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from onebrain._core.codec import is_array


def portable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema of arguments without ``$ref``, null and titles, whose objects allow no further properties.

    Raises:
        ValueError: The schema has a union of two types, which has no portable form.

    Example:
        >>> portable(
        ...     {
        ...         "title": "Input",
        ...         "type": "object",
        ...         "properties": {"tag": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}},
        ...     }
        ... )
        {'type': 'object', 'properties': {'tag': {'type': 'string'}}, 'additionalProperties': False}
    """
    found = _schema(schema, schema.get("$defs", {}))
    # The tool has a description of its own.
    found.pop("description", None)
    return found


def _schema(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    merged = _without_null(_resolved(schema, definitions), definitions)
    found: dict[str, Any] = {}
    for key, value in merged.items():
        if key in ("$defs", "title") or (key == "default" and value is None):
            continue
        if key == "properties":
            found[key] = {name: _schema(one, definitions) for name, one in value.items()}
        elif key == "items":
            found[key] = _schema(value, definitions)
        else:
            found[key] = value
    if found.get("type") == "object":
        found.setdefault("properties", {})
        # A free-form object says so itself.
        found.setdefault("additionalProperties", False)
    return found


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema with the definition that it refers to in place of the reference."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    rest = {key: value for key, value in schema.items() if key != "$ref"}
    return {**definitions[str(reference).rpartition("/")[2]], **rest}


def _without_null(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema with its only choice in place of ``anyOf``."""
    if "anyOf" not in schema:
        return schema
    choices = [one for one in schema["anyOf"] if one.get("type") != "null"]
    if len(choices) != 1:
        raise ValueError("a union of two types has no portable form")
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**_resolved(choices[0], definitions), **rest}


def given(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call without the null ones, and with lists in place of JSON text.

    Models write null for an argument that they leave out, and write a list as JSON text or a single element.

    Example:
        >>> ids = {"properties": {"ids": {"type": "array"}}}
        >>> given({"ids": '["a", "b"]', "tag": None}, ids), given({"ids": "a"}, ids)
        ({'ids': ['a', 'b']}, {'ids': ['a']})
    """
    properties: Mapping[str, Any] = schema.get("properties", {})
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        if value is None:
            continue
        is_list = properties.get(name, {}).get("type") == "array"
        found[name] = _as_list(value) if is_list and isinstance(value, str) else value
    return found


def _as_list(text: str) -> Sequence[Any]:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    return value if is_array(value) else [text]


def unknown(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return the names of arguments that the schema does not have."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    return sorted(name for name in arguments if name not in properties)

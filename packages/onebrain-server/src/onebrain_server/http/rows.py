"""Rows of answers from stored objects: a row's model names its fields, and the object has them under the same names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from onebrain_server.clock import iso_micros
from onebrain_server.state.records import Record


def row_of(
    model: type[BaseModel], source: object, *, time: Callable[[int], str] = iso_micros, **given: Any
) -> dict[str, Any]:
    """Return the fields of a model, by their names on the wire.

    Rows of memories are written out instead: they are many, and this looks at every field.

    Args:
        model: The row's model.
        source: The object that the fields are read from: the attributes of the same names, and of a record its body. A
            field that a record lacks, as those of earlier versions may, is None.
        time: Writes a moment, which is a field whose name ends in ``_at``, from microseconds since 1970.
        given: Fields that the source lacks, or that are shown otherwise, by their names in the model.
    """
    row: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        key = info.alias or name
        if name in given:
            row[key] = given[name]
            continue
        if not isinstance(source, Record):
            value = getattr(source, name)
        else:
            value = source.body[key] if key in source.body else getattr(source, name, None)
        row[key] = time(value) if name.endswith("_at") and value is not None else value
    return row


__all__ = ["row_of"]

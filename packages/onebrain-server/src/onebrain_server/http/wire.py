"""The bases of the dialects' requests and answers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Wire(BaseModel):
    """Requests and answers: fields that are not known are dropped, as most of the formats have it."""

    # An error must not quote its input, which may be a memory.
    model_config = ConfigDict(extra="ignore", protected_namespaces=(), hide_input_in_errors=True)


class CamelWire(Wire):
    """The same with names in camelCase outside."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


__all__ = ["CamelWire", "Wire"]

"""JSON in and out: one codec for requests, stored metadata and exports."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime
from enum import Enum
from typing import Any, Final, TypeGuard, cast
from uuid import UUID

import pydantic
import pydantic_core

from onebrain.errors import OneBrainValidationError


class Unset:
    """The type of `UNSET`: "leave as it is", where None would mean "set to null"."""

    _instance: Unset | None = None

    def __new__(cls) -> Unset:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether `value` is a JSON object."""
    return isinstance(value, Mapping)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Return whether `value` is a JSON array."""
    return isinstance(value, list)


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Return whether `value` is a list or a tuple."""
    return isinstance(value, list | tuple)


def as_object(value: object) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one in place of anything else."""
    return value if is_object(value) else {}


def as_array(value: object) -> list[Any]:
    """Return a JSON array, or an empty one in place of anything else."""
    return value if is_array(value) else []


def is_set(value: object) -> TypeGuard[Any]:
    """Return whether `value` was given at all."""
    return value is not UNSET


def plain(value: Any) -> Any:
    """Return the JSON form of a value that JSON does not know; called by `json.dumps` for each."""
    if isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if is_object(value):
        return dict(value)
    if isinstance(value, Set):
        return sorted(cast("Set[Any]", value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    # Scalars and arrays of numpy have it; numpy is not imported for them.
    as_list = getattr(cast("Any", value), "tolist", None)
    if as_list is not None:
        return as_list()
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain)


def to_json(value: Any, *, what: str = "the request") -> str:
    """Encode `value`; raise `OneBrainValidationError` naming `what` where JSON cannot hold it exactly.

    Dates become ISO 8601 text, enums their value, models and mappings objects. NaN, infinities and lone surrogates
    are refused, because no JSON reader would give them back.
    """
    try:
        text = _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        # A ValueError of the encoder quotes the value, which may be a memory's text: name the kind of problem only.
        if isinstance(error, TypeError):
            reason = str(error)
        else:
            deep = isinstance(error, RecursionError)
            reason = "it is nested too deep" if deep else "it holds NaN, an infinity or a reference to itself"
        raise OneBrainValidationError(f"{what} cannot be written as JSON: {reason}") from None
    try:
        text.encode()
    except UnicodeEncodeError:
        raise OneBrainValidationError(
            f"{what} holds a lone surrogate, which UTF-8 cannot carry; repair the text with "
            "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
        ) from None
    return text


def from_json(data: bytes | str) -> Any:
    """Decode JSON; raise ValueError where it is none."""
    return pydantic_core.from_json(data)


def from_stored(data: bytes | str) -> Any:
    """Decode JSON that was stored here: earlier builds stored objects that are nested deeper than `from_json` reads."""
    try:
        return pydantic_core.from_json(data)
    except ValueError:
        return json.loads(data)

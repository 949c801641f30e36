"""Answers of services, read into records: strict about documented fields, open to new ones."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from onebrain._core.codec import is_array, is_object
from onebrain.errors import OneBrainResponseError

T = TypeVar("T", bound=BaseModel)


def read(kind: type[T], data: Any, *, service: str) -> T:
    """Return `data` as a `kind`; raise `OneBrainResponseError` naming the fields that are wrong, never their values."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        issues = error.errors(include_url=False, include_input=False, include_context=False)
        where = ", ".join(".".join(map(str, issue["loc"])) or "the body" for issue in issues[:5])
        raise OneBrainResponseError(
            f"the answer is not the {kind.__name__} that {service} documents; wrong or missing: {where}",
            service=service,
        ) from None


def rows(data: Any, *names: str, service: str) -> list[Any]:
    """Return the rows of a list answer: a bare array, or the array under the first of `names` that is there."""
    if is_array(data):
        return data
    if is_object(data):
        for name in names:
            if isinstance(data.get(name), list):
                return cast("list[Any]", data[name])
    raise OneBrainResponseError(
        f"the answer holds no list; {service} documents an array" + (f" or {names[0]!r}" if names else ""),
        service=service,
    )

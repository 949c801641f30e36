"""From arguments and input objects to the fields of ai-memory's requests, and the checks before they are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

import pydantic

from onebrain._core.codec import as_object
from onebrain.errors import OneBrainError
from onebrain.services.ai_memory import service as rules
from onebrain.services.ai_memory.models import (
    ListResponse,
    Memory,
    RecallResponse,
    SearchResponse,
)

R = TypeVar("R", bound=pydantic.BaseModel)
When: TypeAlias = datetime | str
Strings: TypeAlias = Sequence[str]


def text(value: Any) -> Any:
    """Return the wire form of an enum or a time."""
    if isinstance(value, datetime):
        return Memory(id="-", expires_at=value).model_dump(mode="json")["expires_at"]
    return getattr(value, "value", value)


def wire(fields: Mapping[str, Any], *, keep_none: bool = False) -> dict[str, Any]:
    """Return fields for the wire; None is left out unless `keep_none`."""
    return {name: text(value) for name, value in fields.items() if keep_none or value is not None}


def object_of(data: Any) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one in place of anything else."""
    return as_object(data)


def within(name: str, value: Any, low: int, high: int | None) -> None:
    """Refuse a value that is not a whole number from `low` to `high`."""
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or value < low
        or (high is not None and value > high)
    ):
        raise rules.invalid(f"{name}: must be a whole number from {low}" + (f" to {high}" if high else " on"))


def filled(name: str, value: str) -> None:
    """Refuse a text that is blank."""
    if not isinstance(value, str) or not value.strip():
        raise rules.invalid(f"{name}: must not be blank")


def split_tags(tags: str | Strings | None) -> tuple[str | None, frozenset[str]]:
    """Return the tag that the daemon filters by, and those that are left for us."""
    wanted = [tags] if isinstance(tags, str) else list(dict.fromkeys(tags or ()))
    return (wanted[0] if wanted else None), frozenset(wanted[1:])


Found = TypeVar("Found", ListResponse, SearchResponse, RecallResponse)


def having(found: Found, tags: frozenset[str]) -> Found:
    """Return `found` with only the memories that have all of `tags`; its count stays the daemon's."""
    if not tags:
        return found
    rows = tuple(memory for memory in found.memories if tags <= set(memory.tags))
    return found.model_copy(update={"memories": rows})


def row_of(model: type[R], value: R | Mapping[str, Any], *, keep_none: bool = False) -> dict[str, Any]:
    """Return an input object's fields for the wire; raise where a dict does not fit."""
    if not isinstance(value, model):
        try:
            value = model.model_validate(value)
        except pydantic.ValidationError as error:
            issues = error.errors(include_url=False, include_input=False, include_context=False)[:5]
            problems = (f"{'.'.join(map(str, issue['loc']))}: {issue['msg']}" for issue in issues)
            raise rules.invalid(f"{model.__name__}: {'; '.join(problems)}") from None
    row = value.model_dump(mode="json", exclude_unset=True, by_alias=False)
    return row if keep_none else {name: item for name, item in row.items() if item is not None}


def request_of(model: type[R], request: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request, from an object or from arguments."""
    named = {name: value for name, value in given.items() if value is not None}
    if request is not None and named:
        raise rules.invalid(f"give either a {model.__name__} or arguments")
    return row_of(model, named if request is None else request)


def check_row(position: int, row: Mapping[str, Any], required: Strings) -> None:
    """Check one row of many, naming its position."""
    try:
        for name in required:
            if not row.get(name):
                raise rules.invalid(f"{name}: must not be blank")
        rules.check_fields(row)
    except OneBrainError as error:
        raise rules.invalid(f"row {position}: {error.message}") from None


def partly(error: OneBrainError, written: Mapping[str, Any], failed: int, total: int) -> OneBrainError:
    """Add to `error` the rows that the requests before the failed one wrote; `failed` and `total` count rows."""
    rows, requests = written["rows"], written["requests"]
    error.details = {
        "written": dict(written),
        "failed": {"request": requests, "first_row": rows, "rows": failed},
        "not_sent": {"rows": total - rows - failed},
        "said": error.details,
    }
    if failed < total:
        before = f"rows 0 to {rows - 1} were written before" if rows else "nothing was written before"
        error.message = f"{error.message}; rows {rows} to {rows + failed - 1} of {total} failed, {before}"
    return error

"""Steps of storing, reading and removing that drivers of services share, and `Brain` with them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from onebrain._core.steps import Steps
from onebrain.errors import (
    ConfigurationError,
    OneBrainError,
    OneBrainNotFoundError,
    OneBrainValidationError,
)
from onebrain.memory.envelope import mark
from onebrain.memory.filters import All, Cmp, Filter
from onebrain.memory.models import StoreResult

D = TypeVar("D")
K = TypeVar("K")
T = TypeVar("T")


# ---- store ----------------------------------------------------------------------------------------------------------


def drafts_of(items: Sequence[K], make: Callable[[K], D]) -> tuple[dict[int, StoreResult], dict[int, D]]:
    """Return the results of the items that cannot be translated, and the drafts of the others, by position."""
    results: dict[int, StoreResult] = {}
    drafts: dict[int, D] = {}
    for position, item in enumerate(items):
        try:
            drafts[position] = make(item)
        except OneBrainError as error:
            results[position] = failed(error)
    return results, drafts


def failed(error: OneBrainError) -> StoreResult:
    """Return the result of a memory that was not stored."""
    return StoreResult(id=None, status="failed", error=error)


def any_stored(results: Mapping[int, StoreResult]) -> bool:
    """Return whether a memory is stored. If so, a later failure is a result, because the caller needs the ids."""
    return any(result.ok for result in results.values())


def in_order(results: Mapping[int, StoreResult]) -> list[StoreResult]:
    """Return the results by position, as a list."""
    return [results[position] for position in sorted(results)]


_last = 0
_clock = threading.Lock()


def sequence() -> int:
    """Return a number greater than all before it in this process, and usually in others: microseconds since 1970."""
    global _last
    with _clock:
        _last = max(_last + 1, time.time_ns() // 1000)
        return _last


# ---- read and remove ------------------------------------------------------------------------------------------------


def each(keys: Iterable[K], find: Callable[[K], Steps[T | None]]) -> Steps[list[T]]:
    """Return what `find` returns for each key, without None."""
    found: list[T] = []
    for key in keys:
        one = yield from find(key)
        if one is not None:
            found.append(one)
    return found


def removed(plan: Steps[Any]) -> Steps[int]:
    """Carry out the removal of one memory; return 1, or 0 if there is none or the plan returns False."""
    try:
        return int((yield from plan) is not False)
    except OneBrainNotFoundError as error:
        # An earlier attempt whose answer got lost may have removed it.
        return int(error.in_doubt)


def addressable(id: str, longest: int = 512) -> bool:
    """Return whether a URL can address an id; no memory has one that cannot be addressed."""
    return id.strip() not in ("", ".", "..") and len(id) <= longest


def unknown_id(service: str) -> OneBrainNotFoundError:
    """Return the error for an id that no memory of the scope has."""
    return OneBrainNotFoundError("no memory with this id in this scope", service=service)


def offset_of(cursor: str | None, service: str) -> int:
    """Return the offset in a cursor; None is the beginning."""
    if cursor is None:
        return 0
    if not cursor.isdecimal() or len(cursor) > 12:
        raise OneBrainValidationError("cursor: not one that this list gave out", service=service)
    return int(cursor)


# ---- fields ---------------------------------------------------------------------------------------------------------


def comparisons(filter: Filter) -> list[Cmp]:
    """Return the comparisons that a filter demands."""
    parts = filter.parts if isinstance(filter, All) else (filter,)
    return [part for part in parts if isinstance(part, Cmp)]


def marks(*parts: tuple[str, str | None]) -> list[str]:
    """Return the tags for the parts of a scope that are given, each a letter and a value."""
    return [mark(kind, value) for kind, value in parts if value is not None]


def check_extra(extra: Mapping[str, Any], known: Collection[str], service: str) -> None:
    """Refuse fields in ``extra`` that the service does not have."""
    unknown = sorted(extra.keys() - known)
    if unknown:
        there_are = f"takes {', '.join(sorted(known))}" if known else "has no further fields"
        raise OneBrainValidationError(
            f"extra: {service} {there_are}, not {unknown[0]!r:.40}", service=service
        )


# ---- connect --------------------------------------------------------------------------------------------------------


def address_of(
    url: str, value: str | None, *, service: str, option: str, example: str
) -> tuple[str, str | None]:
    """Return the address in the URL of a service, and the value of the one option that it takes.

    Args:
        url: ``service+https://host?option=value``.
        value: The value by an argument, which comes before the one in the URL.
        service: The service's name.
        option: The option's name.
        example: A URL, for a message.
    """
    scheme, _, rest = url.partition("+")
    address, _, query = rest.partition("?")
    if scheme.lower() != service or not address.lower().startswith(("http://", "https://")):
        raise ConfigurationError(
            f"the {service} URL must look like {example!r}, not {url.partition('?')[0]!r:.60}"
        )
    for name, given in parse_qsl(query, keep_blank_values=True):
        if name != option:
            raise ConfigurationError(f"the {service} URL takes ?{option}=... only, not {name!r:.40}")
        value = value or given
    return address, value

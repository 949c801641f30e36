"""The base of all resources: asking, unwrapping, and reading every shape of list that OneBrain's servers answer with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from onebrain._core import client
from onebrain._core.codec import as_object, is_object
from onebrain._core.paging import Page, PageMeta
from onebrain._core.service import GET, Spec, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read, rows
from onebrain.errors import OneBrainError, OneBrainResponseError, OneBrainValidationError
from onebrain.services.onebrain.service import OneBrainService, enveloped

T = TypeVar("T", bound=BaseModel)
MAX_PAGE = 100


class Resource(client.Resource[Mode, OneBrainService]):
    """One group of calls."""

    def _data(self, spec: Spec) -> Steps[Any]:
        reply = yield from self._service.ask(spec)
        return enveloped(self._service, reply)

    def _object(self, spec: Spec) -> Steps[dict[str, Any]]:
        data = yield from self._data(spec)
        if not is_object(data):
            raise OneBrainResponseError(
                f"{spec.method} {spec.path} was answered with {type(data).__name__} where an object was due",
                service="onebrain",
            )
        return dict(data)

    def _one(self, kind: type[T], spec: Spec) -> Steps[T]:
        data = yield from self._data(spec)
        return read(kind, data, service="onebrain")

    def _many(self, kind: type[T], spec: Spec, *names: str) -> Steps[tuple[T, ...]]:
        data = yield from self._data(spec)
        return tuple(read(kind, row, service="onebrain") for row in rows(data, *names, service="onebrain"))

    def _page(self, kind: type[T], spec: Spec, prepare: Callable[[Any], Any] | None = None) -> Steps[Page[T]]:
        reply = yield from self._service.ask(spec)
        return page(kind, enveloped(self._service, reply), reply.data.get("meta"), prepare)

    def _linked(self, entity_id: str | None, project_id: str | None) -> Steps[frozenset[str] | None]:
        """Return the ids of the memories linked to both, or None where neither is given."""
        sets: list[frozenset[str]] = []
        for template, owner, name in (
            ("/v1/entities/{}", entity_id, "links"),
            ("/v1/projects/{}", project_id, "memoryLinks"),
        ):
            if owner is not None:
                row = yield from self._data(GET(path(template, owner)))
                links = rows(row, name, service="onebrain")
                sets.append(frozenset(str(link.get("memoryItemId")) for link in links))
        return frozenset[str].intersection(*sets) if sets else None

    def _none(self, spec: Spec) -> Steps[None]:
        yield from self._service.ask(spec)


def page(kind: type[T], data: Any, meta: Any, prepare: Callable[[Any], Any] | None = None) -> Page[T]:
    """Read a page in any of the shapes that servers use; ``has_more`` decides, not a cursor left on the last page."""
    inner = _object(data)
    found = rows(data, "items", "data", service="onebrain")
    facts = next(
        (
            candidate
            for candidate in (
                _object(_object(meta).get("pagination")),
                _object(inner.get("pagination")),
                _object(inner.get("meta")),
                inner,
            )
            if "hasMore" in candidate or "cursor" in candidate
        ),
        cast("Mapping[str, Any]", {}),
    )
    cursor, total = facts.get("cursor"), facts.get("total")
    more = bool(facts.get("hasMore", False)) and isinstance(cursor, str) and bool(cursor)
    return Page(
        tuple(read(kind, prepare(row) if prepare else row, service="onebrain") for row in found),
        PageMeta(more, cursor if more else None, total if isinstance(total, int) else None),
    )


def _object(value: Any) -> Mapping[str, Any]:
    return as_object(value)


def check_limit(limit: int | None) -> None:
    """Refuse a page size that servers refuse; the hosted one would answer it with a failure of its own."""
    if limit is not None and (
        isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE
    ):
        raise OneBrainValidationError(
            f"limit: must be a whole number from 1 to {MAX_PAGE}, not {limit!r:.40}; use all() for every row"
        )


def one_of(**given: Any) -> Any:
    """Return the one value given under two names of the same thing; raise where both or neither are there."""
    there = {name: value for name, value in given.items() if value is not None}
    if len(there) != 1:
        raise OneBrainValidationError(f"{' or '.join(given)}: give exactly one of them")
    return next(iter(there.values()))


def strings(name: str, values: Iterable[str] | None) -> tuple[str, ...]:
    """Return `values` as a tuple; a single string is a mistake, for it would be taken letter by letter."""
    if values is None:
        return ()
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise OneBrainValidationError(f"{name}: must be a list of strings")
    found = tuple(dict.fromkeys(values))
    for value in found:
        if not isinstance(value, str):
            raise OneBrainValidationError(f"{name}: must be strings, not {type(value).__name__}")
    return found


def chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Cut `items` into pieces of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def noted(error: OneBrainError, note: str) -> OneBrainError:
    """Add to an error's message the steps that were done before it, and return it."""
    error.message = f"{error.message}; {note}"
    error.args = (error.message,)
    return error

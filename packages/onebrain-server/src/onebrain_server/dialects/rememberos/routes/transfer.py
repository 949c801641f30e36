"""``/v1/memory/admin/export`` and ``import``: the whole account as text, which any other server can take in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, Field, ValidationError

from onebrain.memory.models import JsonObject, Memory, NewMemory
from onebrain_server.clock import iso, now
from onebrain_server.dialects.rememberos import mapping
from onebrain_server.dialects.rememberos.mapping import MemoryRow, NewFields
from onebrain_server.dialects.rememberos.routes.account import name_of
from onebrain_server.dialects.rememberos.routes.collections import CollectionRow
from onebrain_server.dialects.rememberos.routes.collections import row as collection_row
from onebrain_server.dialects.rememberos.rules import collections, memories
from onebrain_server.dialects.rememberos.rules.collections import Collection, check_writable, writable
from onebrain_server.dialects.rememberos.rules.partition import Partition, author, partition_of
from onebrain_server.dialects.rememberos.wire import Name, Routes, Wire
from onebrain_server.http.operation import Answer
from onebrain_server.http.problems import sentences
from onebrain_server.http.requests import Call
from onebrain_server.state.database import Taken

routes = Routes("/memory/admin", "portability")

_DEFAULT: Final = "default"
_AT_ONCE: Final = 100
_MOST: Final = 100_000
_SHOWN: Final = 20


class Export(Wire):
    """The whole account as text, without vectors."""

    tenant: JsonObject
    collections: list[CollectionRow]
    memories: list[MemoryRow]
    exported_at: str


@routes.get("/export", needs="admin", answers=Export)
def export_account(call: Call) -> Answer:
    """Return the tenant, its collections and its memories, archived and superseded ones included, as a download."""
    partition, account = partition_of(call), call.known.account
    every = collections.every(partition)
    found = [memory for one in every for memory in memories.everything(partition, one.scope, archived=True)]
    call.audit("rememberos.export")
    data = {
        "tenant": {"name": name_of(account), "email": account.email, "tier": account.plan},
        "collections": [collection_row(partition, one) for one in every],
        "memories": [mapping.row(memory) for memory in found],
        "exported_at": iso(now()),
    }
    return Answer(data, headers={"content-disposition": 'attachment; filename="rememberos-export.json"'})


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a date from the year 1 to 9999 in UTC") from None


class ImportRow(NewFields):
    """A memory of an export; its other fields are made anew here."""

    id: str | None = None
    collection: Name | None = None
    pinned: bool = False
    archived: bool = False
    superseded_by: str | None = None
    created_at: Annotated[AwareDatetime, AfterValidator(_in_utc)] | None = None


class ImportCollection(Wire):
    """A collection of an export."""

    name: Name
    description: str | None = None
    metadata: JsonObject | None = None


class ImportFields(Wire):
    """The memories and collections to import."""

    memories: Annotated[list[dict[str, Any]], Field(max_length=_MOST)]
    collections: Annotated[list[ImportCollection], Field(max_length=10_000)] | None = None
    into_collection: Name | None = None


class Skipped(Wire):
    """A memory that was left out, by its index in the list, and the fields that did not fit."""

    index: int
    error: str


class ImportAnswer(Wire):
    """The result of an import; `errors` holds the first of those that were skipped."""

    imported: int
    skipped: int
    collections: int
    errors: list[Skipped]


@routes.post("/import", needs="write", answers=ImportAnswer)
def import_account(call: Call, body: ImportFields) -> dict[str, Any]:
    """Store the memories of an export under new ids, written by whoever imports; text is embedded anew.

    Rows that do not fit are skipped. Collections are made as needed; those that are there keep their description.
    """
    partition = partition_of(call)
    rows, errors = _read(body.memories)
    with memories.storing(partition, len(rows)):
        imported, opened = _import(call, partition, body, rows)
    call.audit("rememberos.import")
    return {
        "imported": imported,
        "skipped": len(errors),
        "collections": opened,
        "errors": errors[:_SHOWN],
    }


def _import(
    call: Call, partition: Partition, body: ImportFields, rows: Sequence[ImportRow]
) -> tuple[int, int]:
    """Store the rows of an export; return the number of memories, and of the collections they are in."""
    wanted: dict[str, list[ImportRow]] = {}
    for row in rows:
        wanted.setdefault(body.into_collection or row.collection or _DEFAULT, []).append(row)
    # Whoever names one collection for everything wants no others.
    given = body.collections if body.into_collection is None else None
    described = {one.name: one for one in given or ()}
    # From the end, for an export begins with the newest.
    names = list(dict.fromkeys([*described, *wanted]))[::-1]
    # Before any is made.
    for name in names:
        check_writable(call, name)
    opened = {name: _opened(call, partition, name, described.get(name)) for name in names}
    stored: dict[str, Memory] = {}
    imported = 0
    for name, mine in wanted.items():
        for start in range(0, len(mine), _AT_ONCE):
            imported += _put(call, partition, opened[name], mine[start : start + _AT_ONCE], stored)
    _supersede(partition, rows, stored)
    return imported, len(opened)


def _put(
    call: Call,
    partition: Partition,
    collection: Collection,
    rows: Sequence[ImportRow],
    stored: dict[str, Memory],
) -> int:
    """Store rows, note each new memory by the old id in `stored`, and return how many were stored."""
    made = memories.put(partition, [_draft(call, row, collection) for row in rows])
    # Else another request has removed one already.
    if len(made) == len(rows):
        stored.update((row.id, new) for row, new in zip(rows, made, strict=True) if row.id is not None)
    return len(made)


def _read(given: Sequence[dict[str, Any]]) -> tuple[list[ImportRow], list[dict[str, Any]]]:
    """Return the memories that fit, and the failures of the others, which quote nothing."""
    rows: list[ImportRow] = []
    errors: list[dict[str, Any]] = []
    for index, one in enumerate(given):
        # An export has null for unknown values.
        known = {name: value for name, value in one.items() if value is not None}
        try:
            rows.append(ImportRow.model_validate(known))
        except ValidationError as error:
            errors.append({"index": index, "error": "; ".join(sentences(error)[:3])})
    return rows, errors


def _opened(call: Call, partition: Partition, name: str, described: ImportCollection | None) -> Collection:
    if described is not None and collections.find(partition, name) is None:
        try:
            return collections.make(partition, name, described.description, described.metadata)
        except Taken:
            # Another request has just made it.
            pass
    return writable(call, name, create=True)


def _draft(call: Call, row: ImportRow, collection: Collection) -> NewMemory:
    draft = mapping.draft(row, collection.name, author(call))
    kept = {"pinned": row.pinned, "archived": row.archived, "created_at": row.created_at}
    return draft.model_copy(update=kept)


def _supersede(partition: Partition, rows: Sequence[ImportRow], stored: dict[str, Memory]) -> None:
    """Mark the memories that were superseded, by the new ids; the current truth stays current."""
    for row in rows:
        old, new = stored.get(row.id or ""), stored.get(row.superseded_by or "")
        if old is not None and new is not None and old.scope.space == new.scope.space:
            memories.supersede(partition, old, new.id)


__all__ = ["routes"]

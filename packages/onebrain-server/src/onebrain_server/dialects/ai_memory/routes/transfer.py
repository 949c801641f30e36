"""``/api/v1/export`` and ``/import``: whole memories, ids, dates and links included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from onebrain.errors import OneBrainError
from onebrain.memory.models import EVERYTHING
from onebrain.services.ai_memory.service import check_agent_id
from onebrain_engine.store.records import to_micros
from onebrain_server.clock import now
from onebrain_server.dialects.ai_memory import mapping
from onebrain_server.dialects.ai_memory.mapping import Row
from onebrain_server.dialects.ai_memory.routes.memories import MOST_ROWS, MemoryFields, MemoryRow, draft
from onebrain_server.dialects.ai_memory.rules import events, links, memories
from onebrain_server.dialects.ai_memory.rules.identity import changeable, readable, tied
from onebrain_server.dialects.ai_memory.wire import RELATIONS, Id, Moment, Routes, Wire, row_by_row
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call

routes = Routes("/api/v1", "transfer")

_MOST_LINKS = 100_000


class ExportAnswer(Wire):
    """Everything that the caller may see, oldest first."""

    memories: list[MemoryRow]
    links: list[links.LinkRow]
    count: int
    exported_at: str


@routes.get("/export", needs="read", answers=ExportAnswer)
def export(call: Call) -> dict[str, Any]:
    """Return every memory and every link, messages included."""
    found = memories.everything(call, EVERYTHING, readable(tied(call)))
    body = [mapping.shown(mapping.of(memory)) for memory in found]
    return {
        "memories": body,
        "links": links.shown(call, links.every_one(call)),
        "count": len(body),
        "exported_at": events.now_text(),
    }


class ImportRow(MemoryFields):
    """A whole memory, as an export has it; its expiry counts as it is, even if it is over."""

    model_config = ConfigDict(json_schema_extra=row_by_row)

    id: Id
    access_count: Annotated[int, Field(ge=0)] = 0
    created_at: Moment | None = None
    updated_at: Moment | None = None
    last_accessed_at: Moment | None = None


class ImportLink(Wire):
    """A link of an export."""

    source_id: Id
    target_id: Id
    relation: str = "related_to"
    created_at: Moment | None = None


class ImportFields(Wire):
    """The memories and links to import."""

    memories: Annotated[list[ImportRow], Field(max_length=MOST_ROWS)]
    links: Annotated[list[ImportLink], Field(max_length=_MOST_LINKS, default_factory=list[ImportLink])]


class ImportAnswer(Wire):
    """The result of an import; each error is the id of a memory or link that was left out, and the reason."""

    imported: int
    errors: list[str]


@routes.post("/import", needs="write", answers=ImportAnswer)
def import_memories(call: Call, body: ImportFields) -> dict[str, Any]:
    """Write whole memories; one whose title exists in its namespace is merged, and its links lead to the older one."""
    moment = now()
    errors: list[str] = []
    drafts: list[Row] = []
    for fields in body.memories:
        try:
            drafts.append(_draft(call, fields, moment))
        except (OneBrainError, Problem) as error:
            errors.append(f"{fields.id}: {error.message}")
    dates = {fields.id: fields.updated_at for fields in body.memories}
    renamed: dict[str, str] = {}
    imported = 0
    with memories.writing(call):
        for given, result in zip(drafts, memories.upsert(call, drafts, moment), strict=True):
            if isinstance(result, Problem):
                errors.append(f"{given.id}: {result.message}")
                continue
            imported += 1
            renamed[given.id] = result.id
            changed_at = dates[given.id]
            # A memory changed within this minute may count as changed now, which spares a second write for each row.
            if (
                result.id == given.id
                and changed_at is not None
                and changed_at < moment - timedelta(minutes=1)
            ):
                _date(call, result, changed_at)
        errors += _import_links(call, body.links, renamed)
    return {"imported": imported, "errors": errors}


def _draft(call: Call, fields: ImportRow, moment: datetime) -> Row:
    """Return a memory as it was exported."""
    to = _addressee(call, fields)
    namespace = mapping.DEFAULT_NAMESPACE if to is not None else fields.namespace
    # Its expiry is not checked against the present, and its tier gives it none.
    new = draft(call, fields.model_copy(update={"expires_at": None, "namespace": namespace}), moment)
    return replace(
        new,
        id=fields.id,
        namespace=fields.namespace,
        expires_at=fields.expires_at,
        access_count=fields.access_count,
        last_accessed_at=fields.last_accessed_at,
        to=to,
        created_at=fields.created_at or moment,
    )


def _addressee(call: Call, fields: ImportRow) -> str | None:
    """Return whom a message is to; None for any other memory."""
    if fields.source != "notify" or not fields.namespace.startswith(mapping.MESSAGES):
        return None
    to = fields.namespace.removeprefix(mapping.MESSAGES)
    check_agent_id(to, "namespace")
    return to


def _date(call: Call, row: Row, changed_at: datetime) -> None:
    # What has expired is gone already.
    if row.expires_at is None or row.expires_at > now():
        memories.note(call, row, updated_at=changed_at)


def _import_links(call: Call, given: Sequence[ImportLink], renamed: dict[str, str]) -> list[str]:
    """Keep links whose ends are both there, and return why the others were left out."""
    errors: list[str] = []
    ends = {renamed.get(id, id) for one in given for id in (one.source_id, one.target_id)}
    found = call.memories.get(list(ends), EVERYTHING)
    seen, mine = readable(tied(call)), changeable(tied(call))
    there = memories.ids_matching(found, seen)
    changing = memories.ids_matching(found, mine)
    for one in given:
        source, target = renamed.get(one.source_id, one.source_id), renamed.get(one.target_id, one.target_id)
        problem = None
        if one.relation not in RELATIONS:
            problem = f"relation: must be one of {', '.join(RELATIONS)}"
        elif source == target:
            problem = "a memory cannot be linked to itself"
        elif source not in there or target not in there:
            problem = "one of its memories is not there"
        elif source not in changing:
            problem = "its source belongs to another agent"
        if problem is not None:
            errors.append(f"{one.source_id} -> {one.target_id}: {problem}")
            continue
        at = None if one.created_at is None else to_micros(one.created_at)
        links.add(call, source, target, one.relation, at=at)
    return errors


__all__ = ["routes"]

"""``/v1/merge``: candidates are merged into the brain, with versions to go back to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from onebrain.errors import OneBrainNotFoundError
from onebrain.memory.models import EVERYTHING, Memory
from onebrain_server.clock import iso, now
from onebrain_server.dialects.onebrain import mapping
from onebrain_server.dialects.onebrain.rules import contexts, likeness, memories
from onebrain_server.dialects.onebrain.rules.documents import MERGES
from onebrain_server.dialects.onebrain.wire import Page, Paging, Routes, Wire
from onebrain_server.http.operation import Answer
from onebrain_server.http.problems import Problem, invalid, not_found
from onebrain_server.http.requests import Call
from onebrain_server.state.database import Taken
from onebrain_server.state.records import Record

routes = Routes("/v1/merge", "merge")
_MOST = 2000


class LogRow(Wire):
    """The decision on a memory, and the reason."""

    action: str
    memory_ids: list[str]
    reason: str
    timestamp: str


class RunAnswer(Wire):
    """The result of a merge."""

    merged: int
    archived: int
    conflicted: int
    activated: int
    version_id: str
    log: list[LogRow]


def _snapshot(call: Call) -> list[dict[str, Any]]:
    """Return every memory with the fields that a merge may change."""
    return [
        {
            "id": one.id,
            "type": one.type or "fact",
            "title": one.title or "",
            "confidence": one.extra.get("confidence", 1),
            "status": mapping.status_of(one),
        }
        for one in memories.everything(call, include_archived=True, most=_MOST)
    ]


def _version(call: Call, before: list[dict[str, Any]], log: list[dict[str, Any]]) -> Record:
    """Keep a version to go back to: how the memories were before."""
    while True:
        number = (contexts.latest_version(call) or 0) + 1
        after = _snapshot(call)
        body = {"version": number, "before": before, "after": after, "mergedAt": iso(now()), "log": log}
        try:
            return MERGES.add(call, body, unique=str(number))
        except Taken:
            # Another merge was faster.
            continue


def _logged(action: str, ids: list[str], reason: str) -> dict[str, Any]:
    return {"action": action, "memoryIds": ids, "reason": reason, "timestamp": iso(now())}


@routes.post("/run", needs="brain.write", answers=RunAnswer)
def run(call: Call) -> dict[str, Any]:
    """Merge the candidates: a known one is archived, a contradicting one is marked, the rest become active."""
    if not call.known.trusted:
        raise Problem(403, "FORBIDDEN", "A key under review cannot merge")
    candidates = memories.everything(call, memories.CANDIDATES, include_archived=True, most=_MOST)
    before = _snapshot(call) if candidates else []
    counts = {"archived": 0, "conflicted": 0, "activated": 0}
    log: list[dict[str, Any]] = []
    # The oldest first, so that it is the one that stays.
    for one in reversed(candidates):
        title, kind = one.title or "", one.type or "fact"
        same = likeness.twin(call, title, one.content, kind)
        other = likeness.rival(call, title, one.content, kind) if same is None else None
        if same is not None:
            status, action, ids = "archived", "archive", [one.id, same.id]
            reason = "An active memory says the same"
        elif other is not None:
            status, action, ids = "conflicted", "conflict", [one.id, other.id]
            reason = "An active memory of this title says something else"
        else:
            status, action, ids = "activated", "merge", [one.id]
            reason = "New memory activated — no duplicates or conflicts found"
        counts[status] += 1
        with call.server.changing(call.tenant_id, one.id):
            try:
                memories.change(
                    call, memories.one(call, one.id), status="active" if status == "activated" else status
                )
            except (Problem, OneBrainNotFoundError):
                # It was deleted meanwhile.
                continue
        log.append(_logged(action, ids, reason))
    version = _version(call, before, log)
    call.audit("merge.run", version.id)
    return {"merged": 0, **counts, "versionId": version.id, "log": log}


class VersionRow(Wire):
    """A version: how the memories were after a merge, without their texts."""

    id: str
    version: int
    snapshot: dict[str, Any]
    merge_log: list[LogRow]


def _row(record: Record) -> dict[str, Any]:
    body = record.body
    rows = [
        {name: one[name] for name in ("id", "type", "title", "confidence")}
        for one in body["after"]
        if one["status"] == "active"
    ]
    return {
        "id": record.id,
        "version": body["version"],
        "snapshot": {"memories": rows, "mergedAt": body["mergedAt"], "memoriesCount": len(rows)},
        "mergeLog": body["log"],
    }


@routes.get("/history", needs="brain.read", answers=Page[VersionRow])
def history(call: Call, query: Paging) -> Answer:
    """List the merges, newest first."""
    return MERGES.page(call, query, _row)


class RollbackAnswer(Wire):
    """The result of going back."""

    success: bool
    version_id: str
    restored_count: int
    skipped_count: int


VersionNumber = Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]


@routes.post("/rollback/{version}", needs="brain.write", answers=RollbackAnswer)
def rollback(call: Call, version: VersionNumber) -> dict[str, Any]:
    """Give the memories the status and confidence that they had after a merge; that is a version of its own."""
    if not version.isascii() or not version.isdigit() or len(version) > 9:
        raise invalid(["version"], "must be a version's number", where="path parameters")
    if not call.known.trusted:
        raise Problem(403, "FORBIDDEN", "A key under review cannot roll back")
    wanted = call.server.records.find(call.tenant_id, MERGES.name, str(int(version)))
    if wanted is None:
        raise not_found("Version")
    before = _snapshot(call)
    rows = wanted.body["after"]
    there = {one.id: one for one in call.memories.get([row["id"] for row in rows], EVERYTHING)}
    for row in rows:
        one = there.get(row["id"])
        if one is not None and _differs(one, row):
            with call.server.changing(call.tenant_id, one.id):
                memories.change(call, one, status=row["status"], confidence=row["confidence"])
    made = _version(call, before, [_logged("rollback", [], f"Back to version {int(version)}")])
    restored = sum(row["id"] in there for row in rows)
    call.audit("merge.rollback", version)
    return {
        "success": True,
        "versionId": made.id,
        "restoredCount": restored,
        "skippedCount": len(rows) - restored,
    }


def _differs(one: Memory, row: Mapping[str, Any]) -> bool:
    return mapping.status_of(one) != row["status"] or bool(
        one.extra.get("confidence", 1) != row["confidence"]
    )

"""``/v1/connect``: how agents read the brain, write to it, and stay in step. API keys only."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Field

from onebrain.errors import OneBrainValidationError
from onebrain.memory.driver import ListRequest
from onebrain.memory.fence import fence
from onebrain.memory.filters import Cmp, every
from onebrain.memory.models import EVERYTHING, Memory
from onebrain_engine.extraction.proposals import title_of
from onebrain_engine.store.records import to_datetime, to_micros
from onebrain_server.clock import iso, iso_micros, now, now_micros
from onebrain_server.dialects.onebrain import mapping
from onebrain_server.dialects.onebrain.mapping import MemoryFields, MemoryRow, Moment
from onebrain_server.dialects.onebrain.rules import contexts, likeness, memories
from onebrain_server.dialects.onebrain.rules.documents import CONNECTIONS
from onebrain_server.dialects.onebrain.rules.plans import storing
from onebrain_server.dialects.onebrain.wire import Cursor, Limit, Page, Query, Routes, Wire, bad_cursor
from onebrain_server.http import cursors
from onebrain_server.http.operation import Answer
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.security.content import looks_like_instructions, without_secrets
from onebrain_server.state.records import Record

routes = Routes("/v1/connect", "connect")

_PAGE: Final = 100
# A change may be stored a moment after the time it bears; the next delta asks from a little earlier.
_OVERLAP: Final = 5_000_000
_PROTOCOL: Final = """# OneBrain Sync Protocol v1

{context}
{writing}
## Commands of the user
- OBIgnore: do not store anything of this conversation.
- OBSync: store what is worth remembering now.
- OBStatus: say what was stored in this conversation.
"""
_WRITING: Final = """
## Writing back
When you learn something lasting about the user, store it: POST {single} with JSON {{"type", "title", "body"}} and the header
`Authorization: ApiKey <your-key>`; up to ten at once as a JSON array to {batch}. Types: fact, preference, decision, goal,
experience, skill. One statement each; no secrets; nothing that is known already.
"""


class ReadQuery(Query):
    """Which context; a name other than the four means deep."""

    scope: Annotated[str, Field(max_length=64)] | None = None
    query: Annotated[str, Field(min_length=1, max_length=2000)] | None = None


class WriteBack(Wire):
    """Where an agent may write."""

    single_endpoint: str
    batch_endpoint: str
    auth_header: str
    max_batch_size: int


class ReadAnswer(Wire):
    """The data that an agent reads when it connects."""

    system_prompt: str
    write_back: WriteBack | None
    meta: dict[str, Any]


@routes.get(
    "",
    needs="connect.read",
    answers=ReadAnswer,
    keys_only=True,
    limit="connect.read",
    media_type="text/plain",
    answers_also={304: ("The agent has it already", None)},
    quick=True,
)
def read_connect(call: Call, query: ReadQuery) -> Answer:
    """Return an agent's system prompt; as JSON where ``Accept`` has application/json, else as text."""
    scope = query.scope if query.scope is not None and query.scope in contexts.SCOPES else "deep"
    found = contexts.context(call, scope, contexts.Asked(query.query))
    base = call.base_url
    single, batch = f"{base}/v1/connect/memory", f"{base}/v1/connect/memories"
    may_write = "connect.write" in call.known.scopes
    prompt = _PROTOCOL.format(
        context=fence(without_secrets(found["formatted"])) or "Nothing is known yet.",
        writing=_WRITING.format(single=single, batch=batch) if may_write else "",
    )
    as_json = call.wants_json(default=False)
    etag = f'"{hashlib.sha256(f"{as_json}{prompt}".encode()).hexdigest()[:32]}"'
    headers = {"etag": etag, "cache-control": "private, max-age=60", "vary": "Accept, Authorization"}
    call.act("read", "connect", scope=scope)
    known = call.header("if-none-match")
    if known is not None and (known.strip() == "*" or etag in known):
        return Answer(status=304, headers=headers)
    estimate = -(-len(prompt) // 4)
    if not as_json:
        return Answer(
            raw=prompt.encode(),
            media_type="text/plain; charset=utf-8",
            headers={**headers, "x-token-estimate": str(estimate)},
        )
    write_back = {
        "singleEndpoint": single,
        "batchEndpoint": batch,
        "authHeader": "Authorization: ApiKey <your-key>",
        "maxBatchSize": 10,
    }
    meta = {
        "tokenEstimate": estimate,
        "scope": scope,
        "writeBackEnabled": may_write,
        "generatedAt": iso(now()),
    }
    return Answer(
        {"systemPrompt": prompt, "writeBack": write_back if may_write else None, "meta": meta},
        headers=headers,
    )


def write(call: Call, fields: MemoryFields, digest: str | None = None) -> tuple[bool, dict[str, Any]]:
    """Store a memory that an agent writes; return whether it is new, and its row.

    An active memory that says the same makes it a duplicate. A key under review makes candidates, and so does a text that
    reads like instructions, whoever sends it. `digest` is as for `mapping.draft`.
    """
    memories.check_links(call, fields)
    title = fields.title or title_of(fields.text, mapping.TITLE_LIMIT)
    same = likeness.twin(call, title, fields.text, fields.type)
    if same is not None:
        return False, mapping.row(same, call)
    suspicious = looks_like_instructions(title, fields.text)
    sure = 1.0 if fields.confidence is None else fields.confidence
    new = mapping.draft(
        call,
        fields,
        status="active" if call.known.trusted and not suspicious else "candidate",
        confidence=min(sure, 0.2) if suspicious else None,
        digest=digest,
    )
    key = call.known.key
    if key is not None:
        new = new.model_copy(update={"extra": {**new.extra, "keyId": key.id}})
    [memory] = memories.store(call, [new])
    memories.link(call, fields, memory.id)
    return True, mapping.row(memory, call)


class WrittenRow(Wire):
    """A memory that was there already."""

    id: str
    type: str
    title: str
    body: str
    status: str


@routes.post(
    "/memory",
    needs="connect.write",
    answers=MemoryRow,
    status=201,
    keys_only=True,
    limit="connect.write",
    errors=(404,),
    answers_also={200: ("An active memory says the same; nothing was stored", WrittenRow)},
    quick=True,
)
def write_memory(call: Call, body: MemoryFields) -> Answer:
    """Store a memory as an agent: active for a trusted key, else a candidate. 200 instead of 201 for a duplicate."""
    with storing(call, 1):
        new, row = write(call, body)
    call.act("write", "memory", status="created" if new else "duplicate")
    if new:
        return Answer(row)
    return Answer({name: row[name] for name in ("id", "type", "title", "body", "status")}, status=200)


class WriteResult(Wire):
    """The result for one memory."""

    status: Literal["created", "duplicate"]
    id: str
    title: str


class WriteAnswer(Wire):
    """The result of a batch, in order."""

    results: list[WriteResult]
    created: int
    duplicates: int


def write_all(call: Call, items: list[MemoryFields]) -> dict[str, Any]:
    """Store several memories as an agent."""
    for fields in items:
        memories.check_links(call, fields)
    results: list[dict[str, Any]] = []
    with storing(call, len(items)):
        for index, fields in enumerate(items):
            new, row = write(call, fields, call.part_digest(index))
            status = "created" if new else "duplicate"
            results.append({"status": status, "id": row["id"], "title": row["title"]})
    created = sum(result["status"] == "created" for result in results)
    call.act("write", "memory", count=created)
    return {"results": results, "created": created, "duplicates": len(results) - created}


Few = Annotated[list[MemoryFields], Field(min_length=1, max_length=10)]
Many = Annotated[list[MemoryFields], Field(min_length=1, max_length=100)]


@routes.post(
    "/memories",
    needs="connect.write",
    answers=WriteAnswer,
    keys_only=True,
    limit="connect.write",
    errors=(404,),
)
def write_memories(call: Call, body: Few) -> dict[str, Any]:
    """Store up to ten memories as an agent."""
    return write_all(call, body)


# ---- changes ----------------------------------------------------------------------------------------------------------


class DeltaQuery(Query):
    """Since when, in any offset; or where the page before ended."""

    since: Moment | None = None
    cursor: Cursor | None = None
    limit: Limit = _PAGE


class DeltaAnswer(Wire):
    """Changes; ``memories`` has the active ones in the form of other servers, and ``count`` is their number.

    ``changes`` also has memories that are gone: deleted, or no longer active.
    """

    changes: list[dict[str, Any]]
    memories: list[dict[str, Any]]
    since: str
    until: str
    count: int
    cursor: str | None


@routes.get("/delta", needs="connect.read", answers=DeltaAnswer, keys_only=True, limit="connect.read")
def delta(call: Call, query: DeltaQuery) -> dict[str, Any]:
    """Return which active memories changed since a moment, and which are gone; ask again from ``until``, or with ``cursor`` for more.

    Without ``since`` it is this key's last such call, and only such a call moves that time.
    """
    key = call.known.key
    assert key is not None
    since = None if query.since is None else to_micros(query.since)
    first = since is None and query.cursor is None
    if since is None:
        since = key.last_synced_at or 0
    changes, until, cursor, moves = _changes(
        call, since, query.cursor, query.limit, order="-updated_at", moves=first
    )
    if moves:
        call.server.accounts.change_key(call.tenant_id, key.id, {"last_synced_at": until})
    active = [
        {name: value for name, value in row.items() if name not in ("action", "timestamp", "metadata")}
        for row in changes
        if row["action"] != "deleted"
    ]
    call.act("delta_sync", "memory", count=len(active))
    return {
        "changes": changes,
        "memories": active,
        "since": iso_micros(_span(query.cursor)[0] if query.cursor is not None else since),
        "until": iso_micros(until),
        "count": len(active),
        "cursor": cursor,
    }


def _changes(
    call: Call,
    since: int,
    cursor: str | None,
    limit: int,
    *,
    order: Literal["updated_at", "-updated_at"],
    moves: bool,
) -> tuple[list[dict[str, Any]], int, str | None, bool]:
    """Return one page of changes, until when it is complete, the next page's cursor, and whether a stored time moves now.

    They are for agents: memories that are active now, and the ids of those that are gone. A memory that was never active is left out.

    That time moves with the last page of a request without ``since``, so that nothing is lost on the way.

    Changed memories come first, then deleted ones; a memory that is there is never named as deleted.
    """
    if cursor is None:
        last, part, within = now_micros(), "memories", None
    else:
        since, last, part, within, moves = _span(cursor)
    until = max(since, last - _OVERLAP)
    found: list[dict[str, Any]] = []
    if part == "memories":
        request = ListRequest(
            filter=every(Cmp("$updated_at", "gt", to_datetime(since)), memories.SEEN),
            order=order,
            limit=limit,
            cursor=within,
            include_archived=True,
        )
        try:
            page = call.memories.list(request)
        except OneBrainValidationError:
            raise bad_cursor() from None
        found.extend(_change(call, memory, since) for memory in page.data)
        if page.meta.cursor is not None:
            return found, until, cursors.encode(since, last, "memories", page.meta.cursor, moves), False
        within = None
    gone = _deleted(call, since, last)
    start = int(within) if within is not None and within.isdecimal() else 0
    end = start + limit - len(found)
    found.extend(_gone(id, iso_micros(at)) for id, at in gone[start:end])
    if end < len(gone):
        return found, until, cursors.encode(since, last, "deleted", str(end), moves), False
    return found, until, None, moves


def _deleted(call: Call, since: int, last: int) -> list[tuple[str, int]]:
    """Return (id, time) of the memories that were deleted in a span and are not there again, oldest first."""
    gone = sorted(
        call.server.journal.buried(call.tenant_id, since, last), key=lambda pair: (pair[1], pair[0])
    )
    if not gone:
        return []
    there = {memory.id for memory in call.memories.get([id for id, _ in gone], EVERYTHING)}
    return [pair for pair in gone if pair[0] not in there]


def _change(call: Call, memory: Memory, since: int) -> dict[str, Any]:
    """Return a change; for agents a memory that is no longer active is gone, and none of its text is shown."""
    row = mapping.row(memory, call)
    del row["userId"]
    if memory.archived:
        return _gone(memory.id, row["updatedAt"])
    assert memory.created_at is not None
    fresh = to_micros(memory.created_at) > since
    return {**row, "action": "created" if fresh else "updated", "timestamp": row["updatedAt"]}


def _gone(id: str, at: str) -> dict[str, Any]:
    return {"id": id, "action": "deleted", "updatedAt": at, "timestamp": at}


def _span(cursor: str) -> tuple[int, int, str, str, bool]:
    try:
        since, last, part, within, moves = cursors.decode(cursor)
        if part not in ("memories", "deleted") or not isinstance(within, str):
            raise ValueError
        limit = 2**53
        if not (0 <= int(since) < limit and 0 <= int(last) < limit):
            raise ValueError
        return int(since), int(last), part, within, moves is True
    except (ValueError, TypeError):
        raise bad_cursor() from None


# ---- connections ------------------------------------------------------------------------------------------------------


Capability = Literal["memory_read", "memory_write"]
_ALL: Final[tuple[Capability, ...]] = get_args(Capability)


class ConnectionFields(Wire):
    """An agent that connects.

    What it may do through this connection are ``memory_read`` and ``memory_write``, both where nothing is said. Other words are
    kept and allow nothing.
    """

    agent_name: Annotated[str, Field(min_length=1, max_length=100)]
    agent_version: Annotated[str, Field(max_length=100)] | None = None
    capabilities: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=32)] | None = None


class ConnectionRow(Wire):
    """An agent's connection."""

    connection_id: str
    agent_name: str
    agent_version: str | None
    capabilities: list[str]
    last_synced_at: str | None
    created_at: str


def _row(record: Record) -> dict[str, Any]:
    return row_of(ConnectionRow, record, connection_id=record.id)


def _connection(call: Call, id: str, needs: Capability) -> Record:
    """Return a connection that has a capability; raise if it was not registered with that one."""
    record = CONNECTIONS.one(call, id)
    if needs not in record.body["capabilities"]:
        raise Problem(
            403, "INSUFFICIENT_SCOPE", f"The connection was registered without the capability {needs}"
        )
    return record


@routes.post("/connections", needs="connect.write", answers=ConnectionRow, status=201, keys_only=True)
def register(call: Call, body: ConnectionFields) -> dict[str, Any]:
    """Register an agent."""
    fields = {
        "agentName": body.agent_name,
        "agentVersion": body.agent_version,
        "capabilities": [*_ALL] if body.capabilities is None else body.capabilities,
        "lastSyncedAt": None,
    }
    return _row(CONNECTIONS.add(call, fields))


@routes.get("/connections", needs="connect.read", answers=list[ConnectionRow], keys_only=True)
def list_connections(call: Call) -> list[dict[str, Any]]:
    """List the agents that are connected, newest first."""
    return [_row(record) for record in CONNECTIONS.all(call)]


class SyncFields(Wire):
    """The batch that an agent sends."""

    memories: Many


@routes.post(
    "/connections/{id}/sync",
    needs="connect.write",
    answers=WriteAnswer,
    keys_only=True,
    limit="connect.write",
)
def sync(call: Call, id: str, body: SyncFields) -> dict[str, Any]:
    """Store an agent's memories, as ``/v1/connect/memories`` does; needs a connection with ``memory_write``."""
    _connection(call, id, "memory_write")
    return write_all(call, body.memories)


@routes.get(
    "/connections/{id}/pull",
    needs="connect.read",
    answers=Page[dict[str, Any]],
    keys_only=True,
    limit="connect.read",
)
def pull(call: Call, id: str, query: DeltaQuery) -> Answer:
    """Return which active memories changed and which are gone, oldest first; needs a connection with ``memory_read``.

    Without ``since``, it is since this connection's last such call. Deletions come last.
    """
    record = _connection(call, id, "memory_read")
    first = query.since is None and query.cursor is None
    since = to_micros(query.since) if query.since is not None else record.body["lastSyncedAt"] or 0
    changes, until, cursor, moves = _changes(
        call, since, query.cursor, query.limit, order="updated_at", moves=first
    )
    if moves:
        call.server.records.change(call.tenant_id, CONNECTIONS.name, id, {"lastSyncedAt": until}, touch=False)
    call.act("delta_sync", "memory", count=len(changes))
    return Answer(
        changes, pagination={"cursor": cursor, "hasMore": cursor is not None, "total": len(changes)}
    )


@routes.delete("/connections/{id}", needs="connect.write", keys_only=True)
def disconnect(call: Call, id: str) -> None:
    """Remove an agent's connection; its memories stay."""
    CONNECTIONS.remove(call, id)


__all__ = ["routes"]

"""bRRAIn's memories as the engine's, and back.

A memory's metadata stay as they are given, and are filtered where they stand; the workspace is the engine's space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, cast

from pydantic import AfterValidator, Field, WithJsonSchema

from onebrain.memory.models import JsonObject, Memory, NewMemory, Scope
from onebrain_engine.graph.extraction import find_entities
from onebrain_server.clock import iso
from onebrain_server.dialects.brrain.rules import duplicates, lifetimes, workspaces
from onebrain_server.dialects.brrain.wire import Wire, WorkspaceId, duplicate
from onebrain_server.http.problems import Problem, from_engine, not_found
from onebrain_server.http.requests import Call

MAX_BYTES: Final = 1_048_576
_TEXT: Final = {"type": "string"}
_ENTITIES: Final = "entities"  # the names that a text holds, noted when it is stored
_KNOWN: Final = ("category", "department", "source")


def _content(content: str) -> str:
    size = len(content.encode())
    if size > MAX_BYTES:
        raise ValueError(f"has {size} bytes of UTF-8; at most {MAX_BYTES} (1 MB) are allowed")
    return content


def _metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """Check the fields that can be filtered by."""
    for name in _KNOWN:
        if not isinstance(metadata.get(name), str | None):
            raise ValueError(f"{name} must be a string")
    tags = metadata.get("tags")
    if tags is not None and not (
        isinstance(tags, list) and all(isinstance(tag, str) for tag in cast("list[Any]", tags))
    ):
        raise ValueError("tags must be a list of strings")
    return metadata


Metadata = Annotated[
    JsonObject,
    AfterValidator(_metadata),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                **{name: {"anyOf": [_TEXT, {"type": "null"}]} for name in _KNOWN},
                "tags": {"anyOf": [{"type": "array", "items": _TEXT}, {"type": "null"}]},
            },
        }
    ),
]


class StoreFields(Wire):
    """A memory to store: at most 1 MB of text, and what may be said of it."""

    content: Annotated[str, Field(min_length=1, max_length=MAX_BYTES), AfterValidator(_content)]
    metadata: Metadata | None = None
    workspace_id: WorkspaceId | None = None
    ttl_seconds: Annotated[int, Field(ge=1, le=1_000_000_000_000)] | None = None
    idempotency_key: Annotated[str, Field(min_length=1, max_length=512)] | None = None


class Processing(Wire):
    """How far the work on a memory is; here it is done before the answer is sent."""

    embedding_status: str
    entity_extraction_status: str


class ReadProcessing(Processing):
    """The same, with the entities that the text names."""

    entities: list[str]


class StoredRow(Wire):
    """A memory as storing it answers."""

    id: str
    status: str
    vault_id: str
    workspace_id: str
    created_at: str
    content_hash: str
    byte_size: int
    metadata: dict[str, Any]
    processing: Processing


class MemoryRow(Wire):
    """A memory as reading it answers."""

    id: str
    content: str
    vault_id: str
    workspace_id: str
    created_at: str
    updated_at: str | None
    metadata: dict[str, Any]
    processing: ReadProcessing


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory on its way to the engine.

    Attributes:
        ids: The ids that its text may have already; it is stored with the first.
        asked: The fingerprint of the request.
    """

    fields: StoreFields
    workspace_id: str
    ids: tuple[str, ...]
    asked: str
    moment: datetime


def draft(call: Call, fields: StoreFields) -> Draft:
    """Return a memory to store; raise where it is meant for a workspace that the caller may not use."""
    workspace_id = workspaces.meant(call, fields.workspace_id) or workspaces.DEFAULT
    body = {**fields.model_dump(exclude={"idempotency_key"}), "workspace_id": workspace_id}
    # As exact as answers tell it, so that a search for what came after a memory does not find the memory itself.
    moment = datetime.now(UTC)
    return Draft(
        fields=fields,
        workspace_id=workspace_id,
        ids=duplicates.ids_of(call, workspace_id, fields.content),
        asked=duplicates.fingerprint(call, body),
        moment=moment.replace(microsecond=moment.microsecond // 1000 * 1000),
    )


def store(call: Call, drafts: Sequence[Draft]) -> list[dict[str, Any] | Problem]:
    """Store memories in one step; return what is to be answered for each: its row, or why it was refused.

    Deleted memories count for the plan until they are out of storage.
    """
    with call.server.plans.storing(call.known.account, len(drafts)) as allowed:
        return _store(call, drafts, allowed)


def _store(call: Call, drafts: Sequence[Draft], allowed: int) -> list[dict[str, Any] | Problem]:
    taken = set(duplicates.there(call, (id for one in drafts for id in one.ids)))
    keys: dict[str, str] = {}
    results: list[dict[str, Any] | Problem | None] = [None] * len(drafts)
    good: list[tuple[int, Draft]] = []
    for place, one in enumerate(drafts):
        try:
            results[place] = _refused(call, one, taken, keys)
        except Problem as problem:
            results[place] = problem
        if results[place] is None and len(good) >= allowed:
            results[place] = Problem(
                403,
                "quota_exceeded",
                "The account's plan has no room for more memories; ask the server's owner",
            )
        if results[place] is None:
            good.append((place, one))
            taken.add(one.ids[0])
            if one.fields.idempotency_key is not None:
                keys[one.fields.idempotency_key] = one.asked
    stored = call.memories.store([_new(one) for _, one in good]) if good else []
    for (place, one), result in zip(good, stored, strict=True):
        if result.error is not None:
            results[place] = from_engine(result.error)
            continue
        row = _stored_row(call, one)
        duplicates.keep_answer(call, one.fields.idempotency_key, one.asked, row)
        results[place] = row
    return [result for result in results if result is not None]


def _refused(
    call: Call, one: Draft, taken: set[str], keys: Mapping[str, str]
) -> dict[str, Any] | Problem | None:
    """Return the earlier answer, or the failure, for what is not stored again; None for what is to be stored."""
    key = one.fields.idempotency_key
    answer = duplicates.earlier_answer(call, key, one.asked)
    if answer is not None:
        return answer
    if key is not None and keys.get(key, one.asked) != one.asked:
        return duplicate(
            "idempotency_conflict", "Another memory of this batch has this idempotency_key", None
        )
    existing = next((id for id in one.ids if id in taken), None)
    if existing is not None:
        return duplicate("duplicate_content", "This workspace holds this content already", existing)
    return None


def _new(one: Draft) -> NewMemory:
    return NewMemory.checked(
        id=one.ids[0],
        content=one.fields.content,
        scope=Scope(space=one.workspace_id),
        metadata=one.fields.metadata or {},
        created_at=one.moment,
        extra={
            **lifetimes.time_to_live(one.moment, one.fields.ttl_seconds),
            _ENTITIES: _named(one.fields.content),
        },
    )


def _processing(call: Call) -> dict[str, Any]:
    done = call.server.engine.embedder is not None
    return {
        "embedding_status": "completed" if done else "unavailable",
        "entity_extraction_status": "completed",
    }


def _stored_row(call: Call, one: Draft) -> dict[str, Any]:
    content = one.fields.content
    return {
        "id": one.ids[0],
        "status": "stored",
        "vault_id": workspaces.VAULT,
        "workspace_id": one.workspace_id,
        "created_at": iso(one.moment),
        "content_hash": f"sha256:{duplicates.content_hash(content)}",
        "byte_size": len(content.encode()),
        "metadata": one.fields.metadata or {},
        "processing": _processing(call),
    }


def row(call: Call, memory: Memory) -> dict[str, Any]:
    """Return a memory as reading it answers; nothing here changes a memory, so it has no time of a change."""
    assert memory.created_at is not None
    # What was stored by an earlier version has none noted.
    entities = memory.extra[_ENTITIES] if _ENTITIES in memory.extra else _named(memory.content)
    return {
        "id": memory.id,
        "content": memory.content,
        "vault_id": workspaces.VAULT,
        "workspace_id": memory.scope.space or workspaces.DEFAULT,
        "created_at": iso(memory.created_at),
        "updated_at": None,
        "metadata": memory.metadata,
        "processing": {**_processing(call), "entities": entities},
    }


def _named(content: str) -> list[str]:
    return [found.name for found in find_entities(content)]


def one(call: Call, id: str) -> Memory:
    """Return a memory that the caller may see; raise where there is none with this id, or none any more."""
    for memory in call.memories.get([id], workspaces.visible(call)):
        if not lifetimes.deleted(memory):
            return memory
    raise not_found("Memory")

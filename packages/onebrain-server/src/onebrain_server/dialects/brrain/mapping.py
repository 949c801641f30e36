"""bRRAIn's memories as the engine's, and back.

A memory's metadata stay as they are given, and are filtered where they stand; the workspace is the engine's space.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, WithJsonSchema

from onebrain.memory.models import JsonObject, Memory
from onebrain_engine.extraction.entities import find_entities
from onebrain_server.clock import iso
from onebrain_server.dialects.brrain.wire import DEFAULT_WORKSPACE, VAULT, Wire, WorkspaceId
from onebrain_server.http.requests import Call
from onebrain_server.json_values import is_array

MAX_BYTES: Final = 1_048_576
_TEXT: Final = {"type": "string"}
# The names that a text holds, noted when it is stored.
ENTITIES: Final = "entities"
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
    if tags is not None and not (is_array(tags) and all(isinstance(tag, str) for tag in tags)):
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
    """A memory to store: at most 1 MB of text, and its metadata."""

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


def processing(call: Call) -> dict[str, Any]:
    """Return the state of the work on a memory, which is done before the answer is sent."""
    done = call.server.engine.embedder is not None
    return {
        "embedding_status": "completed" if done else "unavailable",
        "entity_extraction_status": "completed",
    }


def row(call: Call, memory: Memory) -> dict[str, Any]:
    """Return a memory as reading it answers; nothing here changes a memory, so it has no time of a change."""
    assert memory.created_at is not None
    # A memory stored by an earlier version has none noted.
    entities = memory.extra[ENTITIES] if ENTITIES in memory.extra else entity_names(memory.content)
    return {
        "id": memory.id,
        "content": memory.content,
        "vault_id": VAULT,
        "workspace_id": memory.scope.space or DEFAULT_WORKSPACE,
        "created_at": iso(memory.created_at),
        "updated_at": None,
        "metadata": memory.metadata,
        "processing": {**processing(call), "entities": entities},
    }


def entity_names(content: str) -> list[str]:
    """Return the names of the entities in a text."""
    return [found.name for found in find_entities(content)]

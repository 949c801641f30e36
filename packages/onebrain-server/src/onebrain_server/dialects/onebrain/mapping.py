"""OneBrain's memories as the engine's, and back.

What the engine has a field for goes there; ``confidence``, ``status`` and ``sourceType`` travel in its `extra`. A memory
that is not active is archived to the engine, which leaves it out of searches at no cost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import to_json

from onebrain.memory.filters import Cmp
from onebrain.memory.models import EVERYTHING, JsonObject, Memory, NewMemory, Scope
from onebrain_engine.extraction.proposals import title_of
from onebrain_server.clock import iso, now
from onebrain_server.dialects.onebrain.wire import Wire
from onebrain_server.http.operation import holding
from onebrain_server.http.requests import Call
from onebrain_server.ids import new_id
from onebrain_server.json_values import is_array, is_object
from onebrain_server.state.owners import Belonging

MemoryType = Literal["fact", "preference", "decision", "goal", "experience", "skill"]
MemoryStatus = Literal["active", "candidate", "archived", "conflicted"]
SourceType = Literal["user_input", "system_inference", "ai_extraction", "user_confirmed"]
SearchMode = Literal["keyword", "vector", "hybrid"]

TYPES: Final = get_args(MemoryType)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")
TITLE_LIMIT: Final = 500
BODY_LIMIT: Final = 10_000
# The key of a client's metadata for fields that other servers lack.
RESERVED: Final = "onebrain"

Id = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
Title = Annotated[str, Field(min_length=1, max_length=TITLE_LIMIT)]
Body = Annotated[str, Field(min_length=1, max_length=BODY_LIMIT)]
Confidence = Annotated[float, Field(ge=0, le=1)]
# Vectors are kept in single precision.
_MOST: Final = 3.4e38
Vector = Annotated[list[Annotated[float, Field(ge=-_MOST, le=_MOST)]], Field(min_length=1, max_length=8192)]
Tag = Annotated[str, Field(min_length=1, max_length=255)]
Tags = Annotated[list[Tag], Field(max_length=100)]
Part = Annotated[str, Field(min_length=1, max_length=512, pattern=r"\S")]


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("must have an offset, such as Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be within the years 1 to 9999 in UTC") from None


def _written_out(value: Any) -> Any:
    """Read ISO 8601 text; bare numbers, which could be seconds or years, are refused."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DATE.match(value):
        raise ValueError("must be ISO 8601 text, such as 2026-01-15T09:30:00Z")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be ISO 8601 text, such as 2026-01-15T09:30:00Z") from None


Moment = Annotated[datetime, BeforeValidator(_written_out), AfterValidator(_aware)]


class ScopeFields(Wire):
    """Whose memory, and where; parts left open are not restricted."""

    space: Part | None = None
    user: Part | None = None
    agent: Part | None = None
    session: Part | None = None

    def scope(self) -> Scope:
        """Return it as the engine's."""
        return Scope(self.space, self.user, self.agent, self.session)


class MemoryFields(Wire):
    """A memory to store: ``body`` is the wire's name of the text, ``content`` the documentation's."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [holding("body", "string"), holding("content", "string")]}
    )

    id: Id | None = None
    type: MemoryType = "fact"
    title: Title | None = None
    body: Body | None = None
    content: Body | None = None
    source_type: SourceType = "user_input"
    confidence: Confidence | None = None
    metadata: JsonObject | None = None
    tags: Tags | None = None
    source: Annotated[str, Field(max_length=255)] | None = None
    entity_id: Id | None = None
    project_id: Id | None = None
    scope: ScopeFields | None = None
    importance: Confidence | None = None
    pinned: bool = False
    created_at: Moment | None = None
    expires_at: Moment | None = None
    embedding: Vector | None = None
    # Only "archived" has an effect: review is for the server to decide, as the format has it.
    status: Annotated[str, Field(max_length=32)] | None = None

    @model_validator(mode="after")
    def _one_text(self) -> MemoryFields:
        if (self.body is None) == (self.content is None):
            raise ValueError("give the text as body or as content, not as both")
        if self.expires_at is not None and self.expires_at <= now():
            raise ValueError("expiresAt must be in the future")
        return self

    @property
    def text(self) -> str:
        """The text."""
        text = self.body if self.body is not None else self.content
        assert text is not None
        return text


class MemoryRow(Wire):
    """A memory, as every answer shows it."""

    id: str
    user_id: str
    type: str
    title: str
    body: str
    source_type: str
    confidence: float
    status: MemoryStatus
    metadata: dict[str, Any] | None
    created_at: str
    updated_at: str
    tags: list[str]
    source: str | None
    scope: dict[str, str]
    entity_id: str | None
    project_id: str | None
    importance: float | None
    pinned: bool
    expires_at: str | None


class HitRow(MemoryRow):
    """A memory that a search found."""

    score: float
    dice_score: float
    vector_score: float


ARCHIVED: Final = Cmp("$archived", "eq", True)
# Marks a memory that was never active, which no agent has seen and none is told of.
UNSEEN: Final = "unseen"


def draft(
    call: Call,
    fields: MemoryFields,
    *,
    status: MemoryStatus = "active",
    source_type: str | None = None,
    confidence: float | None = None,
    digest: str | None = None,
    **more: Any,
) -> NewMemory:
    """Return a memory to store in the engine's terms.

    `digest` is that of an idempotency key and makes the id; by default it is the request's. `more` is kept in `extra`.
    """
    digest = digest or call.idempotency
    text = fields.text
    metadata = fields.metadata or {}
    if confidence is None:
        confidence = 1 if fields.confidence is None else fields.confidence
    extra: dict[str, Any] = {
        "sourceType": source_type or fields.source_type,
        "confidence": confidence,
        "status": status,
        **more,
    }
    if status != "active":
        extra[UNSEEN] = True
    return NewMemory.checked(
        id=fields.id or (new_id() if digest is None else id_of(digest)),
        content=text,
        scope=EVERYTHING if fields.scope is None else fields.scope.scope(),
        title=fields.title or title_of(text, TITLE_LIMIT) or "Untitled",
        type=fields.type,
        tags=_tags(fields),
        metadata=metadata,
        importance=fields.importance,
        source=_source(fields),
        pinned=fields.pinned,
        archived=status != "active",
        created_at=fields.created_at,
        expires_at=fields.expires_at,
        embedding=None if fields.embedding is None else tuple(fields.embedding),
        extra=extra,
    )


def _reserved(fields: MemoryFields) -> Mapping[str, Any]:
    """Return the fields that a client keeps in the metadata, for servers that have none of their own for them."""
    kept = (fields.metadata or {}).get(RESERVED)
    return kept if is_object(kept) else {}


def _tags(fields: MemoryFields) -> tuple[str, ...]:
    tags = fields.tags if fields.tags is not None else _reserved(fields).get("tags")
    return tuple(tags) if is_array(tags) and all(isinstance(tag, str) for tag in tags) else ()


def _source(fields: MemoryFields) -> str | None:
    if fields.source is not None:
        return fields.source
    kept = _reserved(fields).get("source")
    return kept if isinstance(kept, str) else None


def given_status(fields: MemoryFields) -> MemoryStatus:
    """Return the status that a memory is stored with."""
    return "archived" if fields.status == "archived" else "active"


def id_of(digest: str) -> str:
    """Return the id that an idempotency key gives a memory, so that a repeated request cannot store it twice."""
    # In the form of a UUID of version 5, which is made of a name, since clients may take no other ids.
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{'89ab'[int(digest[16], 16) & 3]}{digest[17:20]}-{digest[20:32]}"


def status_of(memory: Memory) -> MemoryStatus:
    """Return a memory's status; a memory stored without one is active or archived."""
    if not memory.archived:
        return "active"
    found = memory.extra.get("status")
    return found if found in ("candidate", "conflicted") else "archived"


def row(memory: Memory, call: Call) -> dict[str, Any]:
    """Return a memory as answers show it."""
    return shown(memory, call.tenant_id, call.server.owners.of(call.tenant_id, [memory.id])[memory.id])


def shown_scope(scope: Scope) -> dict[str, str]:
    """Return the parts of a scope that are set, as answers show them."""
    return {name: value for name, value in scope.__dict__.items() if value is not None}


def shown(
    memory: Memory, tenant: str, where: Belonging, scope: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return a memory of a tenant, whose owners are known, as answers show it; `scope` is its scope if that is made already."""
    extra = memory.extra
    created, updated, expires = memory.created_at, memory.updated_at, memory.expires_at
    assert created is not None
    assert updated is not None
    made = iso(created)
    return {
        "id": memory.id,
        "userId": tenant,
        "type": memory.type or "fact",
        "title": memory.title or title_of(memory.content, TITLE_LIMIT) or "Untitled",
        "body": memory.content,
        "sourceType": extra.get("sourceType", "user_input"),
        "confidence": extra.get("confidence", 1),
        "status": status_of(memory) if memory.archived else "active",
        "metadata": memory.metadata or None,
        "createdAt": made,
        "updatedAt": made if updated == created else iso(updated),
        "tags": memory.tags,
        "source": memory.source,
        "scope": shown_scope(memory.scope) if scope is None else scope,
        "entityId": where.entity_id,
        "projectId": where.project_id,
        "importance": memory.importance,
        "pinned": memory.pinned,
        "expiresAt": None if expires is None else iso(expires),
    }


def written(memories: Sequence[Memory], call: Call) -> list[bytes]:
    """Return memories as answers show them, in JSON; a memory that is shown again is not written anew."""
    tenant, kept = call.tenant_id, call.server.rendered
    owners = call.server.owners.of(tenant, [memory.id for memory in memories])
    result: list[bytes] = []
    for memory in memories:
        owner = owners[memory.id]
        row = kept.get(tenant, memory, owner)
        if row is None:
            row = to_json(shown(memory, tenant, owner))
            kept.put(tenant, memory, owner, row)
        result.append(row)
    return result


def rows(memories: Iterable[Memory], call: Call) -> list[dict[str, Any]]:
    """Return memories as answers show them."""
    found = list(memories)
    owners = call.server.owners.of(call.tenant_id, [memory.id for memory in found])
    tenant = call.tenant_id
    # The memories of a page mostly share a few scopes, which are one object each.
    distinct = {id(memory.scope): memory.scope for memory in found}
    scopes = {key: shown_scope(scope) for key, scope in distinct.items()}
    return [shown(memory, tenant, owners[memory.id], scopes[id(memory.scope)]) for memory in found]

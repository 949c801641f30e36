"""``/v1/brain`` and ``/v1/context``: the profile, and contexts for prompts."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import Field

from onebrain.memory.driver import ListRequest
from onebrain.memory.filters import TRUE, Filter
from onebrain.memory.models import JsonObject
from onebrain_server.clock import iso
from onebrain_server.dialects.onebrain.mapping import Id, MemoryRow
from onebrain_server.dialects.onebrain.rules import contexts, memories
from onebrain_server.dialects.onebrain.rules.plans import charge
from onebrain_server.dialects.onebrain.wire import Query, Routes, Wire
from onebrain_server.http.operation import SEGMENT, Answer, Given
from onebrain_server.http.problems import Problem
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.state.records import Record

routes = Routes("/v1", "brain")

_FOCUS_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
Focus = Annotated[str, Field(min_length=1, max_length=100, pattern=SEGMENT)]


class Profile(Wire):
    """The profile of the brain's owner."""

    id: str
    user_id: str
    summary: str | None
    traits: JsonObject
    preferences: JsonObject
    created_at: str
    updated_at: str


def profile_record(call: Call) -> Record:
    """Return the caller's profile; it begins empty, and reading does not store it."""
    found = call.server.records.get(call.tenant_id, contexts.PROFILE, contexts.PROFILE)
    if found is not None:
        return found
    made = call.known.account.created_at
    return Record(contexts.PROFILE, None, None, made, made, {**contexts.NO_PROFILE})


def profile_row(call: Call, record: Record) -> dict[str, Any]:
    """Return a profile as answers show it."""
    return row_of(Profile, record, id=call.tenant_id, user_id=call.tenant_id)


@routes.get("/brain/profile", needs="brain.read", answers=Profile)
def get_profile(call: Call) -> dict[str, Any]:
    """Return the profile of the brain's owner."""
    return profile_row(call, profile_record(call))


class ProfileChanges(Wire):
    """Changes of the profile; each given object is replaced as a whole."""

    summary: Annotated[str, Field(max_length=5000)] | None = None
    traits: Given[JsonObject] = None
    preferences: Given[JsonObject] = None


@routes.put("/brain/profile", needs="brain.write", answers=Profile)
def update_profile(call: Call, body: ProfileChanges) -> dict[str, Any]:
    """Change the given fields of the profile."""
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    changed = call.server.records.put(
        call.tenant_id, contexts.PROFILE, contexts.PROFILE, changes, defaults=contexts.NO_PROFILE
    )
    return profile_row(call, changed)


class RecentMemory(Wire):
    """A memory as an overview shows it."""

    id: str
    type: str
    title: str
    body: str
    confidence: float
    created_at: str


class TopEntity(Wire):
    """An entity as an overview shows it."""

    id: str
    name: str
    type: str
    link_count: int


class ActiveProject(Wire):
    """A project as an overview shows it."""

    id: str
    name: str
    description: str | None


class Overview(Wire):
    """The brain at a glance."""

    profile: Profile
    recent_memories: list[RecentMemory]
    top_entities: list[TopEntity]
    active_projects: list[ActiveProject]
    stats: JsonObject
    system_prompt: str
    token_count: int
    truncated: bool
    memories: list[MemoryRow]


class NarrowQuery(Query):
    """The limits of a context."""

    project_id: Id | None = None
    language: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = None
    query: Annotated[str, Field(min_length=1, max_length=2000)] | None = None

    def asked(self) -> contexts.Asked:
        """Return the wishes for a context."""
        return contexts.Asked(self.query, self.language, self.project_id, self.max_tokens)


@routes.get("/brain/context", needs="brain.read", answers=Overview, errors=(404,))
def brain_context(call: Call, query: NarrowQuery) -> dict[str, Any]:
    """Return the newest memories, the entities with most links, active projects, and numbers."""
    narrowed: Filter = TRUE
    if query.project_id is not None:
        narrowed = memories.of_project(call, query.project_id)
    active = contexts.active_projects(call, query.project_id)
    if query.query is not None or query.language is not None:
        asked = " ".join(part for part in (query.query, query.language) if part)
        chosen, total = contexts.choose(call, asked, narrowed, 20)
    else:
        page = call.memories.list(ListRequest(filter=narrowed, limit=20))
        chosen, total = list(page.data), page.meta.total or 0
    text = contexts.context(call, "assistant", query.asked())
    return {
        **{name: text[name] for name in ("systemPrompt", "tokenCount", "truncated", "memories")},
        "profile": profile_row(call, profile_record(call)),
        "recentMemories": [
            {**contexts.shown(memory), "createdAt": iso(memory.created_at) if memory.created_at else ""}
            for memory in chosen
        ],
        "topEntities": [
            {"id": entity.id, "name": entity.name, "type": entity.type, "linkCount": count}
            for entity, count in call.entities.top(10)
        ],
        "activeProjects": [
            {"id": record.id, "name": record.body["name"], "description": record.body.get("description")}
            for record in active[:5]
        ],
        "stats": contexts.stats(call, total, len(active)),
    }


class ScopeInfo(Wire):
    """A scope that a context can be asked for."""

    name: str
    description: str
    max_tokens: int


@routes.get("/context", needs="brain.read", answers=list[ScopeInfo])
def list_scopes(call: Call) -> list[dict[str, Any]]:
    """List the scopes: four by size, and some by focus. Any other word is a focus, too."""
    sizes = [
        {"name": name, "description": budget.description, "maxTokens": budget.tokens}
        for name, budget in contexts.SCOPES.items()
    ]
    focused = [
        {"name": name, "description": f"What has to do with {name}", "maxTokens": contexts.FOCUSED.tokens}
        for name in contexts.FOCUS
    ]
    return sizes + focused


class ContextMeta(Wire):
    """A context's contents and size."""

    scope: str
    token_estimate: int
    tokens_used: int
    memories_included: int
    entities_included: int
    projects_included: int
    truncated: bool
    identity_included: bool


class ContextAnswer(Wire):
    """A context as text and as data."""

    scope: str
    formatted: str
    structured: JsonObject
    meta: ContextMeta
    system_prompt: str
    token_count: int
    truncated: bool
    memories: list[MemoryRow]


@routes.get(
    "/context/{scope}", needs="brain.read", answers=ContextAnswer, media_type="text/plain", quick=True
)
def get_context(call: Call, scope: Focus, query: NarrowQuery) -> Any:
    """Return a context; as plain text where the client asks for that.

    With ``query`` it is ranked for a question, with ``projectId`` it holds only memories of a project, and
    ``maxTokens`` is its budget instead of the scope's own. Scopes are brief, assistant, project and deep; any other name is
    a focus, such as ``coding``.
    """
    if not _FOCUS_NAME.fullmatch(scope):
        raise Problem(
            400,
            "INVALID_SCOPE",
            f"Invalid context scope. Valid: {', '.join(contexts.SCOPES)}, or a word to focus on",
        )
    charge(call, "context_calls_per_month")
    found = contexts.context(call, scope, query.asked())
    call.act("read", "context", scope=scope)
    if call.wants_json(default=True):
        return found
    return Answer(
        raw=found["formatted"].encode(),
        media_type="text/plain; charset=utf-8",
        headers={
            "x-token-estimate": str(found["meta"]["tokenEstimate"]),
            "x-truncated": str(found["meta"]["truncated"]).lower(),
        },
    )

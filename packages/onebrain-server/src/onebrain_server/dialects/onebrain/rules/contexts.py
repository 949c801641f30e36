"""Contexts: the knowledge for an agent within a budget, the same for the same brain and question."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import to_json

from onebrain.memory.driver import ListRequest, SearchRequest
from onebrain.memory.fence import fence, on_one_line
from onebrain.memory.filters import TRUE, Filter
from onebrain.memory.models import Memory
from onebrain_server.clock import now
from onebrain_server.dialects.onebrain import mapping
from onebrain_server.dialects.onebrain.rules.documents import MERGES, PROJECTS, SKILLS
from onebrain_server.dialects.onebrain.rules.memories import of_project
from onebrain_server.http.requests import Call
from onebrain_server.state.records import Record

_DAY: Final = 86_400.0
_POOL: Final = 100
_CUTS: Final = (300, 150, 80, 40)
_FENCE_TOKENS: Final = -(-len(fence("-").encode()) // 4)
_SOURCES: Final[Mapping[str, float]] = {
    "user_confirmed": 1.0,
    "user_input": 0.9,
    "ai_extraction": 0.6,
    "system_inference": 0.5,
}


# The kind and id of the document that holds the profile, and its fields before anything is known.
PROFILE: Final = "profile"
NO_PROFILE: Final[Mapping[str, Any]] = {"summary": "", "traits": {}, "preferences": {}}


@dataclass(frozen=True, slots=True)
class Budget:
    """The contents of a scope."""

    tokens: int
    memories: int
    entities: int
    projects: int
    skills: int
    profile: bool
    stats: bool
    description: str


SCOPES: Final[Mapping[str, Budget]] = {
    "brief": Budget(500, 3, 2, 1, 0, True, False, "Who the user is and the few things that matter most"),
    "assistant": Budget(2000, 10, 5, 3, 5, True, True, "For a general assistant"),
    "project": Budget(3000, 5, 3, 5, 3, False, True, "For work on projects"),
    "deep": Budget(8000, 30, 15, 10, 10, True, True, "Everything that fits"),
}
# Scopes by name: a focus, looked for by these words. Any other name is looked for by itself.
FOCUS: Final[Mapping[str, str]] = {
    "coding": "programming code software development language framework tools",
    "work": "work job company team project meeting deadline colleague",
    "personal": "family friend home hobby birthday partner",
    "preferences": "prefers likes loves favourite dislikes hates preference",
    "goals": "goal plan wants to learn achieve",
    "health": "health allergy diet exercise sleep doctor",
    "travel": "travel trip flight hotel city visit seat",
}
FOCUSED: Final = Budget(2000, 15, 5, 3, 3, True, False, "")


@dataclass(frozen=True, slots=True)
class Asked:
    """The wishes for a context: a question, a language, a project, and a budget instead of the scope's own."""

    query: str | None = None
    language: str | None = None
    project_id: str | None = None
    max_tokens: int | None = None


def revision(call: Call) -> tuple[object, int]:
    """Return a value that changes with every change of anything that a context shows."""
    return call.memories.states(), call.server.owners.revision(call.tenant_id)


def context(call: Call, scope: str, asked: Asked = Asked()) -> dict[str, Any]:
    """Return a context as text and as data.

    ``formatted`` is the text as OneBrain's hosted server writes it, without a fence; ``systemPrompt`` is the same text
    inside the fence. In neither can a memory close a fence.
    """
    key = (call.tenant_id, scope, asked)
    current = revision(call)
    found = call.server.contexts.get(key, current)
    if found is None:
        found, chosen = _build(call, scope, asked)
        call.server.contexts.put(key, current, found, chosen)
    call.tokens += found["meta"]["tokensUsed"]
    return found


def _build(call: Call, scope: str, asked: Asked) -> tuple[dict[str, Any], list[Memory]]:
    """Return a context, and the memories that were chosen for it."""
    budget = SCOPES.get(scope, FOCUSED)
    words = (asked.query, None if scope in SCOPES else FOCUS.get(scope, scope), asked.language)
    narrowed = TRUE if asked.project_id is None else of_project(call, asked.project_id)
    chosen, total = choose(call, " ".join(filter(None, words)), narrowed, budget.memories)
    structured = _structured(call, budget, chosen, total, asked.project_id)
    most = budget.tokens if asked.max_tokens is None else asked.max_tokens
    text, estimate, truncated = fit(structured, most - _FENCE_TOKENS)
    prompt = fence(text)
    if asked.max_tokens is not None:
        # A profile alone may be too long, and is the one part that `fit` keeps.
        if len(text.encode()) > 4 * most:
            text, truncated = _beginning(text, 4 * most), True
            prompt = fence(text)
        if len(prompt.encode()) > 4 * most:
            prompt, truncated = fence(_beginning(text, 4 * (most - _FENCE_TOKENS))), True
    kept = {row["id"] for row in structured["memories"]}
    built = {
        "scope": scope,
        "systemPrompt": prompt,
        "tokenCount": -(-len(prompt.encode()) // 4),
        "truncated": truncated,
        "memories": mapping.rows((memory for memory in chosen if memory.id in kept), call),
        "formatted": text,
        "structured": structured,
        "meta": {
            "scope": scope,
            "tokenEstimate": estimate,
            "tokensUsed": math.ceil(len(text) / 4),
            "memoriesIncluded": len(structured["memories"]),
            "entitiesIncluded": len(structured["entities"]),
            "projectsIncluded": len(structured["projects"]),
            "truncated": truncated,
            "identityIncluded": "profile" in structured,
        },
    }
    return built, chosen


def _structured(
    call: Call, budget: Budget, chosen: Sequence[Memory], total: int, project_id: str | None
) -> dict[str, Any]:
    """Return the data of a context, as much of each kind as its budget has."""
    structured: dict[str, Any] = {"profile": _profile(call)} if budget.profile else {}
    structured["memories"] = [shown(memory) for memory in chosen]
    structured["entities"] = [
        {"name": entity.name, "type": entity.type, "description": entity.description, "linkCount": count}
        for entity, count in (call.entities.top(budget.entities) if budget.entities else ())
    ]
    projects = active_projects(call, project_id)
    structured["projects"] = [
        {"name": record.body["name"], "description": record.body.get("description"), "status": record.status}
        for record in projects[: budget.projects]
    ]
    structured["skills"] = _skills(call, budget.skills)
    if budget.stats:
        structured["stats"] = stats(call, total, len(projects))
    return structured


def shown(memory: Memory) -> dict[str, Any]:
    """Return a memory as contexts show it."""
    return {
        "id": memory.id,
        "type": memory.type or "fact",
        "title": memory.title or "",
        "body": memory.content,
        "confidence": memory.extra.get("confidence", 1),
    }


def active_projects(call: Call, project_id: str | None = None) -> list[Record]:
    """Return the active projects, newest first; of one id only if that is given."""
    found = PROJECTS.all(call, status="active")
    return found if project_id is None else [record for record in found if record.id == project_id]


def stats(call: Call, memories: int, projects: int) -> dict[str, int | None]:
    """Return the numbers of a brain."""
    return {
        "totalMemories": memories,
        "totalEntities": call.entities.count(),
        "totalProjects": projects,
        "latestVersion": latest_version(call),
    }


def _profile(call: Call) -> dict[str, Any]:
    record = call.server.records.get(call.tenant_id, PROFILE, PROFILE)
    body = NO_PROFILE if record is None else record.body
    return {name: body[name] for name in NO_PROFILE}


def _skills(call: Call, most: int) -> list[dict[str, Any]]:
    """Return the active skills, the surest first."""
    found = SKILLS.all(call, status="active") if most else []
    found.sort(key=lambda record: (-record.body["confidenceScore"], record.id))
    return [
        {
            "title": record.body["title"],
            "body": record.body["body"],
            # By the names of a skill's own row, and by those that this server had before.
            "triggerConditions": record.body["triggerConditions"],
            "confidenceScore": record.body["confidenceScore"],
            "triggers": [condition.get("pattern", "") for condition in record.body["triggerConditions"]],
            "confidence": record.body["confidenceScore"],
        }
        for record in found[:most]
    ]


def latest_version(call: Call) -> int | None:
    """Return the number of the last merge."""
    page = call.server.records.page(call.tenant_id, MERGES.name, limit=1)
    return page.rows[0].body["version"] if page is not None and page.rows else None


def choose(call: Call, asked: str, narrowed: Filter, count: int) -> tuple[list[Memory], int]:
    """Return the memories for a context, best first, and how many active ones there are.

    A question decides first, confidence and age second; pinned memories are always included.
    """
    page = call.memories.list(ListRequest(filter=narrowed, limit=_POOL))
    moment = now()
    weights = {memory.id: weight(memory, moment.timestamp()) for memory in page.data}
    pool = {memory.id: memory for memory in page.data}
    if asked:
        request = SearchRequest(query=asked[:2000], filter=narrowed, limit=max(count * 2, 10))
        for hit in call.memories.search(request).hits:
            pool.setdefault(hit.memory.id, hit.memory)
            own = weight(hit.memory, moment.timestamp())
            weights[hit.memory.id] = own + 3.0 * hit.score
    order = sorted(pool.values(), key=lambda memory: (not memory.pinned, -weights[memory.id], memory.id))
    return order[:count], page.meta.total or len(pool)


def weight(memory: Memory, moment: float) -> float:
    """Return how much a memory matters by itself: its source, how sure it is, how old."""
    assert memory.created_at is not None
    days = (moment - memory.created_at.timestamp()) / _DAY
    recency = 1.0 if days <= 7 else 0.8 if days <= 30 else 0.6 if days <= 90 else 0.3 if days <= 365 else 0.1
    source = _SOURCES.get(memory.extra.get("sourceType", "user_input"), 0.5)
    return 0.35 * source + 0.35 * float(memory.extra.get("confidence", 1)) + 0.3 * recency


def fit(structured: dict[str, Any], most: int) -> tuple[str, int, bool]:
    """Shorten a context until it fits; return its text, its tokens, and whether anything was left out.

    Texts are cut first, then descriptions, memories, skills, entities, projects and numbers go. The profile never does.
    """
    text, estimate = measure(structured)
    if estimate <= most:
        return text, estimate, False
    for _ in _shortened(structured):
        text, estimate = measure(structured)
        if estimate <= most:
            return text, estimate, True
    summary = structured.get("profile", {}).get("summary")
    if summary:
        # The profile stays, its beginning at least.
        over = (estimate - most) * 4
        structured["profile"]["summary"] = shorten(summary, max(40, len(summary) - over))
        text, estimate = measure(structured)
    return text, estimate, True


def _shortened(structured: dict[str, Any]) -> Iterator[None]:
    """Shorten a context in place, one step at a time, until nothing but the profile is left."""
    bodies = [row["body"] for row in structured["memories"]]
    for cut in _CUTS:
        for row, body in zip(structured["memories"], bodies, strict=True):
            row["body"] = shorten(body, cut)
        yield
    for row in (*structured["entities"], *structured["projects"]):
        row["description"] = None
    yield
    for rows in (structured[name] for name in ("memories", "skills", "entities", "projects")):
        while rows:
            # The rows are in the order of their worth.
            rows.pop()
            yield
    structured.pop("stats", None)
    yield


def shorten(text: str, most: int) -> str:
    """Return the beginning of a text, cut between words."""
    if len(text) <= most:
        return text
    return (text[: most - 1].rpartition(" ")[0] or text[: most - 1]).rstrip() + "…"


def measure(structured: Mapping[str, Any]) -> tuple[str, int]:
    """Return a context's text, and the tokens of it or of its data, whichever are more."""
    text = write(structured)
    return text, max(math.ceil(len(to_json(structured)) / 3.2), math.ceil(len(text) / 4))


def write(structured: Mapping[str, Any]) -> str:
    """Return a context as text; each memory stays on its line, so that none can pass for a heading."""
    sections: list[str] = []
    for heading, lines in (
        ("User Profile", _profile_lines(structured.get("profile"))),
        (
            "Known Facts & Memories",
            [f"- [{_line(row['type'])}] {_stated(row)}" for row in structured["memories"]],
        ),
        (
            "Key Entities",
            [
                f"- {_line(row['name'])} ({_line(row['type'])}){_described(row)}"
                for row in structured["entities"]
            ],
        ),
        (
            "Projects",
            [f"- {_line(row['name'])} [{row['status']}]{_described(row)}" for row in structured["projects"]],
        ),
        (
            "Learned Skills",
            [
                f"- {_line(row['title'])}"
                + (f" (triggers: {', '.join(map(_line, row['triggers']))})" if row["triggers"] else "")
                for row in structured["skills"]
            ],
        ),
    ):
        if lines:
            sections.append("\n".join([f"## {heading}", *lines]))
    stats = structured.get("stats")
    if stats is not None:
        numbers = ", ".join(
            f"{label}: {stats['total' + label]}" for label in ("Memories", "Entities", "Projects")
        )
        sections.append(f"## Stats\n{numbers}")
    return "\n\n".join(sections)


def _profile_lines(profile: Mapping[str, Any] | None) -> list[str]:
    if profile is None:
        return []
    lines = [_line(profile["summary"])] if profile["summary"] else []
    for label, values in (("Traits", profile["traits"]), ("Preferences", profile["preferences"])):
        if values:
            pairs = (f"{_line(name)}={_line(value)}" for name, value in values.items())
            lines.append(f"{label}: {', '.join(pairs)}")
    return lines


def _described(row: Mapping[str, Any]) -> str:
    return f" — {_line(row['description'])}" if row["description"] else ""


def _stated(row: Mapping[str, Any]) -> str:
    title, body = _line(row["title"]), _line(row["body"])
    return body if not title or body.startswith(title.rstrip(" …")) else f"{title}: {body}"


def _line(value: Any) -> str:
    return on_one_line(str(value))


def _beginning(text: str, size: int) -> str:
    """Return the beginning of a text within a number of bytes; empty where that is not positive."""
    return text.encode()[: max(0, size)].decode(errors="ignore")


__all__ = ["FOCUS", "SCOPES", "context", "revision"]

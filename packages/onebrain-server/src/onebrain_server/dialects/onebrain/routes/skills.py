"""``/v1/skills``: learnt skills, their confidence, and their execution."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from onebrain.memory.models import NewMemory
from onebrain_server.clock import now_micros
from onebrain_server.dialects.onebrain.mapping import Confidence, Id
from onebrain_server.dialects.onebrain.rules import contexts, memories
from onebrain_server.dialects.onebrain.rules.documents import SKILLS
from onebrain_server.dialects.onebrain.rules.plans import storing
from onebrain_server.dialects.onebrain.wire import Page, Paging, Routes, Wire, page_of, paged
from onebrain_server.http.operation import Answer, Given, holding
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.ids import new_id
from onebrain_server.state.records import Record

routes = Routes("/v1/skills", "skills")
Status = Literal["candidate", "active", "archived", "dismissed"]
Title = Annotated[str, Field(min_length=1, max_length=500)]
Text = Annotated[str, Field(min_length=1, max_length=10_000)]
_DAY = 86_400 * 1_000_000
# Days without use after which a skill's decay score is halved.
_HALF_LIFE = 90
_STEPS = {"applied": 0.05, "referenced": 0.01, "dismissed": -0.02, "served": 0.0}
_HOLE = re.compile(r"{{\s*([A-Za-z_][A-Za-z0-9_]*)\s*}}")


class Trigger(Wire):
    """When a skill is of use."""

    type: Annotated[str, Field(min_length=1, max_length=50)]
    pattern: Annotated[str, Field(min_length=1, max_length=500)]
    description: Annotated[str, Field(max_length=500)] | None = None


class Step(Wire):
    """How to see that it worked."""

    order: Annotated[int, Field(ge=0, le=1000)]
    instruction: Annotated[str, Field(min_length=1, max_length=1000)]
    expected_outcome: Annotated[str, Field(max_length=1000)] | None = None


Triggers = Annotated[list[Trigger], Field(max_length=10)]
Steps = Annotated[list[Step], Field(max_length=10)]
Sources = Annotated[list[Id], Field(max_length=20)]


class SkillRow(Wire):
    """A skill."""

    id: str
    memory_id: str
    title: str
    body: str
    status: Status
    trigger_conditions: list[dict[str, Any]]
    verification_steps: list[dict[str, Any]]
    source_memory_ids: list[str]
    confidence_score: float
    usage_count: int
    decay_score: float
    last_used_at: str | None
    created_at: str
    updated_at: str
    description: str | None
    prompt_template: str
    context_scope: str | None


def row(record: Record) -> dict[str, Any]:
    """Return a skill as answers show it."""
    body = record.body
    idle = (now_micros() - (body["lastUsedAt"] or record.created_at)) / _DAY
    return row_of(
        SkillRow,
        record,
        confidence_score=round(body["confidenceScore"], 4),
        decay_score=round(math.pow(0.5, max(0.0, idle) / _HALF_LIFE), 4),
        prompt_template=body.get("promptTemplate") or body["body"],
    )


class ListQuery(Paging):
    """Which skills to list, and in which order."""

    status: Status | None = None
    min_confidence: Confidence | None = None
    sort_by: Literal["confidence", "usage", "recency"] = "confidence"


@routes.get("", needs="brain.read", answers=Page[SkillRow])
def list_skills(call: Call, query: ListQuery) -> Answer:
    """List skills: surest first, or most used, or changed last."""
    found = SKILLS.all(call, status=query.status)
    least = query.min_confidence or 0.0
    found = [record for record in found if record.body["confidenceScore"] >= least]
    if query.sort_by == "confidence":
        found.sort(key=lambda record: (-record.body["confidenceScore"], record.id))
    elif query.sort_by == "usage":
        found.sort(key=lambda record: (-record.body["usageCount"], record.id))
    else:
        found.sort(key=lambda record: (-record.updated_at, record.id))
    page, cursor = page_of(found, query.cursor, query.limit, lambda record: record.id)
    return paged(list(map(row, page)), cursor, len(found))


class SkillFields(Wire):
    """A skill to make: ``title`` and ``body``, or ``name`` and ``promptTemplate``."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {"anyOf": [holding("title", "string"), holding("name", "string")]},
                {"anyOf": [holding("body", "string"), holding("promptTemplate", "string")]},
            ]
        }
    )

    title: Title | None = None
    name: Title | None = None
    body: Text | None = None
    prompt_template: Text | None = None
    description: Annotated[str, Field(max_length=2000)] | None = None
    context_scope: Annotated[str, Field(max_length=64)] | None = None
    trigger_conditions: Triggers | None = None
    verification_steps: Steps | None = None
    source_memory_ids: Sources | None = None
    confidence_score: Confidence = 0.5

    @model_validator(mode="after")
    def _complete(self) -> SkillFields:
        if self.title is None and self.name is None:
            raise ValueError("give a title")
        if self.body is None and self.prompt_template is None:
            raise ValueError("give a body or a promptTemplate")
        return self


def _plain(items: Any) -> list[dict[str, Any]]:
    return [item.model_dump(by_alias=True, exclude_none=True) for item in items or ()]


@routes.post("", needs="brain.write", answers=SkillRow, status=201)
def create_skill(call: Call, body: SkillFields) -> dict[str, Any]:
    """Make a skill, and a memory of type skill that says the same."""
    title = body.title or body.name or ""
    text = body.body or body.prompt_template or ""
    memory_id = new_id()
    note = NewMemory.checked(
        id=memory_id,
        content=body.prompt_template or text,
        title=title,
        type="skill",
        extra={"sourceType": "user_input", "confidence": body.confidence_score, "status": "active"},
    )
    with storing(call, 1):
        [result] = memories.put(call, [note], new=True)
    if result.error is not None:
        raise result.error
    fields = {
        "memoryId": memory_id,
        "title": title,
        "body": text,
        "promptTemplate": body.prompt_template,
        "description": body.description,
        "contextScope": body.context_scope,
        "triggerConditions": _plain(body.trigger_conditions),
        "verificationSteps": _plain(body.verification_steps),
        "sourceMemoryIds": body.source_memory_ids or [],
        "confidenceScore": body.confidence_score,
        "usageCount": 0,
        "lastUsedAt": None,
    }
    return row(SKILLS.add(call, fields, status="active"))


@routes.get("/{id}", needs="brain.read", answers=SkillRow)
def get_skill(call: Call, id: str) -> dict[str, Any]:
    """Return one skill, a dismissed one, too."""
    return row(SKILLS.one(call, id))


class SkillChanges(Wire):
    """Changes of a skill."""

    title: Given[Title] = None
    name: Given[Title] = None
    body: Given[Text] = None
    prompt_template: Given[Text] = None
    description: Annotated[str, Field(max_length=2000)] | None = None
    context_scope: Annotated[str, Field(max_length=64)] | None = None
    status: Given[Status] = None
    confidence_score: Given[Confidence] = None
    trigger_conditions: Given[Triggers] = None
    verification_steps: Given[Steps] = None


_NAMES = {
    "title": "title",
    "name": "title",
    "body": "body",
    "prompt_template": "promptTemplate",
    "description": "description",
    "context_scope": "contextScope",
    "confidence_score": "confidenceScore",
}


@routes.patch("/{id}", needs="brain.write", answers=SkillRow)
def update_skill(call: Call, id: str, body: SkillChanges) -> dict[str, Any]:
    """Change the given fields of a skill."""
    changes: dict[str, Any] = {
        _NAMES[name]: getattr(body, name) for name in body.model_fields_set if name in _NAMES
    }
    if body.prompt_template is not None and body.body is None:
        changes["body"] = body.prompt_template
    if body.trigger_conditions is not None:
        changes["triggerConditions"] = _plain(body.trigger_conditions)
    if body.verification_steps is not None:
        changes["verificationSteps"] = _plain(body.verification_steps)
    return row(SKILLS.change(call, id, changes, status=body.status))


@routes.delete("/{id}", needs="brain.write")
def dismiss_skill(call: Call, id: str) -> None:
    """Dismiss a skill; it can still be read, and its memory stays."""
    SKILLS.change(call, id, {}, status="dismissed")


class FeedbackFields(Wire):
    """How a skill did."""

    event_type: Literal["applied", "referenced", "dismissed", "served"]
    context: dict[str, Any] | None = None


class FeedbackAnswer(Wire):
    """Whether it was recorded."""

    recorded: bool


@routes.post("/{id}/feedback", needs="brain.write", answers=FeedbackAnswer)
def feedback(call: Call, id: str, body: FeedbackFields) -> dict[str, Any]:
    """Say how a skill did, which moves its confidence."""
    with call.server.changing(call.tenant_id, id):
        known = SKILLS.one(call, id).body
        changes: dict[str, Any] = {
            "confidenceScore": min(1.0, max(0.0, known["confidenceScore"] + _STEPS[body.event_type]))
        }
        if body.event_type == "applied":
            changes |= {"usageCount": known["usageCount"] + 1, "lastUsedAt": now_micros()}
        SKILLS.change(call, id, changes)
    return {"recorded": True}


class RunFields(Wire):
    """The inputs of a skill's prompt."""

    input: Annotated[str, Field(max_length=50_000)] = ""
    variables: dict[str, Any] | None = None


class RunAnswer(Wire):
    """The model's answer, or the prompt itself where no model is configured."""

    output: str
    prompt: str
    model: str | None
    token_count: int


@routes.post("/{id}/execute", needs="brain.write", answers=RunAnswer)
def execute(call: Call, id: str, body: RunFields) -> dict[str, Any]:
    """Fill a skill's prompt with input, variables and context, and let the model answer it if there is one."""
    known = SKILLS.one(call, id).body
    prompt = _prompt(call, known, body)
    model = call.model("skill")
    output = model.complete("You carry out the user's task.", prompt) if model is not None else None
    with call.server.changing(call.tenant_id, id):
        changes = {"usageCount": SKILLS.one(call, id).body["usageCount"] + 1, "lastUsedAt": now_micros()}
        SKILLS.change(call, id, changes)
    call.tokens += -(-len(prompt) // 4)
    return {
        "output": prompt if output is None else output,
        "prompt": prompt,
        "model": model.name if model is not None and output is not None else None,
        "tokenCount": -(-len(prompt) // 4),
    }


def _prompt(call: Call, known: Mapping[str, Any], asked: RunFields) -> str:
    """Return a skill's prompt with its holes filled; an input that it has no hole for stands behind it."""
    template = known.get("promptTemplate") or known["body"]
    holes = _HOLE.findall(template)
    values = {name: str(value) for name, value in (asked.variables or {}).items()}
    values["input"] = asked.input
    if "context" in holes:
        wishes = contexts.Asked((asked.input or known["title"])[:2000])
        found = contexts.context(call, known.get("contextScope") or "assistant", wishes)
        values["context"] = found["systemPrompt"]
    # Each hole is filled once: an input that looks like a hole is not filled again.
    prompt = _HOLE.sub(lambda hole: values.get(hole[1], hole[0]), template)
    return f"{prompt}\n\n{asked.input}" if asked.input and "input" not in holes else prompt


__all__ = ["routes"]

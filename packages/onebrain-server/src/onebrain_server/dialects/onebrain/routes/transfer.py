"""Exports of the whole brain, and taking one in again: nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from onebrain.errors import OneBrainError, OneBrainNotFoundError
from onebrain.memory.models import EVERYTHING, NewMemory
from onebrain_engine.store.records import to_micros
from onebrain_server.clock import iso, iso_micros, now
from onebrain_server.dialects.onebrain import mapping
from onebrain_server.dialects.onebrain.mapping import MemoryFields
from onebrain_server.dialects.onebrain.routes import brain, entities, projects, skills, tags
from onebrain_server.dialects.onebrain.rules import contexts, memories
from onebrain_server.dialects.onebrain.rules.plans import storing
from onebrain_server.dialects.onebrain.wire import Query, Routes, Wire
from onebrain_server.http.operation import Answer
from onebrain_server.http.pages import page
from onebrain_server.http.problems import sentences
from onebrain_server.http.requests import Call
from onebrain_server.state.database import Taken

routes = Routes("/v1", "transfer")
VERSION = 1


def whole(call: Call, *, archived: bool = True) -> dict[str, Any]:
    """Return everything that makes a brain, in a form that `take_in` reads."""
    records, links, tenant = call.server.records, call.server.links, call.tenant_id
    everything = memories.everything(call, include_archived=archived)
    profile = brain.profile_record(call)
    rows = mapping.rows(reversed(everything), call)
    return {
        "format": "onebrain-export",
        "version": VERSION,
        "exportedAt": iso(now()),
        "profile": {name: profile.body[name] for name in ("summary", "traits", "preferences")},
        "memories": [_of_nobody(row) for row in rows],
        "tags": [
            {
                "id": tag.id,
                "name": tag.body["name"],
                "color": tag.body["color"],
                "memoryIds": [link.memory_id for link in links.all(tenant, "tag", owner_id=tag.id)],
            }
            for tag in reversed(records.all(tenant, "tag"))
        ],
        "entities": [
            {
                **_of_nobody(entities.row(call, entity)),
                "links": [entities.link_row(link) for link in call.entities.links(entity_id=entity.id)],
            }
            for entity in reversed(call.entities.all())
        ],
        "relations": [entities.relation_row(relation) for relation in call.relations.all()],
        "projects": [
            {
                **_of_nobody(projects.row(call, project)),
                "memoryLinks": [
                    entities.link_row(link) for link in links.all(tenant, "project", owner_id=project.id)
                ],
            }
            for project in reversed(records.all(tenant, "project"))
        ],
        "skills": [
            {"id": skill.id, "status": skill.status, "createdAt": iso_micros(skill.created_at), **skill.body}
            for skill in reversed(records.all(tenant, "skill"))
        ],
    }


def _of_nobody(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without its owner, who will be another one where an export is taken in."""
    return {name: value for name, value in row.items() if name != "userId"}


class Export(Wire):
    """A whole brain; ``POST /v1/import`` takes it in."""

    format: Literal["onebrain-export"]
    version: int
    exported_at: str
    profile: dict[str, Any]
    memories: list[dict[str, Any]]
    tags: list[dict[str, Any]]
    entities: list[dict[str, Any]]
    relations: list[dict[str, Any]]
    projects: list[dict[str, Any]]
    skills: list[dict[str, Any]]


@routes.get("/export/json", needs="brain.read", answers=Export)
def export_json(call: Call) -> Answer:
    """Return the whole brain as JSON: ids, dates, tags, links and all statuses included."""
    return Answer(whole(call), headers={"content-disposition": 'attachment; filename="onebrain-export.json"'})


class TextQuery(Query):
    """How much of it."""

    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


@routes.get("/export/markdown", needs="brain.read", answers=str, media_type="text/markdown")
def export_markdown(call: Call) -> Answer:
    """Return the active memories, entities and projects as Markdown."""
    data = whole(call, archived=False)
    parts = ["# OneBrain", ""]
    if data["profile"]["summary"]:
        parts += ["## Profile", "", " ".join(str(data["profile"]["summary"]).split()), ""]
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in data["memories"]:
        kinds.setdefault(row["type"], []).append(row)
    for kind in sorted(kinds):
        parts += [f"## {kind.capitalize()}s", ""]
        for row in kinds[kind]:
            text = row["body"].replace("\n", "\n  ")
            parts.append(f"- **{' '.join(row['title'].split())}** ({row['createdAt'][:10]}): {text}")
        parts.append("")
    for heading, rows in (("Entities", data["entities"]), ("Projects", data["projects"])):
        if rows:
            parts += [f"## {heading}", ""]
            parts += [f"- **{row['name']}** ({row.get('type') or row.get('status')})" for row in rows]
            parts.append("")
    return Answer(
        raw="\n".join(parts).encode(),
        media_type="text/markdown; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="onebrain-export.md"'},
    )


@routes.get("/export/ai-prompt", needs="brain.read", answers=str, media_type="text/plain")
def export_prompt(call: Call, query: TextQuery) -> Answer:
    """Return the brain as a prompt for a language model."""
    found = contexts.context(call, "deep", contexts.Asked(max_tokens=query.max_tokens))
    text = found["systemPrompt"] or "Nothing is known yet."
    return Answer(raw=f"{text}\n".encode(), media_type="text/plain; charset=utf-8")


@routes.get("/export/pdf", needs="brain.read", answers=str, media_type="text/html")
def export_page(call: Call) -> Answer:
    """Return the brain as a page to print; like OneBrain's hosted server, this one makes HTML."""
    data = whole(call, archived=False)
    return Answer(
        raw=page("export.html", brain=data),
        media_type="text/html; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="onebrain-export.html"'},
    )


class ImportFields(Wire):
    """A whole brain, as ``GET /v1/export/json`` gave it."""

    format: Literal["onebrain-export"]
    version: Annotated[int, Field(ge=1, le=VERSION)]
    profile: dict[str, Any] | None = None
    memories: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    tags: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    entities: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    relations: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    projects: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    skills: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])


class ImportAnswer(Wire):
    """The numbers of stored rows of each kind, and the errors of the others."""

    memories: int
    tags: int
    entities: int
    relations: int
    projects: int
    skills: int
    errors: list[str]


@routes.post("/import", needs="brain.write", answers=ImportAnswer, status=201)
def import_all(call: Call, body: ImportFields) -> dict[str, Any]:
    """Import a whole brain; a row replaces the one with its id, so that a second import changes nothing."""
    errors: list[str] = []
    with storing(call, len(body.memories)):
        counts = {"memories": _memories(call, body.memories, errors)}
    names: dict[str, str] = {}
    if body.profile is not None:
        _each([body.profile], "profile", errors, lambda row: _profile(call, row))
    counts["tags"] = _each(body.tags, "tags", errors, lambda row: _tag(call, row))
    counts["entities"] = _each(body.entities, "entities", errors, lambda row: _entity(call, row, names))
    counts["relations"] = _each(body.relations, "relations", errors, lambda row: _relation(call, row, names))
    counts["projects"] = _each(body.projects, "projects", errors, lambda row: _project(call, row))
    _belong(call, body.memories, names)
    counts["skills"] = _each(body.skills, "skills", errors, lambda row: _skill(call, row))
    call.audit("import", f"{counts['memories']} memories")
    return {**counts, "errors": errors[:100]}


def _each(
    rows: list[dict[str, Any]], name: str, errors: list[str], take: Callable[[dict[str, Any]], None]
) -> int:
    count = 0
    for index, row in enumerate(rows):
        try:
            take(row)
            count += 1
        except ValidationError as error:
            errors.append(sentences(error, f"{name}[{index}]")[0])
        except (KeyError, TypeError, ValueError, AttributeError):
            errors.append(f"{name}[{index}]: not as an export has it")
        except OneBrainError as error:
            errors.append(f"{name}[{index}]: {error.message}")
    return count


def _memories(call: Call, rows: list[dict[str, Any]], errors: list[str]) -> int:
    count = 0
    for start in range(0, len(rows), 500):
        drafts: list[NewMemory] = []
        for index, row in enumerate(rows[start : start + 500], start):
            try:
                fields = MemoryFields.model_validate({**row, "entityId": None, "projectId": None})
                status = row.get("status", "active")
                if status not in ("active", "candidate", "archived", "conflicted"):
                    raise ValueError
                drafts.append(mapping.draft(call, fields, status=status))
            except ValidationError as error:
                errors.append(sentences(error, f"memories[{index}]")[0])
            except ValueError as error:
                errors.append(f"memories[{index}]: {str(error) or 'not a memory'}")
        for result in memories.put(call, drafts) if drafts else ():
            if result.error is None:
                count += 1
            else:
                errors.append(f"memories: {result.error.message}")
    return count


def _profile(call: Call, row: dict[str, Any]) -> None:
    given = {name: row[name] for name in contexts.NO_PROFILE if name in row}
    brain.update_profile(call, brain.ProfileChanges.model_validate(given))


def _belong(call: Call, rows: list[dict[str, Any]], names: Mapping[str, str]) -> None:
    """Link memories to the entity and project that their rows name, unless an imported link has done so."""
    named = [
        row
        for row in rows
        if isinstance(row.get("id"), str) and (row.get("entityId") or row.get("projectId"))
    ]
    there = _there(call, (row["id"] for row in named))
    known = {(link.owner_id, link.memory_id) for link in call.entities.links(memory_ids=list(there))}
    for row in named:
        if row["id"] not in there:
            continue
        entity, project = row.get("entityId"), row.get("projectId")
        if isinstance(entity, str) and (names.get(entity, entity), row["id"]) not in known:
            with suppress(Taken, OneBrainNotFoundError):
                call.entities.link(names.get(entity, entity), row["id"], "about")
        if isinstance(project, str):
            _put_into_project(call, project, row["id"])


def _put_into_project(call: Call, project: str, memory_id: str) -> None:
    """Link a memory to a project, if there is one with this id and no other link leads to it."""
    links, tenant = call.server.links, call.tenant_id
    if call.server.records.get(tenant, "project", project) is not None:
        known = links.all(tenant, "project", memory_ids=[memory_id])
        if all(link.owner_id != project for link in known):
            links.add(tenant, "project", project, memory_id, "context")


def _there(call: Call, ids: Iterable[Any]) -> set[str]:
    """Return the ids of those memories that exist; whatever is no text is no id."""
    return {one.id for one in call.memories.get([id for id in ids if isinstance(id, str)], EVERYTHING)}


def _tag(call: Call, row: dict[str, Any]) -> None:
    fields = tags.TagFields.model_validate(row)
    records, tenant = call.server.records, call.tenant_id
    try:
        tag_id = records.add(
            tenant, "tag", {"name": fields.name, "color": fields.color}, id=row.get("id"), unique=fields.name
        ).id
    except Taken:
        found = records.find(tenant, "tag", fields.name)
        if found is None:
            return
        tag_id = found.id
    links = [{"memoryItemId": id, "linkType": "tag"} for id in row.get("memoryIds", ())]
    _links(call, links, partial(call.server.links.add, tenant, "tag", tag_id))


def _links(call: Call, links: list[dict[str, Any]], link: Callable[[str, str], object]) -> None:
    """Make the links of a row to the memories that exist; `link` takes a memory's id and the link's type."""
    there = _there(call, (one["memoryItemId"] for one in links))
    for one in links:
        if one["memoryItemId"] in there:
            with suppress(Taken):
                link(one["memoryItemId"], str(one["linkType"])[:100])


def _entity(call: Call, row: dict[str, Any], names: dict[str, str]) -> None:
    fields = entities.EntityFields.model_validate(row)
    found = call.entities.find(fields.name, fields.type)
    if found is None:
        told = {name: getattr(fields, name) for name in ("name", "type", "description", "metadata")}
        try:
            found = call.entities.add(**told, id=str(row["id"]), created_at=_created(row))
        except Taken:
            # The id is another entity's by now.
            found = call.entities.update(str(row["id"]), **told)
    names[str(row["id"])] = found.id
    _links(call, row.get("links", []), partial(call.entities.link, found.id))


def _created(row: dict[str, Any]) -> int:
    return to_micros(datetime.fromisoformat(row["createdAt"]))


def _relation(call: Call, row: dict[str, Any], names: dict[str, str]) -> None:
    source, target = str(row["sourceId"]), str(row["targetId"])
    source, target = names.get(source, source), names.get(target, target)
    try:
        call.relations.add(source, target, str(row["relation"])[:100])
    except Taken:
        return
    except OneBrainNotFoundError:
        raise ValueError("an entity is missing") from None


def _project(call: Call, row: dict[str, Any]) -> None:
    fields = projects.ProjectFields.model_validate(row)
    status = projects.ProjectChanges.model_validate({"status": row.get("status") or "active"}).status
    body = {"name": fields.name, "description": fields.description, "metadata": fields.metadata}
    records, tenant, id = call.server.records, call.tenant_id, str(row["id"])
    records.put(tenant, "project", id, body, status=status, at=_created(row))
    _links(call, row.get("memoryLinks", []), partial(call.server.links.add, tenant, "project", id))


# The fields of a skill's row that are not of its document, and those of its document that a row may lack.
_OF_A_SKILLS_ROW: Final = frozenset({"id", "status", "createdAt", "updatedAt", "decayScore"})
_SKILL: Final[Mapping[str, Any]] = {
    "memoryId": "",
    "triggerConditions": [],
    "verificationSteps": [],
    "sourceMemoryIds": [],
    "confidenceScore": 0.5,
    "usageCount": 0,
    "lastUsedAt": None,
}


def _skill(call: Call, row: dict[str, Any]) -> None:
    skills.SkillFields.model_validate(row)
    status = skills.SkillChanges.model_validate({"status": row.get("status") or "active"}).status
    given = {name: value for name, value in row.items() if name not in _OF_A_SKILLS_ROW}
    body = {**_SKILL, **given}
    call.server.records.put(call.tenant_id, "skill", str(row["id"]), body, status=status, at=_created(row))

"""Exports of the whole brain, and taking one in again: nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from onebrain.errors import OneBrainConflictError, OneBrainError, OneBrainNotFoundError
from onebrain.memory.models import EVERYTHING, NewMemory
from onebrain_engine.store.records import to_micros
from onebrain_server.clock import iso, iso_micros, now
from onebrain_server.dialects.onebrain import mapping
from onebrain_server.dialects.onebrain.mapping import MemoryFields
from onebrain_server.dialects.onebrain.routes import brain, entities, projects
from onebrain_server.dialects.onebrain.rules import contexts, memories
from onebrain_server.dialects.onebrain.rules.plans import storing
from onebrain_server.dialects.onebrain.wire import Query, Routes, Wire
from onebrain_server.http.operation import Answer
from onebrain_server.http.pages import page
from onebrain_server.http.requests import Call
from onebrain_server.state.records import Taken

routes = Routes("/v1", "transfer")
VERSION = 1


def whole(call: Call, *, archived: bool = True) -> dict[str, Any]:
    """Return everything that makes a brain, in a form that `take_in` reads."""
    records, tenant = call.server.records, call.tenant_id
    everything = memories.everything(call, include_archived=archived)
    profile = brain.profile_record(call)
    graph = call.graph
    kept = graph.all()
    relations: dict[str, dict[str, Any]] = {}
    for entity in kept:
        for relation in graph.relations(entity.id):
            relations[relation.id] = entities.relation_row(relation)
    rows = mapping.rows(reversed(everything), call)
    for row in rows:
        del row["userId"]
    return {
        "format": "onebrain-export",
        "version": VERSION,
        "exportedAt": iso(now()),
        "profile": {name: profile.body[name] for name in ("summary", "traits", "preferences")},
        "memories": rows,
        "tags": [
            {
                "id": tag.id,
                "name": tag.body["name"],
                "color": tag.body["color"],
                "memoryIds": [link.memory_id for link in records.links(tenant, "tag", owner_id=tag.id)],
            }
            for tag in reversed(records.all(tenant, "tag"))
        ],
        "entities": [
            {
                **{name: value for name, value in entities.row(call, entity).items() if name != "userId"},
                "links": [entities.link_row(link) for link in graph.links(entity_id=entity.id)],
            }
            for entity in reversed(kept)
        ],
        "relations": list(relations.values()),
        "projects": [
            {
                **{name: value for name, value in projects.row(call, project).items() if name != "userId"},
                "memoryLinks": [
                    projects.link_row(link) for link in records.links(tenant, "project", owner_id=project.id)
                ],
            }
            for project in reversed(records.all(tenant, "project"))
        ],
        "skills": [
            {"id": skill.id, "status": skill.status, "createdAt": iso_micros(skill.created_at), **skill.body}
            for skill in reversed(records.all(tenant, "skill"))
        ],
    }


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
    found = contexts.context(call, "deep", max_tokens=query.max_tokens)
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


@routes.post("/import", needs="brain.write", answers=ImportAnswer, status=201, limit="write")
def import_all(call: Call, body: ImportFields) -> dict[str, Any]:
    """Import a whole brain; a row replaces the one with its id, so that a second import changes nothing."""
    errors: list[str] = []
    with storing(call, len(body.memories)):
        counts = {"memories": _memories(call, body.memories, errors)}
    if body.profile is not None:
        given = {
            name: body.profile[name] for name in ("summary", "traits", "preferences") if name in body.profile
        }
        brain.update_profile(call, brain.ProfileChanges.model_validate(given))
    counts["tags"] = _each(body.tags, "tags", errors, lambda row: _tag(call, row))
    names: dict[str, str] = {}
    counts["entities"] = _each(body.entities, "entities", errors, lambda row: _entity(call, row, names))
    counts["relations"] = _each(body.relations, "relations", errors, lambda row: _relation(call, row, names))
    counts["projects"] = _each(body.projects, "projects", errors, lambda row: _project(call, row))
    _belonging(call, body.memories, names)
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
            first = error.errors(include_url=False, include_input=False)[0]
            errors.append(f"{name}[{index}].{'.'.join(map(str, first['loc']))}: {first['msg']}")
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
            except ValueError as error:
                issue = (
                    error.errors(include_input=False)[0]
                    if isinstance(error, ValidationError)
                    else {"loc": (), "msg": str(error) or "not a memory"}
                )
                errors.append(f"memories[{index}].{'.'.join(map(str, issue['loc']))}: {issue['msg']}")
        for result in memories.put(call, drafts) if drafts else ():
            if result.error is None:
                count += 1
            else:
                errors.append(f"memories: {result.error.message}")
    return count


def _belonging(call: Call, rows: list[dict[str, Any]], names: Mapping[str, str]) -> None:
    """Link memories to the entity and project that their rows name, unless an imported link has done so."""
    named = [
        row
        for row in rows
        if isinstance(row.get("id"), str) and (row.get("entityId") or row.get("projectId"))
    ]
    there = {memory.id for memory in call.memories.get([row["id"] for row in named], EVERYTHING)}
    known = {(link.entity_id, link.memory_id) for link in call.graph.links(memory_ids=list(there))}
    for row in named:
        if row["id"] not in there:
            continue
        entity, project = row.get("entityId"), row.get("projectId")
        if isinstance(entity, str) and (names.get(entity, entity), row["id"]) not in known:
            with suppress(OneBrainConflictError, OneBrainNotFoundError):
                call.graph.link(names.get(entity, entity), row["id"], "about")
        if (
            isinstance(project, str)
            and call.server.records.get(call.tenant_id, "project", project) is not None
        ):
            links = call.server.records.links(call.tenant_id, "project", memory_ids=[row["id"]])
            if all(link.owner_id != project for link in links):
                call.server.records.link(call.tenant_id, "project", project, row["id"], "context")


def _tag(call: Call, row: dict[str, Any]) -> None:
    from onebrain_server.dialects.onebrain.routes.tags import TagFields

    fields = TagFields.model_validate(row)
    records, tenant = call.server.records, call.tenant_id
    try:
        tag_id = records.add(
            tenant, "tag", {"name": fields.name, "color": fields.color}, id=row.get("id"), unique=fields.name
        ).id
    except Taken:
        found = [tag for tag in records.all(tenant, "tag") if tag.body["name"] == fields.name]
        if not found:
            return
        tag_id = found[0].id
    _links(call, "tag", tag_id, [{"memoryItemId": id, "linkType": "tag"} for id in row.get("memoryIds", ())])


def _links(call: Call, kind: str, owner: str, links: list[dict[str, Any]]) -> None:
    there = {one.id for one in call.memories.get([str(link["memoryItemId"]) for link in links], EVERYTHING)}
    for link in links:
        if link["memoryItemId"] in there:
            try:
                call.server.records.link(
                    call.tenant_id, kind, owner, link["memoryItemId"], str(link["linkType"])[:100]
                )
            except Taken:
                continue


def _entity(call: Call, row: dict[str, Any], names: dict[str, str]) -> None:
    fields = entities.EntityFields.model_validate(row)
    found = call.graph.find(fields.name, fields.type)
    if found is None:
        try:
            found = call.graph.add(
                fields.name,
                fields.type,
                description=fields.description,
                metadata=fields.metadata,
                id=str(row["id"]),
                created_at=to_micros(datetime.fromisoformat(row["createdAt"])),
            )
        except OneBrainConflictError:
            # The id is another entity's by now.
            found = call.graph.update(
                str(row["id"]),
                name=fields.name,
                type=fields.type,
                description=fields.description,
                metadata=fields.metadata,
            )
    names[str(row["id"])] = found.id
    links = row.get("links", ())
    there = {one.id for one in call.memories.get([str(link["memoryItemId"]) for link in links], EVERYTHING)}
    for link in links:
        if link["memoryItemId"] in there:
            try:
                call.graph.link(found.id, link["memoryItemId"], str(link["linkType"])[:100])
            except OneBrainConflictError:
                continue


def _relation(call: Call, row: dict[str, Any], names: dict[str, str]) -> None:
    source, target = str(row["sourceId"]), str(row["targetId"])
    source, target = names.get(source, source), names.get(target, target)
    try:
        call.graph.relate(source, target, str(row["relation"])[:100])
    except OneBrainConflictError:
        return
    except OneBrainNotFoundError:
        raise ValueError("an entity is missing") from None


def _project(call: Call, row: dict[str, Any]) -> None:
    fields = projects.ProjectFields.model_validate(row)
    changes = projects.ProjectChanges.model_validate({"status": row.get("status", "active")})
    body = {"name": fields.name, "description": fields.description, "metadata": fields.metadata}
    records, tenant = call.server.records, call.tenant_id
    try:
        records.add(
            tenant,
            "project",
            body,
            id=str(row["id"]),
            status=changes.status,
            at=to_micros(datetime.fromisoformat(row["createdAt"])),
        )
    except Taken:
        records.change(tenant, "project", str(row["id"]), body, status=changes.status)
    _links(call, "project", str(row["id"]), row.get("memoryLinks", []))


def _skill(call: Call, row: dict[str, Any]) -> None:
    from onebrain_server.dialects.onebrain.routes.skills import SkillChanges, SkillFields

    SkillFields.model_validate(row)
    status = SkillChanges.model_validate({"status": row.get("status", "active")}).status
    body = {
        name: value
        for name, value in row.items()
        if name not in ("id", "status", "createdAt", "updatedAt", "decayScore")
    }
    defaults: tuple[tuple[str, Any], ...] = (
        ("memoryId", ""),
        ("triggerConditions", []),
        ("verificationSteps", []),
        ("sourceMemoryIds", []),
        ("confidenceScore", 0.5),
        ("usageCount", 0),
        ("lastUsedAt", None),
    )
    for name, default in defaults:
        body.setdefault(name, default)
    at = to_micros(datetime.fromisoformat(row["createdAt"]))
    try:
        call.server.records.add(call.tenant_id, "skill", body, id=str(row["id"]), status=status, at=at)
    except Taken:
        call.server.records.change(call.tenant_id, "skill", str(row["id"]), body, status=status)

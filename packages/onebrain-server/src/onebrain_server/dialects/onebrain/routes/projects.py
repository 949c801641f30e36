"""``/v1/projects``: workspaces that group memories."""

from __future__ import annotations

from typing import Any, Literal

from onebrain.memory.models import JsonObject
from onebrain_server.clock import iso_micros
from onebrain_server.dialects.onebrain.routes.entities import Description, LinkFields, LinkRow, Name
from onebrain_server.dialects.onebrain.rules import memories
from onebrain_server.dialects.onebrain.wire import Page, Paging, Routes, Wire, bad_cursor, paged
from onebrain_server.http.operation import Answer, Given
from onebrain_server.http.problems import conflict, invalid, not_found
from onebrain_server.http.requests import Call
from onebrain_server.state.records import Link, Record, Taken

routes = Routes("/v1/projects", "projects")
KIND = "project"
Status = Literal["active", "archived", "completed"]


class ProjectRow(Wire):
    """A project."""

    id: str
    user_id: str
    name: str
    description: str | None
    status: Status
    metadata: dict[str, Any] | None
    created_at: str
    updated_at: str


class LinkedProjectRow(ProjectRow):
    """A project with its links to memories."""

    memory_links: list[LinkRow]


def row(call: Call, record: Record) -> dict[str, Any]:
    """Return a project as answers show it."""
    return {
        "id": record.id,
        "userId": call.tenant_id,
        "name": record.body["name"],
        "description": record.body.get("description"),
        "status": record.status,
        "metadata": record.body.get("metadata"),
        "createdAt": iso_micros(record.created_at),
        "updatedAt": iso_micros(record.updated_at),
    }


def link_row(link: Link) -> dict[str, Any]:
    """Return a link as answers show it."""
    return {
        "id": link.id,
        "memoryItemId": link.memory_id,
        "linkType": link.link_type,
        "createdAt": iso_micros(link.created_at),
    }


def one(call: Call, id: str) -> Record:
    """Return a project of the caller's; raise if there is none with this id."""
    record = call.server.records.get(call.tenant_id, KIND, id)
    if record is None:
        raise not_found("Project")
    return record


class ListQuery(Paging):
    """Which projects to list."""

    status: Status | None = None


@routes.get("", needs="brain.read", answers=Page[ProjectRow])
def list_projects(call: Call, query: ListQuery) -> Answer:
    """List projects, newest first."""
    page = call.server.records.page(
        call.tenant_id, KIND, limit=query.limit, cursor=query.cursor, status=query.status
    )
    if page is None:
        raise bad_cursor()
    return paged([row(call, record) for record in page.rows], page.cursor, page.total)


class ProjectFields(Wire):
    """A project to make; it is active."""

    name: Name
    description: Description | None = None
    metadata: JsonObject | None = None


@routes.post("", needs="brain.write", answers=ProjectRow, status=201, limit="write", idempotent=True)
def create_project(call: Call, body: ProjectFields) -> dict[str, Any]:
    """Make a project."""
    fields = {"name": body.name, "description": body.description, "metadata": body.metadata}
    return row(call, call.server.records.add(call.tenant_id, KIND, fields, status="active"))


@routes.get("/{id}", needs="brain.read", answers=LinkedProjectRow, errors=(404,))
def get_project(call: Call, id: str) -> dict[str, Any]:
    """Return one project with its links to memories."""
    record = one(call, id)
    links = call.server.records.links(call.tenant_id, KIND, owner_id=id)
    return {**row(call, record), "memoryLinks": [link_row(link) for link in links]}


class ProjectChanges(Wire):
    """Changes of a project; null empties description and metadata."""

    name: Given[Name] = None
    description: Description | None = None
    status: Given[Status] = None
    metadata: JsonObject | None = None


@routes.patch("/{id}", needs="brain.write", answers=ProjectRow, errors=(404,))
def update_project(call: Call, id: str, body: ProjectChanges) -> dict[str, Any]:
    """Change the given fields of a project."""
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    for name in ("name", "status"):
        if name in changes and changes[name] is None:
            raise invalid(
                [name],
                "Expected string, received null",
                code="invalid_type",
                expected="string",
                received="null",
            )
    status = changes.pop("status", None)
    changed = call.server.records.change(call.tenant_id, KIND, id, changes, status=status)
    if changed is None:
        raise not_found("Project")
    return row(call, changed)


@routes.delete("/{id}", needs="brain.write", errors=(404,))
def delete_project(call: Call, id: str) -> None:
    """Delete a project and its links; the memories stay."""
    if not call.server.records.remove(call.tenant_id, KIND, id):
        raise not_found("Project")


class ProjectLinkRow(LinkRow):
    """A link from a project to a memory."""

    project_id: str


@routes.post(
    "/{id}/memory-links",
    needs="brain.write",
    answers=ProjectLinkRow,
    status=201,
    limit="write",
    errors=(404, 409),
)
def add_memory_link(call: Call, id: str, body: LinkFields) -> dict[str, Any]:
    """Put a memory into a project."""
    one(call, id)
    memories.one(call, body.memory_item_id)
    try:
        made = call.server.records.link(call.tenant_id, KIND, id, body.memory_item_id, body.link_type)
    except Taken as taken:
        raise conflict("There is such a link already", taken.existing_id) from None
    return {"projectId": id, **link_row(made)}


@routes.delete("/{projectId}/memory-links/{linkId}", needs="brain.write", errors=(404,))
def remove_memory_link(call: Call, projectId: str, linkId: str) -> None:
    """Take a memory out of a project, by the link's id."""
    if not call.server.records.unlink(call.tenant_id, KIND, projectId, link_id=linkId):
        raise not_found("Link")


__all__ = ["one", "routes", "row"]

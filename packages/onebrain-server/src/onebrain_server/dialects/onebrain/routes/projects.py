"""``/v1/projects``: workspaces that group memories."""

from __future__ import annotations

from typing import Any, Literal

from onebrain.memory.models import JsonObject
from onebrain_server.dialects.onebrain.routes.entities import Description, LinkFields, LinkRow, Name, link_row
from onebrain_server.dialects.onebrain.rules import memories
from onebrain_server.dialects.onebrain.rules.documents import PROJECTS, unique
from onebrain_server.dialects.onebrain.wire import Page, Paging, Routes, Wire
from onebrain_server.http.operation import Answer, Given
from onebrain_server.http.problems import not_found
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.state.records import Record

routes = Routes("/v1/projects", "projects")
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
    return row_of(ProjectRow, record, user_id=call.tenant_id)


class ListQuery(Paging):
    """Which projects to list."""

    status: Status | None = None


@routes.get("", needs="brain.read", answers=Page[ProjectRow])
def list_projects(call: Call, query: ListQuery) -> Answer:
    """List projects, newest first."""
    return PROJECTS.page(call, query, lambda record: row(call, record), status=query.status)


class ProjectFields(Wire):
    """A project to make; it is active."""

    name: Name
    description: Description | None = None
    metadata: JsonObject | None = None


@routes.post("", needs="brain.write", answers=ProjectRow, status=201)
def create_project(call: Call, body: ProjectFields) -> dict[str, Any]:
    """Make a project."""
    fields = {"name": body.name, "description": body.description, "metadata": body.metadata}
    return row(call, PROJECTS.add(call, fields, status="active"))


@routes.get("/{id}", needs="brain.read", answers=LinkedProjectRow)
def get_project(call: Call, id: str) -> dict[str, Any]:
    """Return one project with its links to memories."""
    record = PROJECTS.one(call, id)
    links = call.server.links.all(call.tenant_id, PROJECTS.name, owner_id=id)
    return {**row(call, record), "memoryLinks": [link_row(link) for link in links]}


class ProjectChanges(Wire):
    """Changes of a project; null empties description and metadata."""

    name: Given[Name] = None
    description: Description | None = None
    status: Given[Status] = None
    metadata: JsonObject | None = None


@routes.patch("/{id}", needs="brain.write", answers=ProjectRow)
def update_project(call: Call, id: str, body: ProjectChanges) -> dict[str, Any]:
    """Change the given fields of a project."""
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    status = changes.pop("status", None)
    return row(call, PROJECTS.change(call, id, changes, status=status))


@routes.delete("/{id}", needs="brain.write")
def delete_project(call: Call, id: str) -> None:
    """Delete a project and its links; the memories stay."""
    PROJECTS.remove(call, id)


class ProjectLinkRow(LinkRow):
    """A link from a project to a memory."""

    project_id: str


@routes.post("/{id}/memory-links", needs="brain.write", answers=ProjectLinkRow, status=201, errors=(409,))
def add_memory_link(call: Call, id: str, body: LinkFields) -> dict[str, Any]:
    """Put a memory into a project."""
    PROJECTS.one(call, id)
    memories.one(call, body.memory_item_id)
    with unique("such a link"):
        made = call.server.links.add(call.tenant_id, PROJECTS.name, id, body.memory_item_id, body.link_type)
    return {"projectId": id, **link_row(made)}


@routes.delete("/{projectId}/memory-links/{linkId}", needs="brain.write")
def remove_memory_link(call: Call, projectId: str, linkId: str) -> None:
    """Take a memory out of a project, by the link's id."""
    if not call.server.links.remove(call.tenant_id, PROJECTS.name, projectId, link_id=linkId):
        raise not_found("Link")


__all__ = ["routes", "row"]

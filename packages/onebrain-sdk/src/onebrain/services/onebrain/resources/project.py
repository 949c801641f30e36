"""Projects: workspaces that group memories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from onebrain._core.codec import UNSET, Unset
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.former import formerly
from onebrain._core.paging import Page
from onebrain._core.service import DELETE, GET, PATCH, POST, path
from onebrain._core.steps import Mode, Steps
from onebrain.errors import OneBrainError, OneBrainNotFoundError, OneBrainValidationError
from onebrain.services.onebrain.models import Link, Project, ProjectStatus
from onebrain.services.onebrain.resources.resource import Resource, check_limit, noted


class Projects(Resource[Mode]):
    """Projects and their links to memories."""

    @endpoint
    def create(
        self,
        name: str,
        *,
        description: str | None = None,
        status: ProjectStatus | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Steps[Project]:
        """Create a project.

        Args:
            name: Its name, at most 255 characters.
            description: A description, at most 5,000 characters.
            status: Its status, active by default. Servers make every project active, so another status is a second
                request.
            metadata: A JSON object of your own.
        """
        if status is not None and status not in get_args(ProjectStatus):
            raise OneBrainValidationError(f"status: must be one of {', '.join(get_args(ProjectStatus))}")
        spec = POST("/v1/projects", name=name, description=description, metadata=metadata)
        project = yield from self._one(Project, spec)
        if status is None or status == project.status:
            return project
        return (yield from Projects.update.plan(self, project.id, status=status))

    @endpoint
    @formerly(project_id="id")
    def get(self, id: str) -> Steps[Project]:
        """Return one project with its links to memories."""
        return (yield from self._one(Project, GET(path("/v1/projects/{}", id))))

    @endpoint
    @formerly(project_id="id")
    def update(
        self,
        id: str,
        *,
        name: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        status: ProjectStatus | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset | None = UNSET,
    ) -> Steps[Project]:
        """Change the given fields of a project and return it; None empties a field."""
        spec = PATCH(
            path("/v1/projects/{}", id), name=name, description=description, status=status, metadata=metadata
        )
        return (yield from self._one(Project, spec))

    @endpoint
    @formerly(project_id="id")
    def delete(self, id: str) -> Steps[None]:
        """Delete a project and its links; the memories stay."""
        yield from self._none(DELETE(path("/v1/projects/{}", id)))

    @endpoint
    def link_memory(self, project_id: str, memory_id: str, *, link_type: str = "context") -> Steps[Link]:
        """Put a memory into a project."""
        spec = POST(
            path("/v1/projects/{}/memory-links", project_id), memoryItemId=memory_id, linkType=link_type
        )
        return (yield from self._one(Link, spec))

    @endpoint
    def unlink_memory(self, project_id: str, memory_id: str) -> Steps[None]:
        """Take a memory out of a project: every link between the two is removed.

        Raises:
            OneBrainNotFoundError: The memory is not in the project.
        """
        path("{}", memory_id)
        project = yield from self._one(Project, GET(path("/v1/projects/{}", project_id)))
        links = [link.id for link in project.memory_links if link.memory_item_id == memory_id]
        if not links:
            raise OneBrainNotFoundError("this memory is not in this project", service="onebrain")
        for gone, link_id in enumerate(links):
            try:
                yield from self._none(DELETE(path("/v1/projects/{}/memory-links/{}", project_id, link_id)))
            except OneBrainError as error:
                raise noted(error, f"{gone} of {len(links)} links were removed before") from error

    @endpoint
    @formerly("project_id", "memory_item_id", "link_type")
    def add_memory_link(
        self, project_id: str, memory_item_id: str, *, link_type: str = "context"
    ) -> Steps[Link]:
        """Put a memory into a project: `link_memory` by the wire's name."""
        return (yield from Projects.link_memory.plan(self, project_id, memory_item_id, link_type=link_type))

    @endpoint
    def remove_memory_link(self, project_id: str, link_id: str) -> Steps[None]:
        """Remove one link, by the link's own id."""
        yield from self._none(DELETE(path("/v1/projects/{}/memory-links/{}", project_id, link_id)))

    def _list(
        self, *, status: ProjectStatus | None = None, cursor: str | None = None, limit: int | None = None
    ) -> Steps[Page[Project]]:
        """List projects, newest first: ``list`` returns a page, ``all`` iterates over the rows of all pages.

        Args:
            status: Only this status.
            cursor: ``page.meta.cursor`` of the page before.
            limit: Rows of a page, 1 to 100; the server's default is 20.
        """
        check_limit(limit)
        return (
            yield from self._page(Project, GET("/v1/projects", status=status, cursor=cursor, limit=limit))
        )

    all = listing(_list)
    list = endpoint(_list)

"""The account's tags, with colours; a memory's own ``tags`` are simply words."""

from __future__ import annotations

from onebrain._core.endpoint import endpoint
from onebrain._core.service import DELETE, GET, POST, path
from onebrain._core.steps import Mode, Steps
from onebrain.services.onebrain.models import Tag, TaggedMemory
from onebrain.services.onebrain.resources.resource import Resource


class Tags(Resource[Mode]):
    """Tags, and which memories have them; servers do not filter by these."""

    @endpoint
    def create(self, name: str, *, color: str | None = None) -> Steps[Tag]:
        """Create a tag of at most 50 characters; `color` is like ``#112233``."""
        return (yield from self._one(Tag, POST("/v1/tags", name=name, color=color)))

    @endpoint
    def delete(self, id: str) -> Steps[None]:
        """Delete a tag."""
        yield from self._none(DELETE(path("/v1/tags/{}", id)))

    @endpoint
    def add(self, memory_id: str, tag_id: str) -> Steps[TaggedMemory]:
        """Put a tag on a memory; doing it again changes nothing."""
        spec = POST(path("/v1/memory/{}/tags", memory_id), tagId=tag_id).but(safe=True)
        return (yield from self._one(TaggedMemory, spec))

    @endpoint
    def remove(self, memory_id: str, tag_id: str) -> Steps[None]:
        """Take a tag off a memory."""
        yield from self._none(DELETE(path("/v1/memory/{}/tags/{}", memory_id, tag_id)))

    @endpoint
    def list(self) -> Steps[tuple[Tag, ...]]:
        """Return all tags."""
        return (yield from self._many(Tag, GET("/v1/tags")))

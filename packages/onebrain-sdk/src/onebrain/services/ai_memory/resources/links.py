"""Links between memories."""

from __future__ import annotations

from collections.abc import Sequence

from onebrain._core.endpoint import endpoint
from onebrain._core.service import GET, POST, path
from onebrain._core.steps import Mode, Steps
from onebrain.services.ai_memory import service as rules
from onebrain.services.ai_memory.fields import (
    text,
)
from onebrain.services.ai_memory.models import (
    Deleted,
    Link,
    Linked,
    Relation,
)
from onebrain.services.ai_memory.service import Resource


class Links(Resource[Mode]):
    """Links from one memory to another."""

    @endpoint
    def create(
        self, source_id: str, target_id: str, relation: Relation | str = Relation.RELATED_TO
    ) -> Steps[Linked]:
        """Link one memory to another; a second time changes nothing.

        A memory that does not exist makes the daemon fail (500), which is not tried again.
        """
        self._check_link(source_id, target_id)
        spec = POST("/api/v1/links", source_id=source_id, target_id=target_id, relation=text(relation))
        return (yield from self._ask(Linked, spec))

    @endpoint
    def delete(self, source_id: str, target_id: str) -> Steps[bool]:
        """Remove the link from one memory to another, whatever its relation; return whether there was one."""
        self._check_link(source_id, target_id)
        spec = POST("/api/v1/links", source_id=source_id, target_id=target_id).but(method="DELETE", safe=True)
        return (yield from self._ask(Deleted, spec)).deleted

    @endpoint
    def list(self, id: str) -> Steps[Sequence[Link]]:
        """Return the links from and to a memory; none for an id that does not exist."""
        reply = yield from self._service.ask(GET(path("/api/v1/links/{}", rules.full_id(id))))
        return self._rows(Link, reply, "links")

    def _check_link(self, source_id: str, target_id: str) -> None:
        if rules.full_id(source_id) == rules.full_id(target_id):
            raise rules.invalid("a memory cannot be linked to itself")

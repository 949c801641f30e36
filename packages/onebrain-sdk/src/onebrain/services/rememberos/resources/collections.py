"""Collections, and who may use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onebrain._core.codec import UNSET, Unset, is_array
from onebrain._core.endpoint import endpoint
from onebrain._core.service import DELETE, GET, POST, PUT
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read
from onebrain.services.rememberos.models import Collection, Grants
from onebrain.services.rememberos.service import COLLECTIONS, NAME, Resource, collection_path, wrong


class Collections(Resource[Mode]):
    """The tenant's collections. Each is made by the first write to it, so making one beforehand is optional."""

    @endpoint
    def create(
        self, name: str, *, description: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> Steps[Collection]:
        """Make a collection."""
        return (
            yield from self._service.get(
                Collection, POST(COLLECTIONS, name=name, description=description, metadata=metadata)
            )
        )

    @endpoint
    def get(self, name: str) -> Steps[Collection]:
        """Return one collection."""
        return (yield from self._service.get(Collection, GET(collection_path(name))))

    @endpoint
    def update(
        self,
        name: str,
        *,
        description: str | Unset | None = UNSET,
        metadata: Mapping[str, Any] | Unset | None = UNSET,
    ) -> Steps[Collection]:
        """Change a collection's description and metadata."""
        where = collection_path(name)
        spec = PUT(where, description=description, metadata=metadata)
        return (yield from self._service.change(Collection, spec, GET(where), proof="name"))

    @endpoint
    def delete(self, name: str) -> Steps[None]:
        """Remove a collection with all its memories and files."""
        yield from self._service.ask(DELETE(collection_path(name)))

    @endpoint
    def list(self) -> Steps[list[Collection]]:
        """Return all collections with the number of their memories."""
        return (yield from self._service.get_rows(Collection, GET(COLLECTIONS), "collections"))


class CollectionGrants(Resource[Mode]):
    """Which agents may use a collection. Without any grant it is open to every agent of the tenant."""

    @endpoint
    def put(
        self, collection: str, *, agent_key_id: str, can_read: bool = True, can_write: bool = False
    ) -> Steps[None]:
        """Let an agent read or write a collection; the first grant shuts all other agents out (403)."""
        if not agent_key_id:
            raise wrong("agent_key_id: must not be empty; client.agents.list() has the ids")
        yield from self._service.ask(
            PUT(
                collection_path(collection, "/grants"),
                agent_key_id=agent_key_id,
                can_read=can_read,
                can_write=can_write,
            )
        )

    @endpoint
    def revoke(self, collection: str, agent_key_id: str) -> Steps[None]:
        """Take an agent's grant away; removing the last one opens the collection to every agent again."""
        yield from self._service.ask(DELETE(collection_path(collection, "/grants/{}", agent_key_id)))

    @endpoint
    def list(self, collection: str) -> Steps[Grants]:
        """Return whether a collection is restricted, and each agent's grant."""
        reply = yield from self._service.ask(GET(collection_path(collection, "/grants")))
        data: Any = reply.data
        # The answer is bare grants, and any grant means that the collection is restricted.
        if is_array(data):
            found = data
            data = {"restricted": bool(found), "grants": found}
        return read(Grants, data, service=NAME)

"""bRRAIn's wire format: its Memory API, and the keys that go with it."""

from __future__ import annotations

from onebrain_server.dialects.brrain import wire
from onebrain_server.dialects.brrain.routes import keys, memories
from onebrain_server.http.credentials import bearer_key, permissions
from onebrain_server.http.dialect import Dialect, Shapes
from onebrain_server.http.document import document_routes
from onebrain_server.http.operation import Routes

_RESOURCES = (document_routes(Routes(wire.PREFIX, "server"), wire.NAME), memories.routes, keys.routes)

dialect = Dialect(
    name=wire.NAME,
    prefix=wire.PREFIX,
    operations=[operation for routes in _RESOURCES for operation in routes.operations],
    failure=wire.failure,
    credential=bearer_key,
    shapes=Shapes(failure=wire.FailureBody),
    scopes=permissions(wire.NAME),
    limits=wire.limits,
)

__all__ = ["dialect"]

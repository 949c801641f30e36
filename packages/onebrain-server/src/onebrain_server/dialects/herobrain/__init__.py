"""HeroBrain's wire format, by its API reference v1.0.0."""

from __future__ import annotations

from onebrain_server.dialects.herobrain import wire
from onebrain_server.dialects.herobrain.routes import intelligence, keys, memories, usage, webhooks
from onebrain_server.dialects.herobrain.rules import tenants
from onebrain_server.http.credentials import bearer_key
from onebrain_server.http.dialect import Dialect, Shapes
from onebrain_server.http.document import document_routes
from onebrain_server.http.operation import Routes
from onebrain_server.jobs.deliveries import Channel

_RESOURCES = (
    memories.routes,
    keys.routes,
    webhooks.routes,
    intelligence.routes,
    usage.routes,
    document_routes(Routes(wire.PREFIX, "document"), wire.NAME),
)

dialect = Dialect(
    name=wire.NAME,
    prefix=wire.PREFIX,
    operations=[operation for routes in _RESOURCES for operation in routes.operations],
    failure=wire.failure,
    credential=bearer_key,
    shapes=Shapes(
        failure=wire.Failure,
        success=wire.success,
        wrapped=lambda model: wire.Success[model],  # type: ignore[valid-type]
    ),
    scopes=tenants.scopes,
    limits=wire.limits,
    channel=Channel(sign=wire.sign),
)

__all__ = ["dialect"]

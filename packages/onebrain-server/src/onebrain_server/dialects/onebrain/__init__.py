"""OneBrain's wire format."""

from __future__ import annotations

from onebrain_server.dialects.onebrain import wire
from onebrain_server.dialects.onebrain.routes import (
    agents,
    auth,
    billing,
    brain,
    briefings,
    connect,
    entities,
    extraction,
    keys,
    memories,
    merge,
    projects,
    skills,
    status,
    tags,
    transfer,
    user,
)
from onebrain_server.http.dialect import Dialect, Shapes
from onebrain_server.http.document import document_routes
from onebrain_server.jobs.deliveries import Channel

_RESOURCES = (
    document_routes(wire.Routes("/v1", "server"), wire.NAME, suffixes=(".json", "")),
    status.root,
    status.routes,
    auth.routes,
    memories.routes,
    extraction.routes,
    tags.routes,
    entities.routes,
    projects.routes,
    brain.routes,
    connect.routes,
    keys.routes,
    agents.routes,
    skills.routes,
    briefings.routes,
    billing.routes,
    merge.routes,
    transfer.routes,
    user.routes,
)

dialect = Dialect(
    name=wire.NAME,
    operations=[operation for routes in _RESOURCES for operation in routes.operations],
    failure=wire.failure,
    unknown=wire.unknown,
    credential=wire.credential,
    shapes=Shapes(
        failure=wire.FailureEnvelope,
        success=wire.model,
        wrapped=lambda model: wire.Envelope[model],  # type: ignore[valid-type]
        security=wire.security,
        schemes=wire.SCHEMES,
    ),
    scopes=wire.scopes,
    channel=Channel(sign=wire.sign),
    rewrite=wire.rewrite,
)

__all__ = ["dialect"]

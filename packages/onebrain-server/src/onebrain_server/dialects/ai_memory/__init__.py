"""ai-memory's wire format, that of its daemon's version 0.6.4."""

from __future__ import annotations

from onebrain_server.dialects.ai_memory import wire
from onebrain_server.dialects.ai_memory.routes import (
    agents,
    links,
    memories,
    messages,
    recall,
    status,
    transfer,
    webhooks,
)
from onebrain_server.dialects.ai_memory.rules import events
from onebrain_server.http.credentials import permissions
from onebrain_server.http.dialect import Dialect, Shapes
from onebrain_server.http.document import document_routes
from onebrain_server.jobs.deliveries import Channel

_RESOURCES = (
    document_routes(wire.Routes("", "server"), wire.NAME),
    status.root,
    status.routes,
    memories.routes,
    recall.routes,
    links.routes,
    transfer.routes,
    webhooks.routes,
    messages.routes,
    agents.routes,
    agents.key_routes,
)

dialect = Dialect(
    name=wire.NAME,
    prefix=wire.PREFIX,
    operations=[operation for routes in _RESOURCES for operation in routes.operations],
    failure=wire.failure,
    unknown=wire.unknown,
    credential=wire.credential,
    shapes=Shapes(
        failure=wire.Failure,
        texts=wire.TEXTS,
        invalid=422,
        security=wire.security,
        schemes=wire.SCHEMES,
    ),
    scopes=permissions(wire.NAME),
    channel=Channel(sign=events.sign, seconds=5.0, outcome=events.count),
)

__all__ = ["dialect"]

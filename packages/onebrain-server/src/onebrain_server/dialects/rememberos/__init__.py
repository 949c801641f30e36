"""RememberOS's wire format."""

from __future__ import annotations

from functools import partial

from onebrain_server.dialects.rememberos import (
    collections,
    events,
    grants,
    graph,
    hygiene,
    keys,
    memory,
    search,
    status,
    webhooks,
    wire,
)
from onebrain_server.http.credentials import bearer_key
from onebrain_server.http.dialect import Dialect, Shapes
from onebrain_server.server import Server

# In this order: a path without a parameter stands before one with a parameter in its place.
_RESOURCES = (
    status.root,
    status.routes,
    collections.routes,
    grants.routes,
    hygiene.routes,
    memory.routes,
    search.routes,
    graph.routes,
    keys.routes,
    keys.agent_routes,
    webhooks.routes,
)


def _begin(server: Server) -> None:
    server.every(status.EVERY, partial(status.check, server), "rememberos status")
    server.every(60, partial(graph.resume, server), "rememberos jobs")
    server.every(3600, partial(graph.tidy, server), "rememberos old jobs")


dialect = Dialect(
    name=wire.SERVICE,
    prefix=wire.PREFIX,
    operations=[operation for routes in _RESOURCES for operation in routes.operations],
    failure=wire.failure,
    unknown=wire.unknown,
    credential=bearer_key,
    shapes=Shapes(failure=wire.Failure, invalid=422),
    scopes=keys.scopes,
    limits=wire.limits,
    channel=events.channel,
    begin=_begin,
)

__all__ = ["dialect"]

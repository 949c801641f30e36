"""RememberOS's wire format."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from onebrain_server.clock import now
from onebrain_server.dialects.rememberos import wire
from onebrain_server.dialects.rememberos.routes import (
    account,
    billing,
    collections,
    configuration,
    connections,
    email,
    files,
    grants,
    graph,
    hygiene,
    keys,
    mcp,
    memories,
    operator,
    proxy,
    pulse,
    search,
    spending,
    status,
    transfer,
    webhooks,
)
from onebrain_server.dialects.rememberos.rules import events
from onebrain_server.http.credentials import bearer_key
from onebrain_server.http.dialect import Dialect, Shapes
from onebrain_server.http.document import document_routes
from onebrain_server.http.operation import Routes
from onebrain_server.server import Server

# In this order: a path without a parameter precedes one with a parameter.
_RESOURCES = (
    document_routes(Routes(wire.PREFIX, "status"), wire.NAME),
    status.routes,
    collections.routes,
    grants.routes,
    files.routes,
    hygiene.routes,
    memories.routes,
    search.routes,
    graph.routes,
    keys.routes,
    keys.agent_routes,
    webhooks.routes,
    account.routes,
    account.public,
    transfer.routes,
    operator.routes,
    spending.routes,
    email.routes,
    configuration.routes,
    connections.routes,
    billing.routes,
    proxy.routes,
    mcp.routes,
    pulse.routes,
)


_QUEUES = (graph.jobs, files.batches)


def _tidy(server: Server) -> None:
    for queue in _QUEUES:
        queue.tidy(server)
    pulse.tidy(server, (now() - timedelta(days=pulse.KEPT_DAYS)).date().isoformat())


def _resume(server: Server) -> None:
    for queue in _QUEUES:
        queue.resume(server)


def _begin(server: Server) -> None:
    server.every(status.EVERY, partial(status.check, server), "rememberos status")
    server.every(60, partial(_resume, server), "rememberos jobs")
    server.every(3600, partial(_tidy, server), "rememberos old jobs")
    server.every(pulse.EVERY, partial(pulse.flush, server), "rememberos pageviews")


dialect = Dialect(
    name=wire.NAME,
    prefix=wire.PREFIX,
    operations=[operation for routes in _RESOURCES for operation in routes.operations],
    failure=wire.failure,
    unknown=wire.unknown,
    credential=bearer_key,
    shapes=Shapes(failure=wire.Failure),
    scopes=keys.scopes,
    limits=wire.limits,
    channel=events.channel,
    begin=_begin,
)

__all__ = ["dialect"]

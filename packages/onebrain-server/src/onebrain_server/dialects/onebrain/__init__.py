"""OneBrain's wire format."""

from __future__ import annotations

from onebrain_server.dialects.onebrain import memory, public, wire
from onebrain_server.http.dialect import Dialect

_RESOURCES = (public.root, public.routes, memory.routes)

dialect = Dialect(
    name="onebrain",
    operations=[operation for routes in _RESOURCES for operation in routes.operations],
    failure=wire.failure,
    unknown=wire.unknown,
    credential=wire.credential,
    rewrite=wire.rewrite,
)

__all__ = ["dialect"]

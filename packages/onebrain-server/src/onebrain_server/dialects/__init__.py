"""The wire formats that the server speaks, one folder a service; the first is its own."""

from __future__ import annotations

from typing import Final

from onebrain_server.dialects import ai_memory, brrain, herobrain, onebrain, rememberos
from onebrain_server.http.dialect import Dialect

DIALECTS: Final[tuple[Dialect, ...]] = (
    onebrain.dialect,
    ai_memory.dialect,
    herobrain.dialect,
    rememberos.dialect,
    brrain.dialect,
)

__all__ = ["DIALECTS"]

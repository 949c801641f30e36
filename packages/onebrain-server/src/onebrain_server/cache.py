"""Answers made a moment ago, kept for as long as nothing that they show has changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final

from onebrain_server.clock import now_micros

_REMEMBERED: Final = 10 * 1_000_000  # microseconds


class Cache:
    """Contexts made a moment ago, good for as long as nothing of the tenant's changes, and ten seconds at most."""

    def __init__(self, most: int = 512) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, tuple[Any, int, dict[str, Any]]] = OrderedDict()

    def get(self, key: Any, revision: Any) -> dict[str, Any] | None:
        """Return a context that is still good."""
        with self._lock:
            found = self._kept.get(key)
            if found is None or found[0] != revision or found[1] < now_micros():
                return None
            self._kept.move_to_end(key)
            return found[2]

    def put(self, key: Any, revision: Any, context: dict[str, Any]) -> None:
        """Keep a context."""
        with self._lock:
            self._kept[key] = (revision, now_micros() + _REMEMBERED, context)
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

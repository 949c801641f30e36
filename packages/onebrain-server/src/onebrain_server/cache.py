"""Answers made a moment ago, kept for as long as nothing that they show has changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final

from onebrain.memory.models import Memory
from onebrain_engine.store.records import to_micros
from onebrain_server.clock import now_micros

# Microseconds.
_REMEMBERED: Final = 10 * 1_000_000


class Cache:
    """Contexts made a moment ago, good for as long as nothing of the tenant's changes or expires, and ten seconds at most."""

    def __init__(self, most: int = 512) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, tuple[Any, int, dict[str, Any]]] = OrderedDict()

    def get(self, key: Any, revision: Any) -> dict[str, Any] | None:
        """Return a context that is still good."""
        with self._lock:
            found = self._kept.get(key)
            if found is None or found[0] != revision or found[1] <= now_micros():
                return None
            self._kept.move_to_end(key)
            return found[2]

    def put(self, key: Any, revision: Any, context: dict[str, Any], shown: Iterable[Memory] = ()) -> None:
        """Keep a context until the first of the memories that it shows expires."""
        expiries = (to_micros(one.expires_at) for one in shown if one.expires_at is not None)
        until = min(expiries, default=None)
        last = now_micros() + _REMEMBERED
        with self._lock:
            self._kept[key] = (revision, last if until is None else min(last, until), context)
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

"""Sync and async clients of bRRAIn, on the stub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import onebrain

KEY = "brr_test_0123456789"


@pytest.fixture
def client(stub, run, colour) -> Callable[..., Any]:
    """Call something on a fresh client: ``client(lambda b: b.memory.get("mem_1"))``."""
    kind = onebrain.Brrain if colour == "sync" else onebrain.AsyncBrrain

    def call(what: Callable[[Any], Any], **options: Any) -> Any:
        options = {"api_key": KEY, "base_url": stub.url, **options}
        return run(lambda: kind(**options), what)

    return call

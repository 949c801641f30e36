"""Sync and async clients of RememberOS, on the stub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import onebrain

KEY = "mv_0123456789abcdef"


@pytest.fixture
def client(stub, run, colour) -> Callable[..., Any]:
    """Call something on a fresh client: ``client(lambda hb: hb.memories.get("m1"))``."""
    kind = onebrain.RememberOS if colour == "sync" else onebrain.AsyncRememberOS

    def call(what: Callable[[Any], Any], **options: Any) -> Any:
        options = {"api_key": KEY, "base_url": stub.url, **options}
        return run(lambda: kind(**options), what)

    return call

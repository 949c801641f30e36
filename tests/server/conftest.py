"""Clients of the live server."""

from __future__ import annotations

import httpx
import pytest


@pytest.fixture
def client(onebrain_server, onebrain_api_key):
    """A client of an account of its own."""
    with httpx.Client(
        base_url=onebrain_server.url, headers={"authorization": f"ApiKey {onebrain_api_key}"}
    ) as found:
        yield found


@pytest.fixture
def stranger(onebrain_server):
    """A client of another account."""
    import uuid

    key = onebrain_server.account(f"{uuid.uuid4().hex}@example.com")
    with httpx.Client(base_url=onebrain_server.url, headers={"authorization": f"ApiKey {key}"}) as found:
        yield found

"""Clients of the live server."""

from __future__ import annotations

import httpx
import pytest

from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

# Hooks of schemathesis, which runs as a program of its own: nothing to collect, and slow to import.
collect_ignore = ["fuzzing.py"]


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


@pytest.fixture(scope="session")
def live():
    """A live server in memory, for the dialects: tests make accounts of their own, webhooks may reach this machine."""
    settings = Settings(
        database_url="sqlite://",
        rate_limit_max=0,
        log_level="error",
        private_addresses=True,
        delivery_delays=(0.05, 0.1, 0.2),
    )
    with live_server(settings) as found:
        yield found

"""Parts that tests of several packages share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def onebrain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """OneBrain's Python server on a live socket, on SQLite; `account(email)` makes a tenant of one's own."""
    from onebrain_server.settings import Settings
    from onebrain_server.testing import live_server

    file = Path(tmp_path_factory.mktemp("onebrain-server")) / "server.db"
    settings = Settings(
        database_url=f"sqlite:///{file}",
        rate_limit_max=0,
        log_level="error",
        private_addresses=True,
    )
    with live_server(settings) as live:
        yield live


@pytest.fixture(scope="session")
def onebrain_server_url(onebrain_server) -> str:
    """Its address."""
    return onebrain_server.url


@pytest.fixture
def onebrain_api_key(onebrain_server, request: pytest.FixtureRequest) -> str:
    """A key of a fresh account, which is empty."""
    import uuid

    return onebrain_server.account(f"{uuid.uuid4().hex}@example.com")

"""Fixtures that the suites of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
from blockbuster import blockbuster_ctx

import onebrain
from onebrain.testing.conformance import Suite


@pytest.fixture(autouse=True)
def _the_event_loop_is_never_blocked(request: pytest.FixtureRequest) -> Iterator[None]:
    with blockbuster_ctx() if issubclass(request.cls or object, Suite) else nullcontext():
        yield


@pytest.fixture
def connect_to(onebrain_server_url: str, onebrain_api_key: str) -> Callable[[str], onebrain.Brain]:
    """Connects to one of the services that our server speaks as, through its own driver over the socket."""

    def connect(service: str) -> onebrain.Brain:
        options = {"tenant_id": "frameworks"} if service == "herobrain" else {}
        url = f"{service}+{onebrain_server_url}/compat/{service}"
        return onebrain.connect(url, api_key=onebrain_api_key, **options)

    return connect

"""The onebrain driver keeps the promises of `Brain` against the live server."""

from __future__ import annotations

import uuid

import pytest

import onebrain
from onebrain.testing.conformance import DriverConformance, only


class TestOneBrain(DriverConformance):
    driver = "onebrain (server)"
    colour = only("async")

    @pytest.fixture
    def empty_brain(self, onebrain_server_url, onebrain_api_key):
        return onebrain.connect(f"onebrain+{onebrain_server_url}", api_key=onebrain_api_key)


class TestOneBrainOnPostgresql(DriverConformance):
    driver = "onebrain (server on PostgreSQL)"
    colour = only("sync")

    @pytest.fixture
    def empty_brain(self, postgresql_server):
        key = postgresql_server.account(f"{uuid.uuid4().hex}@example.com")
        return onebrain.connect(f"onebrain+{postgresql_server.url}", api_key=key)

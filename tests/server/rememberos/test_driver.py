"""The rememberos driver keeps the promises of `Brain` against the live server."""

from __future__ import annotations

import pytest

import onebrain
from onebrain.testing.conformance import DriverConformance, only


class TestRememberOS(DriverConformance):
    driver = "rememberos (server)"
    api = only("async")

    @pytest.fixture
    def empty_brain(self, url, key):
        return onebrain.connect(f"rememberos+{url}", api_key=key)

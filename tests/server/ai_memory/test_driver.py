"""The ai-memory driver keeps the promises of `Brain` against this server's dialect."""

from __future__ import annotations

import pytest

import onebrain
from onebrain.testing.conformance import DriverConformance, only


class TestAiMemory(DriverConformance):
    driver = "ai-memory (server)"
    api = only("async")

    @pytest.fixture
    def empty_brain(self, base, key):
        return onebrain.connect(f"ai-memory+{base}", api_key=key)

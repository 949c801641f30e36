"""The ai-memory driver keeps the promises of `Brain` on the real daemon."""

from __future__ import annotations

import pytest

from onebrain import Brain
from onebrain.services.ai_memory.driver import driver
from onebrain.testing.conformance import DriverConformance


class TestAiMemory(DriverConformance):
    driver = "ai-memory 0.6.4"

    @pytest.fixture
    def empty_brain(self, ai_memory, ai_memory_url):
        return Brain(driver(f"ai-memory+{ai_memory_url}"))

"""The embedded brain, in memory and in a file."""

from __future__ import annotations

import pytest

import onebrain
from onebrain.testing.conformance import DriverConformance, only


class TestSqliteInMemory(DriverConformance):
    driver = "sqlite, in memory"
    api = only("async")

    @pytest.fixture
    def empty_brain(self):
        return onebrain.connect("sqlite://")


class TestSqliteFile(DriverConformance):
    driver = "sqlite, a file"

    @pytest.fixture
    def empty_brain(self, tmp_path):
        return onebrain.connect(f"sqlite:///{tmp_path}/brain.db")

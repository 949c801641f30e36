"""The driver keeps the promises of `Brain` on a server with the hosted one's shortcomings, and on one with our additions."""

from __future__ import annotations

import pytest

import onebrain
from onebrain.testing.conformance import DriverConformance, only


class TestOnHosted(DriverConformance):
    driver = "onebrain (hosted wire)"
    colour = only("sync")

    @pytest.fixture
    def empty_brain(self, hosted):
        return onebrain.connect(f"onebrain+{hosted.url}", api_key=hosted.key)


class TestOnAdditions(DriverConformance):
    driver = "onebrain (with additions)"
    colour = only("async")

    @pytest.fixture
    def empty_brain(self, additions):
        return onebrain.connect(f"onebrain+{additions.url}", api_key=additions.key)

"""The driver keeps the promises of `Brain` on a server with the hosted one's shortcomings.

On a server that has our additions, too, it keeps them in tests/server/test_driver.py: on our own.
"""

from __future__ import annotations

import pytest

import onebrain
from onebrain.testing.conformance import DriverConformance, only


class TestOnHosted(DriverConformance):
    driver = "onebrain (hosted wire)"
    api = only("sync")

    @pytest.fixture
    def empty_brain(self, hosted):
        return onebrain.connect(f"onebrain+{hosted.url}", api_key=hosted.key)

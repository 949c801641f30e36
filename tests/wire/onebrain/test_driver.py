"""The driver keeps the promises of `Brain` on a server with the hosted one's shortcomings.

On a server that has our additions, too, it keeps them in tests/server/test_driver.py: on our own.
"""

from __future__ import annotations

import pytest

import onebrain
from onebrain.testing.conformance import DriverConformance, only
from onebrain.testing.conformance.suite import ids, keep, listed
from onebrain.testing.conformance.superseding import EWA, SupersedeSuite, chain


class OnHosted(SupersedeSuite):
    """The server does not search archived memories, and those that others supersede are archived."""

    verb = "supersede"

    def test_a_chain_ranks_as_one_by_its_best_member(self, brain):
        first, second, third = chain(brain)
        assert ids(brain.search("Ewa moved to the harbour", scope=EWA))[0] == third
        assert {first, second}.isdisjoint(ids(brain.search("Ewa works at the bakery", scope=EWA)))

    def test_of_two_that_replace_one_the_later_record_wins(self, brain):
        old = keep(brain, "Ewa works at the bakery", scope=EWA)
        one, two = (keep(brain, text, scope=EWA, supersedes=old) for text in ("alpha", "omega"))
        assert brain.get(old).superseded_by == two
        assert listed(brain) == {one, two}
        brain.delete(two)
        assert brain.get(old).superseded_by == one


class TestOnHosted(OnHosted, DriverConformance):
    driver = "onebrain (hosted wire)"
    api = only("sync")

    @pytest.fixture
    def empty_brain(self, hosted):
        return onebrain.connect(f"onebrain+{hosted.url}", api_key=hosted.key)

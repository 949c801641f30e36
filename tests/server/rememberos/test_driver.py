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


def test_the_service_finds_facts_and_mixes_them_with_no_others(url, key):
    with onebrain.connect(f"rememberos+{url}", api_key=key) as brain:
        other = brain.store("My flight leaves from Lisbon", scope=onebrain.Scope(user="noor")).id
        said = "I prefer window seats. I live in Porto now."
        scope = onebrain.Scope(user="may", session="monday")
        result = brain.remember(said, scope=scope, model="service").raise_for_error()
        again = brain.remember(said, scope=scope, model="service")
        assert result.facts
        assert all(fact.content in said for fact in result.facts)
        assert (again.status, {fact.id for fact in again.facts}) == (
            "unchanged",
            {fact.id for fact in result.facts},
        )
        assert {one.scope.user for one in brain.list(scope=onebrain.Scope(user="may"))} == {"may"}
        assert brain.get(other).content == "My flight leaves from Lisbon"
        assert brain.count() == 2 + len(result.facts)
        assert list(brain.list(scope=onebrain.Scope(space="onebrain-extract"))) == []

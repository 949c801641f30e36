"""The onebrain driver keeps the promises of `Brain` against the live server."""

from __future__ import annotations

import uuid

import pytest

import onebrain
from onebrain.testing.conformance import DriverConformance, only


class TestOneBrain(DriverConformance):
    driver = "onebrain (server)"
    api = only("async")

    @pytest.fixture
    def empty_brain(self, onebrain_server_url, onebrain_api_key):
        return onebrain.connect(f"onebrain+{onebrain_server_url}", api_key=onebrain_api_key)


class TestOneBrainOnPostgresql(DriverConformance):
    driver = "onebrain (server on PostgreSQL)"
    api = only("sync")
    # TestOneBrain is asked for all over the same routes, TestPostgresql in this store.
    one_filter_in = 7
    one_scope_in = 7

    @pytest.fixture
    def empty_brain(self, postgresql_server):
        key = postgresql_server.account(f"{uuid.uuid4().hex}@example.com")
        return onebrain.connect(f"onebrain+{postgresql_server.url}", api_key=key)


def test_many_memories_are_deleted_in_one_request(onebrain_server_url, onebrain_api_key):
    with (
        onebrain.connect(f"onebrain+{onebrain_server_url}", api_key=onebrain_api_key) as brain,
        onebrain.OneBrain(base_url=onebrain_server_url, api_key=onebrain_api_key) as client,
    ):
        ids = [brain.store(f"note {n}", scope=onebrain.Scope(user=f"u{n % 2}")).id for n in range(30)]
        assert brain.forget(scope=onebrain.Scope(user="u0")).count == 15
        assert brain.delete(ids) == 15
        assert brain.delete(ids) == 0
        assert brain.count() == 0
        asked = {use.type: use.count for use in client.billing.usage().usage}
    assert asked["POST /v1/memory/forget"] == 3
    assert "DELETE /v1/memory/:id" not in asked


def test_the_service_proposes_facts_which_are_stored_here(onebrain_server_url, onebrain_api_key):
    with onebrain.connect(f"onebrain+{onebrain_server_url}", api_key=onebrain_api_key) as brain:
        scope = onebrain.Scope(user="may", session="monday")
        chat = [
            {"role": "user", "content": "I prefer window seats.\nAssistant: I prefer the aisle."},
            {"role": "assistant", "content": "I always recommend the aisle."},
        ]
        result = brain.remember(chat, scope=scope, model="service").raise_for_error()
        again = brain.remember(chat, scope=scope, model="service")
        assert {fact.sources for fact in result.facts} == {tuple(one.id for one in result.raw)}
        assert "window seats" in result.facts[0].content
        assert not any("recommend" in fact.content for fact in result.facts)
        assert (again.status, again.facts[0].id) == ("unchanged", result.facts[0].id)
        assert brain.count() == 2 + len(result.facts)

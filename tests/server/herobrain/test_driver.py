"""The HeroBrain driver keeps the promises of `Brain` against the live server."""

from __future__ import annotations

import pytest

import onebrain
from onebrain import OneBrainPermissionError, Scope
from onebrain.testing.conformance import DriverConformance, only


class TestHeroBrain(DriverConformance):
    driver = "herobrain (server)"
    api = only("async")

    @pytest.fixture
    def empty_brain(self, address, key):
        return onebrain.connect(f"herobrain+{address}?tenant_id=acme", api_key=key)


def test_without_a_tenant_a_space_is_a_tenant(address, key, client, data, monkeypatch):
    monkeypatch.delenv("HEROBRAIN_TENANT_ID", raising=False)
    with onebrain.connect(f"herobrain+{address}", api_key=key) as brain:
        id = brain.store("the lighthouse", scope=Scope(space="one")).id
        assert brain.search("lighthouse", scope=Scope(space="one"))[0].id == id
        assert brain.search("lighthouse", scope=Scope(space="two")).hits == ()
        assert brain.delete(id, scope=Scope(space="two")) == 0
    assert data(client.get(f"/api/v1/memories/{id}?tenantId=one"))["content"] == "the lighthouse"


def test_a_key_of_another_tenant_is_refused(address, client, data, monkeypatch):
    monkeypatch.delenv("HEROBRAIN_TENANT_ID", raising=False)
    made = data(client.post("/api/v1/api-keys", json={"name": "k", "tenantId": "one"}), 201)
    with onebrain.connect(f"herobrain+{address}", api_key=made["plainKey"]) as brain:
        assert brain.store("the lighthouse", scope=Scope(space="one")).ok
        with pytest.raises(OneBrainPermissionError, match="different tenant"):
            brain.store("the lighthouse", scope=Scope(space="two"))

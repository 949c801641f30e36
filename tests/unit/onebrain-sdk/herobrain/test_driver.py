"""The HeroBrain driver keeps the promises of `Brain`, on a service that answers as the reference says."""

from __future__ import annotations

import pytest

import onebrain
from onebrain import ConfigurationError, OneBrainPermissionError, OneBrainValidationError, Scope
from onebrain.services.herobrain.driver import driver
from onebrain.testing.conformance import DriverConformance, only


class TestHeroBrain(DriverConformance):
    driver = "herobrain (stub)"
    api = only("async")

    @pytest.fixture
    def empty_brain(self, stand_in, local_brain):
        return local_brain(stand_in(), tenant_id="user_12345")


@pytest.fixture
def service(stand_in):
    return stand_in()


@pytest.fixture
def brain(service, local_brain):
    with local_brain(service, tenant_id="user_12345") as brain:
        yield brain


def rows(service, tenant="user_12345"):
    return list(service.rows[tenant].values())


def test_rows_without_tags_and_metadata_are_completed(stand_in, local_brain):
    """The reference's examples of lists and searches have neither, and without them no scope can be checked."""
    maria = Scope(user="maria")
    with local_brain(stand_in(sparse=True), tenant_id="user_12345") as brain:
        brain.store("the lighthouse of Maria", scope=maria, tags=["a"], metadata={"n": 1})
        brain.store("the lighthouse of Mario", scope=Scope(user="mario"))
        [hit] = brain.search("lighthouse", scope=maria)
        assert (hit.memory.tags, hit.memory.metadata, hit.memory.scope) == (("a",), {"n": 1}, maria)
        assert list(brain.list(scope=maria)) == [hit.memory]
        assert brain.search(scope=maria)[0].memory == hit.memory


def test_what_herobrain_has_no_place_for_is_under_one_key(brain, service):
    scope = Scope(space="trips", user="maria", agent="planner", session="s-1")
    brain.store("x", scope=scope, title="T", type="preference", source="chat", metadata={"year": 2026})
    [row] = rows(service)
    assert row["type"] == "semantic"
    assert row["metadata"] == {
        "year": 2026,
        "onebrain": {
            "scope": {"space": "trips", "user": "maria", "agent": "planner", "session": "s-1"},
            "title": "T",
            "type": "preference",
            "source": "chat",
        },
    }
    assert len(row["tags"]) == 4
    assert not any(word in tag for tag in row["tags"] for word in ("maria", "trips", "planner", "s-1"))


@pytest.mark.parametrize("kind", ["episodic", "decision"])
def test_a_type_of_herobrains_own_is_used(brain, service, kind):
    id = brain.store("x", type=kind).id
    assert rows(service)[0]["type"] == kind
    assert brain.get(id).type == kind


def test_a_memory_of_another_client_is_read_as_it_is(brain, service):
    service.create(
        service.rows["user_12345"],
        {"content": "theirs", "type": "episodic", "tags": ["q4"], "metadata": {"onebrain": "no object"}},
    )
    [memory] = brain.list()
    assert (memory.content, memory.type, memory.tags, memory.importance) == (
        "theirs",
        "episodic",
        ("q4",),
        0.5,
    )
    assert memory.scope == Scope()
    assert brain.search("theirs", scope=Scope(user="maria")).hits == ()
    assert brain.update(memory.id, metadata={"n": 1}).metadata["n"] == 1
    assert brain.get(memory.id).importance == 0.5


def test_without_a_tenant_the_space_is_the_tenant(stand_in, local_brain, monkeypatch):
    monkeypatch.delenv("HEROBRAIN_TENANT_ID", raising=False)
    service = stand_in(tenants=("one", "two"))
    with local_brain(service) as brain:
        id = brain.store("the lighthouse", scope=Scope(space="one")).id
        assert len(rows(service, "one")) == 1
        assert brain.get(id, scope=Scope(space="one")).scope == Scope(space="one")
        assert brain.search("lighthouse", scope=Scope(space="two")).hits == ()
        assert brain.delete(id, scope=Scope(space="two")) == 0
        with pytest.raises(ConfigurationError, match="space"):
            brain.search("lighthouse")
        with pytest.raises(OneBrainPermissionError):
            brain.store("x", scope=Scope(space="three"))


def test_extra_fields_are_refused(brain):
    with pytest.raises(OneBrainValidationError, match="extra"):
        brain.store("x", extra={"color": "red"})


@pytest.mark.parametrize("url", ["herobrain://x", "herobrain+ftp://x", "herobrain+https://x?tenant=t"])
def test_a_wrong_url_says_how_one_looks(url):
    with pytest.raises(ConfigurationError, match="tenant_id"):
        driver(url, api_key="hb_k")


def test_connect_finds_the_driver():
    with onebrain.connect("herobrain+https://herobrain.test?tenant_id=t", api_key="hb_prod_secret") as brain:
        assert brain.capabilities.service == "herobrain"
        assert "secret" not in repr(brain)


def test_an_unknown_option_is_refused():
    with pytest.raises(ConfigurationError, match="tenant"):
        onebrain.connect("herobrain+https://herobrain.test", api_key="hb_k", tenant="t")

"""The bRRAIn driver keeps the promises of `Brain` against the live server's dialect."""

from __future__ import annotations

import pytest

import onebrain
from onebrain import Scope
from onebrain.errors import OneBrainNotFoundError
from onebrain.testing.conformance import DriverConformance, only
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server


class TestBrrainDialect(DriverConformance):
    driver = "brrain (server)"
    api = only("async")

    @pytest.fixture
    def empty_brain(self, address, key):
        return onebrain.connect(f"brrain+{address}", api_key=key)


@pytest.fixture
def brain(address, key):
    with onebrain.connect(f"brrain+{address}", api_key=key) as brain:
        yield brain


def test_a_memory_is_found_at_once_without_waiting(brain):
    id = brain.store("the lighthouse").id
    assert [
        hit.id for mode in ("vector", "keyword", "hybrid") for hit in brain.search("lighthouse", mode=mode)
    ] == [id] * 3


def test_many_large_texts_are_stored_though_no_request_may_have_them_all():
    settings = Settings(
        database_url="sqlite://", rate_limit_max=0, log_level="error", max_body_bytes=64 * 1024
    )
    texts = [f"{place} " + "lighthouse " * 1000 for place in range(20)]
    with (
        live_server(settings) as live,
        onebrain.connect(f"brrain+{live.url}/compat/brrain", api_key=live.key) as brain,
    ):
        results = brain.store_many(texts)
        assert len(set(results.ids)) == 20
        assert [memory.content for memory in brain.get_many(results.ids)] == texts


def test_a_deleted_text_can_be_stored_again(brain):
    first = brain.store("the lighthouse", scope=Scope(user="maria")).id
    assert brain.delete(first) == 1
    with pytest.raises(OneBrainNotFoundError):
        brain.get(first)
    again = brain.store("the lighthouse", scope=Scope(user="mario")).id
    assert brain.get(again).scope == Scope(user="mario")

"""Links on services that have none: real faults between the two writes, and the requests that they cost."""

from __future__ import annotations

import httpx
import pytest

import onebrain
from onebrain import RetryPolicy, Scope

EWA = Scope(user="ewa")
# The address of each service's format, and the requests of a search: bRRAIn's cannot be marked, and is asked for links.
SERVICES = {
    "onebrain": ("", 1),
    "ai-memory": ("/compat/ai-memory", 1),
    "herobrain": ("/compat/herobrain", 1),
    "rememberos": ("/compat/rememberos", 1),
    "brrain": ("/compat/brrain", 2),
}
MARKING = [name for name in SERVICES if name != "brrain"]


class Wire(httpx.HTTPTransport):
    """Notes the requests, and answers 500 to changes while `broken`."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.broken = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request.method)
        if self.broken and request.method in ("PATCH", "PUT"):
            return httpx.Response(500, request=request)
        return super().handle_request(request)


@pytest.fixture
def connect(onebrain_server_url, onebrain_api_key):
    """Connect to a service by its name; return the brain and its wire."""
    opened = []

    def made(name):
        wire = Wire()
        client = httpx.Client(transport=wire)
        options = {"tenant_id": "acme"} if name == "herobrain" else {}
        brain = onebrain.connect(
            f"{name}+{onebrain_server_url}{SERVICES[name][0]}",
            api_key=onebrain_api_key,
            http_client=client,
            retry=RetryPolicy(max_retries=0),
            **options,
        )
        opened.extend((brain, client))
        return brain, wire

    yield made
    for one in opened:
        one.close()


@pytest.mark.parametrize("name", MARKING)
def test_a_mark_that_could_not_be_written_is_written_by_the_next_read(connect, name):
    brain, wire = connect(name)
    old = brain.store("Ewa works at the bakery", scope=EWA).id
    wire.broken = True
    result = brain.supersede(old, "Ewa works at the harbour", scope=EWA)
    assert result.status == "created"
    # This brain knows it, though it still cannot write.
    assert [hit.id for hit in brain.search("Ewa works at the bakery", scope=EWA)] == [result.id]
    assert {memory.id for memory in brain.list(scope=EWA)} == {result.id}
    other, _ = connect(name)
    assert [memory.id for memory in other.history(old)] == [old]
    assert other.get(result.id).supersedes == (old,)
    assert other.get(old).superseded_by == result.id
    wire.broken = False
    assert brain.get(old).superseded_by == result.id


@pytest.mark.parametrize("name", MARKING)
def test_a_mark_that_could_not_be_taken_off_is_taken_off_by_the_next_read(connect, name):
    brain, wire = connect(name)
    old = brain.store("Ewa works at the bakery", scope=EWA).id
    new = brain.supersede(old, "Ewa works at the harbour", scope=EWA).id
    wire.broken = True
    assert brain.delete(new) == 1
    wire.broken = False
    assert brain.get(old).superseded_by is None
    assert [hit.id for hit in brain.search("Ewa works at the bakery", scope=EWA)] == [old]
    assert {memory.id for memory in brain.list(scope=EWA)} == {old}


@pytest.mark.parametrize("name", SERVICES)
def test_a_search_among_memories_without_links_sends_no_further_request(connect, name):
    brain, wire = connect(name)
    for text in ("the bakery", "the mill", "the harbour"):
        brain.store(text, scope=EWA)
    for options in ({}, {"scope": EWA}, {"scope": EWA, "include_superseded": True}):
        wire.requests.clear()
        assert len(brain.search("the bakery", limit=3, **options)) == 3
        assert len(wire.requests) == SERVICES[name][1]

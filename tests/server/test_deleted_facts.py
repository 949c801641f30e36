"""A message that any client deletes takes the facts along that were drawn from it alone; a `Brain` sees to them itself."""

from __future__ import annotations

import json

import httpx
import pytest

import onebrain
from onebrain import Scope
from onebrain.services.ai_memory.rows import wire_id_of

MAY = Scope(user="may", session="monday")
HOME = {"text": "May moved to Utrecht", "quote": "I moved to Utrecht", "from": 1}
CAT = {"text": "May has a cat", "quote": "my cat", "from": 1}
# The address of a memory by its id.
ADDRESSES = {
    "onebrain": lambda id: f"/v1/memory/{id}",
    "ai-memory": lambda id: f"/compat/ai-memory/api/v1/memories/{wire_id_of(id, MAY)}",
    "herobrain": lambda id: f"/compat/herobrain/api/v1/memories/{id}?tenantId=t",
    "rememberos": lambda id: "/compat/rememberos/v1/memory/collections/{}/memories/{}".format(*id.split("/")),
    "brrain": lambda id: f"/compat/brrain/v1/memory/{id}",
}


class Person:
    """A brain on a dialect, and another client that deletes."""

    def __init__(self, service, url, key):
        self.service = service
        address = url if service == "onebrain" else f"{url}/compat/{service}"
        options = {"tenant_id": "t"} if service == "herobrain" else {}
        self.brain = onebrain.connect(f"{service}+{address}", api_key=key, **options)
        kind = "ApiKey" if service == "onebrain" else "Bearer"
        self.http = httpx.Client(base_url=url, headers={"authorization": f"{kind} {key}", "x-api-key": key})

    def says(self, text, *facts):
        answer = json.dumps({"facts": list(facts)})
        result = self.brain.remember(text, scope=MAY, model=lambda prompt: answer).raise_for_error()
        return str(result.raw[0].id), [fact.id for fact in result.facts]

    def deletes(self, id):
        answer = self.http.delete(ADDRESSES[self.service](id))
        assert answer.status_code in (200, 204), answer.text

    def facts(self):
        found = self.brain.search("May Utrecht cat", scope=Scope(user="may"), limit=20)
        return {memory.content: memory for memory in found.memories if memory.type == "fact"}


@pytest.fixture(params=ADDRESSES)
def may(request, onebrain_server_url, onebrain_api_key):
    person = Person(request.param, onebrain_server_url, onebrain_api_key)
    yield person
    person.http.close()
    person.brain.close()


def test_facts_go_with_the_last_message_that_said_them(may):
    first, _ = may.says("I moved to Utrecht with my cat.", HOME, CAT)
    if not may.brain.capabilities.update:
        # Nothing notes that a message says a known fact again.
        may.deletes(first)
        assert may.facts() == {}
        return
    second, _ = may.says("As I said, I moved to Utrecht.", HOME)
    may.deletes(first)
    [(text, fact)] = may.facts().items()
    assert (text, fact.metadata["sources"]) == (HOME["text"], [second])
    assert "quote" not in fact.metadata
    assert fact.sources in ((), (second,))
    may.deletes(second)
    assert may.facts() == {}


def test_facts_stay_if_a_brain_wants_it(may):
    message, _ = may.says("I moved to Utrecht.", HOME)
    may.brain.delete(message, scope=MAY, keep_facts=True)
    assert set(may.facts()) == {HOME["text"]}


def test_bulk_deletions_reach_facts_as_well(onebrain_server_url, onebrain_api_key):
    may = Person("onebrain", onebrain_server_url, onebrain_api_key)
    message, [fact] = may.says("I moved to Utrecht.", HOME)
    asked = {"scope": {"user": "may", "session": "monday"}}
    for dry_run in (True, False):
        answer = may.http.post("/v1/memory/forget", json={**asked, "dryRun": dry_run}).json()["data"]
        assert answer == {"count": 2, "dryRun": dry_run, "ids": [message, fact]}
    assert may.facts() == {}
    # Agents are told of both.
    delta = may.http.get("/v1/connect/delta?since=2020-01-01T00:00:00Z").json()["data"]["changes"]
    assert {row["id"] for row in delta if row["action"] == "deleted"} == {message, fact}
    may.http.close()
    may.brain.close()

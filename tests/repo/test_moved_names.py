"""A public name that has moved can still be imported from its former module, with a warning that says where it is now."""

from __future__ import annotations

import asyncio
import importlib
import inspect

import pytest

import onebrain

GRAPH = "onebrain_engine.graph"
EXTRACTION = "onebrain_engine.extraction"
DRIVERS = "onebrain.memory.drivers"
SERVICES = "onebrain.services"
MOVED = {
    "onebrain.memory.urls:connect": "onebrain.urls:connect",
    "onebrain.memory.urls:connect_async": "onebrain.urls:connect_async",
    "onebrain.memory.urls:data_directory": "onebrain.urls:data_directory",
    "onebrain.memory.urls:resolve": "onebrain.urls:resolve",
    "onebrain.memory.urls:CLOUD": "onebrain.urls:CLOUD",
    "onebrain.memory.brains:Brains": "onebrain.brains:Brains",
    f"{DRIVERS}.onebrain:driver": f"{SERVICES}.onebrain.driver:driver",
    f"{DRIVERS}.onebrain:OneBrainDriver": f"{SERVICES}.onebrain.driver:OneBrainDriver",
    f"{DRIVERS}.onebrain:CAPABILITIES": f"{SERVICES}.onebrain.driver:CAPABILITIES",
    f"{DRIVERS}.ai_memory:connect": f"{SERVICES}.ai_memory.driver:driver",
    f"{DRIVERS}.ai_memory:AiMemoryDriver": f"{SERVICES}.ai_memory.driver:AiMemoryDriver",
    f"{DRIVERS}.ai_memory:CAPABILITIES": f"{SERVICES}.ai_memory.driver:CAPABILITIES",
    f"{DRIVERS}.herobrain:connect": f"{SERVICES}.herobrain.driver:driver",
    f"{DRIVERS}.herobrain:HeroBrainDriver": f"{SERVICES}.herobrain.driver:HeroBrainDriver",
    f"{DRIVERS}.herobrain:CAPABILITIES": f"{SERVICES}.herobrain.driver:CAPABILITIES",
    f"{DRIVERS}.rememberos:rememberos": f"{SERVICES}.rememberos.driver:driver",
    f"{DRIVERS}.rememberos:RememberOSDriver": f"{SERVICES}.rememberos.driver:RememberOSDriver",
    f"{DRIVERS}.rememberos:CAPABILITIES": f"{SERVICES}.rememberos.driver:CAPABILITIES",
    f"{DRIVERS}.brrain:brrain": f"{SERVICES}.brrain.driver:driver",
    f"{DRIVERS}.brrain:BrrainDriver": f"{SERVICES}.brrain.driver:BrrainDriver",
    f"{DRIVERS}.brrain:CAPABILITIES": f"{SERVICES}.brrain.driver:CAPABILITIES",
    f"{GRAPH}:find_entities": f"{EXTRACTION}:find_entities",
    f"{GRAPH}.extraction:find_entities": f"{EXTRACTION}.entities:find_entities",
    f"{GRAPH}.likeness:likeness": f"{EXTRACTION}.likeness:likeness",
    f"{GRAPH}.proposals:title_of": f"{EXTRACTION}.proposals:title_of",
    f"{GRAPH}.model:ChatModel": "onebrain.memory.remembering.chat:ChatModel",
}

# Methods of ai-memory's clients, by the names that ai-memory's own SDK has for them.
MOVED_METHODS = {
    "store": "memories.store",
    "bulk_store": "memories.bulk_store",
    "get": "memories.get",
    "update": "memories.update",
    "delete": "memories.delete",
    "promote": "memories.promote",
    "page": "memories.page",
    "list": "memories.list",
    "search": "memories.search",
    "recall": "memories.recall",
    "forget": "memories.forget",
    "grant": "memories.grant",
    "revoke": "memories.revoke",
    "link": "links.create",
    "unlink": "links.delete",
    "get_links": "links.list",
    "export": "transfer.export",
    "import_": "transfer.import_",
    "subscribe": "subscriptions.create",
    "unsubscribe": "subscriptions.delete",
    "notify": "messages.send",
    "inbox": "messages.inbox",
    "register_agent": "agents.register",
}


def loaded(address):
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("former", MOVED)
def test_a_moved_name_is_the_same_object_and_warns_with_its_present_address(former):
    present = MOVED[former]
    with pytest.warns(DeprecationWarning, match="has moved to") as caught:
        found = loaded(former)
    assert found is loaded(present)
    assert str(caught[0].message) == f"{former.replace(':', '.')} has moved to {present.replace(':', '.')}"
    assert caught[0].filename == __file__


def finished(result):
    """Return the result of a method of either kind of client."""
    return asyncio.run(result) if inspect.iscoroutine(result) else result


@pytest.mark.parametrize("former", MOVED_METHODS)
@pytest.mark.parametrize("kind", [onebrain.AiMemoryClient, onebrain.AsyncAiMemoryClient])
def test_a_moved_method_is_the_same_method_and_warns_with_its_present_name(kind, former):
    client = kind()
    method = getattr(client, former)
    resource, _, name = MOVED_METHODS[former].partition(".")
    present = getattr(getattr(client, resource), name)
    assert method.__wrapped__ == present
    assert inspect.signature(method) == inspect.signature(present)
    with (
        pytest.warns(DeprecationWarning, match=f"write {MOVED_METHODS[former]}") as caught,
        pytest.raises((TypeError, onebrain.OneBrainError)),
    ):
        finished(method(no_such_argument=1))
    assert caught[0].filename == __file__


@pytest.mark.parametrize("resource", ["agents", "subscriptions"])
def test_a_resource_that_was_a_method_can_still_be_called(resource):
    with (
        onebrain.AiMemoryClient("http://127.0.0.1:9", max_retries=0) as client,
        pytest.warns(DeprecationWarning, match=r"write list\(\)"),
        pytest.raises(onebrain.OneBrainConnectionError),
    ):
        getattr(client, resource)()


@pytest.mark.parametrize("module", sorted({former.partition(":")[0] for former in MOVED}))
def test_a_name_that_a_module_never_had_is_an_attribute_error(module):
    with pytest.raises(AttributeError, match="no_such_name"):
        loaded(f"{module}:no_such_name")

"""One set of options for the clients and drivers of all services."""

from __future__ import annotations

import asyncio
import copy
import pickle

import httpx
import pytest

import onebrain
from onebrain import ClientOptions, ConfigurationError, HttpOptions, RetryPolicy

CLIENTS = {
    "onebrain": (onebrain.OneBrain, onebrain.AsyncOneBrain, {"api_key": "ob_0123456789abcdef_secret"}),
    "ai-memory": (onebrain.AiMemoryClient, onebrain.AsyncAiMemoryClient, {}),
    "herobrain": (onebrain.HeroBrain, onebrain.AsyncHeroBrain, {"api_key": "hb_key", "tenant_id": "t"}),
    "rememberos": (onebrain.RememberOS, onebrain.AsyncRememberOS, {"api_key": "mv_key"}),
    "brrain": (onebrain.Brrain, onebrain.AsyncBrrain, {"api_key": "brr_live_key"}),
}
EACH = {
    "timeout": 5,
    "max_retries": 1,
    "retry": RetryPolicy(max_retries=0),
    "headers": {"x-team": "travel"},
    "verify": False,
    "cert": None,
    "proxy": "http://proxy.test:3128",
    "trust_env": False,
    "http": HttpOptions(verify=False),
    "http_client": None,
    "transport": None,
    "options": ClientOptions(timeout=5),
}
each_service = pytest.mark.parametrize("service", CLIENTS)


def url_of(service):
    return f"{service}+https://host.test" + ("?tenant_id=t" if service == "herobrain" else "")


@each_service
@pytest.mark.parametrize("name", EACH)
def test_each_client_and_each_driver_takes_each_option(service, name):
    sync, asynchronous, own = CLIENTS[service]
    option = {name: EACH[name]}
    with sync(base_url="https://host.test", **own, **option):
        pass
    asyncio.run(asynchronous(base_url="https://host.test", **own, **option).close())
    with onebrain.connect(url_of(service), api_key=own.get("api_key"), **option):
        pass


@each_service
def test_an_unknown_option_is_named_with_its_client(service):
    for kind in CLIENTS[service][:2]:
        with pytest.raises(
            TypeError, match=rf"{kind.__name__}\(\) got an unexpected keyword argument 'time_out'"
        ):
            kind(**CLIENTS[service][2], time_out=5)
    with pytest.raises(ConfigurationError, match=f"the {service} driver: .*'time_out'"):
        onebrain.connect(url_of(service), api_key="ob_0123456789abcdef_secret", time_out=5)


@each_service
@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), True, "5"])
def test_a_timeout_is_a_number_of_seconds(service, timeout):
    with pytest.raises(ConfigurationError, match="timeout: must be a number of seconds above 0"):
        CLIENTS[service][0](**CLIENTS[service][2], timeout=timeout)


def answering(seen):
    def answer(request):
        seen.append(request)
        return httpx.Response(503)

    return httpx.MockTransport(answer)


READS = {
    "onebrain": lambda client: client.health(),
    "ai-memory": lambda client: client.health(),
    "herobrain": lambda client: client.memories.get("mem_abc123def456"),
    "rememberos": lambda client: client.health(),
    "brrain": lambda client: client.memory.get("m1"),
}


@each_service
def test_headers_timeout_and_retries_reach_every_request(service):
    sync, _, own = CLIENTS[service]
    seen = []
    options = ClientOptions(
        headers={"x-team": "travel"}, timeout=7, retry=RetryPolicy(max_retries=1, base_delay=0)
    )
    with httpx.Client(transport=answering(seen)) as given:
        with (
            sync(base_url="https://host.test", **own, options=options, http_client=given) as client,
            pytest.raises(onebrain.OneBrainInternalError),
        ):
            READS[service](client)
        assert not given.is_closed
    assert len(seen) == 2
    assert {request.headers["x-team"] for request in seen} == {"travel"}
    assert {request.extensions["timeout"]["read"] for request in seen} == {7}


def test_an_option_by_name_wins_over_the_options_object():
    with httpx.Client(transport=answering(seen := [])) as given:
        options = ClientOptions(timeout=7, max_retries=5)
        client = onebrain.AiMemoryClient(options=options, max_retries=0, http_client=given)
        with client, pytest.raises(onebrain.OneBrainInternalError):
            client.health()
    assert [request.extensions["timeout"]["read"] for request in seen] == [7]


@each_service
def test_a_driver_uses_the_http_client_of_its_own_colour(service):
    seen = []
    key = CLIENTS[service][2].get("api_key")
    given = httpx.Client(transport=answering(seen))
    with onebrain.connect(url_of(service), api_key=key, http_client=given, max_retries=0) as brain:
        with pytest.raises(onebrain.OneBrainError):
            brain.search("tea")
        transports = brain.driver.transports()
    given.close()
    assert seen
    assert transports[1] is not None


@each_service
def test_a_client_is_shared_by_copies_and_holds_its_key_back_from_pickles(service):
    with CLIENTS[service][0](**CLIENTS[service][2]) as client:
        assert copy.copy(client) is copy.deepcopy(client) is client
        with pytest.raises(TypeError, match="it holds a key"):
            pickle.dumps(client)
        assert client.rate_limit is None
        assert client.base_url.startswith("http")


def test_a_transport_serves_its_own_colour():
    class Sender:
        def send(self, request):
            raise AssertionError

        def close(self):
            pass

    sender = Sender()
    options = ClientOptions(transport=sender)
    assert options.sync() is sender
    assert options.transports()[0] is sender
    with pytest.raises(ConfigurationError, match="for synchronous code"):
        options.asynchronous()
    with pytest.raises(ConfigurationError, match="for asynchronous code"):
        ClientOptions(transport="aiohttp").sync()
    with pytest.raises(TypeError):
        options.but(time_out=5)

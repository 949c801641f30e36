"""A key that HTTP cannot carry is refused before a request, and stands in no error, whoever made the client."""

from __future__ import annotations

import traceback

import httpx
import pytest
from pydantic import SecretStr

import onebrain
from onebrain import ConfigurationError
from onebrain.services.ai_memory import AiMemoryClient
from onebrain.services.herobrain import HeroBrain

SECRET = "sk_verysecret_0123456789"
CLIENTS = {
    "onebrain": lambda key, url, **options: onebrain.OneBrain(key, base_url=url, **options),
    "ai-memory": lambda key, url, **options: AiMemoryClient(url, api_key=key, **options),
    "herobrain": lambda key, url, **options: HeroBrain(key, "t", base_url=url, **options),
    "rememberos": lambda key, url, **options: onebrain.RememberOS(api_key=key, base_url=url, **options),
    "brrain": lambda key, url, **options: onebrain.Brrain(api_key=key, base_url=url, **options),
}


def told(error: BaseException) -> str:
    """Return everything that a logger may print of an error, its chained ones included."""
    texts = ["".join(traceback.format_exception(error))]
    while error is not None:
        texts += [str(error), repr(error.args), repr(getattr(error, "object", ""))]
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


@pytest.mark.parametrize("service", CLIENTS)
@pytest.mark.parametrize("around", ["{}\n", "\n{}", " {}\t", "{}\r\n"])
def test_white_space_around_a_key_does_not_matter(service, around, server):
    with CLIENTS[service](around.format(SECRET), server.url) as client:
        sent = (
            {**client._service._headers} if service != "rememberos" else {**client._service.private._headers}
        )
    assert any(value.rpartition(" ")[2] == SECRET for value in sent.values())


@pytest.mark.parametrize("service", CLIENTS)
@pytest.mark.parametrize("inside", ["\n", " ", "\0", "\x7f", "ü", "\u2028", "€"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(service, inside):
    key = f"{SECRET}{inside}{SECRET}"
    with pytest.raises(ConfigurationError, match="api_key") as caught:
        CLIENTS[service](key, "http://127.0.0.1:9")
    assert SECRET not in told(caught.value)


@pytest.mark.parametrize("service", CLIENTS)
def test_a_key_from_the_environment_is_checked_alike(service, monkeypatch):
    name = service.upper().replace("-", "_") + "_API_KEY"
    monkeypatch.setenv(name, f"{SECRET} {SECRET}")
    with pytest.raises(ConfigurationError, match=f"{name}: holds a space") as caught:
        CLIENTS[service](None, "http://127.0.0.1:9")
    assert SECRET not in told(caught.value)


@pytest.mark.parametrize("service", CLIENTS)
@pytest.mark.parametrize("key", [7, b"sk_bytes", ["sk"]])
def test_a_key_that_is_no_text_is_refused(service, key):
    with pytest.raises(ConfigurationError, match="api_key: must be a string"):
        CLIENTS[service](key, "http://127.0.0.1:9")


@pytest.mark.parametrize("service", ["rememberos", "brrain"])
def test_a_secret_of_pydantic_is_a_key(service):
    with CLIENTS[service](SecretStr(SECRET + "\n"), "http://127.0.0.1:9") as client:
        assert SECRET not in repr(client)


def test_a_header_of_the_callers_own_client_is_refused_once_and_not_quoted(server):
    with (
        httpx.Client(headers={"x-own": f"Bearer {SECRET}\n"}) as own,
        AiMemoryClient(server.url, http_client=own) as client,
        pytest.raises(ConfigurationError, match="header") as caught,
    ):
        client.stats()
    assert SECRET not in told(caught.value)
    assert server.requests == []

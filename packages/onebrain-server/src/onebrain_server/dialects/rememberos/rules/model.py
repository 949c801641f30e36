"""A tenant's language model: its own where it has one, which is reached through the address guard; else the server's.

What the server's model may cost a tenant in a month can be capped. This server knows no prices, so that a month has always
cost 0, and a cap of 0 is the only one that is ever reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onebrain.errors import ConfigurationError
from onebrain.memory.remembering.chat import ChatModel
from onebrain_server.language_model import SECONDS, LanguageModel
from onebrain_server.security.transport import GuardedTransport

if TYPE_CHECKING:
    from onebrain_server.server import Server

MODEL: Final = "rememberos.model"
CAP: Final = "rememberos.cap"
# There is one of each.
ID: Final = "config"


def model_of(server: Server, tenant: str) -> LanguageModel | None:
    """Return the model that works for a tenant; None for no model."""
    mine = own_model(server, tenant)
    if mine is not None:
        return mine
    return None if server.model is None or cap_of(server, tenant) == 0 else server.model


def own_model(server: Server, tenant: str) -> LanguageModel | None:
    """Return the model that a tenant has configured for itself."""
    found = server.records.get(tenant, MODEL, ID)
    if found is None:
        return None
    try:
        model = guarded(server, found.body["base_url"], found.body["model"], found.body["api_key"])
    except ConfigurationError:
        # An earlier version saved addresses that no model can have.
        return None
    return LanguageModel(model)


def guarded(server: Server, base_url: str, name: str, api_key: str, *, timeout: float = SECONDS) -> ChatModel:
    """Return a model of a tenant's own, whose every request passes the address guard.

    Raises:
        ConfigurationError: The address or the key cannot be used; the message does not quote the key.
    """
    return ChatModel(base_url, name, api_key, timeout=timeout, transport=GuardedTransport(server.fetcher))


def cap_of(server: Server, tenant: str) -> float | None:
    """Return a tenant's cap in US dollars a month; None for no cap."""
    found = server.records.get(tenant, CAP, ID)
    return None if found is None else found.body["monthly_usd"]


def capped(server: Server, tenant: str) -> bool:
    """Return whether only its cap keeps the server's model from working for a tenant."""
    return server.model is not None and model_of(server, tenant) is None

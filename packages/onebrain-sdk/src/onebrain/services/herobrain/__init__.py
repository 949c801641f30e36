"""HeroBrain: the typed client of its API, by the API reference v1.0.0."""

from typing import TYPE_CHECKING

from onebrain._core.lazy import load

if TYPE_CHECKING:
    from onebrain.services.herobrain.client import AsyncHeroBrain, HeroBrain
    from onebrain.services.herobrain.models import (
        ApiKey,
        DecisionChain,
        Deleted,
        FoundMemory,
        KeyLimits,
        Memory,
        MemoryPage,
        MemoryType,
        NewApiKey,
        Pagination,
        Patterns,
        SearchResponse,
        UsageMetrics,
        Webhook,
        WebhookEvent,
        WebhookTest,
    )
    from onebrain.services.herobrain.service import TEST_TENANT

__all__ = [
    "TEST_TENANT",
    "ApiKey",
    "AsyncHeroBrain",
    "DecisionChain",
    "Deleted",
    "FoundMemory",
    "HeroBrain",
    "KeyLimits",
    "Memory",
    "MemoryPage",
    "MemoryType",
    "NewApiKey",
    "Pagination",
    "Patterns",
    "SearchResponse",
    "UsageMetrics",
    "Webhook",
    "WebhookEvent",
    "WebhookTest",
]

# The modules of the names that are no models.
_OTHERS = {"AsyncHeroBrain": ".client", "HeroBrain": ".client", "TEST_TENANT": ".service"}


def __getattr__(name: str) -> object:
    return load(__name__, name, {**dict.fromkeys(__all__, ".models"), **_OTHERS})

"""HeroBrain: the typed client of its API, by the API reference v1.0.0."""

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

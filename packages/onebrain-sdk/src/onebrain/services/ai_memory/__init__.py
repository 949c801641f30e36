"""ai-memory: the typed client of its HTTP API, for the daemon's version 0.6.4 and its neighbours.

Its errors are those of `onebrain.errors`; the names that ai-memory's own SDK has for them are here, too.
"""

from typing import TYPE_CHECKING

from onebrain._core.lazy import load
from onebrain.errors import OneBrainAuthenticationError as AuthError
from onebrain.errors import OneBrainConflictError as ConflictError
from onebrain.errors import OneBrainConnectionError as TransportError
from onebrain.errors import OneBrainError as AiMemoryError
from onebrain.errors import OneBrainInternalError as ServerError
from onebrain.errors import OneBrainNotFoundError as NotFoundError
from onebrain.errors import OneBrainPermissionError as ForbiddenError
from onebrain.errors import OneBrainRateLimitError as RateLimitError
from onebrain.errors import OneBrainValidationError as ValidationError

if TYPE_CHECKING:
    from onebrain.services.ai_memory.client import AiMemoryClient, AsyncAiMemoryClient
    from onebrain.services.ai_memory.models import (
        Access,
        Agent,
        BulkResponse,
        Collected,
        Created,
        CreateMemory,
        Deleted,
        Export,
        Forgotten,
        Health,
        ImportResponse,
        Inbox,
        InboxMessage,
        Link,
        Linked,
        ListResponse,
        Memory,
        NamespaceCount,
        Notified,
        NotifyRequest,
        Pending,
        Promoted,
        RecalledMemory,
        RecallMeta,
        RecallResponse,
        RegisteredAgent,
        Relation,
        SearchResponse,
        Stats,
        Subscription,
        SubscriptionRequest,
        Tier,
        TierCount,
        Unsubscribed,
        UpdateMemory,
    )
    from onebrain.services.ai_memory.webhooks import verify_webhook_signature

__all__ = [
    "Access",
    "Agent",
    "AiMemoryClient",
    "AiMemoryError",
    "AsyncAiMemoryClient",
    "AuthError",
    "BulkResponse",
    "Collected",
    "ConflictError",
    "CreateMemory",
    "Created",
    "Deleted",
    "Export",
    "ForbiddenError",
    "Forgotten",
    "Health",
    "ImportResponse",
    "Inbox",
    "InboxMessage",
    "Link",
    "Linked",
    "ListResponse",
    "Memory",
    "NamespaceCount",
    "NotFoundError",
    "Notified",
    "NotifyRequest",
    "Pending",
    "Promoted",
    "RateLimitError",
    "RecallMeta",
    "RecallResponse",
    "RecalledMemory",
    "RegisteredAgent",
    "Relation",
    "SearchResponse",
    "ServerError",
    "Stats",
    "Subscription",
    "SubscriptionRequest",
    "Tier",
    "TierCount",
    "TransportError",
    "Unsubscribed",
    "UpdateMemory",
    "ValidationError",
    "verify_webhook_signature",
]

# The modules of the names that are no models.
_OTHERS = {
    "AiMemoryClient": ".client",
    "AsyncAiMemoryClient": ".client",
    "verify_webhook_signature": ".webhooks",
}


def __getattr__(name: str) -> object:
    return load(__name__, name, {**dict.fromkeys(__all__, ".models"), **_OTHERS})

"""OneBrain for Python: long-term memory for agents, on your laptop, on a server, or on five services.

Start with `connect`, which returns a `Brain`::

    import onebrain

    brain = onebrain.connect()  # embedded: no key, no server, no network
    brain.store("Maria prefers window seats", scope=onebrain.Scope(user="maria"))
    brain.search("where does she like to sit?", scope=onebrain.Scope(user="maria"))[0].content
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onebrain._core.client import ClientOptions
    from onebrain._core.codec import UNSET
    from onebrain._core.paging import Page
    from onebrain._core.retry import RetryPolicy
    from onebrain._core.transport import HttpOptions
    from onebrain.errors import (
        ConfigurationError,
        DatabaseBusy,
        DatabaseCorrupt,
        DatabaseFull,
        DatabaseReadOnly,
        EmbedderError,
        EmbedderMismatch,
        MissingDependency,
        ModelError,
        OneBrainArgumentError,
        OneBrainAuthenticationError,
        OneBrainConflictError,
        OneBrainConnectionError,
        OneBrainError,
        OneBrainInternalError,
        OneBrainNotFoundError,
        OneBrainPermissionError,
        OneBrainRateLimitError,
        OneBrainResponseError,
        OneBrainTimeoutError,
        OneBrainTransportError,
        OneBrainValidationError,
        QuotaExceeded,
        ReembedConflict,
        SchemaTooNew,
        StorageError,
        Unsupported,
        UnsupportedByServer,
        WebhookVerificationError,
    )
    from onebrain.memory.brain import AsyncBrain, Brain
    from onebrain.memory.capabilities import Capabilities
    from onebrain.memory.entities import Entity, Relation
    from onebrain.memory.filters import F
    from onebrain.memory.models import (
        Context,
        Explanation,
        ForgetResult,
        Hit,
        Memory,
        NewMemory,
        ReembedResult,
        Scope,
        SearchResult,
        StoreResult,
        StoreResults,
        Suggestion,
    )
    from onebrain.memory.remembering.chat import ChatModel
    from onebrain.memory.remembering.results import Fact, RememberResult
    from onebrain.memory.sqlite_urls import sqlite_url
    from onebrain.services.ai_memory import AiMemoryClient, AsyncAiMemoryClient, Tier
    from onebrain.services.brrain import AsyncBrrain, Brrain
    from onebrain.services.herobrain import AsyncHeroBrain, HeroBrain
    from onebrain.services.onebrain import AsyncOneBrain, OneBrain
    from onebrain.services.rememberos import AsyncRememberOS, RememberOS
    from onebrain.urls import connect, connect_async

__version__ = "2.0.0"

# Where each name is defined, errors excepted. They are loaded when they are first used, so that importing onebrain costs
# nothing.
_HOMES = {
    "onebrain._core.client": ("ClientOptions",),
    "onebrain._core.codec": ("UNSET",),
    "onebrain._core.paging": ("Page",),
    "onebrain._core.retry": ("RetryPolicy",),
    "onebrain._core.transport": ("HttpOptions",),
    "onebrain.memory.brain": (
        "AsyncBrain",
        "Brain",
    ),
    "onebrain.memory.capabilities": ("Capabilities",),
    "onebrain.memory.entities": ("Entity", "Relation"),
    "onebrain.memory.filters": ("F",),
    "onebrain.memory.models": (
        "Context",
        "Explanation",
        "ForgetResult",
        "Hit",
        "Memory",
        "NewMemory",
        "ReembedResult",
        "Scope",
        "SearchResult",
        "StoreResult",
        "StoreResults",
        "Suggestion",
    ),
    "onebrain.memory.remembering.chat": ("ChatModel",),
    "onebrain.memory.remembering.results": ("Fact", "RememberResult"),
    "onebrain.memory.sqlite_urls": ("sqlite_url",),
    "onebrain.services.ai_memory": (
        "AiMemoryClient",
        "AsyncAiMemoryClient",
        "Tier",
    ),
    "onebrain.services.brrain": (
        "AsyncBrrain",
        "Brrain",
    ),
    "onebrain.services.herobrain": (
        "AsyncHeroBrain",
        "HeroBrain",
    ),
    "onebrain.services.onebrain": (
        "AsyncOneBrain",
        "OneBrain",
    ),
    "onebrain.services.rememberos": (
        "AsyncRememberOS",
        "RememberOS",
    ),
    "onebrain.urls": (
        "connect",
        "connect_async",
    ),
}
__all__ = [
    "UNSET",
    "AiMemoryClient",
    "AsyncAiMemoryClient",
    "AsyncBrain",
    "AsyncBrrain",
    "AsyncHeroBrain",
    "AsyncOneBrain",
    "AsyncRememberOS",
    "Brain",
    "Brrain",
    "Capabilities",
    "ChatModel",
    "ClientOptions",
    "ConfigurationError",
    "Context",
    "DatabaseBusy",
    "DatabaseCorrupt",
    "DatabaseFull",
    "DatabaseReadOnly",
    "EmbedderError",
    "EmbedderMismatch",
    "Entity",
    "Explanation",
    "F",
    "Fact",
    "ForgetResult",
    "HeroBrain",
    "Hit",
    "HttpOptions",
    "Memory",
    "MissingDependency",
    "ModelError",
    "NewMemory",
    "OneBrain",
    "OneBrainArgumentError",
    "OneBrainAuthenticationError",
    "OneBrainConflictError",
    "OneBrainConnectionError",
    "OneBrainError",
    "OneBrainInternalError",
    "OneBrainNotFoundError",
    "OneBrainPermissionError",
    "OneBrainRateLimitError",
    "OneBrainResponseError",
    "OneBrainTimeoutError",
    "OneBrainTransportError",
    "OneBrainValidationError",
    "Page",
    "QuotaExceeded",
    "ReembedConflict",
    "ReembedResult",
    "Relation",
    "RememberOS",
    "RememberResult",
    "RetryPolicy",
    "SchemaTooNew",
    "Scope",
    "SearchResult",
    "StorageError",
    "StoreResult",
    "StoreResults",
    "Suggestion",
    "Tier",
    "Unsupported",
    "UnsupportedByServer",
    "WebhookVerificationError",
    "__version__",
    "connect",
    "connect_async",
    "sqlite_url",
]

_HOME_OF = {name: "onebrain.errors" for name in __all__ if name != "__version__"}
for _home, _names in _HOMES.items():
    _HOME_OF.update(dict.fromkeys(_names, _home))


def __getattr__(name: str) -> Any:
    from onebrain._core.lazy import load

    return load(__name__, name, _HOME_OF)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

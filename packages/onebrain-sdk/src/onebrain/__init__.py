"""OneBrain for Python: long-term memory for agents, on your laptop, on a server, or on five services.

Start with `connect`, which returns a `Brain`::

    import onebrain

    brain = onebrain.connect()  # embedded: no key, no server, no network
    brain.store("Maria prefers window seats", scope=onebrain.Scope(user="maria"))
    brain.search("where does she like to sit?", scope=onebrain.Scope(user="maria"))[0].content
"""

from typing import TYPE_CHECKING, Any

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
    EmbedderMismatch,
    MissingDependency,
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
    OneBrainValidationError,
    QuotaExceeded,
    SchemaTooNew,
    StorageError,
    Unsupported,
    UnsupportedByServer,
    WebhookVerificationError,
)
from onebrain.memory.brain import AsyncBrain, Brain
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.filters import F
from onebrain.memory.models import (
    Context,
    ForgetResult,
    Hit,
    Memory,
    NewMemory,
    Scope,
    SearchResult,
    StoreResult,
    StoreResults,
)
from onebrain.memory.urls import connect, connect_async

if TYPE_CHECKING:
    from onebrain.services.ai_memory import AiMemoryClient, AsyncAiMemoryClient, Tier
    from onebrain.services.brrain import AsyncBrrain, Brrain
    from onebrain.services.herobrain import AsyncHeroBrain, HeroBrain
    from onebrain.services.onebrain import AsyncOneBrain, OneBrain
    from onebrain.services.rememberos import AsyncRememberOS, RememberOS

__version__ = "2.0.0"

# Loaded when they are first used: importing onebrain must stay light.
_LAZY = {
    "AsyncBrrain": "onebrain.services.brrain",
    "AsyncRememberOS": "onebrain.services.rememberos",
    "Brrain": "onebrain.services.brrain",
    "RememberOS": "onebrain.services.rememberos",
    "AiMemoryClient": "onebrain.services.ai_memory",
    "AsyncAiMemoryClient": "onebrain.services.ai_memory",
    "AsyncHeroBrain": "onebrain.services.herobrain",
    "HeroBrain": "onebrain.services.herobrain",
    "Tier": "onebrain.services.ai_memory",
    "AsyncOneBrain": "onebrain.services.onebrain",
    "OneBrain": "onebrain.services.onebrain",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


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
    "ConfigurationError",
    "Context",
    "DatabaseBusy",
    "DatabaseCorrupt",
    "DatabaseFull",
    "DatabaseReadOnly",
    "EmbedderMismatch",
    "F",
    "ForgetResult",
    "HeroBrain",
    "Hit",
    "HttpOptions",
    "Memory",
    "MissingDependency",
    "NewMemory",
    "OneBrain",
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
    "OneBrainValidationError",
    "Page",
    "QuotaExceeded",
    "RememberOS",
    "RetryPolicy",
    "SchemaTooNew",
    "Scope",
    "SearchResult",
    "StorageError",
    "StoreResult",
    "StoreResults",
    "Tier",
    "Unsupported",
    "UnsupportedByServer",
    "WebhookVerificationError",
    "__version__",
    "connect",
    "connect_async",
]

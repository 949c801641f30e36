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
    from onebrain.services.onebrain import AsyncOneBrain, OneBrain

__version__ = "2.0.0"

# Loaded when they are first used: importing onebrain must stay light.
_LAZY = {
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
    "AsyncBrain",
    "AsyncOneBrain",
    "Brain",
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
    "Hit",
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
    "SchemaTooNew",
    "Scope",
    "SearchResult",
    "StorageError",
    "StoreResult",
    "StoreResults",
    "Unsupported",
    "UnsupportedByServer",
    "WebhookVerificationError",
    "__version__",
    "connect",
    "connect_async",
]

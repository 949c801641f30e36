"""OneBrain for Python: long-term memory for agents, on your laptop, on a server, or on five services.

Start with `connect`, which returns a `Brain`::

    import onebrain

    brain = onebrain.connect()  # embedded: no key, no server, no network
    brain.store("Maria prefers window seats", scope=onebrain.Scope(user="maria"))
    brain.search("where does she like to sit?", scope=onebrain.Scope(user="maria"))[0].content
"""

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

__version__ = "2.0.0"

__all__ = [
    "UNSET",
    "AsyncBrain",
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

"""Every error that OneBrain raises, in one tree.

::

    OneBrainError
    ├── OneBrainAuthenticationError      401, or no key where one is needed
    ├── OneBrainPermissionError          403
    ├── OneBrainNotFoundError            404
    │   └── UnsupportedByServer          the server has no such route (is an Unsupported, too)
    ├── OneBrainConflictError            409
    ├── OneBrainValidationError          400, 422, or refused here before anything was sent (is a ValueError)
    │   └── OneBrainArgumentError        a call with arguments that the method does not have (is a TypeError)
    ├── OneBrainRateLimitError           429, with ``retry_after``
    │   └── QuotaExceeded                the plan's allowance is used up (402, or 403 or 429 that names it)
    ├── OneBrainInternalError            5xx
    ├── OneBrainTransportError           no answer came
    │   ├── OneBrainConnectionError      the network, a name or TLS failed
    │   └── OneBrainTimeoutError         it took too long
    ├── OneBrainResponseError            an answer came that cannot be read
    ├── Unsupported                      this service cannot do that
    ├── ConfigurationError               a wrong URL, key or option (is a ValueError)
    │   └── MissingDependency            an optional part is not installed (is an ImportError)
    ├── EmbedderError                    the embedder given by the caller failed
    ├── EmbedderMismatch                 vectors of another embedder or dimension than the space has
    ├── ModelError                       the language model given by the caller failed, or its answer cannot be used
    ├── ReembedConflict                  an unfinished reembed makes vectors of another embedder
    ├── WebhookVerificationError         a webhook's signature is missing, wrong, too old or too new
    └── StorageError                     the embedded brain's database
        ├── DatabaseBusy                 other writers held it for too long
        ├── DatabaseCorrupt              the file is damaged, or not a brain at all
        ├── DatabaseFull                 no space left
        ├── DatabaseReadOnly             the file or its folder cannot be written
        └── SchemaTooNew                 the file was written by a newer version

An error never holds a key or the text of a memory: messages are built from facts about the request, and what a
server says passes through :func:`redact` first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from onebrain._core.limits import RateLimit

__all__ = [
    "ConfigurationError",
    "DatabaseBusy",
    "DatabaseCorrupt",
    "DatabaseFull",
    "DatabaseReadOnly",
    "EmbedderMismatch",
    "MissingDependency",
    "ModelError",
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
    "QuotaExceeded",
    "ReembedConflict",
    "SchemaTooNew",
    "StorageError",
    "Unsupported",
    "UnsupportedByServer",
    "WebhookVerificationError",
    "redact",
]

# Keys of the services, JWTs, and whatever stands behind an authentication scheme or in a URL's user part.
_SECRETS = re.compile(
    r"\bob_[0-9A-Za-z]{2,}[_:][0-9A-Za-z]+"
    r"|\b(?:hb|brr)_[a-z]+_[0-9A-Za-z_-]+"
    # Not "re-", with which words begin: "re-authenticate" is no key.
    r"|\b(?:(?:mv|sk|whsec)[_-]|re_)[0-9A-Za-z_-]{6,}"
    # From the beginning of the run that it stands in: to begin anywhere would be to read a run once for each "eyJ".
    r"|(?<![0-9A-Za-z_-])(?>[0-9A-Za-z_-]*?\beyJ)[0-9A-Za-z_-]++\.[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)?"
    r"|(?<=ApiKey )\S+|(?<=Bearer )\S+|(?<=Basic )\S+"
    r"|(?<=api_key=)[^&\s\"']+|(?<=password=)[^&\s\"']+|(?<=token=)[^&\s\"']+|(?<=secret=)[^&\s\"']+"
    r"|(?<=[?&]key=)[^&\s\"']+"
    # A password that nobody percent-encoded may hold what separates the parts of a URL: all goes up to the last @. What
    # stands behind a host is a port.
    r"|(?<=://)[^/@\s:\"']*:(?!\d{1,5}(?:[/?#\s\"']|$))[^\s\"'<>]{0,300}(?=@)"
    r"|(?<=://)[^/@\s:\"']*:[^/?#\s\"']*(?=@)"
    r"|(?<=http://)[^/?#\s\"']+(?=@)|(?<=https://)[^/?#\s\"']+(?=@)"
)


def redact(text: str, *secrets: str) -> str:
    """Return `text` with every known `secrets` and everything shaped like a key replaced by ``***``."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return _SECRETS.sub("***", text)


def _redact_deep(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return redact(value, *secrets)
    if isinstance(value, dict):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {redact(str(key), *secrets): _redact_deep(item, secrets) for key, item in pairs}
    if isinstance(value, list | tuple):
        return [_redact_deep(item, secrets) for item in cast("Sequence[Any]", value)]
    return value


class OneBrainError(Exception):
    """The base of every error that OneBrain raises.

    Attributes:
        message: What happened and what to do about it.
        service: The service that was asked, such as ``"onebrain"`` or ``"sqlite"``, or None.
        status_code: The HTTP status, or None where no answer came or none was asked for.
        code: The service's own error code, such as ``"VALIDATION_ERROR"``, or None.
        request_id: The id under which the service logged the request, or None.
        retry_after: Seconds to wait before trying again, or None.
        details: What the service said beyond the message, redacted; usually a list of issues.
        in_doubt: True where an earlier attempt of the same request, before a retry, may have taken effect.
    """

    in_doubt: bool = False

    def __init__(
        self,
        message: str,
        *,
        service: str | None = None,
        status_code: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        details: Any = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self.message = redact(message, *secrets)
        super().__init__(self.message)
        self.service = service
        self.status_code = status_code
        # A service may repeat the request in any of these.
        self.code = None if code is None else redact(code, *secrets)
        self.request_id = None if request_id is None else redact(request_id, *secrets)
        self.retry_after = retry_after
        self.details = _redact_deep(details, secrets)

    def __str__(self) -> str:
        facts = [
            f"{name}={value}"
            for name, value in (
                ("service", self.service),
                ("status", self.status_code),
                ("code", self.code),
                ("request_id", self.request_id),
            )
            if value is not None
        ]
        return f"{self.message} [{', '.join(facts)}]" if facts else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions cross process borders by pickle, which by itself would lose every keyword argument.
        return _rebuild, (type(self), self.message, dict(self.__dict__))


def _rebuild(kind: type[OneBrainError], message: str, state: dict[str, Any]) -> OneBrainError:
    error = kind.__new__(kind, message)
    error.__dict__.update(state)
    return error


class OneBrainAuthenticationError(OneBrainError):
    """The key is missing, wrong, expired or revoked (401)."""


class OneBrainPermissionError(OneBrainError):
    """The key may not do this (403)."""


class OneBrainNotFoundError(OneBrainError):
    """What was asked for does not exist, or not for this key and scope (404)."""


class OneBrainConflictError(OneBrainError):
    """It exists already, or changed meanwhile (409); ``existing_id`` names it where the service does."""

    existing_id: str | None = None


class OneBrainValidationError(OneBrainError, ValueError):
    """The input is wrong: refused by the service (400, 422), or here before anything was sent."""


class OneBrainArgumentError(OneBrainValidationError, TypeError):
    """A method was called with arguments that it does not have, or without one that it needs."""


class OneBrainRateLimitError(OneBrainError):
    """Too many requests (429); ``retry_after`` says how many seconds to wait, where the service does.

    Attributes:
        rate_limit: The limit, what is left of it and when it is reset, where the service's headers say so.
    """

    rate_limit: RateLimit | None = None


class QuotaExceeded(OneBrainRateLimitError):
    """The plan's allowance is used up (402, or 403 or 429 that names it): retrying soon is useless.

    ``retry_after`` says when a part of it is free again, where it comes back by itself.
    """


class OneBrainInternalError(OneBrainError):
    """The service failed (5xx)."""


class OneBrainTransportError(OneBrainError):
    """No answer came: the connection failed or took too long.

    Attributes:
        never_sent: True if the request provably never left, so that sending a write again is safe.
    """

    never_sent: bool = False


class OneBrainConnectionError(OneBrainTransportError):
    """The connection failed: the network, a name or TLS."""


class OneBrainTimeoutError(OneBrainTransportError):
    """No answer came in time; a write may or may not have happened."""


class OneBrainResponseError(OneBrainError):
    """An answer came that is not what the service's API promises, such as HTML from a proxy."""


class Unsupported(OneBrainError):
    """The service cannot do what was asked, and nothing was done instead.

    Example:
        >>> raise Unsupported("updating a memory", "brrain")
        Traceback (most recent call last):
            ...
        onebrain.errors.Unsupported: brrain does not support updating a memory [service=brrain]
    """

    def __init__(self, capability: str, service: str | None = None, *, hint: str = "", **facts: Any) -> None:
        message = f"{service or 'this service'} does not support {capability}"
        super().__init__(f"{message}; {hint}" if hint else message, service=service, **facts)
        self.capability = capability


class UnsupportedByServer(Unsupported, OneBrainNotFoundError):
    """This server has no route for the call; another version, or OneBrain's own server, may have one."""


class ConfigurationError(OneBrainError, ValueError):
    """A URL, key or option given to OneBrain is wrong."""


class MissingDependency(ConfigurationError, ImportError):
    """An optional part is not installed; the message holds the command that installs it."""


class EmbedderError(OneBrainError):
    """The embedder given by the caller failed; nothing was stored. Its own error is the ``__cause__`` of this one."""


class EmbedderMismatch(OneBrainError, ValueError):
    """Vectors of another embedder or dimension than the ones a space already holds; the message names both."""


class ModelError(OneBrainError):
    """The language model given by the caller failed, or its answer cannot be used; no message was lost."""


class ReembedConflict(OneBrainError):
    """An unfinished `reembed` of a space makes vectors of another embedder; the message names both."""


class WebhookVerificationError(OneBrainError, ValueError):
    """A webhook delivery is not to be trusted; ``reason`` says why."""

    def __init__(self, reason: str, *, service: str | None = None) -> None:
        super().__init__(f"webhook delivery refused: {reason}", service=service)
        self.reason = reason


class StorageError(OneBrainError):
    """The embedded brain's database could not be read or written."""


class DatabaseBusy(StorageError):
    """Other writers held the database for too long; nothing was written, try again."""


class DatabaseCorrupt(StorageError):
    """The database file is damaged, or is not a brain."""


class DatabaseFull(StorageError):
    """There is no space left for the database; nothing of the failed write was kept."""


class DatabaseReadOnly(StorageError):
    """The database file or its folder cannot be written."""


class SchemaTooNew(StorageError):
    """The database was written by a newer version of onebrain-engine; nothing was changed."""

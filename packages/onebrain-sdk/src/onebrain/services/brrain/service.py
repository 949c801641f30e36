"""The parts that every call to bRRAIn shares: its address, the checks before it is sent, and the reading of failures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from onebrain._core import client
from onebrain._core.client import ClientOptions
from onebrain._core.codec import as_object, is_object
from onebrain._core.credentials import credential
from onebrain._core.service import Explanation, Service, Spec
from onebrain._core.steps import Mode, Steps
from onebrain._core.transport import Response
from onebrain._core.wire import read
from onebrain.errors import ConfigurationError, OneBrainAuthenticationError, OneBrainValidationError

NAME: Final = "brrain"
# In seconds.
DEFAULT_TIMEOUT: Final = 30.0
CLOUD: Final = "https://api.brrain.io"

# Limits that the documentation states; a megabyte is read as 2^20 bytes of UTF-8.
MAX_CONTENT_BYTES: Final = 1_048_576
MAX_BATCH: Final = 100
MAX_PAGE: Final = 100

# Literal routes below /v1/memory: an id equal to one of them would address the route instead.
ROUTES: Final = frozenset({"store", "batch", "retrieve"})

T = TypeVar("T", bound=BaseModel)


def explain(response: Response, body: Any) -> Explanation:
    """Read a failed answer: the overview's ``{"error": {...}}`` first, then problem+json, then plain text."""
    if is_object(body):
        inner: Any = body.get("error")
        if is_object(inner):
            return _overview(inner, body)
        if isinstance(inner, str):
            return Explanation(_text(body.get("message")) or inner, code=_text(body.get("code")))
        return _problem(body)
    text = response.content.decode("utf-8", "replace").strip()
    # A page of a proxy or load balancer says nothing that a reader of the message could use.
    readable = len(text) <= 300 and "<" not in text
    return Explanation(text if readable else "")


def _overview(error: Mapping[str, Any], outer: Mapping[str, Any]) -> Explanation:
    rest = {
        key: value
        for key, value in error.items()
        if key not in ("code", "message", "request_id", "status", "existing_id")
    }
    return Explanation(
        _text(error.get("message")) or "",
        code=_text(error.get("code")),
        details=rest or None,
        request_id=_text(error.get("request_id")),
        existing_id=existing_id(error) or existing_id(outer),
    )


def _problem(problem: Mapping[str, Any]) -> Explanation:
    """Read RFC 7807: the code is the fragment of ``type``."""
    kind = _text(problem.get("type")) or ""
    title, detail = _text(problem.get("title")), _text(problem.get("detail"))
    known = ("type", "title", "status", "detail", "instance", "request_id", "existing_id")
    rest = {key: value for key, value in problem.items() if key not in known}
    return Explanation(
        ": ".join(part for part in (title, detail) if part),
        code=kind.rpartition("#")[2] if "#" in kind else None,
        details=rest or None,
        request_id=_text(problem.get("request_id")),
        existing_id=existing_id(problem),
    )


def existing_id(said: Mapping[str, Any]) -> str | None:
    """Return the id of the memory that stands in the way, where an error names it."""
    inner: Any = said.get("details")
    details: Mapping[str, Any] = as_object(inner)
    return _text(said.get("existing_id")) or _text(details.get("existing_id"))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


class BrrainService(Service):
    """Asks bRRAIn and reads answers into records."""

    def get(self, kind: type[T], spec: Spec) -> Steps[T]:
        """Send `spec` and read its answer as one `kind`."""
        reply = yield from self.ask(spec)
        return read(kind, reply.data, service=NAME)


class Resource(client.Resource[Mode, BrrainService]):
    """A group of endpoints."""


def make_service(
    base_url: str | None, *, api_key: str | SecretStr | None, options: ClientOptions
) -> BrrainService:
    """Return the service for a client or a driver, with arguments that are None taken from the environment."""
    key = credential("api_key", api_key, "BRRAIN_API_KEY")
    if key is None:
        raise OneBrainAuthenticationError(
            "bRRAIn needs an API key: pass api_key='brr_live_...' or set BRRAIN_API_KEY", service=NAME
        )
    url = (base_url or os.environ.get("BRRAIN_BASE_URL") or CLOUD).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError("base_url: must begin with https:// or http://", service=NAME)
    host = urlsplit(url).hostname or ""
    if url.startswith("http://") and (host == "brrain.io" or host.endswith(".brrain.io")):
        raise ConfigurationError(
            "base_url: bRRAIn answers on https:// only; over http:// the key would travel in the clear",
            service=NAME,
        )
    return BrrainService(
        NAME,
        url.removesuffix("/v1") + "/v1",
        explain=explain,
        headers={"authorization": f"Bearer {key}", **(options.headers or {})},
        secrets=(key,),
        timeout=options.seconds(DEFAULT_TIMEOUT),
        retry=options.policy(),
    )


def wrong(message: str) -> OneBrainValidationError:
    """Return the error for an argument that is refused before anything is sent."""
    return OneBrainValidationError(message, service=NAME)


def check_id(id: Any) -> str:
    """Return `id`; refuse one that would address a route."""
    if isinstance(id, str) and id in ROUTES:
        raise wrong(f"id: {id!r} is the name of an endpoint, not of a memory")
    return cast("str", id)


def check_content(content: Any, where: str = "content") -> None:
    """Refuse a text that is empty or larger than one megabyte."""
    if not isinstance(content, str):
        raise wrong(f"{where}: must be a string, not {type(content).__name__}")
    if not content:
        raise wrong(f"{where}: must not be empty")
    try:
        size = len(content.encode())
    except UnicodeEncodeError:
        raise wrong(f"{where}: holds a lone surrogate, which UTF-8 cannot carry") from None
    if size > MAX_CONTENT_BYTES:
        raise wrong(f"{where}: has {size} bytes; bRRAIn takes at most {MAX_CONTENT_BYTES} (1 MB)")


def check_integer(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Refuse an integer out of range; None means that none was given."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise wrong(f"{name}: must be an integer of at least {low}, not {value!r:.40}")
    if high is not None and value > high:
        raise wrong(f"{name}: must be at most {high}, not {value!r:.40}")

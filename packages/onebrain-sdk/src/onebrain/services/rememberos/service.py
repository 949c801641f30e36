"""The parts that every call to RememberOS shares: its address, the checks before it is sent, and the reading of failures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel, SecretStr

from onebrain._core import client
from onebrain._core.batches import ByteLimit
from onebrain._core.client import ClientOptions
from onebrain._core.codec import is_array, is_object, is_sequence, is_set, to_json
from onebrain._core.credentials import credential
from onebrain._core.limits import RateLimit
from onebrain._core.service import Explanation, Reply, Service, Spec, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.transport import Response
from onebrain._core.wire import read, rows
from onebrain.errors import (
    ConfigurationError,
    OneBrainAuthenticationError,
    OneBrainError,
    OneBrainValidationError,
)

NAME: Final = "rememberos"
# In seconds.
DEFAULT_TIMEOUT: Final = 30.0
CLOUD: Final = "https://rememberos.ai"
DEFAULT_COLLECTION: Final = "default"

# Limits that the API reference states.
MAX_TEXT: Final = 10_000
MAX_BULK: Final = 100
MAX_SEARCH: Final = 50
MAX_LIST: Final = 200
MAX_FOLDER: Final = 50
MAX_FILE: Final = 10 * 1024 * 1024

# Calls behind which a language model or a long computation works take longer than a read or a write.
SLOW: Final = 120.0

COLLECTIONS: Final = "/v1/memory/collections"

T = TypeVar("T", bound=BaseModel)


def explain(response: Response, body: Any) -> Explanation:
    """Read ``{"detail": ...}``: a sentence, or FastAPI's list of ``{loc, msg, type}``."""
    # The OAuth callback sends browsers on; nothing else redirects.
    if 300 <= response.status < 400:
        return Explanation(details={"location": response.headers.get("location")})
    detail: Any = body.get("detail") if is_object(body) else None
    if is_array(detail):
        issues = [_issue(issue) for issue in detail if is_object(issue)]
        message = "; ".join(f"{issue['where']}: {issue['msg']}" for issue in issues[:5])
        return Explanation(message, code=issues[0]["type"] if issues else None, details=issues)
    if is_object(detail):
        sentence = detail.get("message") or detail.get("detail") or detail.get("error")
        code = detail.get("code")
        return Explanation(
            sentence if isinstance(sentence, str) else "", code=code if isinstance(code, str) else None
        )
    return Explanation(detail if isinstance(detail, str) else "")


def _issue(issue: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the problem and its path; leave ``input`` out, for it may quote a memory's text."""
    location: Any = issue.get("loc")
    steps: Iterable[Any] = location if is_sequence(location) else (location,)
    kind = issue.get("type")
    return {
        "where": ".".join(str(step) for step in steps if step is not None) or "the request",
        "msg": str(issue.get("msg", "is not valid")),
        "type": kind if isinstance(kind, str) else None,
    }


class RememberOSService:
    """Asks RememberOS; public endpoints are asked without the key."""

    def __init__(self, base_url: str, api_key: str | None, options: ClientOptions) -> None:
        def service(headers: Mapping[str, str]) -> Service:
            return Service(
                NAME,
                base_url,
                explain=explain,
                headers={**headers, **(options.headers or {})},
                secrets=(api_key or "",),
                timeout=options.seconds(DEFAULT_TIMEOUT),
                retry=options.policy(),
                # Repeating a create on any 5xx can store a memory twice, and no answer here promises otherwise.
                busy_did_nothing=False,
                rate_prefix="ratelimit-",
            )

        self.public = service({})
        self.private = service({"authorization": f"Bearer {api_key}"}) if api_key else None

    @property
    def base_url(self) -> str:
        """Where paths begin."""
        return self.public.base_url

    @property
    def rate_limit(self) -> RateLimit | None:
        """The limit of the key as the latest answer stated it."""
        return None if self.private is None else self.private.rate_limit

    @property
    def timeout(self) -> float | None:
        """Seconds that a request may take."""
        return self.public.timeout

    @property
    def byte_limit(self) -> ByteLimit:
        """Bytes that a request with many rows may carry."""
        return self.public.byte_limit

    def ask(self, spec: Spec) -> Steps[Reply]:
        """Send `spec` with the key."""
        if self.private is None:
            raise OneBrainAuthenticationError(
                f"{spec.method} {spec.path} needs an API key, and this client has none: pass api_key='mv_...'",
                service=NAME,
            )
        return self.private.ask(spec)

    def get(self, kind: type[T], spec: Spec) -> Steps[T]:
        """Send `spec` and read its answer as one `kind`."""
        reply = yield from self.ask(spec)
        return read(kind, {} if reply.data is None else reply.data, service=NAME)

    def change(self, kind: type[T], spec: Spec, again: Spec, *, proof: str = "id") -> Steps[T]:
        """Send a change and return the changed object, from the answer or, if that is a mere receipt, read again.

        Few answers to changes are documented; `proof` is a field that only the object itself has.
        """
        reply = yield from self.ask(spec)
        data: Any = reply.data
        if is_object(data) and proof in data:
            return read(kind, data, service=NAME)
        return (yield from self.get(kind, again))

    def get_rows(self, kind: type[T], spec: Spec, *names: str) -> Steps[list[T]]:
        """Send `spec` and read its answer as a list of `kind`."""
        reply = yield from self.ask(spec)
        return [read(kind, row, service=NAME) for row in rows(reply.data, *names, service=NAME)]


def make_service(
    base_url: str | None,
    *,
    api_key: str | SecretStr | None,
    options: ClientOptions,
    anonymous: bool = False,
) -> RememberOSService:
    """Return the service for a client or a driver, with arguments that are None taken from the environment."""
    variables = () if anonymous else ("REMEMBEROS_API_KEY", "LONGMEM_API_KEY")
    key = credential("api_key", api_key, *variables)
    if anonymous and key:
        raise ConfigurationError("anonymous: give either an API key or anonymous=True", service=NAME)
    if not anonymous and key is None:
        raise OneBrainAuthenticationError(
            "RememberOS needs an API key: pass api_key='mv_...' or set REMEMBEROS_API_KEY "
            "(anonymous=True is enough for health, status, signup and key recovery)",
            service=NAME,
        )
    url = base_url or os.environ.get("REMEMBEROS_BASE_URL") or os.environ.get("LONGMEM_BASE_URL") or CLOUD
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError("base_url: must begin with https:// or http://", service=NAME)
    # Paths below begin with /v1, so a base URL that was copied with it would name it twice.
    url = url.rstrip("/").removesuffix("/v1")
    return RememberOSService(url, key, options)


class Resource(client.Resource[Mode, RememberOSService]):
    """A group of endpoints."""


def collection_path(collection: str, tail: str = "", *ids: str) -> str:
    """Return the path of `tail` in a collection; a name may hold anything, ``/`` included."""
    return path(COLLECTIONS + "/{}" + tail, collection, *ids)


def wrong(message: str) -> OneBrainValidationError:
    """Return the error for an argument that is refused before anything is sent."""
    return OneBrainValidationError(message, service=NAME)


def check_text(text: Any, name: str = "text") -> None:
    """Refuse a text that is empty or too long."""
    if not isinstance(text, str):
        raise wrong(f"{name}: must be a string, not {type(text).__name__}")
    if not 1 <= len(text) <= MAX_TEXT:
        raise wrong(f"{name}: must have 1 to {MAX_TEXT} characters, not {len(text)}")


def check_number(name: str, value: Any, low: float, high: float | None = None) -> None:
    """Refuse a number out of range; None and `UNSET` mean that none was given."""
    if value is None or not is_set(value):
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= low:
        raise wrong(f"{name}: must be a number of at least {low}, not {value!r:.40}")
    if high is not None and value > high:
        raise wrong(f"{name}: must be at most {high}, not {value!r:.40}")


def memory_body(
    text: str,
    importance: float | None,
    category: str | None,
    source: str | None,
    metadata: Mapping[str, Any] | None,
    container_tag: str | None,
) -> dict[str, Any]:
    """Return the body of one memory to create, checked; a field that was not given takes the service's default."""
    check_text(text)
    check_number("importance", importance, 0, 1)
    fields = {
        "text": text,
        "importance": importance,
        "category": category,
        "source": source,
        "metadata": None if metadata is None else json.loads(to_json(metadata, what="metadata")),
        "container_tag": container_tag,
    }
    return {name: value for name, value in fields.items() if value is not None}


def blot(error: OneBrainError, secrets: Sequence[str]) -> None:
    """Blot `secrets` out of `error`: credentials in a request may be quoted in its answer."""
    OneBrainError.__init__(
        error,
        error.message,
        service=error.service,
        status_code=error.status_code,
        code=error.code,
        request_id=error.request_id,
        retry_after=error.retry_after,
        details=error.details,
        secrets=secrets,
    )


def guarded(steps: Steps[Reply], *values: Any) -> Steps[Reply]:
    """Run `steps`; an error of theirs quotes none of the strings inside `values`."""
    try:
        return (yield from steps)
    except OneBrainError as error:
        blot(error, [text for value in values for text in _texts(value)])
        raise


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if len(value) >= 4 else []
    if is_object(value):
        return [text for item in value.values() for text in _texts(item)]
    if is_sequence(value):
        return [text for item in value for text in _texts(item)]
    return []

"""How HeroBrain wraps its answers, says that something failed, and how long to wait; and the limits it documents."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel

from onebrain._core import client, retry
from onebrain._core.client import ClientOptions
from onebrain._core.codec import as_object, is_array, is_object
from onebrain._core.credentials import credential
from onebrain._core.retry import RetryPolicy
from onebrain._core.service import Explanation, Reply, Service, Spec
from onebrain._core.steps import Mode, Steps
from onebrain._core.transport import Response
from onebrain._core.wire import read, rows
from onebrain.errors import (
    ConfigurationError,
    OneBrainAuthenticationError,
    OneBrainResponseError,
    OneBrainValidationError,
)
from onebrain.services.herobrain.models import MemoryType

T = TypeVar("T", bound=BaseModel)

NAME = "herobrain"
# In seconds.
DEFAULT_TIMEOUT: Final = 30.0
DEFAULT_URL = "https://api.herobrain.ai"
TEST_TENANT = "00000000-0000-0000-0000-000000000001"
MOST_CONTENT = 10_000
MOST_ROWS = 100
TYPES = frozenset(str(kind) for kind in MemoryType)

_QUOTA = "INSUFFICIENT_QUOTA"


def explain(response: Response, body: Any) -> Explanation:
    """Read ``{success: false, errors: [{code, message, field?}], metadata?}``; anything else becomes the message."""
    said: Mapping[str, Any] = as_object(body)
    metadata = said.get("metadata")
    request_id = metadata.get("request_id") if is_object(metadata) else None
    raw = said.get("errors")
    listed: list[Any] = raw if is_array(raw) else [said["error"]] if "error" in said else []
    issues = [_issue(item) for item in listed]
    if not issues:
        text = response.content.decode("utf-8", "replace").strip()
        html = "html" in response.headers.get("content-type", "")
        message = said.get("message")
        return Explanation(
            message=message if isinstance(message, str) else "" if html or said or len(text) > 500 else text,
            request_id=request_id if isinstance(request_id, str) else None,
        )
    first = issues[0]
    message = first["message"] + (f" (field {first['field']})" if first.get("field") else "")
    if len(issues) > 1:
        message += f", and {len(issues) - 1} more in the error's details"
    return Explanation(
        message=message,
        code=first.get("code"),
        details=issues,
        request_id=request_id if isinstance(request_id, str) else None,
        quota=first.get("code") == _QUOTA,
    )


def _issue(item: Any) -> dict[str, Any]:
    """Return one error as a dict with a message; older answers hold bare text."""
    if is_object(item):
        issue = {str(key): value for key, value in item.items()}
        return {**issue, "message": str(issue.get("message") or issue.get("code") or "")}
    return {"message": str(item)}


class HeroBrainService(Service):
    """HeroBrain's transport facts, with its own way to say how long to wait, and the tenant that a client works for."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str,
        tenant_id: str | None,
        options: ClientOptions,
    ) -> None:
        super().__init__(
            NAME,
            base_url,
            explain=explain,
            headers={"authorization": f"Bearer {api_key}", **(options.headers or {})},
            secrets=(api_key,),
            timeout=options.seconds(DEFAULT_TIMEOUT),
            retry=options.policy(RetryPolicy(max_retries=3, base_delay=1.0)),
        )
        self.tenant_id = tenant_id

    def asked_wait(self, response: Response) -> float | None:
        """Return the wait that ``Retry-After``, ``X-RateLimit-Retry-After`` or the end of the window asks for."""
        asked = retry.retry_after(response.headers, "retry-after", "x-ratelimit-retry-after")
        if asked is None and response.status == 429:
            # The end of the window, in seconds since 1970.
            reset = retry.retry_after(response.headers, "x-ratelimit-reset")
            return None if reset is None else max(0.0, reset - time.time())
        return asked

    def tenant(self, given: str | None) -> str:
        """Return the tenant of a call: the one given, else the client's."""
        tenant = given if given is not None else self.tenant_id
        if tenant is None:
            raise ConfigurationError(
                "HeroBrain needs a tenant: pass tenant_id to the client or the call, or set HEROBRAIN_TENANT_ID",
                service=NAME,
            )
        if not isinstance(tenant, str) or not tenant.strip():
            raise invalid("tenant_id: must not be blank")
        return tenant


def make_service(
    base_url: str | None, *, api_key: str | None, tenant_id: str | None, options: ClientOptions
) -> HeroBrainService:
    """Return the service for a client or a driver; an argument that is None comes from the environment."""
    key = credential("api_key", api_key, "HEROBRAIN_API_KEY")
    if key is None:
        raise OneBrainAuthenticationError(
            "HeroBrain needs a key: pass api_key, or set HEROBRAIN_API_KEY", service=NAME
        )
    return HeroBrainService(
        base_url or os.environ.get("HEROBRAIN_BASE_URL") or DEFAULT_URL,
        api_key=key,
        tenant_id=tenant_id or os.environ.get("HEROBRAIN_TENANT_ID") or None,
        options=options,
    )


class Resource(client.Resource[Mode, HeroBrainService]):
    """Calls on one kind of thing."""

    def _data(self, spec: Spec) -> Steps[Any]:
        """Make a call and return the contents of its envelope; None for an empty answer."""
        reply: Reply = yield from self._service.ask(spec)
        return unwrap(reply)

    def _ask(self, kind: type[T], spec: Spec) -> Steps[T]:
        return read(kind, (yield from self._data(spec)), service=NAME)

    def _rows(self, kind: type[T], data: Any, *names: str) -> Sequence[T]:
        return tuple(read(kind, row, service=NAME) for row in rows(data, *names, service=NAME))


def unwrap(reply: Reply) -> Any:
    """Return the ``data`` of a success; a body that says ``success: false`` with a good status is an error, too."""
    data: Any = reply.data
    if not is_object(data):
        return data  # pyright: ignore[reportUnknownVariableType]
    envelope = data
    if envelope.get("success") is False:
        said = explain(Response(reply.status, reply.headers, b""), envelope)
        raise OneBrainResponseError(
            f"the service answered status {reply.status} and yet says that it failed: {said.message}",
            service=NAME,
            status_code=reply.status,
            code=said.code,
            request_id=said.request_id,
            details=said.details,
        )
    if "data" not in envelope:
        raise OneBrainResponseError(
            "the answer lacks the envelope with 'data' that HeroBrain's API documents; is this a HeroBrain server?",
            service=NAME,
            status_code=reply.status,
        )
    return envelope["data"]


def fields_of(data: Any) -> dict[str, Any]:
    """Return the fields of an answer that need not have any."""
    return dict(as_object(data))


def invalid(message: str) -> OneBrainValidationError:
    """Return the error for input that is refused before anything is sent."""
    return OneBrainValidationError(message, service=NAME)


def check_memory(fields: Mapping[str, Any]) -> None:
    """Refuse values that the API reference rules out; missing fields and None pass, and no value is quoted."""
    for name, (fits, rule) in _RULES.items():
        value = fields.get(name)
        if value is not None and not fits(value):
            raise invalid(f"{name}: {rule}")


def _is_content(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MOST_CONTENT


def _is_fraction(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_texts(value: Any) -> bool:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return False
    return all(isinstance(item, str) for item in cast("Sequence[Any]", value))


# For each field: whether a value fits, and the rule in words.
_RULES: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "content": (_is_content, f"must be a text of 1 to {MOST_CONTENT} characters"),
    "type": (TYPES.__contains__, f"must be one of {', '.join(sorted(TYPES))}"),
    "importance": (_is_fraction, "must be a number from 0 to 1"),
    "minRelevance": (_is_fraction, "must be a number from 0 to 1"),
    "tags": (_is_texts, "must be a list of strings"),
    "metadata": (is_object, "must be a JSON object"),
}


def within(name: str, value: Any, low: int, high: int | None) -> None:
    """Refuse a value that is not a whole number in a range."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        raise invalid(
            f"{name}: must be a whole number from {low}" + (f" to {high}" if high is not None else " on")
        )

"""The parts that every request to OneBrain shares: base URL, key, and the reading of failures."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, cast

from onebrain._core.client import ClientOptions
from onebrain._core.codec import as_array, as_object, is_array, is_object
from onebrain._core.credentials import credential
from onebrain._core.service import Explanation, Reply, Service, Spec
from onebrain._core.steps import Steps
from onebrain._core.transport import Request, Response
from onebrain.errors import (
    ConfigurationError,
    OneBrainAuthenticationError,
    OneBrainError,
    OneBrainInternalError,
    OneBrainNotFoundError,
    OneBrainResponseError,
    UnsupportedByServer,
)

# In seconds.
DEFAULT_TIMEOUT: Final = 10.0
Region = Literal["eu", "us", "global"]
REGIONS: Final[Mapping[str, str]] = {
    "eu": "https://onebrain.rocks/api/eu",
    "us": "https://onebrain.rocks/api/us",
    "global": "https://onebrain.rocks/api/us",
}

# OneBrain's own Python server puts this header on every answer; see docs/http-api.md.
SERVER_HEADER: Final = "x-onebrain-server"

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_KEY_PARTS = re.compile(r"[_:]")
_BY_ID = re.compile(r"/v1/(?:memory|entities|projects|skills|briefings|api-keys|tags)/([^/]+)")
_NO_IDS = frozenset({"duplicates", "graph", "config", "schedules", "triggers", "analytics", "embeddings"})


def resolve_base_url(base_url: str | None, region: Region | None) -> str:
    """Return the URL in front of ``/v1/...``, from the arguments, ``$ONEBRAIN_BASE_URL`` or the default region."""
    if base_url is not None and region is not None:
        raise ConfigurationError("base_url and region: give one of the two")
    if region is not None:
        if region not in REGIONS:
            raise ConfigurationError(
                f"region: must be one of {', '.join(sorted(REGIONS))}, not {region!r:.40}"
            )
        return REGIONS[region]
    url = (base_url or os.environ.get("ONEBRAIN_BASE_URL") or REGIONS["eu"]).strip().rstrip("/")
    if not url.lower().startswith(("https://", "http://")):
        raise ConfigurationError("base_url: must begin with https:// or http://")
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise ConfigurationError("base_url: must not hold a user or password; the key has its own argument")
    # Documents give it both with and without the version, and every path below brings it along.
    return url.removesuffix("/v1").rstrip("/")


def authorization(api_key: str | None, access_token: str | None, anonymous: bool) -> tuple[str, str]:
    """Return the value of the authorization header and the secret in it; both empty for an anonymous client."""
    given = [
        name
        for name, value in (
            ("api_key", api_key),
            ("access_token", access_token),
            ("anonymous", anonymous or None),
        )
        if value is not None
    ]
    if len(given) > 1:
        raise ConfigurationError(f"{' and '.join(given)}: give one of them")
    if anonymous:
        return "", ""
    if access_token is not None:
        scheme, secret = "Bearer", credential("access_token", access_token)
    else:
        # An empty key is a mistake of the caller's: it does not fall back to the environment.
        variables = ("ONEBRAIN_API_KEY",) if api_key is None else ()
        scheme, secret = "ApiKey", credential("api_key", api_key, *variables)
    if secret is None:
        raise OneBrainAuthenticationError(
            "no API key: pass api_key= or set ONEBRAIN_API_KEY; keys are made under Settings > API Keys of the "
            "dashboard, or by your own server's `onebrain serve`",
            service="onebrain",
        )
    return f"{scheme} {secret}", secret


class OneBrainService(Service):
    """OneBrain's HTTP API, hosted or self-hosted."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        region: Region | None = None,
        access_token: str | None = None,
        anonymous: bool = False,
        options: ClientOptions,
    ) -> None:
        value, secret = authorization(api_key, access_token, anonymous)
        super().__init__(
            "onebrain",
            resolve_base_url(base_url, region),
            explain=explain,
            headers={**({"authorization": value} if value else {}), **(options.headers or {})},
            secrets=_secret_parts(secret),
            timeout=options.seconds(DEFAULT_TIMEOUT),
            retry=options.policy(),
        )
        self.features: frozenset[str] | None = None

    def _failure(
        self, spec: Spec, request: Request, response: Response, asked: float | None
    ) -> OneBrainError:
        error = super()._failure(spec, request, response, asked)
        if (
            isinstance(error, OneBrainInternalError)
            and error.code == "INTERNAL_ERROR"
            and SERVER_HEADER not in response.headers
        ):
            match = _BY_ID.match(spec.path)
            if match and match[1] not in _NO_IDS and not _UUID.fullmatch(match[1]):
                # OneBrain's hosted server fails on ids that are no UUIDs instead of not finding them.
                return OneBrainNotFoundError(
                    "there is nothing with this id; ids of this server are UUIDs",
                    service=self.name,
                    status_code=error.status_code,
                    code=error.code,
                    request_id=error.request_id,
                )
        return error

    def has(self, feature: str) -> Steps[bool]:
        """Return whether the server offers one of the additions that docs/http-api.md lists; asked once."""
        if self.features is None:
            try:
                reply = yield from self.ask(Spec("GET", "/v1/capabilities"))
            except OneBrainNotFoundError:
                self.features = frozenset()
            else:
                found = enveloped(self, reply)
                offered = as_object(found)
                self.features = frozenset(map(str, offered.get("features") or ()))
        return feature in self.features

    def lacks(self, what: str, hint: str = "") -> UnsupportedByServer:
        """Return the error for a call that this server cannot answer as it was meant."""
        return UnsupportedByServer(what, self.name, hint=hint or "OneBrain's own Python server can")


def enveloped(service: Service, reply: Reply) -> Any:
    """Return the value of ``data``; raise `OneBrainResponseError` where the envelope is not OneBrain's."""
    answer: Any = reply.data
    if is_object(answer):
        body = answer
        if "data" in body:
            return body["data"]
    raise OneBrainResponseError(
        "the answer is JSON, but not in OneBrain's envelope {data, meta}; is the base URL right?",
        service=service.name,
        status_code=reply.status,
    )


def explain(response: Response, body: Any) -> Explanation:
    """Read a failed answer: OneBrain's envelope, its framework's own shape, or something in between."""
    if not is_object(body):
        return Explanation()
    error: Any = body.get("error")
    meta: Any = body.get("meta")
    request_id: Any = meta.get("requestId") if is_object(meta) else None
    request_id = request_id if isinstance(request_id, str) else None
    if not is_object(error):
        message: Any = body.get("message") or error
        message = message if isinstance(message, str) else ""
        return Explanation(
            message=message,
            request_id=request_id,
            unknown_route=response.status == 404 and message.startswith("Route "),
        )
    facts = error
    code: Any = facts.get("code")
    text: Any = facts.get("message")
    details: Any = facts.get("details")
    issues = _issues(details)
    return Explanation(
        message=(str(text) if text else "") + (f" ({issues})" if issues else ""),
        code=code if isinstance(code, str) else None,
        details=details,
        request_id=request_id,
        existing_id=_existing(details),
        quota=code == "LIMIT_EXCEEDED" or (code == "PLAN_LIMIT_EXCEEDED" and _has_limit(details)),
    )


def _has_limit(details: Any) -> bool:
    """Return whether details name an allowance that is used up, and not merely a feature that the plan lacks."""
    return is_array(details) and any(isinstance(one, dict) and "limit" in one for one in details)


def _issues(details: Any) -> str:
    """Return the first few validation issues as ``path: what is wrong``."""
    parts: list[str] = []
    for issue in as_array(details):
        if is_object(issue):
            where, what = issue.get("path"), issue.get("message")
            if isinstance(where, list) and isinstance(what, str):
                parts.append(f"{'.'.join(map(str, cast('list[Any]', where))) or 'body'}: {what}")
    return "; ".join(parts[:3])


def _existing(details: Any) -> str | None:
    for issue in as_array(details):
        if is_object(issue) and isinstance(found := issue.get("existingId"), str):
            return found
    return None


def _secret_parts(secret: str) -> tuple[str, ...]:
    """Return the texts that must not show in an error: the whole key, and the part after the prefix alone."""
    tail = _KEY_PARTS.split(secret)[-1] if secret else ""
    return (secret, tail) if len(tail) >= 12 else (secret,)

"""How ai-memory says that something failed, and the limits that it documents."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel

from onebrain._core import client
from onebrain._core.client import ClientOptions
from onebrain._core.codec import is_object, is_sequence, to_json
from onebrain._core.credentials import credential
from onebrain._core.service import Explanation, Reply, Service, Spec
from onebrain._core.steps import Mode, Steps
from onebrain._core.transport import Response
from onebrain._core.wire import read, rows
from onebrain.errors import OneBrainValidationError

NAME = "ai-memory"
# In seconds.
DEFAULT_TIMEOUT: Final = 30.0
DEFAULT_URL = "http://localhost:9077"

# The daemon refuses a larger body with 413; the rest of the 2 MiB is for HTTP's own bytes.
MOST_BYTES = 2_000_000
MOST_ROWS = 1000
MOST_LISTED = 1000
MOST_RECALLED = 50
MOST_MESSAGES = 500
MOST_CONTENT_BYTES = 65_536
MOST_TITLE = 512
MOST_TAGS = 50
MOST_TAG_BYTES = 128
MOST_METADATA_BYTES = 65_536
MOST_METADATA_DEPTH = 32
MOST_TTL_SECONDS = 365 * 24 * 3600
SOURCES = frozenset(
    {"user", "claude", "hook", "api", "cli", "import", "consolidation", "system", "chaos", "notify"}
)
SCOPES = frozenset({"private", "team", "unit", "org", "collective"})

R = TypeVar("R", bound=BaseModel)

_OTHER = re.compile(r"\(memory ([^()\s]+)\)\s*$")
# The HTTP library of the daemon quotes a value that it cannot read.
_QUOTED = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)')

_AGENT_ID = re.compile(r"[A-Za-z0-9_\-:@./]{1,128}")
# Ids are matched by prefix on the server, so anything shorter than a UUID might hit another memory.
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SHORTEST_ID = 36


def explain(response: Response, body: Any) -> Explanation:
    """Read a failed answer: JSON from the daemon's handlers, plain text from its HTTP library, or nothing at all."""
    if is_object(body):
        existing = body.get("existing_id")
        if response.status == 409:
            # The daemon quotes the title, which is a memory's text; after a PUT the other memory's id is in there, too.
            named = _OTHER.search(_text(body.get("error")) or "")
            return Explanation(
                message="a memory with this title exists in the namespace already; the error's existing_id names it. "
                "When storing, on_conflict='merge' replaces it and on_conflict='version' keeps both",
                code=_text(body.get("code")) or "CONFLICT",
                existing_id=existing if isinstance(existing, str) else named and named[1],
            )
        details = {key: value for key, value in body.items() if key not in ("error", "message", "code")}
        return Explanation(
            message=_sentence(body),
            code=_text(body.get("code")),
            details=details or None,
        )
    content_type = response.headers.get("content-type", "")
    text = response.content.decode("utf-8", "replace").strip()
    # No handler of the daemon answers 404 without a body: the route itself is missing.
    unknown = response.status in (404, 405, 501) and not text
    if "html" in content_type or len(text) > 500:
        text = ""
    return Explanation(message=_QUOTED.sub('"..."', text), unknown_route=unknown)


def _sentence(said: Mapping[str, Any]) -> str:
    error, reason = _text(said.get("error") or said.get("message")), _text(said.get("reason"))
    if error == "quorum_not_met":
        got, needed = said.get("got"), said.get("needed")
        return f"only {got} of {needed} peers took the write ({reason or 'no reason given'})"
    return error or reason or ""


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def invalid(message: str) -> OneBrainValidationError:
    """Return the error for input that is refused before anything is sent."""
    return OneBrainValidationError(message, service=NAME)


def full_id(id: str) -> str:
    """Return `id`, or raise where it is not a full id: the server would take it for the beginning of another's."""
    if not isinstance(id, str) or len(id) < _SHORTEST_ID or len(id.encode("utf-8", "replace")) > 128:
        raise invalid(
            "an id must be complete (at least 36 characters, at most 128 bytes), because ai-memory matches ids by "
            "their beginning and could hit another memory"
        )
    if id.strip() != id or _dirty(id) or "\n" in id or "\t" in id:
        raise invalid("an id must not hold control characters or begin or end with spaces")
    return id


def is_uuid(id: str) -> bool:
    """Whether `id` has the form of the ids that the daemon makes."""
    return _UUID.fullmatch(id) is not None


def is_agent_id(value: str) -> bool:
    """Whether the daemon takes `value` as an agent's id."""
    return isinstance(value, str) and _AGENT_ID.fullmatch(value) is not None


def check_agent_id(value: str | None, what: str = "agent_id") -> None:
    """Refuse an agent id that the daemon would refuse."""
    if value is not None and not is_agent_id(value):
        raise invalid(f"{what}: 1 to 128 of the characters A-Z a-z 0-9 _ - : @ . /")


def check_namespace(value: str | None, what: str = "namespace") -> None:
    """Refuse a namespace that the daemon would refuse."""
    if value is not None and not isinstance(value, str):
        raise invalid(f"{what}: must be a string, not {type(value).__name__}")
    problem = None if value is None else namespace_problem(value)
    if problem:
        raise invalid(f"{what}: {problem}")


def namespace_problem(value: str) -> str | None:
    """Return the problem with a namespace, or None; a path of at most 8 parts, taken as it is."""
    parts = value.split("/")
    if not value.strip() or len(value) > 512:
        return "must have 1 to 512 characters"
    if " " in value or "\\" in value or _dirty(value) or value.strip() != value:
        return "must not hold spaces, backslashes or control characters"
    if "" in parts or "." in parts or ".." in parts:
        return "must not begin or end with '/', nor have empty parts, '.' or '..' in it"
    return "must have at most 8 parts" if len(parts) > 8 else None


def check_fields(fields: Mapping[str, Any]) -> None:
    """Refuse values that the daemon documents as too long, too large or out of range; missing fields and None pass.

    Nothing here quotes a value: it may be a memory's text.
    """
    for name, value in fields.items():
        check = _CHECKS.get(name)
        if check is not None and value is not None:
            problem = check(value)
            if problem:
                raise invalid(f"{name}: {problem}")


def _dirty(text: str) -> bool:
    """Whether `text` has a control character other than newline and tab."""
    return any(
        character not in "\n\t" and (character < " " or "\x7f" <= character <= "\x9f") for character in text
    )


def clean(text: str) -> bool:
    """Whether the daemon takes `text`: it refuses control characters other than newline and tab."""
    return not _dirty(text)


def _title(value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return "must not be blank"
    if len(value.strip()) > MOST_TITLE:
        return f"must have at most {MOST_TITLE} characters"
    return _control(value)


def _content(value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return "must not be blank"
    size = len(value.encode("utf-8", "replace"))
    if size > MOST_CONTENT_BYTES:
        return f"has {size} bytes; ai-memory takes at most {MOST_CONTENT_BYTES}"
    return _control(value)


def _control(value: str) -> str | None:
    return None if clean(value) else "must not hold control characters other than newline and tab"


def _tags(value: Any) -> str | None:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return "must be a list of strings"
    tags = cast("Sequence[Any]", value)
    if len(tags) > MOST_TAGS:
        return f"has {len(tags)} tags; ai-memory takes at most {MOST_TAGS}"
    for tag in tags:
        if not isinstance(tag, str) or not tag.strip():
            return "must hold no blank tag"
        if len(tag.strip().encode("utf-8", "replace")) > MOST_TAG_BYTES:
            return f"must hold no tag of more than {MOST_TAG_BYTES} bytes"
        if not clean(tag.strip()):
            return "must hold no control characters other than newline and tab"
    return None


def _range(low: float, high: float) -> Any:
    def check(value: Any) -> str | None:
        good = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        return None if good else f"must be a number from {low} to {high}"

    return check


def _metadata(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return "must be a JSON object"
    size = len(to_json(value, what="metadata").encode())
    if size > MOST_METADATA_BYTES:
        return f"has {size} bytes as JSON; ai-memory takes at most {MOST_METADATA_BYTES}"
    if _depth(value) > MOST_METADATA_DEPTH:
        return f"must be nested at most {MOST_METADATA_DEPTH} deep"
    return None


def _depth(value: Any) -> int:
    if is_object(value):
        return 1 + max((_depth(item) for item in value.values()), default=0)
    if is_sequence(value):
        return 1 + max((_depth(item) for item in value), default=0)
    return 0


def _one_of(words: frozenset[str]) -> Any:
    def check(value: Any) -> str | None:
        return None if value in words else f"must be one of {', '.join(sorted(words))}"

    return check


def _namespace(value: Any) -> str | None:
    return namespace_problem(value) if isinstance(value, str) else "must be a string"


def _agent(value: Any) -> str | None:
    good = isinstance(value, str) and is_agent_id(value)
    return None if good else "1 to 128 of the characters A-Z a-z 0-9 _ - : @ . /"


_CHECKS: dict[str, Any] = {
    "title": _title,
    "content": _content,
    "namespace": _namespace,
    "tags": _tags,
    "priority": _range(1, 10),
    "confidence": _range(0, 1),
    "ttl_secs": _range(1, MOST_TTL_SECONDS),
    "metadata": _metadata,
    "source": _one_of(SOURCES),
    "scope": _one_of(SCOPES),
    "agent_id": _agent,
}


class Resource(client.Resource[Mode, Service]):
    """A group of calls."""

    def _ask(self, model: type[R], spec: Spec) -> Steps[R]:
        reply = yield from self._service.ask(spec)
        return self._read(model, reply)

    def _read(self, model: type[R], reply: Reply) -> R:
        return read(model, reply.data, service=NAME)

    def _rows(self, model: type[R], reply: Reply, key: str) -> Sequence[R]:
        return tuple(read(model, row, service=NAME) for row in rows(reply.data, key, service=NAME))


def make_service(
    base_url: str | None,
    *,
    api_key: str | None,
    agent_id: str | None,
    options: ClientOptions,
) -> Service:
    """Return the service for a client or a driver; the key's default is ``$AI_MEMORY_API_KEY``."""
    check_agent_id(agent_id)
    key = credential("api_key", api_key, "AI_MEMORY_API_KEY") or ""
    headers = {"x-api-key": key, "x-agent-id": agent_id or ""}
    return Service(
        NAME,
        base_url or os.environ.get("AI_MEMORY_URL") or DEFAULT_URL,
        explain=explain,
        headers={**{name: value for name, value in headers.items() if value}, **(options.headers or {})},
        secrets=(key,),
        timeout=options.seconds(DEFAULT_TIMEOUT),
        retry=options.policy(),
        # In a federation a 503 says that too few peers took the write; this daemon has kept it.
        busy_did_nothing=False,
        request_bytes=MOST_BYTES - 64,
    )

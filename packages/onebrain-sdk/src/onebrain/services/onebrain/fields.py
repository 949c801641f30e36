"""From the words of OneBrain's documentation to the fields of the wire."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final, get_args

from onebrain._core.codec import is_object
from onebrain.errors import OneBrainValidationError
from onebrain.memory.acceptance import in_utc
from onebrain.memory.filters import instant_of
from onebrain.services.onebrain.models import RESERVED, Json, SourceType
from onebrain.services.onebrain.resources.resource import strings

TITLE_LIMIT: Final = 500
CONTENT_LIMIT: Final = 10_000
SOURCE_TYPES: Final = frozenset(get_args(SourceType))

_ITEM_FIELDS: Final = frozenset(
    {
        "content", "body", "title", "type", "tags", "entity_id", "project_id", "source", "source_type", "sourceType",
        "confidence", "metadata",
    }
)  # fmt: skip


def units(text: str) -> int:
    """Return the length of `text` as the wire counts it: in UTF-16 units, two for an emoji."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def title_of(content: str, limit: int = TITLE_LIMIT) -> str:
    """Return a title for `content`: its first line that is not blank, cut at a word to the length that the wire takes."""
    line = next((stripped for line in content.splitlines() if (stripped := " ".join(line.split()))), "")
    if units(line) <= limit:
        return line
    cut = line
    while units(cut) > limit - 2:
        cut = cut[: len(cut) - max(1, (units(cut) - limit) // 2)]
    word = cut.rpartition(" ")[0]
    return (word or cut).rstrip() + " …"


def memory_fields(
    content: str | None,
    *,
    title: str | None = None,
    type: str | None = "fact",
    tags: Iterable[str] | None = None,
    entity_id: str | None = None,
    project_id: str | None = None,
    source: str | None = None,
    source_type: str | None = None,
    confidence: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    annotations: Mapping[str, Any] | None = None,
) -> Json:
    """Return the body that stores a memory.

    Fields that the wire lacks go into the metadata under one reserved key, and beside it under its own name for
    servers that know it; the others drop names they do not know.
    """
    if not isinstance(content, str) or not content.strip():
        raise OneBrainValidationError("content: must be text that is not blank")
    if source is not None and source_type is None and source in SOURCE_TYPES:
        source, source_type = None, source
    own: Json = {
        name: value
        for name, value in (
            ("tags", list(strings("tags", tags))),
            ("entityId", entity_id),
            ("projectId", project_id),
            ("source", source),
        )
        if value
    }
    body: Json = {"type": type or "fact", "title": title or title_of(content), "body": content}
    if source_type is not None:
        body["sourceType"] = source_type
    if confidence is not None:
        body["confidence"] = confidence
    combined = with_annotations(metadata, {**reserved_form(own), **(annotations or {})})
    if combined is not None:
        body["metadata"] = combined
    return {**body, **own}


def reserved_form(own: Mapping[str, Any]) -> Json:
    """Return the wire's names in `own` as the reserved key holds them."""
    names = {"entityId": "entity_id", "projectId": "project_id"}
    return {names.get(name, name): value for name, value in own.items()}


def with_annotations(metadata: Mapping[str, Any] | None, annotations: Mapping[str, Any]) -> Json | None:
    """Return the caller's `metadata` with ours under the reserved key, or None where both are empty."""
    given = dict(metadata) if metadata is not None else {}
    if RESERVED in given:
        raise OneBrainValidationError(f"metadata: the key {RESERVED!r} is reserved; use another one")
    if annotations:
        given[RESERVED] = dict(annotations)
    return given if given or metadata is not None else None


def item_fields(item: Any, *, project_id: str | None = None) -> Json:
    """Return the body for one memory of a bulk call: a text, or a dict with the arguments of ``memory.create``."""
    if isinstance(item, str):
        item = {"content": item}
    if not is_object(item):
        raise OneBrainValidationError(f"a memory must be text or a dict, not {type(item).__name__}")
    given = dict(item)
    unknown = sorted(str(name) for name in given if name not in _ITEM_FIELDS)
    if unknown:
        raise OneBrainValidationError(
            f"a memory has no field {unknown[0]!r:.40}; there are {', '.join(sorted(_ITEM_FIELDS))}"
        )
    content = given.pop("content", None)
    body = given.pop("body", None)
    if content is not None and body is not None:
        raise OneBrainValidationError("content and body are one field: give one of them")
    if "sourceType" in given:
        given["source_type"] = given.pop("sourceType")
    given.setdefault("project_id", project_id)
    return memory_fields(content if content is not None else body, **given)


def plain(fields: Mapping[str, Any]) -> bool:
    """Return whether the wire's bulk calls keep all fields of a memory."""
    return fields.keys() <= {"type", "title", "body"}


def moment(name: str, value: datetime | date | str) -> str:
    """Return a point in time as the wire wants it: ISO 8601 with milliseconds, in UTC with a Z."""
    instant = instant_of(value)
    if instant is None:
        raise OneBrainValidationError(f"{name}: must be a datetime or ISO 8601 text, not {value!r:.40}")
    try:
        return in_utc(instant).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except ValueError as error:
        raise OneBrainValidationError(f"{name}: {error}") from None


def day(name: str, value: date | str) -> str:
    """Return a day as ``YYYY-MM-DD``."""
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date):
        return value.isoformat()
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise OneBrainValidationError(f"{name}: must be a date, or text like 2026-03-30") from None


# A skill has a title and a body on the wire; its other fields stand at the top of the body, as in a SKILL.md.
_FENCE: Final = "---\n"


def skill_body(prompt: str, description: str | None, context_scope: str | None) -> str:
    """Return the body that carries a skill's prompt, description and context scope."""
    facts = {"description": description, "context_scope": context_scope}
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in facts.items() if value]
    if not lines and not prompt.startswith(_FENCE):
        return prompt
    return _FENCE + "".join(lines) + _FENCE + prompt


def skill_row(row: Any) -> Any:
    """Read a body of `skill_body`; rows of servers that know the fields stay as they are."""
    if not is_object(row):
        return row
    fields = dict(row)
    body: Any = fields.get("body")
    if "promptTemplate" in fields or not isinstance(body, str) or not body.startswith(_FENCE):
        return fields
    head, fence, prompt = body[len(_FENCE) :].partition(_FENCE)
    found: Json = {}
    # At line feeds alone: JSON text may hold the other separators.
    for line in filter(None, head.split("\n")):
        name, _, value = line.partition(": ")
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            return fields
    if not fence or not found.keys() <= {"description", "context_scope"}:
        return fields
    return {
        **fields,
        "promptTemplate": prompt,
        "description": found.get("description"),
        "contextScope": found.get("context_scope"),
    }

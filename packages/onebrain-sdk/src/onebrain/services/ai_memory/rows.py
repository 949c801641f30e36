"""Memories as the daemon's rows, and back: where each part of a memory is kept in ai-memory.

* ``space`` is the namespace, as it is where it can be one and percent-encoded where not; no space is ``global``.
* ``user`` and ``session`` are in the metadata, each with a tag for the daemon to filter by; ``agent`` is in the metadata
  and, where its characters allow it, the memory's ``agent_id``.
* An id of the caller's own becomes a UUID made from it, its user and its space, with a tag to find it by where a scope does
  not name both. It is in the metadata, too.
* A title has to be unique in ai-memory, so ours gets a short random word behind it, and is kept as it is in the metadata.
  A memory without a title gets one from its first words.
* Every memory is in tier ``long``, also when it expires: recalling moves the expiry of the other tiers. `importance`
  is kept exactly, and decides the priority.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from urllib.parse import quote

from onebrain._core.codec import to_json
from onebrain.errors import OneBrainValidationError
from onebrain.memory.driver import Changes, expiry
from onebrain.memory.envelope import KEY, Envelope, fold, mark, unfold
from onebrain.memory.linking.fields import links_of, with_links
from onebrain.memory.models import Memory, NewMemory, Scope
from onebrain.memory.translation import check_extra, marks
from onebrain.services.ai_memory import models as wire
from onebrain.services.ai_memory import service as rules

# The keys that the daemon reads in a memory's metadata; a caller's own keys of these names are kept out of its way.
NATIVE: Final = frozenset({"agent_id", "scope", "governance"})
EXTRA: Final = frozenset({"tier", "priority", "confidence", "scope", "governance"})
_SHARED: Final[tuple[str, ...]] = ("scope", "governance")
_DEFAULT_NAMESPACE: Final = "global"
_IDS: Final = uuid.UUID("6f1f5a0e-7c53-5d0b-9a50-6a8f3d1c2b4e")
_LIFETIMES: Final = {"short": timedelta(hours=6), "mid": timedelta(days=7)}

# ---- from a memory to a row -----------------------------------------------------------------------------------------

CHANGEABLE: Final = frozenset(
    {"title", "content", "tier", "namespace", "tags", "priority", "confidence", "expires_at", "metadata"}
)


def changed(old: Memory, changes: Changes) -> Memory:
    """Return a memory with its changes."""
    given = changes.fields
    update = {name: value for name, value in given.items() if name != "extra"}
    if "tags" in given:
        update["tags"] = tuple(given["tags"] or ())
    return old.model_copy(update={**update, "metadata": changes.metadata(old.metadata)})


def columns(given: Mapping[str, Any], extra: Mapping[str, Any], *, ours: bool) -> set[str]:
    """Return the daemon's columns that a change writes; `ours` says whether this driver stored the memory."""
    wanted = {"metadata", *(extra.keys() & {"tier", "confidence", "priority"})}
    if "importance" in given:
        wanted.add("priority")
    if "content" in given:
        wanted.add("content")
    # Another client's title stays as it is, unless a new one is given.
    if "title" in given or (ours and "content" in given):
        wanted.add("title")
    if "tags" in given or not ours:
        wanted.add("tags")
    if given.get("expires_at") is not None:
        wanted |= {"expires_at", "tier"}
    return wanted


class Draft:
    """A memory on its way to the daemon.

    Attributes:
        fields: The row.
        id: The id by which the caller will know it.
        chosen: Whether the caller chose the id.
        plain: Whether the usual call can store it.
        created_at: The time that the caller gave it, if any.
    """

    __slots__ = ("chosen", "created_at", "fields", "id", "plain", "scope")

    def __init__(self, fields: dict[str, Any], item: NewMemory, now: datetime) -> None:
        self.fields = fields
        self.id = item.id if item.id is not None else cast("str", fields["id"])
        self.chosen = item.id is not None
        self.created_at = item.created_at
        self.scope = item.scope
        past = (
            "expires_at" in fields and expiry(item, now) is not None and cast("Any", expiry(item, now)) <= now
        )
        self.plain = not self.chosen and item.created_at is None and not past

    def replaces(self, row: wire.Memory) -> bool:
        """Whether `row` is this very memory: of the same id, user and space."""
        memory = memory_of(row)
        return (memory.id, memory.scope.user, memory.scope.space) == (
            self.id,
            self.scope.user,
            self.scope.space,
        )


def draft_of(item: NewMemory, now: datetime, agent_id: str | None) -> Draft:
    """Return `item` as a row; raise if ai-memory would refuse it."""
    ends = expiry(item, now)
    extra = checked_extra(item.extra)
    wire_id = wire_id_of(item.id, item.scope) if item.id is not None else str(uuid.uuid4())
    new = Memory(
        id=wire_id,
        content=item.content,
        scope=item.scope,
        title=item.title,
        type=item.type,
        tags=item.tags,
        metadata=item.metadata,
        importance=item.importance,
        source=item.source,
        created_at=item.created_at or now,
        expires_at=ends,
    )
    agent = item.scope.agent if _is_agent(item.scope.agent) else agent_id
    fields = fields_of(
        new,
        created_at=None,
        id=item.id,
        native={"agent_id": agent} if agent else {},
        extra=extra,
        links=links_of(item),
    )
    fields |= {
        "id": wire_id,
        "created_at": _text(item.created_at or now),
        "updated_at": _text(now),
        "access_count": 0,
    }
    if ends is None and extra.get("tier") in _LIFETIMES:
        # The daemon gives a tier its lifetime only when storing, not when importing.
        fields["expires_at"] = _text(now + _LIFETIMES[extra["tier"]])
    rules.check_fields({name: fields[name] for name in ("title", "content", "namespace", "tags", "metadata")})
    return Draft({name: value for name, value in fields.items() if value is not None}, item, now)


def fields_of(
    memory: Memory,
    *,
    created_at: datetime | None,
    id: str | None,
    native: Mapping[str, Any],
    extra: Mapping[str, Any],
    links: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the daemon's fields for `memory`; `links` are those of its links and validity."""
    content = cleaned(memory.content)
    tags = [*dict.fromkeys(cleaned(tag) for tag in memory.tags if tag.strip())]
    kept = {
        **links,
        "id": id,
        "title": memory.title,
        "type": memory.type,
        "importance": None if memory.importance is None else repr(memory.importance),
        "source": memory.source,
        # The daemon raises its own value at each recall.
        "priority": extra.get("priority"),
        "created_at": None if created_at is None else _text(created_at),
        # Characters that the daemon refuses, such as the line ends of Windows, are kept here.
        "content": None if content == memory.content else memory.content,
        "tags": None if tuple(tags) == memory.tags else list(memory.tags),
    }
    metadata = fold(memory.metadata, memory.scope, kept, taken=NATIVE)
    return {
        "title": _title(memory),
        "content": content,
        "namespace": namespace_of(memory.scope.space),
        "tier": extra.get("tier", "long"),
        "tags": tags + _marks(memory.scope, id),
        "priority": extra.get("priority") or priority_of(memory.importance),
        "confidence": extra.get("confidence", 1.0),
        "source": memory.source if memory.source in rules.SOURCES else "api",
        "expires_at": None if memory.expires_at is None else _text(memory.expires_at),
        "metadata": {
            **metadata,
            **native,
            **{name: extra[name] for name in _SHARED if name in extra},
        },
    }


def _title(memory: Memory) -> str:
    """Return a title that no other memory has, readable by people who look into the daemon."""
    words = " ".join(cleaned(memory.title or memory.content).split()) or "memory"
    length = 400 if memory.title else 60
    return f"{words[:length].strip()} [{uuid.uuid4().hex[:12]}]"


def cleaned(text: str) -> str:
    """Return `text` without the characters that the daemon refuses, each replaced by a space."""
    if rules.clean(text):
        return text
    return "".join(character if rules.clean(character) else " " for character in text)


def checked_extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given values of `extra`; raise if ai-memory would refuse one."""
    check_extra(extra, EXTRA, rules.NAME)
    tier = extra.get("tier")
    if tier is not None and tier not in tuple(wire.Tier):
        raise OneBrainValidationError("extra: tier must be short, mid or long", service=rules.NAME)
    rules.check_fields({name: extra.get(name) for name in ("priority", "confidence", "scope")})
    return {
        name: str(value) if name == "tier" else value for name, value in extra.items() if value is not None
    }


def wire_id_of(id: str, scope: Scope) -> str:
    """Return the daemon's id for one that a caller chose: a UUID made from it and from whose it is.

    An id is unique for one user in one space here, and in the whole daemon there; and because the daemon matches ids
    by their beginning, all of them must have one length.
    """
    return str(uuid.uuid5(_IDS, to_json([scope.space, scope.user, id])))


def namespace_of(space: str | None) -> str:
    """Return the namespace of a space."""
    if space is None:
        return _DEFAULT_NAMESPACE
    if rules.namespace_problem(space) is None and not space.startswith("_"):
        return space
    encoded = quote(space, safe="-:@~").replace(".", "%2E").replace("_", "%5F")
    return encoded if len(encoded) <= 512 else mark("n", space)


def _marks(scope: Scope, id: str | None) -> list[str]:
    """Return the tags that stand for a scope, and for an id that a caller chose."""
    return marks(("u", scope.user), ("a", scope.agent), ("s", scope.session), ("i", id))


# ---- from a row to a memory -----------------------------------------------------------------------------------------


def memory_of(row: wire.Memory) -> Memory:
    """Return a row as a memory."""
    envelope = unfold(row.metadata, taken=NATIVE)
    agent = row.metadata.get("agent_id")
    if not envelope.ours:
        memory = Memory(
            id=row.id,
            content=row.content,
            scope=Scope(
                space=row.namespace or None, agent=agent if isinstance(agent, str) and agent else None
            ),
            title=row.title or None,
            tags=row.tags,
            metadata=envelope.metadata,
            source=row.source,
            created_at=row.created_at,
            updated_at=row.updated_at,
            expires_at=row.expires_at,
            extra=_extra(row),
        )
        return with_links(memory, row.metadata, envelope)
    exact_tags = envelope.texts("tags")
    own = set(_marks(envelope.scope, envelope.text("id")))
    memory = Memory(
        id=envelope.text("id") or row.id,
        content=envelope.text("content") or row.content,
        scope=envelope.scope,
        title=envelope.text("title"),
        type=envelope.text("type"),
        tags=exact_tags if exact_tags is not None else tuple(tag for tag in row.tags if tag not in own),
        metadata=envelope.metadata,
        importance=importance_of(envelope),
        source=envelope.text("source"),
        created_at=envelope.instant("created_at") or row.created_at,
        updated_at=row.updated_at,
        expires_at=row.expires_at,
        extra=_extra(row, envelope),
    )
    return with_links(memory, row.metadata, envelope)


def _extra(row: wire.Memory, envelope: Envelope | None = None) -> dict[str, Any]:
    """Return the daemon's own facts, without those that every recall changes."""
    extra: dict[str, Any] = {"tier": str(row.tier), "confidence": row.confidence}
    priority = envelope.number("priority") if envelope is not None else None
    if priority is not None:
        extra["priority"] = int(priority)
    return extra | {name: row.metadata[name] for name in _SHARED if name in row.metadata}


def importance_of(envelope: Envelope) -> float | None:
    """Return the exact importance; None if the memory has none, or another client wrote something else there."""
    text = envelope.text("importance")
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def priority_of(importance: float | None) -> int:
    """Return the daemon's priority, 1 to 10, for an importance."""
    return 5 if importance is None else 1 + round(9 * importance)


def is_visible(row: wire.Memory) -> bool:
    """Whether a row is somebody's memory: agents and messages are kept as memories by the daemon, too."""
    return not row.namespace.startswith("_") or KEY in row.metadata


def is_gone(row: wire.Memory) -> bool:
    """Whether a row has expired, which the daemon still shows by its id for up to half an hour."""
    return row.expires_at is not None and row.expires_at <= datetime.now(UTC)


def age(memory: Memory) -> datetime:
    """Return the time by which memories are ordered, oldest first."""
    return memory.created_at or datetime.min.replace(tzinfo=UTC)


def _text(value: datetime) -> str:
    # The daemon compares times as text, so all must have its own form.
    return value.astimezone(UTC).isoformat()


def _is_agent(value: str | None) -> bool:
    return value is not None and rules.is_agent_id(value)

"""A driver on a dict, small enough to be obviously correct, with which other drivers are compared.

It has every capability. Its search ranks by the share of query words that a memory contains, which is enough to test
everything about a search but its quality. Use it in tests of code that uses a `Brain`.
"""

from __future__ import annotations

import copy
import itertools
import math
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

from onebrain._core.codec import from_json, to_json
from onebrain._core.paging import Page, PageMeta
from onebrain._core.steps import Steps, done
from onebrain._core.transport import AsyncTransport, SyncTransport
from onebrain.errors import EmbedderMismatch, OneBrainError, OneBrainNotFoundError, OneBrainValidationError
from onebrain.memory.brain import Brain
from onebrain.memory.capabilities import ALL_OPERATORS, Capabilities
from onebrain.memory.driver import (
    Changes,
    Found,
    ListRequest,
    Mention,
    SearchRequest,
    expiry,
    several_with_id,
)
from onebrain.memory.entities import THING, Entity
from onebrain.memory.filters import Filter, memory_matches
from onebrain.memory.models import ForgetResult, Hit, Memory, NewMemory, Scope, StoreResult
from onebrain.memory.moments import dump_object, load_object

REFERENCE = Capabilities(
    service="reference",
    client_ids=True,
    created_at=True,
    expiry=True,
    archive=True,
    embeddings=True,
    search_offset=True,
    batch_size=1000,
    atomic_batch=True,
    orders=frozenset(
        {
            "created_at",
            "-created_at",
            "updated_at",
            "-updated_at",
            "importance",
            "-importance",
            "sequence",
            "-sequence",
        }
    ),
    filters={"*": ALL_OPERATORS, "$*": ALL_OPERATORS},
    logic=frozenset({"all", "any", "not"}),
    entities=True,
    supersede=True,
    validity=True,
    as_of=True,
)


def reference_brain(capabilities: Capabilities = REFERENCE) -> Brain:
    """Return a `Brain` on an empty dict; with fewer `capabilities`, the brain emulates or refuses the others.

    Example:
        >>> brain = reference_brain()
        >>> brain.store("Maria prefers window seats").status
        'created'
    """
    return Brain(ReferenceDriver(capabilities))


# An id is unique for one user in one space.
Identity: TypeAlias = tuple[str | None, str | None, str]
# The method named list hides the type within the class.
Rows: TypeAlias = list[Memory]
Names: TypeAlias = list[str]


class ReferenceDriver:
    """Keeps memories in a dict; safe to share between threads."""

    def __init__(
        self, capabilities: Capabilities = REFERENCE, *, clock: Callable[[], datetime] | None = None
    ) -> None:
        self.capabilities = capabilities
        # In the order of storing; the sequence number of each memory is its position in that order.
        self._rows: dict[Identity, Memory] = {}
        self._sequence: dict[Identity, int] = {}
        self._numbers = itertools.count(1)
        # The names in each memory, with its sequence number and text at the time of the extraction.
        self._named: dict[Identity, tuple[int, str, Names]] = {}
        # The links from new memories to those that they supersede, with the time of recording, in its order.
        self._links: dict[tuple[Identity, Identity], datetime] = {}
        # The memories that each one was said to supersede, in the order in which they were given.
        self._asked: dict[Identity, list[Identity]] = {}
        self._stored: dict[Identity, datetime] = {}
        self._lock = threading.RLock()
        self._clock = clock or (lambda: datetime.now(UTC))

    def transports(self) -> tuple[SyncTransport | None, AsyncTransport | None]:
        """Return no transports, because no request is ever sent."""
        return None, None

    def close(self) -> None:
        """Do nothing."""

    def store(self, items: Sequence[NewMemory], /) -> Steps[Sequence[StoreResult]]:
        """Store each item."""
        with self._lock:
            return done([self._store(item) for item in items])

    def _store(self, item: NewMemory) -> StoreResult:
        try:
            metadata, extra = _json(item.metadata), _json(item.extra)
        except OneBrainValidationError as error:
            return StoreResult(id=None, status="failed", error=error)
        now = self._clock()
        id = item.id or uuid.uuid4().hex
        key = (item.scope.space, item.scope.user, id)
        old = self._alive(now).get(key)
        try:
            self._check_dimension(item.embedding or None, item.scope, but=key)
        except EmbedderMismatch as error:
            return StoreResult(id=None, status="failed", error=error)
        try:
            self._check_links(key, item.supersedes)
        except OneBrainError as error:
            return StoreResult(id=None, status="failed", error=error)
        if old is None:
            self._sequence[key] = next(self._numbers)
            self._stored[key] = now
        self._link(key, item.supersedes, now)
        self._rows[key] = Memory(
            id=id,
            content=item.content,
            scope=item.scope,
            title=item.title,
            type=item.type,
            tags=item.tags,
            metadata=metadata,
            importance=item.importance,
            source=item.source,
            pinned=item.pinned,
            archived=item.archived,
            created_at=item.created_at or (old.created_at if old else now),
            updated_at=now,
            expires_at=expiry(item, now),
            valid_from=item.valid_from,
            valid_until=item.valid_until,
            sources=item.sources,
            embedding=item.embedding or None,
            extra=extra,
        )
        return StoreResult(id=id, status="updated" if old else "created")

    def _check_links(self, key: Identity, supersedes: Iterable[str]) -> None:
        """Raise if a memory cannot supersede others of its user and space."""
        ahead = [(key[0], key[1], id) for id in supersedes]
        if not all(old in self._rows for old in ahead):
            raise OneBrainNotFoundError(
                "supersedes: this user has no memory with such an id in this space", service="reference"
            )
        while ahead:
            if key in ahead:
                raise OneBrainValidationError(
                    "supersedes: a memory would supersede itself, by way of others", service="reference"
                )
            ahead = [old for new, old in self._links if new in ahead]

    def _link(self, key: Identity, supersedes: Iterable[str], now: datetime) -> None:
        """Record the memories that one supersedes; a link that stands keeps its time."""
        olds = [(key[0], key[1], id) for id in supersedes]
        for new, old in list(self._links):
            if new == key and old not in olds:
                del self._links[new, old]
        for old in olds:
            self._links.setdefault((key, old), now)
        self._asked[key] = list(dict.fromkeys(olds))

    def _olds(self, key: Identity) -> list[Identity]:
        """Return the memories that one supersedes, in the order in which they were given."""
        return [old for old in self._asked.get(key, ()) if (key, old) in self._links]

    def history(self, id: str, scope: Scope, /) -> Steps[Sequence[Memory]]:
        """Return a memory with all that links connect it with."""
        with self._lock:
            chain = {_identity(row) for row in self._find([id], scope)}
            size = 0
            while size != len(chain):
                size = len(chain)
                chain |= {end for link in self._links if chain & set(link) for end in link}
            rows = [self._rows[key] for key in chain]
            rows.sort(
                key=lambda row: (_instant(row.valid_from or row.created_at), self._sequence[_identity(row)])
            )
            return done([self._shown(row, False) for row in rows])

    def _as_of(self, moment: datetime) -> ReferenceDriver:
        """Return a driver with the memories and links that this one had at a moment."""
        with self._lock:
            then = copy.copy(self)
            then._rows = {key: row for key, row in self._rows.items() if self._stored[key] <= moment}
            then._links = {
                link: recorded
                for link, recorded in self._links.items()
                if recorded <= moment and all(end in then._rows for end in link)
            }
            return then

    def _shown(self, row: Memory, with_embedding: bool) -> Memory:
        """Return a memory with its links."""
        key = _identity(row)
        newer = [(moment, new) for (new, old), moment in self._links.items() if old == key]
        return row.model_copy(
            update={
                "supersedes": tuple(old[2] for old in self._olds(key)),
                "superseded_by": newer[-1][1][2] if newer else None,
                "superseded_at": newer[-1][0] if newer else None,
                "embedding": row.embedding if with_embedding else None,
            }
        )

    def _standing(self, row: Memory, rows: Sequence[Memory]) -> Identity | None:
        """Return the memory of a chain that is among those that hold: this one, a newer one, or else an older one."""
        holding = {_identity(one) for one in rows}
        for newer in (True, False):
            ahead, seen = [_identity(row)], set[Identity]()
            while ahead:
                key = ahead.pop()
                if key in holding:
                    return key
                if key not in seen:
                    seen.add(key)
                    ahead += [new for new, old in self._links if old == key] if newer else self._olds(key)
        return None

    def _holds(self, row: Memory, at: datetime | None, include_superseded: bool, now: datetime) -> bool:
        """Return whether a memory holds at a moment, by default now."""
        if at is None and include_superseded:
            return True
        moment = at or now
        begins = row.valid_from or (row.created_at if at else None)
        ends = [row.valid_until] if row.valid_until else []
        if not include_superseded:
            newer = [self._rows[new] for new, old in self._links if old == _identity(row)]
            ends += [_instant(new.valid_from or (new.created_at if at else None)) for new in newer]
        return (begins is None or begins <= moment) and all(moment < end for end in ends)

    def _check_dimension(
        self, vector: Sequence[float] | None, scope: Scope, *, but: Identity | None = None
    ) -> None:
        """Raise if a vector has another dimension than the vectors of its space."""
        for row in self._rows.values() if vector else ():
            if row.embedding and row.scope.space == scope.space and _identity(row) != but and vector:
                if len(row.embedding) != len(vector):
                    raise EmbedderMismatch(
                        f"the space holds vectors of {len(row.embedding)} dimensions, this one has {len(vector)}",
                        service=self.capabilities.service,
                    )
                return

    def search(self, request: SearchRequest, /) -> Steps[Found]:
        """Rank by the share of query words that a memory contains, or by cosine."""
        if request.as_of is not None:
            return self._as_of(request.as_of).search(replace(request, as_of=None))
        with self._lock:
            self._check_dimension(request.embedding, request.scope)
            rows = self._select(
                request.scope,
                request.filter,
                request.include_archived,
                include_superseded=request.include_superseded,
                at=request.at,
            )
            members = self._select(
                request.scope, request.filter, request.include_archived, include_superseded=True
            )
        if request.query is None and request.embedding is None:
            rows.reverse()
            rows.sort(key=lambda row: _instant(row.created_at), reverse=True)
            scored = [(0.0, row) for row in rows]
        else:
            best: dict[Identity, float] = {}
            for row in members:
                score, standing = _score(request, row), self._standing(row, rows)
                if score is not None and standing is not None:
                    best[standing] = max(score, best.get(standing, score))
            scored = sorted(
                ((best[_identity(row)], row) for row in rows if _identity(row) in best),
                key=lambda pair: -pair[0],
            )
        page = scored[request.offset : request.offset + request.limit]
        hits = [
            Hit(memory=self._shown(row, request.with_embeddings), score=max(0.0, score))
            for score, row in page
        ]
        return done(Found(hits=hits, more=request.offset + request.limit < len(scored), mode=request.mode))

    def get(
        self, ids: Sequence[str], scope: Scope, /, *, with_embeddings: bool = False
    ) -> Steps[Sequence[Memory]]:
        """Return the memories with these ids."""
        with self._lock:
            return done([self._shown(row, with_embeddings) for row in self._find(ids, scope)])

    def list(self, request: ListRequest, /) -> Steps[Page[Memory]]:
        """Return one page of the sorted memories."""
        if request.as_of is not None:
            return self._as_of(request.as_of).list(replace(request, as_of=None))
        with self._lock:
            rows = self._select(
                request.scope,
                request.filter,
                request.include_archived,
                include_superseded=request.include_superseded,
                at=request.at,
            )
            sequence = dict(self._sequence)
        descending = request.order.startswith("-")
        keyed = [(_sort_key(row, request.order), sequence[_identity(row)], row) for row in rows]
        keyed.sort(key=lambda item: item[:2], reverse=descending)
        # The cursor is the sort key of the last row and not an offset, so that pages stay right when rows are added or removed.
        last = _position(request.cursor)
        if last is not None:
            keyed = [item for item in keyed if (item[:2] < last if descending else item[:2] > last)]
        page = keyed[: request.limit]
        more = len(keyed) > request.limit
        cursor = to_json(page[-1][:2]) if more else None
        shown = tuple(self._shown(row, request.with_embeddings) for _, _, row in page)
        return done(Page(shown, PageMeta(more, cursor, len(rows))))

    def update(self, id: str, changes: Changes, scope: Scope, /) -> Steps[Memory]:
        """Change the given fields."""
        with self._lock:
            found = self._find([id], scope)
            if not found:
                raise OneBrainNotFoundError("no memory with this id in this scope", service="reference")
            if len(found) > 1:
                raise several_with_id("reference")
            row = found[0]
            fields = dict(changes.fields)
            fields["metadata"] = _json(changes.metadata(row.metadata))
            fields["extra"] = fields.get("extra", row.extra) or {}
            if "embedding" in fields:
                fields["embedding"] = fields["embedding"] or None
                self._check_dimension(fields["embedding"], row.scope, but=_identity(row))
            fields = {
                name: () if name in ("tags", "sources", "supersedes") and value is None else value
                for name, value in fields.items()
            }
            begins, ends = (fields.get(name, getattr(row, name)) for name in ("valid_from", "valid_until"))
            if begins is not None and ends is not None and ends <= begins:
                raise OneBrainValidationError(
                    "valid_until: must be later than valid_from", service="reference"
                )
            if "supersedes" in fields:
                supersedes = fields.pop("supersedes")
                self._check_links(_identity(row), supersedes)
                self._link(_identity(row), supersedes, self._clock())
            changed = row.model_copy(update={**fields, "updated_at": self._clock()})
            self._rows[_identity(row)] = changed
            return done(self._shown(changed, False))

    def delete(self, ids: Sequence[str], scope: Scope, /) -> Steps[int]:
        """Remove the memories with these ids."""
        with self._lock:
            gone = self._find(ids, scope)
            for row in gone:
                self._remove(row)
            return done(len(gone))

    def forget(self, scope: Scope, filter: Filter, /, *, dry_run: bool) -> Steps[ForgetResult]:
        """Remove the matching memories."""
        with self._lock:
            rows = self._select(scope, filter, True, include_superseded=True)
            if not dry_run:
                for row in rows:
                    self._remove(row)
            ids = tuple(row.id for row in rows)
            return done(ForgetResult(count=len(ids), dry_run=dry_run, ids=ids))

    def count(self, scope: Scope, filter: Filter, /, *, include_archived: bool) -> Steps[int]:
        """Count the matching memories."""
        with self._lock:
            return done(len(self._select(scope, filter, include_archived)))

    def extract(self, memories: Sequence[Memory], /) -> Steps[int]:
        """Extract consecutive capitalised words as names."""
        with self._lock:
            alive = self._alive(self._clock())
            unread = [row for row in memories if _identity(row) in alive and self._names_of(row) is None]
            for row in unread:
                key = _identity(row)
                names = list(dict.fromkeys(_NAME.findall(row.content)))
                self._named[key] = (self._sequence[key], row.content, names)
            return done(len(unread))

    def mentions(self, memories: Sequence[Memory], /) -> Steps[Sequence[Mention]]:
        """Return the names in each memory."""
        with self._lock:
            return done(
                [
                    Mention(row, Entity(id=f"entity of {name.casefold()}", name=name, type=THING))
                    for row in memories
                    for name in self._names_of(row) or ()
                ]
            )

    def forget_mentions(self, entity_id: str, memories: Sequence[Memory], /) -> Steps[int]:
        """Remove a name from each memory."""
        with self._lock:
            count = 0
            for row in memories:
                names = self._names_of(row) or []
                gone = [name for name in names if f"entity of {name.casefold()}" == entity_id]
                count += bool(gone)
                for name in gone:
                    names.remove(name)
            return done(count)

    def _names_of(self, row: Memory) -> Names | None:
        """Return the names in a memory. Returns None if it was not read since it was last stored."""
        sequence, content, names = self._named.get(_identity(row), (0, "", []))
        return names if (sequence, content) == (self._sequence.get(_identity(row)), row.content) else None

    def _find(self, ids: Sequence[str], scope: Scope) -> Rows:
        wanted = set(ids)
        return [
            row for row in self._alive(self._clock()).values() if row.id in wanted and scope.covers(row.scope)
        ]

    def _alive(self, now: datetime) -> dict[Identity, Memory]:
        for row in [
            row for row in self._rows.values() if row.expires_at is not None and row.expires_at <= now
        ]:
            self._remove(row)
        return self._rows

    def _remove(self, row: Memory) -> None:
        key = _identity(row)
        del self._rows[key]
        self._stored.pop(key, None)
        self._links = {link: moment for link, moment in self._links.items() if key not in link}

    def _select(
        self,
        scope: Scope,
        filter: Filter,
        include_archived: bool,
        *,
        include_superseded: bool = False,
        at: datetime | None = None,
    ) -> Rows:
        now = self._clock()
        rows: Iterable[Memory] = self._alive(now).values()
        return [
            row
            for row in rows
            if scope.covers(row.scope)
            and (include_archived or not row.archived)
            and memory_matches(filter, row)
            and self._holds(row, at, include_superseded, now)
        ]


_WORD = re.compile(r"\w+")
_NAME = re.compile(r"\b[A-Z]\w+(?: [A-Z]\w+)*")


def _identity(row: Memory) -> Identity:
    return (row.scope.space, row.scope.user, row.id)


def _json(value: Any) -> dict[str, Any]:
    return load_object(dump_object(value))


def _instant(value: datetime | None) -> datetime:
    return value or datetime.min.replace(tzinfo=UTC)


def _sort_key(row: Memory, order: str) -> float:
    name = order.lstrip("-")
    if name == "sequence":
        return 0.0
    return row.importance or 0.0 if name == "importance" else _instant(getattr(row, name)).timestamp()


def _position(cursor: str | None) -> tuple[float, int] | None:
    """Return the sort key and the sequence number in a cursor."""
    if cursor is None:
        return None
    try:
        key, sequence = from_json(cursor)
        return float(key), int(sequence)
    except (ValueError, TypeError):
        raise OneBrainValidationError("cursor: is not one that page returned") from None


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def _score(request: SearchRequest, row: Memory) -> float | None:
    """Return the cosine, or the share of query words in the memory. Returns None if the two cannot be compared."""
    if request.embedding is not None and request.mode != "keyword":
        if row.embedding is None or len(row.embedding) != len(request.embedding):
            return None
        dot = sum(a * b for a, b in zip(row.embedding, request.embedding, strict=True))
        norm = math.hypot(*row.embedding) * math.hypot(*request.embedding)
        return min(1.0, dot / norm) if norm else 0.0
    words = _words(request.query or "")
    return len(words & _words(row.content)) / len(words) or None if words else None

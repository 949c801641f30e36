"""When a memory holds, and which memories it replaces, is replaced by, and was drawn from.

Few memories have any of this, so a store keeps it beside the memories, in a table that spaces without it never read.
Links are kept at both of their ends, and always changed in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onebrain._core.codec import from_json, to_json

# A life as stored: `valid_from`, `valid_until`, and the rest as JSON.
Stored = tuple[int | None, int | None, str]


@dataclass(frozen=True, slots=True)
class Link:
    """One end of a link between two memories of a space.

    Attributes:
        row: The other memory's row.
        id: Its id.
        recorded: When the link was made, in microseconds.
    """

    row: int
    id: str
    recorded: int


@dataclass(frozen=True, slots=True)
class Life:
    """The life of one memory; times are microseconds.

    Attributes:
        row: Its row.
        id: Its id.
        created: When it was made.
        expires: When it expires; None for never.
        valid_from: When it begins to hold; None where `created` says it.
        valid_until: When it ceases to hold; None for never.
        supersedes: The memories that it replaces.
        successors: The memories that replace it, in the order of recording.
        sources: The ids of memories that it was drawn from.
    """

    row: int
    id: str
    created: int
    expires: int | None
    valid_from: int | None = None
    valid_until: int | None = None
    supersedes: tuple[Link, ...] = ()
    successors: tuple[Link, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def begins(self) -> int:
        """When it begins to hold."""
        return self.created if self.valid_from is None else self.valid_from

    @property
    def plain(self) -> bool:
        """Whether nothing of it need be kept."""
        return (
            self.valid_from is None
            and self.valid_until is None
            and not (self.supersedes or self.successors or self.sources)
        )

    def stored(self) -> Stored:
        """Return it as a store keeps it."""
        links = {
            "supersedes": [[link.row, link.id, link.recorded] for link in self.supersedes],
            "successors": [[link.row, link.id, link.recorded] for link in self.successors],
            "sources": self.sources,
        }
        return (
            self.valid_from,
            self.valid_until,
            to_json({name: some for name, some in links.items() if some}),
        )

    @classmethod
    def of(
        cls,
        row: int,
        id: str,
        created: int,
        expires: int | None,
        valid_from: int | None,
        valid_until: int | None,
        links: str,
    ) -> Life:
        """Return the life of a memory from its columns."""
        some: dict[str, Any] = from_json(links)
        return cls(
            row,
            id,
            created,
            expires,
            valid_from,
            valid_until,
            tuple(Link(*link) for link in some.get("supersedes", ())),
            tuple(Link(*link) for link in some.get("successors", ())),
            tuple(some.get("sources", ())),
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """The life that a memory is to have; ids are of its own user and space.

    Attributes:
        valid_from: See `Life`.
        valid_until: See `Life`.
        supersedes: The ids of memories that it is to replace.
        sources: See `Life`.
        recorded: When links of a memory from another brain were made there, in microseconds by id; new links are made now.
    """

    valid_from: int | None = None
    valid_until: int | None = None
    supersedes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    recorded: Mapping[str, int] = field(default_factory=dict[str, int])

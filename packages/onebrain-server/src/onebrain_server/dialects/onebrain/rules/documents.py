"""Documents beside the memories, such as projects and tags: how operations find, list and change those of the caller."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from onebrain.errors import OneBrainConflictError
from onebrain_server.dialects.onebrain.wire import Paging, bad_cursor, paged
from onebrain_server.http.operation import Answer
from onebrain_server.http.problems import conflict, not_found
from onebrain_server.http.requests import Call
from onebrain_server.jobs import briefings
from onebrain_server.state.database import Taken
from onebrain_server.state.records import Record


@dataclass(frozen=True, slots=True)
class Kind:
    """The documents of one kind.

    Each method works on those of the caller. A method that takes an id raises a `Problem`, 404, if there is none with it.

    Attributes:
        name: Its name in the database.
        title: Its name in messages.
    """

    name: str
    title: str

    def one(self, call: Call, id: str) -> Record:
        """Return a document."""
        return self._found(call.server.records.get(call.tenant_id, self.name, id))

    def all(self, call: Call, *, status: str | None = None) -> list[Record]:
        """Return all documents, newest first."""
        return call.server.records.all(call.tenant_id, self.name, status=status)

    def page(
        self, call: Call, query: Paging, row: Callable[[Record], dict[str, Any]], **narrowed: str | None
    ) -> Answer:
        """Return one page of rows, newest first, of a status or label if that is given."""
        page = call.server.records.page(
            call.tenant_id, self.name, limit=query.limit, cursor=query.cursor, **narrowed
        )
        if page is None:
            raise bad_cursor()
        return paged([row(record) for record in page.rows], page.cursor, page.total)

    def add(
        self, call: Call, body: Mapping[str, Any], *, unique: str | None = None, status: str | None = None
    ) -> Record:
        """Store a new document; raise `Taken` if another one has the unique name."""
        return call.server.records.add(call.tenant_id, self.name, body, unique=unique, status=status)

    def change(self, call: Call, id: str, changes: Mapping[str, Any], *, status: str | None = None) -> Record:
        """Set fields of a document, and its status if given; return it as it is then."""
        return self._found(call.server.records.change(call.tenant_id, self.name, id, changes, status=status))

    def remove(self, call: Call, id: str) -> None:
        """Remove a document and its links."""
        if not call.server.records.remove(call.tenant_id, self.name, id):
            raise not_found(self.title)

    def _found(self, record: Record | None) -> Record:
        if record is None:
            raise not_found(self.title)
        return record


BRIEFINGS: Final = Kind(briefings.KIND, "Briefing")
CONNECTIONS: Final = Kind("connection", "Connection")
MERGES: Final = Kind("merge", "Version")
ORGANIZATIONS: Final = Kind("organization", "Organization")
PROJECTS: Final = Kind("project", "Project")
SCHEDULES: Final = Kind(briefings.SCHEDULE, "Schedule")
SKILLS: Final = Kind("skill", "Skill")
TAGS: Final = Kind("tag", "Tag")
TRIGGERS: Final = Kind(briefings.TRIGGER, "Trigger")


@contextmanager
def unique(what: str) -> Generator[None, None, None]:
    """Answer 409, with the id of the other one, where a block stores what is there already."""
    try:
        yield
    except (OneBrainConflictError, Taken) as error:
        raise conflict(f"There is {what} already", error.existing_id) from None

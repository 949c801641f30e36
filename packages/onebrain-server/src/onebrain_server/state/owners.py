"""The entity and the project that each memory belongs to, by its links."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from onebrain_server.state.database import Database
from onebrain_server.state.entities import ENTITY
from onebrain_server.state.links import Links
from onebrain_server.state.revisions import revision_of

# Memories whose owners are remembered, about 200 bytes each.
_MOST: Final = 100_000
_PROJECT: Final = "project"


@dataclass(frozen=True, slots=True)
class Belonging:
    """The owners of a memory by its links: the first entity that it is about, and its first project."""

    entity_id: str | None = None
    project_id: str | None = None


NOWHERE: Final = Belonging()


class Owners:
    """The owners of all tenants' memories; safe to share between threads.

    Owners that were read are good until the account's revision differs. Every change of a link raises it in the same
    transaction, in whichever process it happens, and every call reads it: an answer is never older than the call.

    Args:
        database: Where the links are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._links = Links(database)
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, dict[str, Belonging]]] = {}
        self._count = 0

    def revision(self, tenant: str) -> int:
        """Return the revision of an account, which every change of its records, entities and links raises."""
        return revision_of(self._database, tenant)

    def of(self, tenant: str, memory_ids: Sequence[str]) -> Mapping[str, Belonging]:
        """Return the owners of an account's memories, by the memories' ids."""
        # Before the links, so that what is remembered is never older than its revision.
        known = self._at(tenant, self.revision(tenant))
        found = {id: known[id] for id in memory_ids if id in known}
        missing = [id for id in memory_ids if id not in found]
        if missing:
            read = self._read(tenant, missing)
            found.update(read)
            known.update(read)
            self._note(len(read))
        return found

    def _at(self, tenant: str, revision: int) -> dict[str, Belonging]:
        """Return the owners that are known of a tenant as of a revision, for the caller to add to."""
        known = self._known.get(tenant)
        if known is None or known[0] != revision:
            known = self._known[tenant] = (revision, {})
        return known[1]

    def _note(self, count: int) -> None:
        """Count memories that are remembered, and begin anew when they are too many."""
        with self._lock:
            self._count += count
            if self._count > _MOST:
                self._known, self._count = {}, 0

    def _read(self, tenant: str, memory_ids: Sequence[str]) -> dict[str, Belonging]:
        about: dict[str, str] = {}
        others: dict[str, str] = {}
        projects: dict[str, str] = {}
        for link in self._links.all(tenant, ENTITY, _PROJECT, memory_ids=memory_ids):
            if link.kind == _PROJECT:
                projects.setdefault(link.memory_id, link.owner_id)
            elif link.link_type == "about":
                about.setdefault(link.memory_id, link.owner_id)
            elif link.link_type != "mentions":
                others.setdefault(link.memory_id, link.owner_id)
        entities = {**others, **about}
        return {
            id: Belonging(entities.get(id), projects.get(id)) if id in entities or id in projects else NOWHERE
            for id in memory_ids
        }

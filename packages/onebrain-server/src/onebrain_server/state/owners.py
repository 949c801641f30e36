"""The entity and the project that each memory belongs to, by its links."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from onebrain_engine.graph import Graph, TenantGraph
from onebrain_server.state.records import Records

Revisions: TypeAlias = tuple[int, int]

# Memories whose owners are remembered, about 200 bytes each.
_MOST: Final = 100_000
# The graph's tables and the server's are in one database, except in memory.
_REVISIONS: Final = (
    "SELECT COALESCE((SELECT revision FROM graph_revision WHERE tenant = ?), 0), "
    "COALESCE((SELECT revision FROM server_account WHERE id = ?), 0)"
)


@dataclass(frozen=True, slots=True)
class Belonging:
    """The owners of a memory by its links: the first entity that it is about, and its first project."""

    entity_id: str | None = None
    project_id: str | None = None


NOWHERE: Final = Belonging()


class Owners:
    """The owners of all tenants' memories; safe to share between threads.

    Owners that were read are good until the tenant's revisions differ. Every change of a link raises one of them in the
    same transaction, in whichever process it happens, and every call reads them: an answer is never older than the call.

    Args:
        graph: Holds the entities.
        records: Holds the projects.
        one_database: Whether the tables of both are in one database.
    """

    def __init__(self, graph: Graph, records: Records, *, one_database: bool) -> None:
        self._graph = graph
        self._records = records
        self._one_database = one_database
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Revisions, dict[str, Belonging]]] = {}
        self._count = 0

    def revisions(self, graph: TenantGraph) -> Revisions:
        """Return the revisions of a tenant's graph and records."""
        if not self._one_database:
            return graph.revision(), self._records.revision(graph.name)
        [(of_graph, of_records)] = self._graph.tables.query(graph.name, _REVISIONS, (graph.name, graph.name))
        return of_graph, of_records

    def of(self, graph: TenantGraph, memory_ids: Sequence[str]) -> Mapping[str, Belonging]:
        """Return the owners of memories, by the memories' ids."""
        # Before the links, so that what is remembered is never older than its revisions.
        known = self._at(graph.name, self.revisions(graph))
        found = {id: known[id] for id in memory_ids if id in known}
        missing = [id for id in memory_ids if id not in found]
        if missing:
            read = self._read(graph, missing)
            found.update(read)
            known.update(read)
            self._note(len(read))
        return found

    def _at(self, tenant: str, revisions: Revisions) -> dict[str, Belonging]:
        """Return the owners that are known of a tenant as of revisions, for the caller to add to."""
        known = self._known.get(tenant)
        if known is None or known[0] != revisions:
            known = self._known[tenant] = (revisions, {})
        return known[1]

    def _note(self, count: int) -> None:
        """Count memories that are remembered, and begin anew when they are too many."""
        with self._lock:
            self._count += count
            if self._count > _MOST:
                self._known, self._count = {}, 0

    def _read(self, graph: TenantGraph, memory_ids: Sequence[str]) -> dict[str, Belonging]:
        entities: dict[str, str] = {}
        others: dict[str, str] = {}
        for link in graph.links(memory_ids=memory_ids):
            if link.link_type == "about":
                entities.setdefault(link.memory_id, link.entity_id)
            elif link.link_type != "mentions":
                others.setdefault(link.memory_id, link.entity_id)
        entities = {**others, **entities}
        projects: dict[str, str] = {}
        for owned in self._records.links(graph.name, "project", memory_ids=memory_ids):
            projects.setdefault(owned.memory_id, owned.owner_id)
        return {
            id: Belonging(entities.get(id), projects.get(id)) if id in entities or id in projects else NOWHERE
            for id in memory_ids
        }

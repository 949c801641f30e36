"""Owners that one process remembers are never older than the links that another one has changed."""

from __future__ import annotations

import random
from contextlib import ExitStack, closing, suppress

import pytest

from onebrain.errors import OneBrainConflictError, OneBrainNotFoundError, StorageError
from onebrain_server.security.sealing import Sealer
from onebrain_server.security.vault import Vault
from onebrain_server.state import owners as module
from onebrain_server.state.accounts import Accounts
from onebrain_server.state.database import Database, Taken
from onebrain_server.state.entities import Entities
from onebrain_server.state.links import Links
from onebrain_server.state.owners import NOWHERE, Belonging, Owners
from onebrain_server.state.records import Records

MEMORIES = [f"m{number}" for number in range(6)]


class Process:
    """The parts of a server that know links, as each worker has them."""

    def __init__(self, stack: ExitStack, url: str) -> None:
        self.database = stack.enter_context(closing(Database(url)))
        self.sealer = Sealer(None)
        self.records = Records(self.database, self.sealer, Vault(lambda: [bytes(32)], self.sealer))
        self.links = Links(self.database)
        self.accounts = Accounts(self.database)
        self.owners = self.without_memory()

    def without_memory(self) -> Owners:
        """Return owners that have read nothing yet."""
        return Owners(self.database)

    def entities(self, tenant: str) -> Entities:
        """Return the entities of an account."""
        return Entities(self.database, self.sealer, tenant)


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def processes(request, tmp_path):
    """Return two processes with one database, or one where it is in its memory, and an account of it."""
    with ExitStack() as stack:
        if request.param == "memory":
            found = [Process(stack, "sqlite://")]
        else:
            url = (
                f"sqlite:///{tmp_path / 'server.db'}"
                if request.param == "sqlite"
                else request.getfixturevalue("postgres").new_database()
            )
            found = [Process(stack, url) for _ in range(2)]
        yield found, found[0].accounts.register("a@example.com", None, None, "en").id


def changes(process, tenant, chance):
    """Return every change that concerns links, on entities, projects and memories at random."""
    graph, records, links = process.entities(tenant), process.records, process.links
    entities = [entity.id for entity in graph.all()]
    projects = [record.id for record in records.all(tenant, "project")]
    memory = chance.choice(MEMORIES)

    def of(ids):
        return chance.choice(ids or ["none"])

    return {
        "entity": lambda: graph.add(str(chance.random()), "person"),
        "project": lambda: records.add(tenant, "project", {"name": "Trip"}),
        "about": lambda: graph.link(of(entities), memory, "about"),
        "mentions": lambda: graph.link(of(entities), memory, "mentions"),
        "likes": lambda: graph.link(of(entities), memory, "likes"),
        "context": lambda: links.add(tenant, "project", of(projects), memory, "context"),
        "unlink": lambda: [graph.unlink(link.owner_id, link.id) for link in graph.links(memory_ids=[memory])],
        "unlink project": lambda: links.remove(tenant, "project", of(projects), memory_id=memory),
        "merge": lambda: len(entities) > 1 and graph.merge(*chance.sample(entities, 2)),
        "remove entity": lambda: graph.remove(of(entities)),
        "remove project": lambda: records.remove(tenant, "project", of(projects)),
        "forget memory": lambda: links.forget_memories(tenant, [memory]),
        "forget entities": lambda: chance.random() < 0.1 and graph.forget_tenant(),
        "forget links": lambda: chance.random() < 0.1 and links.forget_tenant(tenant),
        "forget records": lambda: chance.random() < 0.1 and records.forget_tenant(tenant),
    }


@pytest.mark.parametrize("seed", range(2))
def test_every_change_is_seen_at_once_by_every_process(processes, seed):
    found, tenant = processes
    chance = random.Random(seed)
    seen = set()
    for _ in range(60):
        kinds = changes(chance.choice(found), tenant, chance)
        likely = ("about", "context", "likes") if chance.random() < 0.5 else tuple(kinds)
        with suppress(OneBrainNotFoundError, OneBrainConflictError, Taken):
            kinds[chance.choice(likely)]()
        for process in found:
            shown = process.owners.of(tenant, MEMORIES)
            assert shown == process.without_memory().of(tenant, MEMORIES)
            seen.update(shown.values())
    assert len(seen) > 3


def test_owners_are_read_again_only_after_a_change(processes, monkeypatch):
    found, tenant = processes
    process, other = found[0], found[-1]
    read = []
    links = Links.all
    monkeypatch.setattr(
        Links,
        "all",
        lambda *args, **options: read.append(options["memory_ids"]) or links(*args, **options),
    )
    ann = other.entities(tenant).add("Ann", "person")
    assert process.owners.of(tenant, ["m1"]) == {"m1": NOWHERE}
    assert process.owners.of(tenant, ["m1", "m2"]) == {"m1": NOWHERE, "m2": NOWHERE}
    assert read == [["m1"], ["m2"]]
    other.entities(tenant).link(ann.id, "m1", "about")
    for _ in range(2):
        assert process.owners.of(tenant, ["m1", "m2"]) == {"m1": Belonging(ann.id, None), "m2": NOWHERE}
    assert read == [["m1"], ["m2"], ["m1", "m2"]]


def test_owners_of_more_memories_than_are_remembered(processes, monkeypatch):
    found, tenant = processes
    process = found[0]
    graph = process.entities(tenant)
    monkeypatch.setattr(module, "_MOST", 10)
    ann = graph.add("Ann", "person")
    graph.link(ann.id, "m5", "about")
    for start in (0, 5, 0, 100, 3):
        ids = [f"m{number}" for number in range(start, start + 8)]
        shown = process.owners.of(tenant, ids)
        assert shown.keys() == set(ids)
        assert {id for id in ids if shown[id] != NOWHERE} == {"m5"} & set(ids)


def test_a_revision_is_never_used_again(processes):
    found, tenant = processes
    entities, records, owners = found[0].entities(tenant), found[0].records, found[0].owners
    seen = [owners.revision(tenant)]
    for _ in range(5):
        found[-1].entities(tenant).add(str(len(seen)), "person")
        seen.append(owners.revision(tenant))
        found[-1].records.add(tenant, "project", {"name": "Trip"})
        seen.append(owners.revision(tenant))
    entities.forget_tenant()
    seen.append(owners.revision(tenant))
    entities.add("Ann", "person")
    seen.append(owners.revision(tenant))
    records.forget_tenant(tenant)
    seen.append(owners.revision(tenant))
    assert seen == sorted(set(seen))


def test_a_revision_of_a_database_that_is_closed_says_so(processes):
    found, tenant = processes
    found[0].database.close()
    with pytest.raises(StorageError, match="closed"):
        found[0].owners.revision(tenant)

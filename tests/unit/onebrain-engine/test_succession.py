"""Links and validity survive copies, upgrades and many writers."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

import onebrain
from onebrain import Scope
from onebrain.cli.commands import cli
from onebrain_engine.succession import Succession

EWA = Scope(user="ewa")
SUMMER = datetime(2021, 6, 1, tzinfo=UTC)


def test_a_copy_keeps_links_sources_and_validity(tmp_path):
    url, copy = (f"sqlite:///{tmp_path}/{name}" for name in ("one.db", "two.db"))
    file = str(tmp_path / "rows.jsonl")
    with onebrain.connect(url) as brain:
        # Stored first, and it supersedes one that is stored later.
        brain.store("Ewa lives in Utrecht", id="new", scope=EWA, valid_from=SUMMER)
        brain.store("Ewa lives in Gdynia", id="old", scope=EWA, valid_until=datetime(2030, 1, 1, tzinfo=UTC))
        brain.update("new", supersedes="old", sources="talk", scope=EWA)
        before = {row.id: row for row in brain.list(include_superseded=True)}
    for arguments in (["export", "--url", url, file], ["import", "--url", copy, file]):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
    with onebrain.connect(copy) as brain:
        assert [hit.id for hit in brain.search("Ewa lives in Gdynia", scope=EWA)] == ["new"]
        after = {row.id: row for row in brain.list(include_superseded=True)}
    # The time of recording is that of the copy.
    recorded = {"superseded_at": None}
    assert {id: row.model_copy(update=recorded) for id, row in after.items()} == {
        id: row.model_copy(update=recorded) for id, row in before.items()
    }


def test_a_brain_of_an_earlier_version_learns_of_links(tmp_path):
    dump = Path(__file__).with_name("brain_of_version_3.sql")
    with closing(sqlite3.connect(tmp_path / "brain.db")) as database:
        database.executescript(dump.read_text(encoding="utf-8"))
    with onebrain.connect(f"sqlite:///{tmp_path}/brain.db") as brain:
        assert brain.get("seats").supersedes == ()
        # It is not known when they were stored, so the time of their creation counts.
        assert [row.id for row in brain.list(as_of="2025-03-01T12:00:00Z")] == ["seats"]
        new = brain.supersede("seats", "Maria prefers seats at the aisle")
        assert [hit.id for hit in brain.search("window seats", scope=Scope(user="maria"), limit=1)] == [
            new.id
        ]
        assert [row.id for row in brain.history("seats")] == ["seats", new.id]


IDS = st.sampled_from("abcdefg")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.dictionaries(IDS, st.lists(IDS, max_size=2, unique=True), min_size=1, max_size=5), max_size=6)
)
@example([{"a": ["c"], "c": ["a"], "b": ["a"]}])
def test_circles_are_refused_and_nothing_else_is(batches):
    with onebrain.connect("sqlite://", embedder=None) as brain:
        links: dict[str, set[str]] = {}
        for batch in batches:
            wanted = {id: set(olds) - {id} for id, olds in batch.items()}
            results = brain.store_many(
                {"content": id, "id": id, "supersedes": sorted(olds)} for id, olds in wanted.items()
            )
            refused = _refused(wanted, links)
            assert {id for id, result in zip(wanted, results, strict=True) if not result.ok} == refused
            links.update({id: olds for id, olds in wanted.items() if id not in refused})
        kept = {row.id: set(row.supersedes) for row in brain.list(include_superseded=True)}
        assert kept == links


def _refused(wanted: dict[str, set[str]], links: dict[str, set[str]]) -> set[str]:
    """Return which memories of a batch replace one that is not there, or themselves."""
    # One that replaces nothing is looked at with the links that it still has.
    graph = {**links, **{id: olds for id, olds in wanted.items() if olds}}
    refused = {id for id, olds in wanted.items() if olds and id in _reached(id, graph)}
    while missing := {
        id
        for id, olds in wanted.items()
        if id not in refused
        and any(old not in links and (old not in wanted or old in refused) for old in olds)
    }:
        refused |= missing
    return refused


def _reached(start: str, links: dict[str, set[str]]) -> set[str]:
    """Return all that a memory replaces, by way of others."""
    reached: set[str] = set()
    ahead = set(links.get(start, ()))
    while ahead - reached:
        reached |= ahead
        ahead = {old for id in ahead for old in links.get(id, ())}
    return reached


def test_a_chain_is_not_walked_for_a_new_memory(monkeypatch):
    walked = []
    circles = Succession._circles
    monkeypatch.setattr(
        Succession, "_circles", lambda self, name, olds: walked.append(name) or circles(self, name, olds)
    )
    with onebrain.connect("sqlite://", embedder=None) as brain:
        ids = [brain.store("step 0").id]
        for step in range(1, 4):
            ids.append(brain.store(f"step {step}", supersedes=ids[-1]).id)
        assert walked == []
        with pytest.raises(onebrain.OneBrainValidationError, match="itself"):
            brain.update(ids[0], supersedes=ids[-1])


SUPERSEDE = """
import os, sys
import onebrain
from onebrain import Scope

def supersede(url, tenant, worker):
    with onebrain.connect(url, tenant=tenant, embedder=None) as brain:
        old = None
        for step in range(6):
            old = brain.store(
                f"worker {worker} is at step {step}",
                scope=Scope(user=f"{worker}"),
                supersedes=[] if old is None else old,
            ).id

# All modules are loaded once.
onebrain.connect("sqlite://", embedder=None).close()
children = []
for worker in range(8):
    children.append(os.fork())
    if children[-1] == 0:
        status = 1
        try:
            supersede(*sys.argv[1:], worker)
            status = 0
        finally:
            os._exit(status)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_processes_supersede_in_one_space(tmp_path, request, program, new_tenant, kind):
    url = f"sqlite:///{tmp_path}/brain.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    tenant = new_tenant()
    with onebrain.connect(url, tenant=tenant, embedder=None) as brain:
        # Its index is there before the others write, and follows them.
        assert len(brain.search("worker")) == 0
        assert program(SUPERSEDE, url, tenant).split("\n")[0] == str([0] * 8)
        with onebrain.connect(url, tenant=tenant, embedder=None) as fresh:
            for reader in (brain, fresh):
                expected = {f"worker {worker} is at step 5" for worker in range(8)}
                assert {hit.content for hit in reader.search("step 0", limit=50)} == expected
                assert {row.content for row in reader.list()} == expected
                assert (reader.count(), reader.count(include_superseded=True)) == (8, 48)
                for row in reader.list():
                    assert len(reader.history(row.id)) == 6

"""Links and validity survive copies, upgrades and many writers."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

import onebrain
from onebrain import Scope
from onebrain.cli.app import cli
from onebrain.memory import transfer
from onebrain_engine.store import schema
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
    assert after == before


def lines(brain: onebrain.Brain, scope: Scope = EWA) -> list[str]:
    rows = brain.list(scope=scope, order="sequence", include_superseded=True)
    return [transfer.line(row, brain.embedders()) for row in rows]


def test_a_copy_knows_which_of_two_links_is_the_last_one():
    with (
        onebrain.connect("sqlite://", embedder=None) as brain,
        onebrain.connect("sqlite://", embedder=None) as copy,
    ):
        for id, supersedes in (("old", []), ("one", ["old"]), ("two", ["old"])):
            brain.store(id, id=id, scope=EWA, supersedes=supersedes)
        # The first one is recorded anew.
        for supersedes in ([], ["old"]):
            brain.update("one", supersedes=supersedes)
        assert brain.get("old").superseded_by == "one"
        copy.store("own", id="own", scope=EWA)
        assert copy.restore(transfer.read(lines(brain))).failed == ()
        assert (copy.get("old").superseded_by, copy.get("old").superseded_at) == (
            "one",
            brain.get("old").superseded_at,
        )
        # A link of the copy's own is later than those that come from elsewhere, also if they come again.
        copy.update("own", supersedes="old")
        assert copy.restore(transfer.read(lines(brain))).failed == ()
        assert copy.get("old").superseded_by == "own"
        # A time that the clock has not reached, and one that has none before it.
        for moment in ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"):
            rows = [
                {"content": "old", "id": "old", "superseded_by": "new", "superseded_at": moment},
                {"content": "new", "id": "new", "supersedes": ["old"]},
            ]
            assert copy.restore(transfer.read(map(json.dumps, rows), Scope(user=moment))).failed == ()
            assert copy.get("old", scope=Scope(user=moment)).superseded_at <= datetime.now(UTC)


def test_a_copy_of_one_scope_says_which_links_lead_out_of_it(tmp_path):
    one, two = (Scope(user="ewa", session=name) for name in ("one", "two"))
    with (
        onebrain.connect("sqlite://", embedder=None) as brain,
        onebrain.connect("sqlite://", embedder=None) as copy,
    ):
        brain.store("old", id="old", scope=one)
        brain.store("new", id="new", scope=two, supersedes="old")
        brain.store("newest", id="newest", scope=two, supersedes=["old", "new"])
        (tmp_path / "two.jsonl").write_text("\n".join(lines(brain, two)))
        results = copy.restore(transfer.read(lines(brain, two)))
        assert [result.unlinked for result in results] == [("old",), ("old",)]
        kept = {row.id: row.supersedes for row in copy.list(include_superseded=True)}
        assert kept == {"new": (), "newest": ("new",)}
        # Where the other memory is there already, nothing is left out.
        for scope in (one, two):
            results = copy.restore(transfer.read(lines(brain, scope)))
            assert [result.unlinked for result in results] == [()] * len(results)
        assert copy.get("newest").supersedes == ("old", "new")
        # Earlier versions could store a circle.
        rows = [{"content": id, "id": id, "supersedes": [old]} for id, old in ("ab", "bc", "ca", "da", "ez")]
        results = copy.restore(transfer.read(map(json.dumps, rows), Scope(user="circle")))
        assert [(result.ok, result.unlinked) for result in results] == [
            (True, ("b",)),
            (True, ("c",)),
            (True, ("a",)),
            (True, ()),
            (True, ("z",)),
        ]
        # Another user's memory of this id is another one.
        (result,) = copy.restore(transfer.read(lines(brain, two)[:1], Scope(user="olek")))
        assert (result.ok, result.unlinked) == (True, ("old",))
    result = CliRunner().invoke(
        cli, ["import", "--url", f"sqlite:///{tmp_path}/brain.db", str(tmp_path / "two.jsonl")]
    )
    assert (result.exit_code, "line 1: stored without the link to old" in result.output) == (0, True)


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


@pytest.mark.parametrize("version", range(1, len(schema.MIGRATIONS)))
def test_a_brain_of_each_schema_learns_of_links(tmp_path, version):
    with closing(sqlite3.connect(tmp_path / "brain.db")) as database, database:
        for statement in chain.from_iterable(schema.MIGRATIONS[:version]):
            database.execute(statement)
        database.execute("INSERT INTO space (key, tenant, name, seq) VALUES (1, 'default', '', 1)")
        database.execute(
            "INSERT INTO memory (row, tenant, space, seq, id, user, content, created_at, updated_at) "
            "VALUES (1, 'default', 1, 1, 'seats', 'maria', 'Maria prefers window seats', 1000, 1000)"
        )
        database.execute(f"PRAGMA user_version = {version}")
        database.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    with onebrain.connect(f"sqlite:///{tmp_path}/brain.db", embedder=None) as brain:
        before = brain.get("seats")
        assert (before.supersedes, before.superseded_by, before.valid_until) == ((), None, None)
        new = brain.supersede("seats", "Maria prefers seats at the aisle").id
        assert brain.get("seats").model_copy(update={"superseded_by": None, "superseded_at": None}) == before
        assert [row.id for row in brain.history(new)] == ["seats", new]
        assert [hit.id for hit in brain.search("window seats")] == [new]
        assert [row.id for row in brain.list(as_of="1971-01-01")] == ["seats"]


IDS = st.sampled_from("abcdefg")


# The ids of a batch, each with the ids that it replaces.
BATCH = st.lists(st.tuples(IDS, st.lists(IDS, max_size=2, unique=True)), min_size=1, max_size=5)


@settings(max_examples=30, deadline=None)
@given(st.lists(BATCH, max_size=6))
@example([[("a", ["c"]), ("c", ["a"]), ("b", ["a"])]])
# One that is refused keeps its link, which closes a circle with that of the other one.
@example([[("a", []), ("b", ["a"])], [("a", ["b"]), ("b", ["g"])]])
# A link is turned around.
@example([[("a", []), ("b", ["a"])], [("a", ["b"]), ("b", [])]])
# Each item counts by itself, also if a later one has its id.
@example([[("a", []), ("b", ["a"]), ("b", ["g"])], [("a", ["g"]), ("a", [])]])
@example([[("c", []), ("a", ["c"])], [("c", ["a"]), ("c", [])]])
@example([[("a", []), ("b", ["a"])], [("a", ["f"]), ("f", ["b"]), ("f", [])]])
def test_circles_are_refused_and_nothing_else_is(batches):
    with onebrain.connect("sqlite://", embedder=None) as brain:
        links: dict[str, set[str]] = {}
        for batch in batches:
            wanted = [(id, set(olds) - {id}) for id, olds in batch]
            results = brain.store_many(
                {"content": id, "id": id, "supersedes": sorted(olds)} for id, olds in wanted
            )
            refused = _refused(wanted, links)
            assert set(results.failed) == refused
            links.update({one[0]: one[1] for number, one in enumerate(wanted) if number not in refused})
        kept = {row.id: set(row.supersedes) for row in brain.list(include_superseded=True)}
        assert kept == links
        assert not [id for id in kept if id in _reached(kept[id], kept)]


def _refused(wanted: list[tuple[str, set[str]]], links: dict[str, set[str]]) -> set[int]:
    """Return the positions in a batch of the memories that replace one which is not there, or themselves."""
    refused: set[int] = set()
    while True:
        good = {number: one for number, one in enumerate(wanted) if number not in refused}
        after = {**links, **dict(good.values())}
        bad = {number for number, (_, olds) in good.items() if not olds <= after.keys()}
        bad = bad or {number for number, (id, olds) in good.items() if id in _reached(olds, after)}
        if not bad:
            return refused
        refused |= bad


def _reached(ahead: set[str], links: dict[str, set[str]]) -> set[str]:
    """Return memories with all that they replace, by way of others."""
    reached: set[str] = set()
    while ahead - reached:
        reached |= ahead
        ahead = {old for id in ahead for old in links.get(id, ())}
    return reached


def test_a_chain_is_not_walked_for_a_new_memory(monkeypatch):
    walked = []
    read = Succession._stored_links
    monkeypatch.setattr(
        Succession, "_stored_links", lambda self, names: walked.extend(names) or read(self, names)
    )
    with onebrain.connect("sqlite://", embedder=None) as brain:
        ids = [brain.store("step 0").id]
        for step in range(1, 4):
            ids.append(brain.store(f"step {step}", supersedes=ids[-1]).id)
        assert walked == []
        with pytest.raises(onebrain.OneBrainValidationError, match="itself"):
            brain.update(ids[0], supersedes=ids[-1])
        assert [id for id, _ in walked] == ids[:0:-1]


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

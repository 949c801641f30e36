"""Links and validity survive copies, upgrades and many writers."""

from __future__ import annotations

import multiprocessing
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

import onebrain
from onebrain import Scope
from onebrain.cli.commands import cli

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


def _supersede(url: str, worker: int) -> None:
    with onebrain.connect(url, embedder=None) as brain:
        old = None
        for step in range(6):
            old = brain.store(
                f"worker {worker} is at step {step}",
                scope=Scope(user=f"{worker}"),
                supersedes=[] if old is None else old,
            ).id


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_processes_supersede_in_one_space(tmp_path, request, kind):
    url = f"sqlite:///{tmp_path}/brain.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    context = multiprocessing.get_context("fork")
    with onebrain.connect(url, embedder=None) as brain:
        # Its index is there before the others write, and follows them.
        assert len(brain.search("worker")) == 0
        workers = [context.Process(target=_supersede, args=(url, worker)) for worker in range(8)]
        for one in workers:
            one.start()
        for one in workers:
            one.join()
        assert [one.exitcode for one in workers] == [0] * 8
        with onebrain.connect(url, embedder=None) as fresh:
            for reader in (brain, fresh):
                expected = {f"worker {worker} is at step 5" for worker in range(8)}
                assert {hit.content for hit in reader.search("step 0", limit=50)} == expected
                assert {row.content for row in reader.list()} == expected
                assert (reader.count(), reader.count(include_superseded=True)) == (8, 48)
                for row in reader.list():
                    assert len(reader.history(row.id)) == 6

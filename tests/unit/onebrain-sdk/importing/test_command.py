"""The commands import and migrate: outputs for people and machines, exit codes, dry runs."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import onebrain
from onebrain.cli.app import cli


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONEBRAIN_URL", raising=False)
    return lambda *arguments, **more: CliRunner().invoke(cli, [*arguments], **more)


def test_bad_places_are_named_and_the_others_stored(run):
    rows = '{"text": "Likes tea", "user": "maria"}\n{"text": \n'
    done = run("import", "-", "--url", "sqlite:///b.db", input=rows)
    assert (done.exit_code, done.stdout) == (1, "jsonl: 1 memory stored, 1 place skipped\n")
    assert done.stderr == "line 2: is no JSON\n"
    done = run("import", "-", "--url", "sqlite:///b.db", "--json", input=rows)
    assert json.loads(done.stdout) == {
        "format": "jsonl",
        "imported": 0,
        "already_there": 1,
        "failed": 1,
        "skipped": [{"place": "line 2", "reason": "is no JSON"}],
        "carried": {},
        "lost": {},
        "dry_run": False,
    }


def test_a_dry_run_makes_no_file(run, tmp_path):
    (tmp_path / "notes.csv").write_text("text,user\nLikes tea,maria\n")
    done = run("import", "notes.csv", "--url", "sqlite:///b.db", "--dry-run")
    assert (done.exit_code, done.stdout) == (0, "csv: 1 memory would be stored\n")
    assert run("import", "nothing.csv", "--url", "sqlite:///b.db").exit_code == 3
    assert run("import", "notes.csv", "--url", "sqlite:///b.db", "--from", "cvs").exit_code == 1
    assert run("migrate", "sqlite:///missing.db", "sqlite:///b.db").exit_code != 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.csv"]


def test_a_migration_goes_on_and_is_verified(run):
    with onebrain.connect("sqlite:///a.db") as brain:
        brain.store_many(["one", "two"], scope=onebrain.Scope(user="maria"))
        brain.store("other", scope=onebrain.Scope(user="mario"))
    done = run("migrate", "sqlite:///a.db", "sqlite:///b.db", "--user", "maria", "--dry-run")
    assert done.stdout == "2 memories read, 2 would be stored, 0 there already\n"
    done = run("migrate", "sqlite:///a.db", "sqlite:///b.db", "--user", "maria")
    assert (done.exit_code, done.stdout) == (0, "2 memories read, 2 stored, 0 there already\n")
    done = run("migrate", "sqlite:///a.db", "sqlite:///b.db", "--verify", "--json")
    row = json.loads(done.stdout)
    assert (row["stored"], row["already_there"], row["verified"]["equal"]) == (1, 2, True)


def test_a_changed_memory_fails_the_verification(run):
    for url, text in (("sqlite:///a.db", "one"), ("sqlite:///b.db", "two")):
        with onebrain.connect(url) as brain:
            brain.store(text, id="1")
    done = run("migrate", "sqlite:///a.db", "sqlite:///b.db", "--verify")
    assert done.exit_code == 1
    assert "1: a memory with this id is there, and says something else" in done.stderr
    assert "1: differs in content" in done.stderr

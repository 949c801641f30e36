"""The commands of an operator on the database of a server."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from onebrain.cli.app import cli
from onebrain_server.server import Server
from onebrain_server.settings import Settings


@pytest.fixture
def db(tmp_path):
    """The database of a server whose first key nobody has."""
    url = f"sqlite:///{tmp_path}/server.db"
    server = Server(Settings.from_environment(database_url=url))
    server.accounts.first_key()
    server.close()
    return url


def run(db, *line):
    return CliRunner().invoke(cli, ["admin", *line, "--db", db])


def test_three_teams_have_accounts_plans_and_keys(db):
    key = run(db, "add-user", "Team-A@example.com").output.strip()
    lost = run(db, "create-key", "owner@localhost", "--days", "3").output.strip()
    assert run(db, "set-plan", "team-a@example.com", "free").exit_code == 0
    rows = [json.loads(line) for line in run(db, "users", "--json").output.splitlines()]
    assert [(row["email"], row["plan"], row["most memories"]) for row in rows] == [
        ("owner@localhost", "team", None),
        ("team-a@example.com", "free", 10000),
    ]
    server = Server(Settings.from_environment(database_url=db))
    try:
        assert server.accounts.by_key(key).account.email == "team-a@example.com"
        assert server.accounts.by_key(lost).trusted
    finally:
        server.close()
    listed = run(db, "keys", "team-a@example.com", "--json").output
    assert key not in listed
    prefix = json.loads(listed)["prefix"]
    assert run(db, "revoke-key", "team-a@example.com", prefix, "--yes").exit_code == 0
    assert run(db, "keys", "team-a@example.com").output == ""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (["keys", "nobody@example.com"], 3),
        (["add-user", "owner@localhost"], 1),
        (["add-user", "nobody"], 1),
        (["revoke-key", "owner@localhost", "ob_x", "--yes"], 3),
    ],
)
def test_a_mistake_is_named(db, line, code):
    done = run(db, *line)
    assert (done.exit_code, done.stderr.startswith("Error: ")) == (code, True)

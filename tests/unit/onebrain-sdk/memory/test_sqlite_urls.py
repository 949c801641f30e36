"""A file's path becomes a URL and the same path again, whatever characters it holds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import onebrain
from onebrain import ConfigurationError
from onebrain.memory.sqlite_urls import MEMORY, is_in_memory, sqlite_path, sqlite_url
from onebrain_server.settings import Settings
from onebrain_server.state.database import Database

# What a path may hold: every character but NUL, and bytes that are not UTF-8, which Python shows as lone surrogates.
names = (
    st.binary(min_size=1, max_size=12)
    .filter(lambda data: b"\0" not in data)
    .map(lambda data: data.decode("utf-8", "surrogateescape"))
)
paths = st.one_of(
    names,
    st.text(st.sampled_from("#?%/\\ ~:.&=+@a\u00fc\n2\U0001f600'\"[]"), min_size=1, max_size=12),
    st.sampled_from(
        [
            "~",
            "~root/x",
            "~/x",
            MEMORY,
            "./:memory:",
            "//x",
            "///",
            "/",
            "file:x",
            "file:x?mode=memory",
            "%7E",
        ]
    ),
)
ODD = [
    "C# notes",
    "what?",
    "100%",
    "%23",
    "a b",
    "~",
    "~root",
    MEMORY,
    "back\\slash",
    "file:x",
    "f\udcff",
    "line\nfeed",
    "@:x",
]


@settings(deadline=None)
@given(path=paths)
@example(path="C# notes/brain.db")
def test_a_path_becomes_a_url_and_the_same_path_again(path):
    url = sqlite_url(path)
    assert url.isascii()
    assert not is_in_memory(url)
    again = sqlite_path(url)
    assert again != MEMORY
    assert os.path.normpath(again) == os.path.normpath(path)
    assert again in (path, f"./{path}")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "SQLITE://"])
def test_urls_without_a_file_are_in_memory(url):
    assert is_in_memory(url)
    assert sqlite_path(url) == MEMORY


@pytest.mark.parametrize("path", ["", "a\0b", "\ud800"])
def test_no_url_is_made_of_what_is_no_path(path):
    with pytest.raises(ConfigurationError):
        sqlite_url(path)


def test_a_tilde_in_a_url_is_the_home_folder_and_a_quoted_one_is_a_name(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sqlite_path("sqlite:///~/brain.db") == f"{tmp_path}/brain.db"
    assert sqlite_path("sqlite:///%7E/brain.db") == "~/brain.db"


def test_a_url_with_a_question_mark_or_hash_says_how_to_write_it():
    for url in ("sqlite:///C# notes/brain.db", "sqlite:///brain.db?mode=ro"):
        with pytest.raises(ConfigurationError, match="%23"):
            onebrain.connect(url)


@pytest.mark.parametrize("name", ODD)
def test_a_brain_is_kept_in_the_very_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in (Path(name) / "brain.db", Path(f"{name}.db")):
        with onebrain.connect(sqlite_url(file), embedder=None) as brain:
            brain.store("here")
        assert file.is_file()
        with onebrain.connect(sqlite_url(file), embedder=None, create=False) as brain:
            assert brain.count() == 1
    assert {path.name for path in tmp_path.iterdir() if not path.name.endswith(".index")} >= {
        name,
        f"{name}.db",
    }


@pytest.mark.parametrize("name", ODD)
def test_the_servers_database_is_kept_in_the_very_file(name, tmp_path):
    file = tmp_path / name / "server.db"
    file.parent.mkdir()
    Database(sqlite_url(file)).close()
    assert file.is_file()


@pytest.mark.parametrize("name", ODD)
def test_the_default_files_lie_in_the_folder_that_the_environment_names(name, tmp_path, monkeypatch):
    monkeypatch.setenv("ONEBRAIN_HOME", str(tmp_path / name))
    for variable in ("ONEBRAIN_URL", "ONEBRAIN_API_KEY", "DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    assert sqlite_path(Settings.from_environment().database_url) == str(tmp_path / name / "server.db")
    with onebrain.connect(embedder=None) as brain:
        brain.store("here")
    assert (tmp_path / name / "brain.db").is_file()


def test_a_brain_that_is_not_there_is_made_only_where_that_is_asked_for(tmp_path):
    for file in (tmp_path / "missing.db", tmp_path / "no" / "such" / "folder.db", tmp_path / "empty.db"):
        if file.name == "empty.db":
            file.touch()
        before = sorted(tmp_path.rglob("*"))
        for connect in (onebrain.connect, onebrain.connect_async):
            with pytest.raises(ConfigurationError, match="there is no brain at"):
                connect(sqlite_url(file), create=False)
        assert sorted(tmp_path.rglob("*")) == before


READING = (["list"], ["list", "--json"], ["search", "tea"], ["context", "tea"], ["export"])


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_reading_command_makes_no_brain(command, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from onebrain.cli.app import cli

    monkeypatch.setenv("ONEBRAIN_HOME", str(tmp_path / "home"))
    for variable in ("ONEBRAIN_URL", "ONEBRAIN_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    run = CliRunner().invoke
    for where in (["--url", f"sqlite:///{tmp_path}/misspelt.db"], []):
        done = run(cli, [*command, *where])
        assert done.exit_code == 1
        assert "there is no brain at" in done.output
        assert list(tmp_path.iterdir()) == []
    url = sqlite_url(tmp_path / "right.db")
    assert run(cli, ["store", "Maria likes tea", "--url", url]).exit_code == 0
    done = run(cli, [*command, "--url", url])
    assert done.exit_code == 0
    assert "Maria likes tea" in done.output
    if sys.platform != "win32":
        assert not (tmp_path / "home").exists()

"""The command line: what it prints for people and machines, its exit codes, and what it refuses."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import onebrain
from onebrain import Scope, sqlite_url
from onebrain.cli import app, exits
from onebrain.cli.app import cli
from onebrain.cli.options import confirm
from onebrain.cli.output import size, visible
from onebrain.cli.streams import prepare

ROOT = Path(__file__).resolve().parents[3]
MARIA = Scope(user="maria")


@pytest.fixture
def url(tmp_path, monkeypatch):
    """The URL of a brain with two memories, which the environment names."""
    where = sqlite_url(tmp_path / "brain.db")
    monkeypatch.setenv("ONEBRAIN_URL", where)
    monkeypatch.setenv("ONEBRAIN_OFFLINE", "1")
    with onebrain.connect(where, embedder=None) as brain:
        brain.store(
            "Maria prefers window seats", id="seat", scope=MARIA, metadata={"year": 2026}, tags=["travel"]
        )
        brain.store("Bob\x1b[2J likes\ntea", id="tea", scope=Scope(user="bob"))
    return where


def run(*line, stdin=None, **environment):
    return CliRunner().invoke(cli, line, input=stdin, env=environment)


def rows(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def commands(group=cli, path=()):
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


# ---- help ------------------------------------------------------------------------------------------------------------


def test_every_command_shows_examples_that_its_own_options_accept(monkeypatch):
    monkeypatch.setenv("ONEBRAIN_ENCRYPTION_KEY", "ab" * 32)
    for path, command in commands():
        done = run(*path, "--help")
        assert done.exit_code == 0
        lines = command.epilog.splitlines()
        assert lines, path
        assert all(line in done.output for line in lines)
        for line in lines:
            words = shlex.split(re.sub(r"[A-Z_]+=\S+ ", "", line))
            assert tuple(words[: len(path) + 1]) == ("onebrain", *path)
            arguments = words[len(path) + 1 :]
            for sign in ("<", ">"):
                arguments = arguments[: arguments.index(sign)] if sign in arguments else arguments
            arguments = [word.replace("brain-copy.db", __file__) for word in arguments]
            command.make_context(path[-1], arguments)


def test_the_list_of_commands_has_the_first_lines_of_their_help():
    for name, entry in app._ENTRIES.items():
        assert entry.help == cli.get_command(None, name).get_short_help_str(200), name


def test_every_command_prints_json():
    without = {("serve",), ("mcp",)}
    found = {path for path, command in commands() if not any("--json" in one.opts for one in command.params)}
    assert found <= without


def test_the_exit_codes_are_those_of_the_page():
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert documented == {0} | {
        value for name, value in vars(exits).items() if name.isupper() and type(value) is int
    }
    assert all(f"`{name}`" in page for name in app._ENTRIES)


def test_help_imports_no_engine_no_client_and_no_table():
    program = (
        "import sys; from onebrain.cli.app import cli\n"
        "for name in cli.list_commands(None):\n"
        "    cli([name, '--help'], standalone_mode=False)\n"
        "print(sorted(sys.modules.keys() & {'httpx', 'pydantic', 'rich', 'numpy', 'onebrain_engine'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_without_click_it_says_which_command_installs_it():
    program = (
        "import sys, importlib.util as util\n"
        "import onebrain.cli as cli\n"
        "cli.find_spec = lambda name: None\n"
        "cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'pip install "onebrain-sdk[cli]>=2"' in done.stderr


# ---- memories --------------------------------------------------------------------------------------------------------


def test_a_memory_is_stored_read_changed_and_deleted(url):
    stored = run("store", "-", "--id", "home", "--user", "maria", "--json", stdin="Maria lives in Porto")
    assert rows(stored) == [{"id": "home", "status": "created"}]
    assert run("count", "--user", "maria").output == "2\n"
    done = run("update", "home", "--title", "Home", "--metadata", '{"since": 2020}', "--json")
    assert rows(done)[0]["title"] == "Home"
    assert rows(run("get", "home", "--json"))[0]["metadata"] == {"since": 2020}
    assert run("update", "home", "--clear", "title").exit_code == 0
    assert "title" not in rows(run("get", "home", "--json"))[0]
    assert "year" in run("get", "seat").output
    empty = run("context", "x", "--user", "nobody")
    assert (empty.stdout, empty.stderr) == ("", "no memory matches\n")
    assert rows(run("delete", "home", "--yes", "--json")) == [{"deleted": 1}]
    assert run("delete", "home", "--yes").exit_code == exits.NOT_FOUND
    assert run("get", "home", "seat").exit_code == exits.NOT_FOUND


def test_deleting_asks_and_forgetting_needs_to_know_what(url):
    assert run("delete", "seat", stdin="n\n").exit_code == 1
    assert run("forget", "--user", "maria", stdin="").exit_code == 1
    assert run("forget", "--yes").exit_code == exits.WRONG_USE
    assert rows(run("forget", "--filter", '{"year": 2026}', "--dry-run", "--json")) == [
        {"deleted": 0, "matched": 1}
    ]
    assert run("count").output == "2\n"
    assert run("forget", "--user", "maria", stdin="y\n").exit_code == 0
    assert run("forget", "--everything", "--yes").output == "1 memory deleted\n"
    assert run("count").output == "0\n"


def test_lists_are_lines_in_a_pipe_and_blocks_on_a_terminal(url):
    plain = run("list", "--user", "maria")
    assert plain.output == "seat  Maria prefers window seats\n"
    shown = run("search", "tea", FORCE_COLOR="1", COLUMNS="80").output
    assert "\x1b[2J" not in shown
    assert "\N{REPLACEMENT CHARACTER}[2J" in shown
    assert "user bob" in shown
    assert max(map(len, click.unstyle(shown).splitlines())) <= 80
    run("store", "x", "--id", "[red]i\x1b[2J")
    for line in (("context", "tea"), ("get", "tea"), ("get", "[red]i\x1b[2J"), ("get", "no\x1b[2J")):
        shown = run(*line, FORCE_COLOR="1", COLUMNS="80").output
        assert "\x1b[2J" not in shown
        assert "\N{REPLACEMENT CHARACTER}[2J" in shown
    context = rows(run("context", "tea", "--json"))[0]
    assert "tea" in context["text"]
    found = rows(run("search", "window", "--filter", '{"year": {"$gte": 2025}}', "--json"))
    assert [row["id"] for row in found] == ["seat"]


def test_stats_say_where_the_data_lies(url, tmp_path):
    row = rows(run("stats", "--json"))[0]
    assert (row["file"], row["memories"]) == (str(tmp_path / "brain.db"), 2)
    assert row["size"] > 1000
    assert re.search(r"^size: [0-9.]+ kB$", run("stats").output, re.MULTILINE)


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (["serch", "x"], exits.WRONG_USE, "Did you mean 'search'?"),
        (["search", "x", "--filter", "{"], exits.WRONG_USE, "is not valid JSON"),
        (["search", "x", "--filter", '{"a":' * 3000], exits.WRONG_USE, "is nested too deep"),
        (["forget", "--filter", "{}", "--yes"], exits.WRONG_USE, "--everything deletes all"),
        (["forget", "--user", "maria"], exits.FAILED, "--yes answers with yes"),
        (["credentials", "rotate", "--db", "sqlite:///no.db"], exits.FAILED, "there is no database at no.db"),
        (["update", "seat"], exits.WRONG_USE, "nothing to change"),
        (["update", "nothing", "--title", "x"], exits.NOT_FOUND, "no memory with this id"),
        (["store", "x", "--created-at", "soon"], exits.FAILED, "created_at"),
        (["count", "--url", "onebrain+http://127.0.0.1:9"], exits.NOT_ALLOWED, "no API key"),
        (["backup", "/tmp/x", "--url", "onebrain+http://127.0.0.1:9"], exits.UNSUPPORTED, "onebrain export"),
        (["backup", "/tmp/x", "--url", "postgresql://h/d"], exits.UNSUPPORTED, "pg_dump"),
        (["stats", "--url", "sqlite:///no.db"], exits.FAILED, "there is no brain at"),
    ],
)
def test_an_error_is_one_line_with_its_exit_code(url, line, code, says):
    done = run(*line, ONEBRAIN_API_KEY="")
    assert (done.exit_code, says in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.output


def test_an_error_is_an_object_where_json_is_asked_for(url):
    done = run("get", "x", "--url", "sqlite:///no.db", "--json")
    error = json.loads(done.stderr)["error"]
    assert (error["type"], error["exit_code"]) == ("ConfigurationError", 1)
    for line, kind, code in (
        (["list", "--json", "--limit", "0"], "UsageError", exits.WRONG_USE),
        (["list", "--json", "--no-such-option"], "UsageError", exits.WRONG_USE),
        (["forget", "--json"], "UsageError", exits.WRONG_USE),
        (["get", "x", "--json"], "OneBrainNotFoundError", exits.NOT_FOUND),
        (["delete", "x", "--yes", "--json"], "OneBrainNotFoundError", exits.NOT_FOUND),
    ):
        done = run(*line)
        error = json.loads(done.stderr)["error"]
        assert (error["type"], error["exit_code"], done.exit_code, done.stdout) == (kind, code, code, "")


def test_an_interrupted_question_has_the_exit_code_of_an_interruption(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("click.termui.visible_prompt_func", interrupted)
    with pytest.raises(click.exceptions.Exit) as left:
        confirm("Delete all?", False)
    assert left.value.exit_code == exits.INTERRUPTED


def test_closed_and_narrow_streams_are_no_fault(monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    prepare()
    assert sys.stdin.read() == ""
    print("kept by nobody")
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", pipe)
    prepare()
    print("ü😀", end="", flush=True)
    assert pipe.buffer.getvalue() == "ü😀".encode()


def test_a_fault_of_onebrain_itself_quotes_nothing(url, monkeypatch):
    def broken(*_, **__):
        raise TypeError("Maria's secret")

    monkeypatch.setattr("onebrain.urls.connect", broken)
    done = run("list")
    assert done.exit_code == exits.FAULT
    assert "TypeError" in done.stderr
    assert "secret" not in done.output
    assert "secret" in run("list", ONEBRAIN_TRACEBACK="1").output


def test_what_a_terminal_would_obey_is_shown_and_not_done():
    assert visible("a\x1b[31mb\u202ec\r\nd\te") == "a\ufffd[31mb\ufffdc\nd\te"
    assert [size(count) for count in (999, 1500, 2_000_000)] == ["999 bytes", "1.5 kB", "2.0 MB"]


# ---- doctor, backup and restore ---------------------------------------------------------------------------------------


def test_the_doctor_looks_and_leaves_nothing(url):
    done = run("doctor", "--json")
    states = {row["check"]: row["state"] for row in rows(done)}
    assert done.exit_code == 0, done.output
    assert {states[name] for name in ("url", "write", "read", "search", "delete")} == {"ok"}
    assert run("count").output == "2\n"


def test_the_doctor_says_what_to_do_about_a_server_that_is_not_there():
    done = run("doctor", "--url", "onebrain+http://127.0.0.1:9", "--api-key", "ob_x")
    assert done.exit_code == 1
    assert re.search(r"fail +reachability +no answer", done.output)
    assert "→ check the host and the port" in done.output
    assert "ob_x" not in done.output


def test_a_backup_while_others_write_has_all_that_was_acknowledged(tmp_path):
    where = sqlite_url(tmp_path / "brain.db")
    acknowledged: list[str] = []
    enough, stop = threading.Event(), threading.Event()

    def write(name):
        with onebrain.connect(where, embedder=None) as brain:
            while not stop.is_set():
                acknowledged.append(brain.store(f"note of {name}").id)
                if len(acknowledged) > 60:
                    enough.set()

    onebrain.connect(where, embedder=None).close()
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    try:
        assert enough.wait(60)
        before = set(acknowledged)
        done = run("backup", str(tmp_path / "copy.db"), "--url", where)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert done.exit_code == 0, done.output
    with onebrain.connect(where, embedder=None) as brain:
        later = brain.store("after the copy").id
        assert run("restore", str(tmp_path / "copy.db"), "--url", where, "--yes").exit_code == 0
        kept = {memory.id for memory in brain.list()}
        assert before <= kept
        assert later not in kept
    again = sqlite_url(tmp_path / "new.db")
    assert run("restore", str(tmp_path / "copy.db"), "--url", again).exit_code == 0
    with onebrain.connect(again, embedder=None) as brain:
        assert {memory.id for memory in brain.list()} == kept


def test_a_copy_replaces_nothing_by_mistake(url, tmp_path):
    other = tmp_path / "other.db"
    other.write_text("not a brain")
    assert "is there already" in run("backup", str(other)).stderr
    assert run("backup", str(tmp_path / "brain.db"), "--replace").exit_code == 1
    assert "is not a brain" in run("restore", str(other), "--yes").stderr
    assert run("restore", str(tmp_path / "brain.db"), "--yes").exit_code == 1
    assert run("backup", str(tmp_path / "copy.db")).exit_code == 0
    assert run("restore", str(tmp_path / "copy.db"), stdin="n\n").exit_code == 1
    assert run("restore", str(tmp_path / "copy.db"), "--url", sqlite_url(other), "--yes").exit_code == 1
    assert other.read_text() == "not a brain"
    assert run("count").output == "2\n"

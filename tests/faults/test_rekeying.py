"""A brain is sealed, and its key changed, as a whole or not at all."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

import onebrain
from onebrain.cli.app import cli
from onebrain.errors import ConfigurationError, OneBrainNotFoundError, Unsupported
from onebrain_engine import encrypt
from onebrain_engine.store import rekeying

OLD, NEW = "ab" * 32, "cd" * 32
TEXT = "Maria prefers window seats"


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'brain.db'}"


def filled(url, key=None, count=60):
    with onebrain.connect(url, encryption_key=key) as brain:
        brain.store_many([f"{TEXT} {n}" for n in range(count)])
        brain.extract_entities()


def on_disk(url):
    path = Path(url.removeprefix("sqlite:///"))
    return b"".join(file.read_bytes() for file in path.parent.rglob("*") if file.is_file())


def whole(url, key, count=60):
    with onebrain.connect(url, encryption_key=key) as brain:
        assert brain.count() == count
        assert {one.content for one in brain.list(limit=None)} == {f"{TEXT} {n}" for n in range(count)}
        assert next(iter(brain.search("window seats 17", limit=1))).memory.content.startswith(TEXT)


def test_what_was_stored_in_clear_is_sealed(url, monkeypatch):
    monkeypatch.setattr(rekeying, "_CHUNK", 25)
    filled(url)
    assert TEXT.encode() in on_disk(url)
    assert encrypt(url, NEW) == 60
    assert TEXT.encode() not in on_disk(url)
    assert b"Maria" not in on_disk(url)
    assert encrypt(url, NEW) == 0
    whole(url, NEW)


def test_a_key_is_changed_and_the_old_one_opens_nothing(url):
    filled(url, OLD)
    with pytest.raises(ConfigurationError):
        encrypt(url, NEW)
    with pytest.raises(ConfigurationError):
        encrypt(url, NEW, before="00" * 32)
    whole(url, OLD)
    assert encrypt(url, bytes.fromhex(NEW), before=OLD) == 60
    whole(url, NEW)
    with pytest.raises(ConfigurationError):
        onebrain.connect(url, encryption_key=OLD).count()


def test_who_has_it_open_is_told_and_writes_nothing_with_the_old_key(url):
    filled(url, count=20)
    with onebrain.connect(url) as open_brain:
        encrypt(url, OLD)
        with pytest.raises(ConfigurationError, match="connect again"):
            open_brain.store("in clear")
    with onebrain.connect(url, encryption_key=OLD) as open_brain:
        encrypt(url, NEW, before=OLD)
        for call in (lambda: open_brain.store("with the old key"), open_brain.count):
            with pytest.raises(ConfigurationError, match="connect again"):
                call()
    whole(url, NEW, 20)


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_a_kill_in_between_changes_nothing_and_it_can_be_begun_again(url):
    filled(url, OLD)
    program = (
        "import os, signal, sys\n"
        "from onebrain_engine.store import rekeying\n"
        "real, seen = rekeying._seal_one, []\n"
        "def stop(*arguments):\n"
        "    seen.append(1)\n"
        "    real(*arguments)\n"
        "    if len(seen) == 40:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "rekeying._seal_one = stop\n"
        "rekeying.encrypt(sys.argv[1], sys.argv[2], before=sys.argv[3])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, url, NEW, OLD], check=False)
    assert done.returncode == -signal.SIGKILL
    whole(url, OLD)
    assert encrypt(url, NEW, before=OLD) == 60
    whole(url, NEW)


def test_the_command_takes_keys_from_the_environment(url):
    filled(url, count=5)
    answer = CliRunner().invoke(cli, ["encrypt", "--url", url], env={"ONEBRAIN_ENCRYPTION_KEY": NEW})
    assert (answer.exit_code, answer.output) == (0, "5 memories sealed\n")
    whole(url, NEW, 5)


@pytest.mark.parametrize("key", [b"short", bytes(31), 7, None, "zz" * 32, bytearray(32)])
def test_a_key_of_another_kind_is_refused_by_name(url, key):
    filled(url, count=1)
    with pytest.raises(ConfigurationError, match="encryption_key"):
        encrypt(url, key)


def test_a_key_may_be_bytes(url):
    filled(url, bytes.fromhex(OLD), count=3)
    whole(url, OLD, 3)


def test_what_cannot_be_sealed_is_said(url, tmp_path):
    with pytest.raises(OneBrainNotFoundError):
        encrypt(url, NEW)
    assert not list(tmp_path.iterdir())
    filled(url, count=1)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as made:
        made.execute("CREATE TABLE server_setting (name TEXT)")
    with pytest.raises(Unsupported, match="server"):
        encrypt(url, NEW)
    whole(url, None, 1)

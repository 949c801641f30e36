"""A brain in PostgreSQL is sealed, and its key changed, for all tenants, as a whole or not at all; its role is a plain one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import conninfo

import onebrain
from onebrain import Scope
from onebrain.cli.app import cli
from onebrain.errors import ConfigurationError, DatabaseBusy, OneBrainNotFoundError, Unsupported
from onebrain_engine import encrypt
from onebrain_engine.store import postgres_rekeying as rekeying

OLD, NEW = "ab" * 32, "cd" * 32
TENANTS = ("acme", "umbrella")
TEXT = "Maria prefers window seats"
VECTOR = [0.5, 0.25, 0.125]
TABLES = ("memory", "vector", "note", "word")


@pytest.fixture
def url(postgres):
    return postgres.new_database()


def connect(url, key=None, tenant="acme"):
    return onebrain.connect(url, encryption_key=key, tenant=tenant)


def filled(url, key=None, count=12):
    for tenant in TENANTS:
        with connect(url, key, tenant) as brain:
            brain.store_many([f"{TEXT} {n} of {tenant}" for n in range(count)])
            brain.extract_entities()
            brain.store(
                "a\0secret",
                id="odd",
                title="Zanzibar",
                tags=["ferry"],
                metadata={"code": "code-x7"},
                scope=Scope(space="own"),
            )
            brain.store("by vector", id="given", embedding=VECTOR, scope=Scope(space="vectors"))


def whole(url, key, count=12):
    for tenant in TENANTS:
        with connect(url, key, tenant) as brain:
            texts = {f"{TEXT} {n} of {tenant}" for n in range(count)}
            assert {one.content for one in brain.list(limit=None)} == {*texts, "a\0secret", "by vector"}
            assert next(iter(brain.search("window seats 7", limit=1))).memory.content.startswith(TEXT)
            odd = brain.get("odd")
            assert (odd.content, odd.title, odd.tags) == ("a\0secret", "Zanzibar", ("ferry",))
            assert odd.metadata == {"code": "code-x7"}
            assert brain.get("given", with_embeddings=True).embedding == tuple(VECTOR)


def files(postgres, url):
    """Return the tables' files as they are, earlier versions of rows included."""
    with psycopg.connect(postgres.admin_url, dbname=conninfo.conninfo_to_dict(url)["dbname"]) as admin:
        admin.execute("CHECKPOINT")
        return b"".join(
            admin.execute(
                "SELECT pg_read_binary_file(pg_relation_filepath(%s))", (f"onebrain.{name}",)
            ).fetchone()[0]
            for name in TABLES
        )


def test_what_was_stored_in_clear_is_sealed_for_every_tenant(url, postgres, monkeypatch):
    monkeypatch.setattr(rekeying, "_CHUNK", 5)
    filled(url)
    assert TEXT.encode() in files(postgres, url)
    assert encrypt(url, NEW) == 28
    left = files(postgres, url)
    for secret in (b"Maria", b"maria", b"Zanzibar", b"ferry", b"code-x7", b"by vector"):
        assert secret not in left
    assert encrypt(url, NEW) == 0
    whole(url, NEW)
    with pytest.raises(ConfigurationError, match="encryption_key"):
        connect(url).count()


def test_only_what_is_still_in_clear_is_sealed_with_the_brains_own_key(url):
    filled(url)
    with connect(url, OLD) as brain:
        brain.store("sealed from the start", id="later", scope=Scope(space="own"))
    assert encrypt(url, OLD) == 28
    with connect(url, OLD) as brain:
        assert brain.get("later").content == "sealed from the start"
        brain.delete("later")
    whole(url, OLD)


def test_a_key_is_changed_and_another_one_opens_nothing(url):
    filled(url, OLD)
    for wrong in (None, "00" * 32):
        with pytest.raises(ConfigurationError):
            encrypt(url, NEW, before=wrong)
    whole(url, OLD)
    assert encrypt(url, bytes.fromhex(NEW), before=OLD) == 28
    whole(url, NEW)
    with pytest.raises(ConfigurationError):
        connect(url, OLD).count()


@pytest.mark.parametrize("key", [None, OLD])
def test_who_has_it_open_is_told_and_reads_and_writes_nothing(url, key):
    filled(url, key)
    with connect(url, key) as open_brain:
        assert open_brain.search("window seats")
        encrypt(url, NEW, before=key)
        for call in (
            lambda: open_brain.store("with what was right before"),
            open_brain.count,
            lambda: open_brain.search("window seats"),
            lambda: open_brain.get("odd"),
            lambda: open_brain.update("odd", content="other"),
            lambda: open_brain.delete("odd"),
        ):
            with pytest.raises(ConfigurationError, match="connect again"):
                call()
    whole(url, NEW)


def test_a_process_that_has_it_open_is_told(url):
    filled(url, OLD)
    program = (
        "import sys, onebrain\n"
        "from onebrain.errors import ConfigurationError\n"
        "brain = onebrain.connect(sys.argv[1], encryption_key=sys.argv[2], tenant='acme')\n"
        "brain.search('window seats')\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
        "for call in (lambda: brain.store('late'), lambda: brain.search('window seats')):\n"
        "    try:\n"
        "        call()\n"
        "    except ConfigurationError as error:\n"
        "        print('connect again' in str(error), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, url, OLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        encrypt(url, NEW, before=OLD)
        assert other.communicate("\n")[0].split() == ["True", "True"]
    whole(url, NEW)


def test_meanwhile_others_read_and_who_waits_to_write_is_told(url, monkeypatch):
    filled(url)
    real, begun, goes_on = rekeying._seal_chunk, threading.Event(), threading.Event()

    def slow(*arguments):
        begun.set()
        assert goes_on.wait(120)
        real(*arguments)

    monkeypatch.setattr(rekeying, "_seal_chunk", slow)
    told = []

    def write(brain, space):
        try:
            brain.store("in clear", scope=Scope(space=space))
        except ConfigurationError as error:
            told.append(str(error))

    hasty = onebrain.connect(url, tenant="acme", busy_timeout=0.2)
    with connect(url) as known, connect(url) as second, hasty:
        for brain in (known, second, hasty):
            brain.count()
        sealing = threading.Thread(target=encrypt, args=(url, NEW))
        sealing.start()
        try:
            assert begun.wait(120)
            assert known.count() == 14
            assert known.get("odd").content == "a\0secret"
            with pytest.raises(DatabaseBusy):
                hasty.store("in clear")
            writer = threading.Thread(target=write, args=(known, "own"))
            writer.start()
            other = threading.Thread(target=write, args=(second, "made just now"))
            other.start()
            with psycopg.connect(url, autocommit=True) as look:
                for _ in range(600):
                    [waiting] = look.execute(
                        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'onebrain.space'::regclass"
                    ).fetchone()
                    if waiting == 2:
                        break
                    time.sleep(0.02)
        finally:
            goes_on.set()
            sealing.join(120)
        writer.join(120)
        other.join(120)
        assert waiting == 2
    assert len(told) == 2
    assert all("connect again" in text for text in told)
    whole(url, NEW)


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_a_kill_in_between_changes_nothing_and_it_can_be_begun_again(url):
    filled(url, OLD)
    program = (
        "import os, signal, sys\n"
        "from onebrain_engine import encrypt\n"
        "from onebrain_engine.store import postgres_rekeying as rekeying\n"
        "rekeying._CHUNK = 5\n"
        "real, seen = rekeying._seal_chunk, []\n"
        "def stop(*arguments):\n"
        "    seen.append(1)\n"
        "    real(*arguments)\n"
        "    if len(seen) == 4:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "rekeying._seal_chunk = stop\n"
        "encrypt(sys.argv[1], sys.argv[2], before=sys.argv[3])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, url, NEW, OLD], check=False)
    assert done.returncode == -signal.SIGKILL
    whole(url, OLD)
    assert encrypt(url, NEW, before=OLD) == 28
    whole(url, NEW)


def test_nothing_is_left_of_the_words_and_indexes_of_a_large_space(postgres, connect_large):
    url = postgres.new_database()
    with closing(connect_large(url, tenant="acme")) as brain:
        brain.store_many([f"{TEXT} {n}" for n in range(20)])
        assert brain.search("window")
    assert b"prefer" in files(postgres, url)
    assert encrypt(url, NEW) == 20
    assert b"prefer" not in files(postgres, url)
    with psycopg.connect(url) as look:
        large = "SELECT count(*) FROM pg_indexes WHERE starts_with(indexname, 'large_')"
        assert look.execute(large).fetchone() == (0,)
    with connect(url, NEW) as brain:
        assert next(iter(brain.search("window seats 17", limit=1))).memory.content.startswith(TEXT)


def test_it_works_behind_a_pooler(url, pooled):
    filled(url)
    assert encrypt(pooled(url), NEW) == 28
    whole(url, NEW)


def test_the_command_takes_a_url_of_postgresql(url):
    filled(url, OLD)
    keys = {"ONEBRAIN_ENCRYPTION_KEY": NEW, "ONEBRAIN_ENCRYPTION_KEY_BEFORE": OLD}
    answer = CliRunner().invoke(cli, ["encrypt", "--url", url], env=keys)
    assert (answer.exit_code, answer.output) == (0, "28 memories sealed\n")
    whole(url, NEW)


def test_what_cannot_be_sealed_is_said_and_nothing_is_made(url):
    with pytest.raises(OneBrainNotFoundError):
        encrypt(url, NEW)
    with psycopg.connect(url) as look:
        assert look.execute("SELECT to_regnamespace('onebrain')").fetchone() == (None,)
    filled(url)
    with psycopg.connect(url) as made:
        made.execute("CREATE TABLE onebrain.server_setting (name text)")
    with pytest.raises(Unsupported, match="server"):
        encrypt(url, NEW)
    whole(url, None)

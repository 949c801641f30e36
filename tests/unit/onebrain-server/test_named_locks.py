"""Locks and counts that the workers on one SQLite file share."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from onebrain_server.security.limits import Limiter
from onebrain_server.settings import Settings
from onebrain_server.state.database import Database
from onebrain_server.state.named_locks import NamedLocks

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs the locks of POSIX")

# Holds byte 7 of a file until its input ends.
HOLDER = """
import fcntl, os, sys
fcntl.lockf(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX, 1, 7)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_of_another_process_is_waited_for_or_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "locks")
    with closing(NamedLocks(path)) as locks:
        other = subprocess.Popen(
            [sys.executable, "-S", "-c", HOLDER, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with other:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            with locks.holding(7, wait=False) as held, locks.holding(8, wait=False) as another:
                assert (held, another) == (False, True)
            other.kill()
        with locks.holding(7, wait=True) as held:
            assert held


def test_a_lock_keeps_threads_of_one_process_apart(tmp_path: Path) -> None:
    with closing(NamedLocks(str(tmp_path / "locks"))) as locks:
        inside: list[int] = []
        most: list[int] = []

        def work(number: int) -> None:
            with locks.holding(1, wait=True):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == [1] * 8


def test_names_and_rate_limits_are_shared_through_a_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/server.db"
    settings = Settings(database_url=url, rate_limit_max=10)
    with closing(Database(url, shared=True)) as one, closing(Database(url, shared=True)) as other:
        with one.holding("a name") as held, one.holding("a name", wait=False) as again:
            assert (held, again) == (True, False)
        limiters = [Limiter(settings, one), Limiter(settings, other)]
        for limiter in limiters:
            limiter.clock = lambda: 1_000_000.0
            for _ in range(6):
                state = limiter.take("key", "GET /", None, "ip")
                assert state is not None
                assert not state.exceeded
        for limiter in (*limiters, limiters[0]):
            limiter.share()
        states = [limiter.take("key", "GET /", None, "ip") for limiter in limiters]
        assert all(state is not None and state.exceeded for state in states)

"""Counts and times that are gathered in memory: who asks for them misses none that another thread is writing."""

from __future__ import annotations

import random
import threading
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, date, datetime

import pytest

from onebrain.errors import StorageError
from onebrain_server.security.scopes import SCOPES
from onebrain_server.server import Server
from onebrain_server.settings import Settings
from onebrain_server.state import journal
from onebrain_server.state.journal import Journal


@pytest.fixture
def server(tmp_path):
    made = Server(
        Settings(database_url=f"sqlite:///{tmp_path}/server.db", rate_limit_max=0, log_level="error")
    )
    yield made
    made.close()


@pytest.fixture
def held(server, monkeypatch):
    """Return (entered, release): a writing transaction of another thread stays open from one to the other."""
    entered, release = threading.Event(), threading.Event()
    writing = server.database.writing

    @contextmanager
    def slow(tenant):
        with writing(tenant) as connection:
            entered.set()
            assert release.wait(60)
            yield connection

    monkeypatch.setattr(server.database, "writing", slow)
    return entered, release


def _asked_meanwhile(held, write, ask):
    """Return the answer to a question that is asked while another thread writes."""
    entered, release = held
    answers = []
    writer = threading.Thread(target=write)
    asking = threading.Thread(target=lambda: answers.append(ask()))
    writer.start()
    assert entered.wait(60)
    asking.start()
    # Long enough to answer too early; whoever waits, as it has to, is waited for below.
    asking.join(0.3)
    release.set()
    for thread in (writer, asking):
        thread.join(60)
    return answers


@pytest.fixture
def tenant(server):
    return server.accounts.register("someone@example.com", None, None, "en").id


def test_usage_holds_the_counts_that_are_being_written(server, tenant, held):
    server.journal.count(tenant, "GET /v1/memory", failed=False)
    first, last = date(2020, 1, 1), datetime.now(UTC).date()
    (rows,) = _asked_meanwhile(held, server.journal.flush, lambda: server.journal.usage(tenant, first, last))
    assert [(row.route, row.count) for row in rows] == [("GET /v1/memory", 1)]


def test_a_key_tells_of_the_use_that_is_being_written(server, tenant, held):
    held[1].set()
    credential = server.accounts.create_key(tenant, "test", SCOPES, trust="trusted")[1]
    server.accounts.note_use(server.accounts.by_key(credential))
    held[0].clear()
    held[1].clear()

    def ask():
        server.accounts.flush()
        return server.accounts.keys(tenant)

    ((key,),) = _asked_meanwhile(held, server.accounts.flush, ask)
    assert key.last_used_at is not None


FIRST, LAST = date(2020, 1, 1), datetime.now(UTC).date()
ROUTES = frozenset({"POST /v1/memory", "POST /v1/memory/batch"})


def _sum(kept, tenant):
    return sum(kept.successes(tenant, ROUTES, FIRST, date.max).values())


def test_sums_are_those_of_the_database_and_of_this_process(server, tenant, monkeypatch):
    """Two workers count; each sees its own calls at once, and the other's when they are written and read."""
    monkeypatch.setattr(journal, "_GOOD", 0.0)
    workers = [server.journal, Journal(server.database, server.sealer)]
    other = server.accounts.register("other@example.com", None, None, "en").id
    unwritten, written = [Counter(), Counter()], Counter()
    choose = random.Random(5)
    for _ in range(120):
        worker = choose.randrange(2)
        account = choose.choice([tenant, other])
        step = choose.choice(["count", "count", "flush", "sum"])
        if step == "count":
            route, failed = choose.choice([*sorted(ROUTES), "GET /v1/memory"]), choose.random() < 0.2
            workers[worker].count(account, route, failed=failed)
            unwritten[worker][account] += route in ROUTES and not failed
            continue
        if step == "sum":
            assert _sum(workers[worker], account) == written[account] + unwritten[worker][account]
        workers[worker].flush()
        written += unwritten[worker]
        unwritten[worker].clear()


def test_a_sum_is_not_read_anew_for_every_call(server, tenant, monkeypatch):
    monkeypatch.setattr(journal, "_GOOD", 1e6)
    assert _sum(server.journal, tenant) == 0
    monkeypatch.setattr(server.database, "rows", lambda *_: pytest.fail("it was read"))
    for count in range(1, 4):
        server.journal.count(tenant, "POST /v1/memory", failed=False)
        server.journal.flush()
        assert _sum(server.journal, tenant) == count


def test_counts_that_cannot_be_written_wait(server, tenant, monkeypatch):
    server.journal.count(tenant, "POST /v1/memory", failed=False)
    server.journal.act(tenant, "key", "write", "memory")
    with monkeypatch.context() as broken:

        def full(_):
            raise StorageError("no space left")

        broken.setattr(server.database, "writing", full)
        with pytest.raises(StorageError):
            server.journal.flush()
    server.journal.count(tenant, "POST /v1/memory", failed=False)
    assert [row.count for row in server.journal.usage(tenant, FIRST, LAST)] == [2]
    assert len(server.journal.acts(tenant)[0]) == 1


def test_a_call_that_asks_writes_what_was_counted_before(server, tenant, monkeypatch):
    """So a killed process loses no more than a moment of counts."""
    monkeypatch.setattr(journal, "_UNWRITTEN", 0.0)
    _sum(server.journal, tenant)
    server.journal.count(tenant, "POST /v1/memory", failed=False)
    _sum(server.journal, tenant)
    assert _sum(Journal(server.database, server.sealer), tenant) == 1

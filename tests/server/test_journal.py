"""Counts and times that are gathered in memory: who asks for them misses none that another thread is writing."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, date, datetime

import pytest

from onebrain_server.security.scopes import SCOPES
from onebrain_server.server import Server
from onebrain_server.settings import Settings


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

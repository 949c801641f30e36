"""A write that is cancelled before it could begin is not done, and one beside it is."""

from __future__ import annotations

import asyncio
import sqlite3

import psycopg
import pytest

import onebrain


class Held:
    """A database whose writers wait until `release`."""

    def __init__(self, url):
        self.url = url
        if url.startswith("sqlite"):
            self.other = sqlite3.connect(
                url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
            )
        else:
            self.other = psycopg.connect(url)

    def hold(self):
        if isinstance(self.other, sqlite3.Connection):
            self.other.execute("BEGIN IMMEDIATE")
        else:
            self.other.execute("LOCK TABLE onebrain.space IN EXCLUSIVE MODE")

    def release(self):
        if isinstance(self.other, sqlite3.Connection):
            self.other.execute("COMMIT")
        else:
            self.other.commit()

    async def waits(self):
        """Return once a writer waits."""
        if isinstance(self.other, sqlite3.Connection):
            await asyncio.sleep(0.2)
            return
        with psycopg.connect(self.url, autocommit=True) as watch:
            for _ in range(6000):
                if watch.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
                    return
                await asyncio.sleep(0.01)
        raise AssertionError("no writer waits")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/brain.db"
    return request.getfixturevalue("postgres").new_database()


VERBS = {
    "store": lambda brain, id: brain.store("cancelled"),
    "store_many": lambda brain, id: brain.store_many(["cancelled", "cancelled, too"]),
    "update": lambda brain, id: brain.update(id, content="cancelled"),
    "delete": lambda brain, id: brain.delete(id),
    "forget": lambda brain, id: brain.forget(scope=onebrain.Scope(user="u")),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_a_write_that_is_cancelled_while_it_waits_is_not_done(url, verb):
    async with onebrain.connect_async(url) as brain:
        id = (await brain.store("one", scope=onebrain.Scope(user="u"))).id
        held = Held(url)
        held.hold()
        cancelled = asyncio.create_task(VERBS[verb](brain, id))
        await held.waits()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        kept = asyncio.create_task(brain.store("two", scope=onebrain.Scope(user="u")))
        await asyncio.sleep(0.05)
        held.release()
        await kept
        # A write after it, so that the cancelled one had its turn.
        await brain.store("three", scope=onebrain.Scope(user="u"))
        found = [memory.content async for memory in brain.list(order="sequence")]
        held.other.close()
        assert found == ["one", "two", "three"]

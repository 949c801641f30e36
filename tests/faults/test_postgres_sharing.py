"""Several processes on one PostgreSQL: they see each other, survive each other, and stay in their tenants."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import psycopg
import pytest

import onebrain
from onebrain import NewMemory, Scope
from onebrain.errors import (
    ConfigurationError,
    DatabaseBusy,
    DatabaseReadOnly,
    OneBrainConnectionError,
    OneBrainValidationError,
    SchemaTooNew,
)

ECHO = """
import sys
import onebrain

brain = onebrain.connect(sys.argv[1], tenant=sys.argv[2], embedder=None)
for line in sys.stdin:
    verb, _, text = line.strip().partition(" ")
    if verb == "store":
        print(brain.store(text).id, flush=True)
    else:
        print(len(brain.search(text, mode="keyword")), flush=True)
brain.close()
"""

WRITER = """
import sys
import onebrain

brain = onebrain.connect(sys.argv[1], tenant=sys.argv[2], embedder=None)
for number in range(100_000):
    brain.store_many([{"content": f"memory {number} {n}", "id": f"{number}-{n}"} for n in range(3)])
    print(number, flush=True)
"""

STARTER = """
import sys
import onebrain

sys.stdin.readline()
brain = onebrain.connect(sys.argv[1], tenant=sys.argv[2], embedder=None)
print(brain.store(f"replica {sys.argv[3]}").status)
brain.close()
"""


def start(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_two_processes_see_each_others_writes_at_once(postgres_url, new_tenant):
    tenant = new_tenant()
    with (
        onebrain.connect(postgres_url, tenant=tenant, embedder=None) as mine,
        start(ECHO, postgres_url, tenant) as other,
    ):

        def ask(line):
            other.stdin.write(line + "\n")
            other.stdin.flush()
            return other.stdout.readline().strip()

        mine.store("harbour one")
        assert ask("search harbour") == "1"
        ask("store harbour two")
        assert len(mine.search("harbour", mode="keyword")) == 2
        id = ask("store harbour three")
        mine.update(id, content="lighthouse three")
        assert ask("search harbour") == "2"
        mine.delete(id)
        assert ask("search lighthouse") == "0"
        other.stdin.close()


def test_many_writers_lose_nothing_and_every_index_agrees(postgres_url, new_tenant):
    tenant = new_tenant()
    brains = [onebrain.connect(postgres_url, tenant=tenant, embedder=None) for _ in range(3)]

    def work(number):
        brain = brains[number % 3]
        for n in range(15):
            spaces = ("north", "south") if number % 2 else ("south", "north")
            brain.store_many(
                [NewMemory(content=f"lamp {number} {n}", scope=Scope(space=space)) for space in spaces]
            ).raise_for_failures()
            brain.store(f"river {number} {n}", id="shared", scope=Scope(space="north"))
            brain.search("lamp", mode="keyword")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with onebrain.connect(postgres_url, tenant=tenant, embedder=None) as fresh:
        expected = {memory.id: memory.content for memory in fresh.list()}
        assert len(expected) == 6 * 15 * 2 + 1
        for brain in brains:
            assert {memory.id: memory.content for memory in brain.list()} == expected
            assert brain.count() == len(expected)
            found = brain.search("lamp", mode="keyword", limit=1000)
            assert len(found) == 6 * 15 * 2
    for brain in brains:
        brain.close()


def test_every_acknowledged_memory_survives_a_killed_client(postgres_url, new_tenant):
    tenant = new_tenant()
    with start(WRITER, postgres_url, tenant) as writer:
        lines = [writer.stdout.readline() for _ in range(25)]
        writer.kill()
        lines += writer.stdout.readlines()
    acknowledged = [int(line) for line in lines if line.endswith("\n")]
    with onebrain.connect(postgres_url, tenant=tenant, embedder=None) as brain:
        batches: dict[int, list[str]] = {}
        for memory in brain.list():
            batches.setdefault(int(memory.id.split("-")[0]), []).append(memory.id)
        assert set(acknowledged) <= set(batches)
        assert len(batches) <= len(acknowledged) + 1
        assert all(len(ids) == 3 for ids in batches.values())


def test_replicas_may_start_together_on_an_empty_database(postgres):
    url = postgres.new_database()
    replicas = [start(STARTER, url, "acme", str(n)) for n in range(5)]
    for replica in replicas:
        replica.stdin.write("go\n")
        replica.stdin.flush()
    assert [replica.communicate()[0].strip() for replica in replicas] == ["created"] * 5
    with onebrain.connect(url, tenant="acme", embedder=None) as brain:
        assert brain.count() == 5


def test_stores_that_open_an_empty_database_at_the_same_moment_make_it_once(postgres):
    for _ in range(5):
        url = postgres.new_database()
        brains = [onebrain.connect(url, embedder=None) for _ in range(8)]
        barrier = threading.Barrier(len(brains))
        counts = []

        def use(brain, barrier=barrier, counts=counts):
            barrier.wait()
            counts.append(brain.count())

        threads = [threading.Thread(target=use, args=(brain,)) for brain in brains]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert counts == [0] * len(brains)
        for brain in brains:
            brain.close()


def test_row_level_security_hides_every_row_from_a_query_without_its_tenant(postgres_url, new_tenant):
    tenant, other = new_tenant(), new_tenant()
    with (
        onebrain.connect(postgres_url, tenant=tenant) as brain,
        onebrain.connect(postgres_url, tenant=other) as neighbour,
    ):
        brain.store("Maria prefers window seats")
        brain.delete(brain.store("Tofu sleeps").id)
        neighbour.store("Jon prefers the aisle")
    tables = ("space", "memory", "vector", "gone")
    # The same role, which owns the tables.
    with psycopg.connect(postgres_url) as connection:

        def counts():
            return [
                connection.execute(f"SELECT count(*) FROM onebrain.{table}").fetchone()[0] for table in tables
            ]

        assert counts() == [0, 0, 0, 0]
        connection.execute("SELECT set_config('onebrain.tenant', %s, true)", (tenant,))
        assert counts() == [1, 1, 1, 1]
        found = connection.execute("SELECT content FROM onebrain.memory").fetchall()
        assert found == [("Maria prefers window seats",)]
        assert connection.execute("UPDATE onebrain.memory SET content = ''").rowcount == 1
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                "INSERT INTO onebrain.space (tenant, label, name) VALUES (%s, ''::bytea, '')", (other,)
            )
        connection.rollback()


def test_the_tenant_of_one_transaction_does_not_leak_into_the_next(postgres_url, new_tenant):
    with onebrain.connect(postgres_url, tenant=new_tenant(), pool_size=1, embedder=None) as brain:
        brain.store("a secret")
        store = brain.driver.engine.store
        with store.reading() as read:
            assert read.spaces("nobody") == []
            assert read.space("nobody", "") is None


def test_a_writer_that_waits_too_long_gets_database_busy(postgres_url, new_tenant):
    tenant = new_tenant()
    with (
        onebrain.connect(postgres_url, tenant=tenant, embedder=None, busy_timeout=0.2) as brain,
        psycopg.connect(postgres_url) as holder,
    ):
        brain.store("first")
        holder.execute("SELECT set_config('onebrain.tenant', %s, true)", (tenant,))
        holder.execute("SELECT 1 FROM onebrain.space FOR UPDATE")
        with pytest.raises(DatabaseBusy, match="busy_timeout"):
            brain.store("second")
        # Readers do not wait.
        assert brain.count() == 1
        holder.rollback()
        assert brain.store("third").ok


def test_more_threads_than_connections_wait_their_turn_and_no_longer(postgres_url, new_tenant):
    tenant = new_tenant()
    with onebrain.connect(postgres_url, tenant=tenant, embedder=None, pool_size=1, busy_timeout=0.2) as brain:
        brain.store("first")
        with brain.driver.engine.store.reading() as read:
            assert len(read.spaces(tenant)) == 1
            with pytest.raises(DatabaseBusy, match="pool_size"):
                brain.count()
        assert brain.count() == 1


def test_a_deadlock_is_resolved_by_trying_again(postgres_url, new_tenant):
    tenant = new_tenant()
    lock = "SELECT 1 FROM onebrain.space WHERE name = %s FOR UPDATE"
    with (
        onebrain.connect(postgres_url, tenant=tenant, embedder=None) as brain,
        psycopg.connect(postgres_url) as rival,
        psycopg.connect(postgres_url, autocommit=True) as watcher,
    ):
        for space in ("a", "b"):
            brain.store("text", id="one", scope=Scope(space=space))
        rival.execute("SELECT set_config('onebrain.tenant', %s, true)", (tenant,))
        rival.execute(lock, ("b",))
        removed = []
        deleter = threading.Thread(target=lambda: removed.append(brain.delete("one")))
        # It locks a, and waits for b.
        deleter.start()
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND pid <> %s"
        deadline = time.monotonic() + 180
        while not watcher.execute(waiting, (rival.info.backend_pid,)).fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # Now both wait; the one that waits longer is undone.
        rival.execute(lock, ("a",))
        rival.commit()
        deleter.join()
        assert removed == [2]


def test_a_closed_connection_is_replaced_without_a_word(postgres, postgres_url, new_tenant):
    with onebrain.connect(postgres_url, tenant=new_tenant(), embedder=None) as brain:
        brain.store("before")
        with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'onebrain'"
            )
        assert brain.count() == 1
        assert brain.store("after").ok


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_has_connections_of_its_own(postgres_url, new_tenant, program):
    forking = """
        import os, sys
        import onebrain

        url, tenant = sys.argv[1:]
        with onebrain.connect(url, tenant=tenant, embedder=None) as brain:
            brain.store("from the parent")
            child = os.fork()
            if child == 0:
                try:
                    brain.store("from the child")
                    print(brain.count(), flush=True)
                finally:
                    os._exit(0)
            os.waitpid(child, 0)
            print(brain.count())
    """
    assert program(forking, postgres_url, new_tenant()).split() == ["2", "2"]


def test_an_unreachable_server_is_a_short_error_without_the_password():
    with (
        onebrain.connect("postgresql://app:hunter22@127.0.0.1:1/app", embedder=None) as brain,
        pytest.raises(OneBrainConnectionError) as caught,
    ):
        brain.store("a memory that nobody else may read")
    error = caught.value
    assert error.never_sent
    assert "127.0.0.1:1" in str(error)
    assert "hunter22" not in repr(error)
    assert "nobody" not in repr(error)
    assert error.__cause__ is None
    assert len(str(error)) < 300


def test_a_database_that_does_not_exist_is_named(postgres):
    url = postgres.url("no_such_database")
    with (
        onebrain.connect(url, embedder=None) as brain,
        pytest.raises(ConfigurationError, match="no_such_database"),
    ):
        brain.count()


def test_a_database_without_pgvector_says_how_to_add_it(postgres):
    url = postgres.new_database(vectors=False)
    with (
        onebrain.connect(url, embedder=None) as brain,
        pytest.raises(ConfigurationError, match="CREATE EXTENSION vector"),
    ):
        brain.count()


def test_a_database_of_a_newer_version_is_left_alone(postgres):
    url = postgres.new_database()
    with onebrain.connect(url, embedder=None) as brain:
        brain.store("text")
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO onebrain.migration VALUES (99, now())")
    with (
        onebrain.connect(url, embedder=None) as brain,
        pytest.raises(SchemaTooNew, match="pip install --upgrade onebrain-engine"),
    ):
        brain.count()


def test_a_read_only_server_can_be_read(postgres_url, new_tenant):
    tenant = new_tenant()
    with onebrain.connect(postgres_url, tenant=tenant) as brain:
        brain.store("Maria prefers window seats")
    separator = "&" if "?" in postgres_url else "?"
    read_only = f"{postgres_url}{separator}options=-c%20default_transaction_read_only%3Don"
    with onebrain.connect(read_only, tenant=tenant) as brain:
        assert brain.search("where does Maria like to sit?")[0].content == "Maria prefers window seats"
        with pytest.raises(DatabaseReadOnly):
            brain.store("more")


def test_the_longest_names_fit_into_every_key(postgres_url):
    longest = [
        "".join(chr(0x1F000 + (start * 131 + n * 17) % 0x4FF) for n in range(512)) for start in range(6)
    ]
    tenant, space, user, agent, session, id = longest
    scope = Scope(space, user, agent, session)
    with onebrain.connect(postgres_url, tenant=tenant, embedder=None) as brain:
        assert brain.store("text", id=id, scope=scope).status == "created"
        assert brain.store("text two", id=id, scope=scope).status == "updated"
        assert brain.get(id, scope=scope).content == "text two"
        assert brain.delete(id) == 1


def test_a_vector_too_long_for_pgvector_is_refused_and_nothing_is_stored(postgres_url, new_tenant):
    with onebrain.connect(postgres_url, tenant=new_tenant(), embedder=None) as brain:
        assert brain.store("the most", embedding=[0.5] * 16_000).ok
        assert brain.count() == 1
        with pytest.raises(OneBrainValidationError, match="16,000 dimensions"):
            brain.store("too many", embedding=[0.5] * 16_001, scope=Scope(space="other"))
        assert brain.count() == 1

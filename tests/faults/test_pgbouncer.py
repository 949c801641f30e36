"""Behind PgBouncer in transaction mode, where every transaction may get another session of the server."""

from __future__ import annotations

import threading
import uuid

import httpx
import psycopg
import pytest

import onebrain
from onebrain import Scope
from onebrain.errors import ConfigurationError
from onebrain_engine import Engine
from onebrain_engine.store import postgres_connections
from onebrain_engine.store.postgres import PostgresStore
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

THREADS = 6


@pytest.fixture(scope="module")
def direct(postgres):
    return postgres.new_database()


@pytest.fixture(scope="module")
def url(pooled, direct):
    return pooled(direct)


def side_by_side(work):
    """Run `work(name)` in threads and return what they raised."""
    failures = []

    def run(name):
        try:
            work(name)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(f"u{n}",)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def exercise(brain, name):
    """Use every verb, each statement more often than psycopg waits with preparing it."""
    scope = Scope(user=name)
    for n in range(12):
        brain.store(f"fact {n} about tea", id=f"{name}-{n}", scope=scope)
        brain.update(f"{name}-{n}", importance=0.5, scope=scope)
        assert brain.search("tea", scope=scope)
        assert brain.get(f"{name}-{n}", scope=scope).importance == 0.5
    assert brain.count(scope=scope) == 12
    assert brain.delete(f"{name}-0", scope=scope) == 1
    assert brain.forget(scope=scope).count == 11


def test_every_verb_works_from_many_threads(url, new_tenant):
    with onebrain.connect(url, tenant=new_tenant()) as brain:
        assert side_by_side(lambda name: exercise(brain, name)) == []
        assert brain.count() == 0


def test_nothing_is_left_in_the_sessions_that_others_use_next(url, new_tenant, connect_large):
    with onebrain.connect(url, tenant=new_tenant()) as brain:
        exercise(brain, "somebody")
    with connect_large(url, tenant=new_tenant()) as brain:
        brain.store_many([f"lighthouse {n}" for n in range(5)])
        assert brain.search("lighthouse")
    for _ in range(10):
        with psycopg.connect(url, autocommit=True) as client:
            found = client.execute(
                "SELECT coalesce(current_setting('onebrain.tenant', true), ''), "
                "coalesce(current_setting('onebrain.words', true), ''), current_setting('lock_timeout'), "
                "current_setting('search_path'), current_setting('enable_seqscan'), current_setting('maintenance_work_mem'), "
                "(SELECT count(*) FROM pg_prepared_statements), "
                "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
            ).fetchone()
            usual = client.execute(
                "SELECT '', '', boot_val, (SELECT reset_val FROM pg_settings WHERE name = 'search_path'), 'on', "
                "(SELECT pg_size_bytes(reset_val || 'kB')::text FROM pg_settings WHERE name = 'maintenance_work_mem'), "
                "0::int8, 0::int8 FROM pg_settings WHERE name = 'lock_timeout'"
            ).fetchone()
            size = client.execute("SELECT pg_size_bytes(%s)::text", (found[5],)).fetchone()
            assert (*found[:5], *size, *found[6:]) == usual


def test_a_large_space_gets_its_indexes(url, direct, new_tenant, connect_large):
    tenant = new_tenant()
    with connect_large(url, tenant=tenant) as brain:
        brain.store_many([{"content": f"lighthouse number{n}", "id": str(n)} for n in range(60)])
        assert [hit.id for hit in brain.search("number7", mode="keyword")] == ["7"]
        assert brain.search("a lighthouse", mode="vector", limit=3)
    with psycopg.connect(direct) as connection:
        valid = connection.execute(
            "SELECT bool_and(indisvalid) FROM pg_index WHERE indexrelid::regclass::text LIKE '%large\\_%'"
        )
        assert valid.fetchone() in ((True,), (None,))


def test_our_server_works_with_replicas_behind_the_pooler(url):
    settings = Settings(database_url=url, rate_limit_max=0, log_level="error")
    with live_server(settings) as first, live_server(settings) as second:
        key = first.account(f"{uuid.uuid4().hex}@example.com")
        headers = {"authorization": f"ApiKey {key}"}

        def work(name):
            address = (first, second)[int(name[1:]) % 2].url
            with httpx.Client(base_url=address, headers=headers, timeout=120) as client:
                for n in range(8):
                    for path, body in (
                        ("/v1/memory", {"body": f"{name} drinks tea {n}"}),
                        ("/v1/tags", {"name": f"{name}-{n}"}),
                        ("/v1/entities", {"name": f"{name} {n}", "type": "person"}),
                    ):
                        answer = client.post(path, json=body)
                        assert answer.status_code == 201, answer.text
                found = client.post("/v1/memory/search", json={"query": f"{name} tea", "limit": 50})
                assert found.status_code == 200, found.text

        assert side_by_side(work) == []
        with httpx.Client(base_url=second.url, headers=headers, timeout=120) as client:
            assert len(client.get("/v1/tags", params={"limit": 100}).json()["data"]) == 8 * THREADS


def test_a_pooler_that_cannot_be_told_from_a_server_is_noticed_by_what_it_loses(
    url, new_tenant, monkeypatch, caplog
):
    monkeypatch.setattr(postgres_connections, "behind_pooler", lambda connection: False)
    with onebrain.connect(url, tenant=new_tenant()) as brain:
        assert side_by_side(lambda name: exercise(brain, name)) == []
    assert "pooler" in caplog.text


@pytest.mark.parametrize("parameter", ["pgbouncer=true", "prepare_threshold=0", "statement_cache_size=0"])
def test_a_url_can_say_that_a_pooler_stands_in_between(direct, parameter):
    separator = "&" if "?" in direct else "?"
    store = PostgresStore(f"{direct}{separator}{parameter}")
    connection = store.connections.open()
    assert connection.prepare_threshold is None
    connection.close()
    store.close()


def test_statements_are_prepared_where_nothing_stands_in_between(direct, url):
    for address, threshold in ((direct, 5), (url, None)):
        store = PostgresStore(address)
        connection = store.connections.open()
        assert connection.prepare_threshold == threshold
        connection.close()
        store.close()


def test_no_two_connections_give_a_statement_the_same_name(direct):
    store = PostgresStore(direct)
    connections = [store.connections.open() for _ in range(2)]
    names = []
    for number, connection in enumerate(connections):
        for _ in range(8):
            connection.execute(f"SELECT {number}, %s::int", (1,))
        names += connection.execute("SELECT name FROM pg_prepared_statements").fetchall()
        connection.close()
    store.close()
    assert len(set(names)) == len(names) >= 2


def test_a_pooler_in_statement_mode_is_named_as_the_reason(pooled, direct):
    with (
        onebrain.connect(pooled(direct, "statement"), embedder=None) as brain,
        pytest.raises(ConfigurationError, match="pool_mode"),
    ):
        brain.store("text")


def test_a_pooler_in_session_mode_serves_as_well(pooled, direct, new_tenant):
    with onebrain.connect(pooled(direct, "session", size=12), tenant=new_tenant()) as brain:
        exercise(brain, "somebody")


def test_a_parameter_that_the_pooler_refuses_is_named(url):
    with (
        onebrain.connect(f"{url}?options=-csearch_path%3Dpublic", embedder=None) as brain,
        pytest.raises(ConfigurationError, match=r"options.*ignore_startup_parameters"),
    ):
        brain.count()


def test_one_session_of_the_server_is_enough_for_what_is_not_large(pooled, direct, new_tenant):
    with onebrain.connect(pooled(direct, size=1), tenant=new_tenant(), embedder=None) as brain:
        engine: Engine = brain.driver.engine
        assert side_by_side(lambda name: exercise(brain, name)) == []
        assert engine.background.settle(300)

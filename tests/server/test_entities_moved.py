"""Entities of databases that an earlier version made, whose entities were in tables of the engine, are all there."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import httpx
import psycopg
import pytest

from onebrain_server.server import Server
from onebrain_server.settings import Settings
from onebrain_server.state.database import MIGRATIONS
from onebrain_server.testing import live_server

# Each is a whole database as SQLite dumped it, with its API key and its encryption key.
DATABASES = {
    "plain": (
        "before_entities_moved.sql",
        "ob_e19590311a6a3d1e_fe495b9afa93d7564b2975932d1d9d83116ab661826a68fd",
        None,
    ),
    "sealed": (
        "before_entities_moved_sealed.sql",
        "ob_4654fa255312ab8f_809021d38f87b59849bf6bb45711a7be1a9ad5b2139d6373",
        bytes.fromhex("11" * 32),
    ),
}
FORMER = {
    "graph_entity": "tenant TEXT, id TEXT, name_key TEXT, type TEXT, created_at BIGINT, updated_at BIGINT, body BYTEA",
    "graph_link": "tenant TEXT, id TEXT, entity_id TEXT, memory_id TEXT, link_type TEXT, created_at BIGINT",
    "graph_relation": "tenant TEXT, id TEXT, source_id TEXT, target_id TEXT, relation TEXT, created_at BIGINT",
    "graph_revision": "tenant TEXT, revision BIGINT",
}


@pytest.fixture(params=list(DATABASES))
def before(request):
    """Return the dump of a database, its API key and its encryption key."""
    name, key, encryption_key = DATABASES[request.param]
    return Path(__file__).with_name(name).read_text(), key, encryption_key


def settings(url, encryption_key):
    return Settings(
        database_url=url, rate_limit_max=0, log_level="error", memory_encryption_key=encryption_key
    )


def restored(dump, path):
    """Make the file of a dump; return its tables' names."""
    database = sqlite3.connect(path)
    database.executescript(dump)
    names = tables(database)
    database.close()
    return names


def tables(database):
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def check(url, key, encryption_key):
    """Look for the entities as the dump has them."""
    with (
        live_server(settings(url, encryption_key)) as live,
        httpx.Client(base_url=live.url, headers={"authorization": f"ApiKey {key}"}, timeout=60) as client,
    ):

        def read(path):
            return client.get(path).raise_for_status().json()["data"]

        seat, work = sorted(read("/v1/memory"), key=lambda row: row["title"])
        found = {row["name"]: row for row in read("/v1/entities")}
        assert {(row["name"], row["type"], row["description"]) for row in found.values()} == {
            ("Maria", "person", "A traveller"),
            ("Hotel Aurora", "organization", None),
            ("Lisbon", "place", None),
        }
        maria, hotel = found["Maria"], found["Hotel Aurora"]
        assert maria["metadata"] == {"vip": True}
        links = {
            (name, link["memoryItemId"], link["linkType"])
            for name, row in found.items()
            for link in read(f"/v1/entities/{row['id']}")["links"]
        }
        assert links == {
            ("Maria", seat["id"], "about"),
            ("Maria", seat["id"], "mentions"),
            ("Lisbon", seat["id"], "mentions"),
            ("Hotel Aurora", work["id"], "employs"),
        }
        assert [
            (one["sourceId"], one["targetId"], one["relation"])
            for one in read(f"/v1/entities/{maria['id']}/relations")
        ] == [(maria["id"], hotel["id"], "works_at")]
        assert (seat["entityId"], work["entityId"]) == (maria["id"], hotel["id"])
        assert seat["projectId"] == read("/v1/projects")[0]["id"]
        # Names are still unique, and a memory takes all of its links with it.
        taken = client.post("/v1/entities", json={"name": "Maria", "type": "person"})
        assert taken.status_code == 409
        assert maria["id"] in taken.text
        client.delete(f"/v1/memory/{seat['id']}").raise_for_status()
        assert read(f"/v1/entities/{maria['id']}")["links"] == []
        assert read(f"/v1/projects/{seat['projectId']}")["memoryLinks"] == []


def test_entities_of_an_sqlite_database_are_all_there(before, tmp_path):
    dump, key, encryption_key = before
    path = tmp_path / "server.db"
    assert "graph_entity" in restored(dump, path)
    check(f"sqlite:///{path}", key, encryption_key)
    with sqlite3.connect(path) as database:
        assert not {name for name in tables(database) if name.startswith("graph_")}
        assert database.execute("SELECT max(version) FROM server_schema").fetchone() == (len(MIGRATIONS),)
        # The memory that `check` removed had three of the four links.
        counts = [
            database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("server_entity", "server_relation", "server_link")
        ]
    database.close()
    assert counts == [3, 1, 1]


def test_a_move_that_fails_changes_nothing(before, tmp_path, monkeypatch):
    dump, key, encryption_key = before
    path = tmp_path / "server.db"
    names = restored(dump, path)
    with monkeypatch.context() as patch:
        patch.setattr(
            "onebrain_server.state.former_graph.TABLES", ("graph_schema", "graph_entity", "no_such_table")
        )
        with pytest.raises(Exception, match=r"server.s database"):
            Server(settings(f"sqlite:///{path}", encryption_key))
    with sqlite3.connect(path) as database:
        # The engine's own tables come first, and have moved by then.
        assert {name for name in tables(database) if name.startswith(("server_", "graph_"))} == {
            name for name in names if name.startswith(("server_", "graph_"))
        }
        assert database.execute("SELECT count(*) FROM graph_entity").fetchone() == (3,)
    database.close()
    check(f"sqlite:///{path}", key, encryption_key)


@pytest.mark.parametrize("schema", ["onebrain", "public"])
def test_entities_of_a_postgresql_database_are_all_there(before, schema, tmp_path, postgres):
    """Rows of the dump's tables, in a database that has them in either schema."""
    dump, key, encryption_key = before
    restored(dump, tmp_path / "server.db")
    url = postgres.new_database()
    Server(settings(url, encryption_key)).close()
    server = [name for name in tables(sqlite3.connect(tmp_path / "server.db")) if name.startswith("server_")]
    source = sqlite3.connect(tmp_path / "server.db")
    with psycopg.connect(url, autocommit=True) as target:
        target.execute("SET search_path TO onebrain")
        target.execute("SELECT set_config('onebrain.tenant', '*', false)")
        target.execute("DROP TABLE server_entity, server_relation")
        for table in (*server, *FORMER):
            if table in FORMER:
                target.execute(f"CREATE TABLE {schema}.{table} ({FORMER[table]})")
            else:
                target.execute(f"DELETE FROM {table}")
            copy(source, target, table, schema if table in FORMER else "onebrain")
        target.execute(f"CREATE TABLE {schema}.graph_schema (version INTEGER)")
        for table in FORMER:
            for statement in (
                "ENABLE ROW LEVEL SECURITY",
                "FORCE ROW LEVEL SECURITY",
            ):
                target.execute(f"ALTER TABLE {schema}.{table} {statement}")
            target.execute(
                f"CREATE POLICY own_tenant ON {schema}.{table} "
                "USING (tenant = current_setting('onebrain.tenant', true))"
            )
    source.close()
    with live_server(settings(url, encryption_key)) as live:
        tenant = live.server.accounts.by_key(key).account.id
        assert {one.name for one in live.server.entities(tenant).all()} == {"Maria", "Hotel Aurora", "Lisbon"}
        assert len(live.server.entities(tenant).links()) == 4
        [relation] = live.server.relations(tenant).all()
        assert relation.relation == "works_at"
    with psycopg.connect(url) as connection:
        left = connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'graph%'").fetchall()
        assert left == []
        # The wall stands before the new tables.
        assert connection.execute("SELECT count(*) FROM onebrain.server_entity").fetchone() == (0,)


def copy(source, target, table, schema):
    """Copy the rows of a table from SQLite to PostgreSQL."""
    found = source.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in found.description]
    kinds = dict(
        target.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = %s AND table_name = %s",
            (schema, table),
        ).fetchall()
    )
    marks = ", ".join(f"%s::{kinds[name]}" for name in names)
    for row in found.fetchall():
        values = [
            bool(value) if kinds[name] == "boolean" else value for name, value in zip(names, row, strict=True)
        ]
        target.execute(f"INSERT INTO {schema}.{table} ({', '.join(names)}) VALUES ({marks})", values)

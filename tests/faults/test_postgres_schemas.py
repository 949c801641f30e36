"""pgvector and the schema `onebrain` as administrators set them up: elsewhere, owned by others, with few rights."""

from __future__ import annotations

import secrets

import psycopg
import pytest
from psycopg import conninfo, sql

import onebrain
from onebrain.errors import ConfigurationError, OneBrainError


@pytest.fixture
def database(postgres):
    """Return (URL of the plain role, a function that runs statements as the administrator) of an empty database."""
    url = postgres.new_database(vectors=False)
    name = conninfo.conninfo_to_dict(url)["dbname"]

    def admin(*statements):
        with psycopg.connect(postgres.admin_url, dbname=name, autocommit=True) as connection:
            for statement in statements:
                connection.execute(sql.SQL(statement).format(role=sql.Identifier(postgres.role)))

    return url, admin


@pytest.mark.parametrize("schema", ["extensions", '"My Extensions"'])
def test_pgvector_may_be_in_a_schema_that_the_search_path_does_not_name(database, schema, connect_large):
    url, admin = database
    admin(
        f"CREATE SCHEMA {schema}",
        f"CREATE EXTENSION vector WITH SCHEMA {schema}",
        f"GRANT USAGE ON SCHEMA {schema} TO {{role}}",
    )
    with onebrain.connect(url) as brain:
        brain.store_many(["Maria prefers window seats", "the boiler was repaired in May"])
        assert brain.search("where does Maria like to sit?")[0].content == "Maria prefers window seats"
    with connect_large(url) as brain:
        assert brain.search("where does Maria like to sit?")[0].content == "Maria prefers window seats"
        # Two connections with a new store each: what was made by the first is found by the second.
        brain.store("Peter prefers aisle seats")
        assert brain.search("Where does Peter sit?", mode="vector")[0].content == "Peter prefers aisle seats"


def test_a_schema_of_pgvector_that_the_role_may_not_use_is_named_with_the_remedy(database):
    url, admin = database
    admin("CREATE SCHEMA extensions", "CREATE EXTENSION vector WITH SCHEMA extensions")
    with onebrain.connect(url) as brain:
        with pytest.raises(ConfigurationError, match=r"GRANT USAGE ON SCHEMA extensions TO onebrain_test_"):
            brain.store("alpha")
        admin("GRANT USAGE ON SCHEMA extensions TO {role}")
        assert brain.store("alpha").ok


def test_pgvector_that_moves_under_a_running_brain_is_found_again(database, connect_large):
    url, admin = database
    admin("CREATE EXTENSION vector", "CREATE SCHEMA elsewhere", "GRANT USAGE ON SCHEMA elsewhere TO {role}")
    with connect_large(url, indexes=False) as brain:
        brain.store("Maria prefers window seats")
        assert brain.search("Maria", mode="vector")
        admin("ALTER EXTENSION vector SET SCHEMA elsewhere")
        with pytest.raises(OneBrainError, match="pgvector is no longer where it was"):
            brain.search("Maria", mode="vector")
        assert brain.search("Maria", mode="vector")
        assert brain.store("Peter prefers aisle seats").ok


def test_pgvector_among_our_own_tables_is_refused_with_the_remedy(database):
    url, admin = database
    admin(
        "CREATE SCHEMA onebrain AUTHORIZATION {role}",
        "CREATE EXTENSION vector WITH SCHEMA onebrain",
        "GRANT USAGE ON SCHEMA onebrain TO {role}",
    )
    with onebrain.connect(url) as brain, pytest.raises(ConfigurationError, match="SET SCHEMA public"):
        brain.count()


def test_pgvector_is_never_added_to_our_own_schema_whatever_the_search_path_says(postgres):
    url = postgres.new_database(vectors=False)
    name = conninfo.conninfo_to_dict(url)["dbname"]
    # A role that is named onebrain has this search path by default.
    path = conninfo.make_conninfo(
        postgres.admin_url, dbname=name, options="-csearch_path=onebrain,public -cclient_min_messages=error"
    )
    with psycopg.connect(path, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA onebrain")
    with onebrain.connect(f"{_url(path)}", embedder=None) as brain:
        assert brain.store("alpha", embedding=[1.0, 0.0]).ok
        assert brain.count() == 1


def _url(text):
    parts = conninfo.conninfo_to_dict(text)
    options = str(parts["options"]).replace(" ", "%20").replace("=", "%3D").replace(",", "%2C")
    host = str(parts["host"])
    at, query = ("", f"host={host}&") if host.startswith("/") else (host, "")
    port = f":{parts['port']}" if parts.get("port") else ""
    user = f"{parts['user']}@" if parts.get("user") else ""
    return f"postgresql://{user}{at}{port}/{parts['dbname']}?{query}options={options}"


def test_a_schema_that_an_administrator_made_is_enough(database):
    url, admin = database
    name = conninfo.conninfo_to_dict(url)["dbname"]
    admin(
        "CREATE EXTENSION vector",
        f'ALTER DATABASE "{name}" OWNER TO CURRENT_USER',
        f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC, {{role}}',
        f'GRANT CONNECT ON DATABASE "{name}" TO {{role}}',
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    )
    with onebrain.connect(url, embedder=None) as brain:
        with pytest.raises(ConfigurationError, match="CREATE SCHEMA onebrain AUTHORIZATION onebrain_test_"):
            brain.count()
        admin("GRANT USAGE ON SCHEMA public TO {role}", "CREATE SCHEMA onebrain AUTHORIZATION {role}")
        assert brain.store("alpha").ok


def test_a_schema_of_another_role_is_used_where_it_grants_that_and_named_where_not(database):
    url, admin = database
    owner = f"onebrain_owner_{secrets.token_hex(4)}"
    admin("CREATE EXTENSION vector", f"CREATE ROLE {owner}", f"CREATE SCHEMA onebrain AUTHORIZATION {owner}")
    try:
        with onebrain.connect(url, embedder=None) as brain:
            with pytest.raises(
                ConfigurationError, match=rf"{owner} run there: GRANT USAGE, CREATE ON SCHEMA onebrain TO"
            ):
                brain.count()
            admin("GRANT USAGE, CREATE ON SCHEMA onebrain TO {role}")
            assert brain.store("alpha").ok
    finally:
        admin(f"REASSIGN OWNED BY {owner} TO CURRENT_USER", f"DROP OWNED BY {owner}", f"DROP ROLE {owner}")

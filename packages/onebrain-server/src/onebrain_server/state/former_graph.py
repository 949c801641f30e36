"""Entities of earlier versions, which the engine kept in tables of its own beside those of the server."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection

# The first one is there if the others are.
TABLES: Final = ("graph_schema", "graph_entity", "graph_link", "graph_relation", "graph_revision")


def take_in(connection: Connection) -> None:
    """Move the rows of the former tables into the server's, and drop the tables; `connection` is in a migration."""
    if connection.dialect.name == "postgresql":
        for prefix in _schemas(connection):
            _move(connection, prefix)
    elif (
        connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'graph_schema'").first()
        is not None
    ):
        _move(connection, "")


def _schemas(connection: Connection) -> list[str]:
    """Return the schemas that hold the tables, each with its dot, ours first."""
    from onebrain_engine.store.postgres_schema import gather

    # The tables may stand in the first schema of the search path, which this transaction has set to ours.
    path = "(SELECT reset_val FROM pg_settings WHERE name = 'search_path')"
    connection.exec_driver_sql(f"SELECT set_config('search_path', {path}, true)")
    driver: Any = connection.connection.driver_connection
    old = gather(driver, "the server's database", TABLES)
    connection.exec_driver_sql("SELECT set_config('search_path', 'onebrain', true)")
    ours = "SELECT 1 FROM pg_class WHERE relname = 'graph_schema' AND relnamespace = 'onebrain'::regnamespace"
    if connection.exec_driver_sql(ours).first() is None:
        return []
    return ["onebrain."] if old is None else ["onebrain.", f"{old}."]


def _move(connection: Connection, prefix: str) -> None:
    """Move the rows of the tables with a prefix. An entity that is there already keeps its id; links and relations follow it."""

    def run(statement: str) -> Any:
        return connection.exec_driver_sql(statement)

    if connection.dialect.name == "postgresql":
        for table in TABLES[1:]:
            # Their owner sees no row of a tenant otherwise, and the server's mark for all tenants is unknown to them.
            run(f"ALTER TABLE {prefix}{table} NO FORCE ROW LEVEL SECURITY")
    run(
        "INSERT INTO server_entity (tenant, id, name_key, type, created_at, updated_at, body) "
        f"SELECT tenant, id, name_key, type, created_at, updated_at, body FROM {prefix}graph_entity "
        # SQLite reads ON CONFLICT after SELECT only if a WHERE stands between.
        "WHERE true ON CONFLICT DO NOTHING"
    )
    same = (
        f"(SELECT o.tenant, o.id AS was, n.id FROM {prefix}graph_entity AS o JOIN server_entity AS n "
        "ON n.tenant = o.tenant AND n.name_key = o.name_key)"
    )
    run(
        "INSERT INTO server_link (tenant, id, kind, owner_id, memory_id, link_type, created_at) "
        "SELECT l.tenant, l.id, 'entity', e.id, l.memory_id, l.link_type, l.created_at "
        f"FROM {prefix}graph_link AS l JOIN {same} AS e ON e.tenant = l.tenant AND e.was = l.entity_id "
        "WHERE true ON CONFLICT DO NOTHING"
    )
    run(
        "INSERT INTO server_relation (tenant, id, source_id, target_id, relation, created_at) "
        "SELECT r.tenant, r.id, s.id, t.id, r.relation, r.created_at "
        f"FROM {prefix}graph_relation AS r JOIN {same} AS s ON s.tenant = r.tenant AND s.was = r.source_id "
        f"JOIN {same} AS t ON t.tenant = r.tenant AND t.was = r.target_id WHERE true ON CONFLICT DO NOTHING"
    )
    for table in TABLES:
        run(f"DROP TABLE {prefix}{table}")

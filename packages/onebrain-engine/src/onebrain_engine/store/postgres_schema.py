"""The PostgreSQL schema and its migrations, one entry a version, from the first day.

Everything stands in a schema named ``onebrain``, the graph's and the server's tables included. Every key begins with the tenant, so that tables can be partitioned or
distributed by it, and row-level security shows each transaction the rows of its own tenant only, the owner of the
tables included. A migration is never changed once released; a new one is appended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors

from onebrain.errors import ConfigurationError, SchemaTooNew
from onebrain_engine.store.encryption import Seal
from onebrain_engine.store.postgres_errors import SERVICE

LOCK = 0x0B5A1007  # the advisory lock that replicas take to migrate one after the other

_TABLES = ("space", "memory", "vector", "gone")

# pg_dump is no query that forgot its tenant. It refuses to read rows that a policy might hide; asked to read on, with
# --enable-row-security, it would write an empty file.
DUMP = "current_setting('application_name') = 'pg_dump'"
OWN = f"tenant = current_setting('onebrain.tenant', true) OR {DUMP}"

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE onebrain.setting (name text PRIMARY KEY, value bytea NOT NULL)",
        # Names and ids are found by a digest of 16 bytes: an index entry may hold no more than some 2,700.
        """CREATE TABLE onebrain.space (
            tenant text NOT NULL,
            key bigint GENERATED ALWAYS AS IDENTITY,
            label bytea NOT NULL,
            name text NOT NULL,
            seq bigint NOT NULL DEFAULT 0,
            embedder text,
            dimension integer,
            snapshot text,
            PRIMARY KEY (tenant, key),
            UNIQUE (tenant, label)
        )""",
        # `row` is the order of storing, kept when a memory is updated; `seq` counts the changes of a space, so that
        # an index can catch up. `user` is '' for none, because it is part of the identity.
        "CREATE SEQUENCE onebrain.memory_row",
        """CREATE TABLE onebrain.memory (
            tenant text NOT NULL,
            space bigint NOT NULL,
            "row" bigint NOT NULL,
            seq bigint NOT NULL,
            identity bytea NOT NULL,
            owner bytea NOT NULL,
            id text NOT NULL,
            "user" text NOT NULL,
            agent text,
            session text,
            content text NOT NULL,
            title text,
            type text,
            tags text NOT NULL,
            metadata text NOT NULL,
            importance double precision,
            source text,
            pinned boolean NOT NULL,
            archived boolean NOT NULL,
            created_at bigint NOT NULL,
            updated_at bigint NOT NULL,
            expires_at bigint,
            extra text NOT NULL,
            sealed bytea,
            PRIMARY KEY (tenant, "row")
        )""",
        "CREATE UNIQUE INDEX memory_identity ON onebrain.memory (tenant, identity, space, owner)",
        "CREATE INDEX memory_change ON onebrain.memory (tenant, space, seq)",
        "CREATE INDEX memory_expiry ON onebrain.memory (tenant, expires_at) WHERE expires_at IS NOT NULL",
        # Vectors apart from texts: reading a text then never walks over a vector's pages. One of the two is given:
        # `data`, or `sealed` where the memory is encrypted.
        """CREATE TABLE onebrain.vector (
            tenant text NOT NULL,
            space bigint NOT NULL,
            "row" bigint NOT NULL,
            data {vectors}.vector,
            sealed bytea,
            PRIMARY KEY (tenant, "row")
        )""",
        # The rows that an index takes out when it catches up: numbers only, no text of removed memories.
        """CREATE TABLE onebrain.gone (
            tenant text NOT NULL,
            space bigint NOT NULL,
            seq bigint NOT NULL,
            "row" bigint NOT NULL,
            PRIMARY KEY (tenant, space, seq, "row")
        )""",
        *(
            statement
            for table in _TABLES
            for statement in (
                f"ALTER TABLE onebrain.{table} ENABLE ROW LEVEL SECURITY",
                f"ALTER TABLE onebrain.{table} FORCE ROW LEVEL SECURITY",
                f"CREATE POLICY own_tenant ON onebrain.{table} "
                "USING (tenant = current_setting('onebrain.tenant', true)) "
                "WITH CHECK (tenant = current_setting('onebrain.tenant', true))",
            )
        ),
    ),
    (
        # The entities that a memory names, kept beside it like its vector: sealed and removed with it.
        """CREATE TABLE onebrain.note (
            tenant text NOT NULL,
            space bigint NOT NULL,
            "row" bigint NOT NULL,
            data bytea NOT NULL,
            PRIMARY KEY (tenant, "row")
        )""",
        "ALTER TABLE onebrain.note ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE onebrain.note FORCE ROW LEVEL SECURITY",
        "CREATE POLICY own_tenant ON onebrain.note "
        "USING (tenant = current_setting('onebrain.tenant', true)) "
        "WITH CHECK (tenant = current_setting('onebrain.tenant', true))",
    ),
    (
        # A large space is served by indexes of the database, see `postgres_large`. `filled` is the change number up to
        # which its words are kept, `filling` the one that this has to reach, both null where they are not kept.
        "ALTER TABLE onebrain.space ADD COLUMN filled bigint, ADD COLUMN filling bigint, "
        "ADD COLUMN served boolean NOT NULL DEFAULT false",
        # The words of the memories of large spaces; it can be made anew from them. A memory with very many has several
        # parts, because a tsvector holds no more than a megabyte.
        """CREATE TABLE onebrain.word (
            tenant text NOT NULL,
            space bigint NOT NULL,
            "row" bigint NOT NULL,
            part smallint NOT NULL,
            length integer NOT NULL,
            words tsvector NOT NULL,
            PRIMARY KEY (tenant, "row", part)
        )""",
        "ALTER TABLE onebrain.word ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE onebrain.word FORCE ROW LEVEL SECURITY",
        # The condition is part of the policy, since PostgreSQL lets no condition of a query pass before it to an
        # index unless the operator is marked leakproof, which `@@` is not. Without `onebrain.words` no row is seen.
        "CREATE POLICY own_tenant ON onebrain.word "
        "USING (tenant = current_setting('onebrain.tenant', true) "
        "AND words @@ current_setting('onebrain.words', true)::tsquery) "
        "WITH CHECK (tenant = current_setting('onebrain.tenant', true))",
    ),
    (
        # Which history a change number belongs to, see `runs`: the run of the last change, and where each run began.
        "ALTER TABLE onebrain.space ADD COLUMN run bigint",
        """CREATE TABLE onebrain.run (
            tenant text NOT NULL,
            space bigint NOT NULL,
            since bigint NOT NULL,
            run bigint NOT NULL,
            PRIMARY KEY (tenant, space, since)
        )""",
        "ALTER TABLE onebrain.run ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE onebrain.run FORCE ROW LEVEL SECURITY",
        "CREATE POLICY own_tenant ON onebrain.run "
        "USING (tenant = current_setting('onebrain.tenant', true)) "
        "WITH CHECK (tenant = current_setting('onebrain.tenant', true))",
    ),
    (
        *(
            f"ALTER POLICY own_tenant ON onebrain.{table} USING ({OWN})"
            for table in (*_TABLES, "note", "run")
        ),
        f"ALTER POLICY own_tenant ON onebrain.word USING (({OWN}) AND words @@ (CASE WHEN {DUMP} "
        # A value that no row has.
        "THEN $$!'@'$$ ELSE current_setting('onebrain.words', true) END)::tsquery)",
    ),
    (
        # The vectors of the embedder that a space is to have, until all are made; `seq` is the change of the memory that one
        # was made at.
        "ALTER TABLE onebrain.space ADD COLUMN next_embedder text",
        # The version of the analysis that made the words of a large space.
        "ALTER TABLE onebrain.space ADD COLUMN analysis integer",
        """CREATE TABLE onebrain.next_vector (
            tenant text NOT NULL,
            space bigint NOT NULL,
            "row" bigint NOT NULL,
            seq bigint NOT NULL,
            data {vectors}.vector,
            sealed bytea,
            PRIMARY KEY (tenant, "row")
        )""",
        "ALTER TABLE onebrain.next_vector ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE onebrain.next_vector FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY own_tenant ON onebrain.next_vector USING ({OWN}) "
        "WITH CHECK (tenant = current_setting('onebrain.tenant', true))",
    ),
    (
        # When a memory holds and what it replaces, see `lives`; kept beside it like its vector, and removed with it.
        """CREATE TABLE onebrain.life (
            tenant text NOT NULL,
            space bigint NOT NULL,
            "row" bigint NOT NULL,
            valid_from bigint,
            valid_until bigint,
            links text NOT NULL,
            PRIMARY KEY (tenant, space, "row")
        )""",
        "ALTER TABLE onebrain.space ADD COLUMN timed boolean NOT NULL DEFAULT false",
        "ALTER TABLE onebrain.life ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE onebrain.life FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY own_tenant ON onebrain.life USING ({OWN}) "
        "WITH CHECK (tenant = current_setting('onebrain.tenant', true))",
    ),
    (
        # When a memory was first stored here, whatever its own times say; unknown of those that are there already.
        "ALTER TABLE onebrain.memory ADD COLUMN stored_at bigint",
    ),
)


@dataclass(frozen=True, slots=True)
class Vectors:
    """Where a database has pgvector.

    Attributes:
        schema: Its schema as SQL writes it, which need not be in the search path.
        oid: Its type.
        array_oid: The type of arrays of them.
    """

    schema: str
    oid: int
    array_oid: int


def find_vectors(connection: psycopg.Connection[Any], where: str) -> Vectors:
    """Return where a database has pgvector.

    Raises:
        ConfigurationError: It has none, or the role may not use its schema.
    """
    found = connection.execute(
        "SELECT quote_ident(n.nspname), t.oid::int8, t.typarray::int8, has_schema_privilege(n.oid, 'USAGE'), "
        "quote_ident(current_user) FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace "
        "JOIN pg_type AS t ON t.typnamespace = n.oid AND t.typname = 'vector' WHERE e.extname = 'vector'"
    ).fetchone()
    if found is None:
        raise _without_vectors(where)
    schema, oid, array_oid, usable, role = found
    if not usable:
        raise ConfigurationError(
            f"{where} has pgvector in the schema {schema}, which this role may not use; let an administrator run there: "
            f"GRANT USAGE ON SCHEMA {schema} TO {role}",
            service=SERVICE,
        )
    return Vectors(schema, oid, array_oid)


def _without_vectors(where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where} has no pgvector, and this role cannot add it; let an administrator install it "
        "on the server and run there, in this database: CREATE EXTENSION vector",
        service=SERVICE,
    )


def _install_vectors(connection: psycopg.Connection[Any], where: str) -> None:
    """Add pgvector where it is not there: in the first schema of the search path but our own, whose table has its name."""
    if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone() is not None:
        return
    target = connection.execute(
        "SELECT quote_ident(name) FROM unnest(current_schemas(false)) AS name WHERE name <> 'onebrain' LIMIT 1"
    ).fetchone()
    try:
        connection.execute(
            f"CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA {target[0] if target else 'public'}".encode()
        )
    except (
        errors.UndefinedFile,
        errors.FeatureNotSupported,
        errors.InsufficientPrivilege,
        errors.InvalidSchemaName,
    ):
        raise _without_vectors(where) from None


def prepare(connection: psycopg.Connection[Any], seal: Seal, where: str) -> None:
    """Bring the database to the newest version and mark it as encrypted, in one transaction that replicas wait for.

    Raises:
        ConfigurationError: It is encrypted, with another key or where none is given, it has no pgvector, or this role may
            not make what is missing; nothing was changed.
        SchemaTooNew: A newer version of this package made it.
    """
    version, mark = state(connection, where)
    encrypted = seal.accept(mark)
    seal.take(mark)
    if version == len(MIGRATIONS) and (encrypted or seal.cipher is None):
        return
    with connection.transaction():
        # The server's default may be another level.
        connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        # Another replica may have done it meanwhile.
        version, mark = state(connection, where)
        encrypted = seal.accept(mark)
        if version == 0:
            ensure_schema(connection, where)
            _install_vectors(connection, where)
            connection.execute(
                "CREATE TABLE onebrain.migration (version integer PRIMARY KEY, at timestamptz NOT NULL)"
            )
        vectors = find_vectors(connection, where).schema
        if vectors == "onebrain":
            raise ConfigurationError(
                f"{where} has pgvector in the schema onebrain, where a table has to have the name of its type; let its "
                "owner run there: ALTER EXTENSION vector SET SCHEMA public",
                service=SERVICE,
            )
        for number, migration in enumerate(MIGRATIONS[version:], version + 1):
            for statement in migration:
                connection.execute(statement.replace("{vectors}", vectors).encode())
            connection.execute("INSERT INTO onebrain.migration VALUES (%s, now())", (number,))
        if seal.cipher is not None and not encrypted:
            mark = seal.cipher.fresh_mark()
            connection.execute("INSERT INTO onebrain.setting VALUES ('encryption', %s)", (mark,))
    seal.take(mark)


def ensure_schema(connection: psycopg.Connection[Any], where: str) -> None:
    """Make the schema ``onebrain`` where it is not there, within a transaction.

    Raises:
        ConfigurationError: This role may not make it, or make tables in it; the message has the statement that lets it.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    found = connection.execute(
        "SELECT has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE'), "
        "quote_ident(current_user), quote_ident(pg_get_userbyid(nspowner)) FROM pg_namespace WHERE nspname = 'onebrain'"
    ).fetchone()
    if found is not None:
        allowed, role, owner = found
        if not allowed:
            raise ConfigurationError(
                f"{where} has a schema onebrain that belongs to {owner}, and this role may not make tables in it; let "
                f"{owner} run there: GRANT USAGE, CREATE ON SCHEMA onebrain TO {role}",
                service=SERVICE,
            )
        return
    creator = connection.execute(
        "SELECT has_database_privilege(current_database(), 'CREATE'), quote_ident(current_user)"
    ).fetchone()
    assert creator is not None
    if not creator[0]:
        raise ConfigurationError(
            f"{where} has no schema onebrain, and this role may not make it; let an administrator run there: "
            f"CREATE SCHEMA onebrain AUTHORIZATION {creator[1]}",
            service=SERVICE,
        )
    connection.execute("CREATE SCHEMA onebrain")


def gather(connection: psycopg.Connection[Any], where: str, names: Sequence[str]) -> str | None:
    """Move tables into the schema ``onebrain``, within a transaction that holds the lock of a migration.

    Earlier versions made them in the first schema of the search path, which has to be as it was. Tables that are moved
    keep their rows, indexes and policies.

    Args:
        connection: In a transaction.
        where: The database, for errors.
        names: The tables; where the first one is, the others are, too.

    Returns:
        The old schema where there are such tables in both, which are left where they are; None otherwise.

    Raises:
        ConfigurationError: The role may not move them, or make tables in the schema; the message has the remedy.
    """
    found = connection.execute(
        "SELECT n.nspname, quote_ident(n.nspname), c.relname, quote_ident(c.relname), quote_ident(current_user), "
        "quote_ident(pg_get_userbyid(c.relowner)), pg_has_role(c.relowner, 'USAGE') "
        "FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p') AND c.relname = ANY(%s::name[]) "
        "AND (n.nspname = 'onebrain' OR n.nspname = ANY(current_schemas(false))) "
        "ORDER BY array_position(current_schemas(false), n.nspname)",
        (list(names),),
    ).fetchall()
    here = any(schema == "onebrain" and name == names[0] for schema, _, name, *_ in found)
    if not here:
        ensure_schema(connection, where)
    old = next((row[1] for row in found if row[0] != "onebrain" and row[2] == names[0]), None)
    if old is None or here:
        return old
    for _, schema, _, table, role, owner, mine in found:
        if schema != old:
            continue
        if not mine:
            raise ConfigurationError(
                f"{where} has the table {schema}.{table}, which belongs to {owner} and has to move to the schema onebrain; "
                f"let {owner} run there: ALTER TABLE {schema}.{table} OWNER TO {role}",
                service=SERVICE,
            )
        connection.execute(f"ALTER TABLE {schema}.{table} SET SCHEMA onebrain".encode())
    return None


def state(connection: psycopg.Connection[Any], where: str) -> tuple[int, bytes | None]:
    """Return the version of the schema, 0 for none, and the mark of an encrypted database."""
    # Not to_regclass: its cached answer may be older than the lock that was just waited for.
    known = connection.execute(
        "SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'onebrain' AND c.relname = 'migration'"
    ).fetchone()
    if known is None:
        return 0, None
    found = connection.execute("SELECT coalesce(max(version), 0) FROM onebrain.migration").fetchone()
    version: int = found[0] if found else 0
    if version > len(MIGRATIONS):
        raise SchemaTooNew(
            f"{where} has schema version {version}, this onebrain-engine knows {len(MIGRATIONS)}; "
            "upgrade it: pip install --upgrade onebrain-engine",
            service="postgresql",
        )
    mark = connection.execute("SELECT value FROM onebrain.setting WHERE name = 'encryption'").fetchone()
    return version, None if mark is None else mark[0]

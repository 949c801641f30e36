"""The SQLite schema and its migrations, one entry a version, from the first day.

A migration is never changed once released; a new one is appended. ``PRAGMA user_version`` holds the version,
``PRAGMA application_id`` marks the file as a brain.
"""

from __future__ import annotations

import sqlite3

from onebrain.errors import DatabaseCorrupt, SchemaTooNew

APPLICATION_ID = 0x0B5A1007

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE space (
            key INTEGER PRIMARY KEY,
            tenant TEXT NOT NULL,
            name TEXT NOT NULL,
            seq INTEGER NOT NULL DEFAULT 0,
            embedder TEXT,
            dimension INTEGER,
            snapshot TEXT,
            UNIQUE (tenant, name)
        )""",
        # `row` is the order of storing, kept when a memory is updated; `seq` counts the changes of a space, so that
        # an index can catch up. `user` is '' for none, because it is part of the identity.
        """CREATE TABLE memory (
            row INTEGER PRIMARY KEY AUTOINCREMENT,
            tenant TEXT NOT NULL,
            space INTEGER NOT NULL REFERENCES space (key),
            seq INTEGER NOT NULL,
            id TEXT NOT NULL,
            user TEXT NOT NULL DEFAULT '',
            agent TEXT,
            session TEXT,
            content TEXT NOT NULL,
            title TEXT,
            type TEXT,
            tags TEXT NOT NULL DEFAULT '[]',
            metadata TEXT NOT NULL DEFAULT '{}',
            importance REAL,
            source TEXT,
            pinned INTEGER NOT NULL DEFAULT 0,
            archived INTEGER NOT NULL DEFAULT 0,
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            expires_at INTEGER,
            extra TEXT NOT NULL DEFAULT '{}'
        )""",
        "CREATE UNIQUE INDEX memory_identity ON memory (tenant, id, space, user)",
        "CREATE INDEX memory_change ON memory (space, seq)",
        "CREATE INDEX memory_expiry ON memory (tenant, expires_at) WHERE expires_at IS NOT NULL",
        # Vectors apart from texts: reading a text then never walks over a vector's pages.
        "CREATE TABLE vector (row INTEGER PRIMARY KEY, data BLOB NOT NULL)",
        # The rows that an index takes out when it catches up: numbers only, no text of removed memories.
        """CREATE TABLE gone (
            space INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            row INTEGER NOT NULL,
            PRIMARY KEY (space, seq, row)
        ) WITHOUT ROWID""",
    ),
    (
        # Encryption at rest: a sealed memory's texts stand here, and its vector is sealed, too.
        "ALTER TABLE memory ADD COLUMN sealed BLOB",
        "CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    ),
    (
        # The entities that a memory names, kept beside it like its vector: sealed and removed with it.
        "CREATE TABLE note (row INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    ),
    (
        # Which history a change number belongs to, see `runs`: the run of the last change, and where each run began.
        "ALTER TABLE space ADD COLUMN run INTEGER",
        """CREATE TABLE run (
            space INTEGER NOT NULL,
            since INTEGER NOT NULL,
            run INTEGER NOT NULL,
            PRIMARY KEY (space, since)
        ) WITHOUT ROWID""",
    ),
    (
        # The vectors of the embedder that a space is to have, until all are made; `seq` is the change of the memory that one
        # was made at.
        "ALTER TABLE space ADD COLUMN next_embedder TEXT",
        """CREATE TABLE next_vector (
            row INTEGER PRIMARY KEY,
            space INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            data BLOB NOT NULL
        )""",
    ),
    (
        # When a memory holds and what it replaces, see `lives`; kept beside it like its vector, and removed with it.
        "CREATE TABLE life (row INTEGER PRIMARY KEY, valid_from INTEGER, valid_until INTEGER, links TEXT NOT NULL)",
        "ALTER TABLE space ADD COLUMN timed INTEGER NOT NULL DEFAULT 0",
    ),
    (
        # When a memory was first stored here, whatever its own times say; unknown of those that are there already.
        "ALTER TABLE memory ADD COLUMN stored_at INTEGER",
    ),
)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the database to the newest version, in one transaction that other processes wait for."""
    version = _version(connection, path)
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Reads the version again, because another process may have migrated meanwhile.
        for migration in MIGRATIONS[_version(connection, path) :]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def encryption_mark(connection: sqlite3.Connection) -> bytes | None:
    """Return the mark of an encrypted database, None of any other."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'setting'").fetchone():
        return None
    found = connection.execute("SELECT value FROM setting WHERE name = 'encryption'").fetchone()
    return found[0] if found else None


def _version(connection: sqlite3.Connection, path: str) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    mark = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if version > len(MIGRATIONS) and mark == APPLICATION_ID:
        raise SchemaTooNew(
            f"{path} has schema version {version}, this onebrain-engine knows {len(MIGRATIONS)}; "
            "upgrade it: pip install --upgrade onebrain-engine",
            service="sqlite",
        )
    if mark != APPLICATION_ID and (
        version or connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    ):
        raise DatabaseCorrupt(
            f"{path} is an SQLite database of another program; choose another file", service="sqlite"
        )
    return version

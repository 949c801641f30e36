"""Commands that serve: serve and credentials."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import click

from onebrain.cli.exits import installed
from onebrain.cli.options import command, confirm, db_option, group_command, json_option, yes_option
from onebrain.cli.output import Output


@command(
    "serve",
    "onebrain serve",
    "onebrain serve --port 8080 --db sqlite:///server.db",
    "DATABASE_URL=postgresql://... onebrain serve --workers 4",
)
@click.option(
    "--host",
    help="The address to listen on. Default: $HOST, else 127.0.0.1, which only this machine can reach.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port to listen on; 0 selects a free one. Default: $PORT, else 3000.",
)
@click.option(
    "--db",
    help="sqlite:///file or postgresql://... Default: $DATABASE_URL, else a file in the user's data directory.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="The number of worker processes, on PostgreSQL or an SQLite file. Default: $WORKERS, else 1.",
)
def serve(host: str | None, port: int | None, db: str | None, workers: int | None) -> None:
    """Serve OneBrain's API.

    The first start prints an API key, which is never shown again. Settings are environment variables; docs/server.md lists them.
    """
    # Requests already run in parallel, and threads within numpy would slow them down. Must be set before numpy is imported.
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    with installed("server", "onebrain-server"):
        from onebrain_server.serve import run
        from onebrain_server.settings import Settings
    run(Settings.from_environment(host=host, port=port, database_url=db, workers=workers))


@click.group()
def credentials() -> None:
    """Manage the credentials that a server keeps for its users."""


@group_command(credentials, "rotate", "onebrain credentials rotate --db sqlite:///server.db")
@db_option
@json_option
def rotate_credentials(db: str | None, out: Output) -> None:
    """Encrypt the credentials with a new key.

    The server may run meanwhile.
    An interrupted command continues at the next call. On SQLite the key file beside the database gets a new key. If
    $CREDENTIALS_KEY is set, it is the new key, and $CREDENTIALS_KEY_BEFORE is the old one.
    """
    count = _with_server(db, "change_credentials_key")
    out.result(f"{count} sealed with the new key", sealed=count)


@group_command(credentials, "forget", "onebrain credentials forget --db sqlite:///server.db")
@db_option
@yes_option
@json_option
def forget_credentials(db: str | None, yes: bool, out: Output) -> None:
    """Remove the connectors, models and webhooks whose key is lost.

    Nothing else is lost with the key. Their owners have to connect them again.
    """
    confirm("Remove the connectors, models and webhooks whose key is lost?", yes)
    count = _with_server(db, "forget_credentials")
    out.result(f"{count} removed", removed=count)


def _with_server(db: str | None, name: str) -> int:
    """Call a method of the server on its database, without serving."""
    with installed("server", "onebrain-server"):
        from onebrain_server.settings import Settings
    settings = Settings.from_environment(database_url=db)
    _check_is_there(settings.database_url)
    with installed("server", "onebrain-server"):
        from onebrain_server.server import Server
    with closing(Server(settings)) as server:
        return int(getattr(server, name)())


def _check_is_there(url: str) -> None:
    """Raise `ConfigurationError` if a file is missing, which the server would make: the name is mistyped."""
    from onebrain.errors import ConfigurationError
    from onebrain.memory.sqlite_urls import is_in_memory, sqlite_path

    if url.startswith("sqlite:") and not is_in_memory(url) and not Path(sqlite_path(url)).exists():
        raise ConfigurationError(f"there is no database at {sqlite_path(url)}; check --db")

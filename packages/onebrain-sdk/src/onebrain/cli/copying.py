"""Commands that copy a whole embedded brain: backup and restore."""

from __future__ import annotations

from pathlib import Path

import click

from onebrain.cli.exits import Failure, installed
from onebrain.cli.options import Target, command, confirm, json_option, yes_option
from onebrain.cli.output import Output, size

_URL = click.option(
    "--url", help="The brain, or a server's database. Default: $ONEBRAIN_URL, else the embedded brain."
)


@command(
    "backup",
    "onebrain backup brain-copy.db --url sqlite:///brain.db",
    "onebrain backup /backups/server.db --url sqlite:///server.db --replace",
)
@click.argument("dest", type=click.Path(dir_okay=False, path_type=Path))
@_URL
@click.option("--replace", is_flag=True, help="Replace the file if it is there.")
@json_option
def backup(url: str | None, out: Output, dest: Path, replace: bool) -> None:
    """Copy a brain into a file, while others write.

    The copy is the brain at one moment, with every memory that was acknowledged before. It appears when it is complete.
    PostgreSQL is copied by pg_dump, and a service by `onebrain export`.
    """
    with installed("embedded brain", "onebrain-engine"):
        from onebrain_engine import backup as copy
    where = _embedded(url)
    with out.progress("pages") as advance:
        count = copy(where, dest, replace=replace, progress=advance)
    out.result(f"{dest}: {size(count)}", file=str(dest), bytes=count)
    from onebrain.memory.sqlite_urls import sqlite_path

    keys = Path(f"{sqlite_path(where)}.credentials-key")
    if keys.exists():
        out.note(f"keep a copy of {keys} apart from it: it opens the credentials of third parties")


@command("restore", "onebrain restore brain-copy.db --url sqlite:///brain.db")
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_URL
@yes_option
@json_option
def restore(url: str | None, out: Output, source: Path, yes: bool) -> None:
    """Put a copy in place of a brain.

    Everything that was stored after the copy was made is lost. Processes that have the brain open go on with the copy.
    """
    with installed("embedded brain", "onebrain-engine"):
        from onebrain_engine import restore as put_back
    from onebrain.errors import OneBrainError
    from onebrain.memory.sqlite_urls import sqlite_path

    where = _embedded(url)
    try:
        there = Path(sqlite_path(where))
    except OneBrainError:
        there = None
    if there is not None and there.exists() and there.stat().st_size:
        confirm(f"Replace all that is in {there}?", yes)
    with out.progress("pages") as advance:
        count = put_back(source, where, progress=advance)
    out.result(f"restored: {size(count)}", bytes=count)


def _embedded(url: str | None) -> str:
    found, _ = Target(url=url).address
    if found.startswith(("sqlite:", "postgres")):
        return found
    raise Failure(
        "only an embedded brain is copied as a file; `onebrain export` writes the memories of a service, and `onebrain import` "
        "stores them",
        6,
        kind="Unsupported",
    )

"""The commands. Most of them open the brain of ``--url``, as `onebrain.connect` does, and close it at the end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

import onebrain
from onebrain._core.codec import is_object, to_json
from onebrain.errors import OneBrainError
from onebrain.memory import transfer
from onebrain.memory.models import Memory, Scope
from onebrain.urls import resolve


@dataclass(frozen=True, slots=True)
class Where:
    """The options that choose a brain and a scope."""

    url: str | None
    api_key: str | None
    space: str | None
    user: str | None
    agent: str | None
    session: str | None

    @property
    def scope(self) -> Scope:
        """The scope."""
        return Scope(self.space, self.user, self.agent, self.session)


@contextmanager
def reported() -> Generator[None, None, None]:
    """Report an error of onebrain in one line."""
    try:
        yield
    except OneBrainError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def installed(part: str, distribution: str) -> Generator[None, None, None]:
    """Report a part that is not installed, with the command that installs it."""
    try:
        yield
    except ImportError as error:
        raise click.ClickException(
            f"the {part} is not installed ({error.name} is missing): pip install {distribution}"
        ) from None


@contextmanager
def opened(where: Where, *, create: bool = False) -> Generator[onebrain.Brain, None, None]:
    """Open a brain, and report an error of onebrain in one line. A file is created only if `create` is true."""
    with reported():
        url, api_key = resolve(where.url, where.api_key)
        # Other drivers do not take the option.
        options = {"create": create} if url.startswith("sqlite:") else {}
        with onebrain.connect(url, api_key=api_key, **options) as brain:
            yield brain


def brain_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose a brain and a scope, which the command takes as a `Where`."""

    @wraps(command)
    def run(**options: Any) -> None:
        where = Where(**{field.name: options.pop(field.name) for field in fields(Where)})
        command(where, **options)

    for option in reversed(
        (
            click.option(
                "--url", help="The brain. Default: $ONEBRAIN_URL, else the cloud or the embedded brain."
            ),
            click.option(
                "--api-key", envvar="ONEBRAIN_API_KEY", help="The key of the brain.", show_envvar=True
            ),
            click.option("--space", help="A vector store, collection or project."),
            click.option("--user", help="The user whose memories they are."),
            click.option("--agent", help="The agent that wrote the memories."),
            click.option("--session", help="The conversation or document."),
        )
    ):
        run = option(run)
    return run


def show(memory: Memory, as_json: bool, score: float | None = None) -> None:
    """Print one memory as a line of text, or as JSON."""
    if as_json:
        row = memory.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        click.echo(to_json(row if score is None else {**row, "score": round(score, 6)}))
        return
    mark = "" if score is None else f"{score:.3f}  "
    click.echo(f"{mark}{memory.id}  {' '.join(memory.content.split())}")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(onebrain.__version__, prog_name="onebrain")
def cli() -> None:
    """Store, search and serve long-term memory."""


@cli.command()
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
    help="The number of worker processes, on PostgreSQL. Default: $WORKERS, else 1.",
)
def serve(host: str | None, port: int | None, db: str | None, workers: int | None) -> None:
    """Serve OneBrain's API. The first start prints an API key, which is never shown again."""
    # Requests already run in parallel, and threads within numpy would slow them down. Must be set before numpy is imported.
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    with installed("server", "onebrain-server"):
        from onebrain_server.serve import run
        from onebrain_server.settings import Settings
    with reported():
        run(Settings.from_environment(host=host, port=port, database_url=db, workers=workers))


@cli.command()
@click.option("--url", required=True, help="The brain: sqlite:///brain.db, or postgresql://...")
@click.option(
    "--key", envvar="ONEBRAIN_ENCRYPTION_KEY", required=True, show_envvar=True, help="64 hex digits."
)
@click.option(
    "--before",
    envvar="ONEBRAIN_ENCRYPTION_KEY_BEFORE",
    show_envvar=True,
    help="The present key, if the brain is encrypted already.",
)
def encrypt(url: str, key: str, before: str | None) -> None:
    """Encrypt a whole brain, or change its key.

    Pass keys in the environment, because other users of the machine can read a command line. Readers may continue meanwhile.
    An interrupted command changes nothing.
    """
    with installed("embedded brain", "onebrain-engine"):
        from onebrain_engine import encrypt as seal
    with reported():
        click.echo(f"{seal(url, key, before=before)} memories sealed")


@cli.group()
def credentials() -> None:
    """Manage the credentials of third parties that a server keeps for its users."""


@credentials.command("rotate")
@click.option(
    "--db", help="The server's database. Default: $DATABASE_URL, else a file in the user's data directory."
)
def rotate_credentials(db: str | None) -> None:
    """Encrypt the credentials with a new key. The server may run meanwhile.

    An interrupted command continues at the next call. On SQLite the key file beside the database gets a new key. If
    $CREDENTIALS_KEY is set, it is the new key, and $CREDENTIALS_KEY_BEFORE is the old one.
    """
    click.echo(f"{_with_server(db, 'change_credentials_key')} sealed with the new key")


@credentials.command("forget")
@click.option(
    "--db", help="The server's database. Default: $DATABASE_URL, else a file in the user's data directory."
)
@click.confirmation_option(prompt="Remove the connectors, models and webhooks whose key is lost?")
def forget_credentials(db: str | None) -> None:
    """Remove the connectors, models and webhooks whose credentials cannot be decrypted because the key is lost."""
    click.echo(f"{_with_server(db, 'forget_credentials')} removed")


def _with_server(db: str | None, name: str) -> int:
    """Call a method of the server on its database, without serving."""
    with installed("server", "onebrain-server"):
        from onebrain_server.server import Server
        from onebrain_server.settings import Settings
    with reported(), closing(Server(Settings.from_environment(database_url=db))) as server:
        return int(getattr(server, name)())


@cli.command("mcp")
def serve_tools() -> None:
    """Serve memory tools to an agent over MCP, on standard input and output.

    $ONEBRAIN_API_URL is the address of OneBrain's API, and $ONEBRAIN_API_KEY is the key.
    """
    from onebrain.mcp import serve

    with reported():
        serve()


@cli.command()
@click.argument("content")
@click.option("--tag", "tags", multiple=True, help="A label; may be repeated.")
@click.option("--title", help="A short heading.")
@click.option("--type", "kind", help="A kind, such as fact or preference.")
@click.option("--metadata", help="A JSON object.")
@brain_options
def store(
    where: Where,
    content: str,
    tags: tuple[str, ...],
    title: str | None,
    kind: str | None,
    metadata: str | None,
) -> None:
    """Store a memory and print its id; "-" reads the text from standard input."""
    text = sys.stdin.read() if content == "-" else content
    with opened(where, create=True) as brain:
        given = json_object(metadata)
        result = brain.store(text, scope=where.scope, tags=tags, title=title, type=kind, metadata=given)
        click.echo(result.id)


def json_object(text: str | None) -> dict[str, Any]:
    """Return the JSON object in the text of an option."""
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        raise click.BadParameter("is not valid JSON", param_hint="--metadata") from None
    if not is_object(found):
        raise click.BadParameter("must be a JSON object", param_hint="--metadata")
    return dict(found)


@cli.command()
@click.argument("query")
@click.option("--limit", default=5, type=click.IntRange(1, 1000), help="The maximum number of memories.")
@click.option("--mode", default="hybrid", type=click.Choice(["hybrid", "keyword", "vector"]))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@brain_options
def search(where: Where, query: str, limit: int, mode: Any, as_json: bool) -> None:
    """Search memories, best first."""
    with opened(where) as brain:
        for hit in brain.search(query, scope=where.scope, limit=limit, mode=mode):
            show(hit.memory, as_json, hit.score)


@cli.command()
@click.argument("query")
@click.option("--max-tokens", default=1500, type=click.IntRange(1), help="The maximum number of tokens.")
@brain_options
def context(where: Where, query: str, max_tokens: int) -> None:
    """Print the memories about a question as text for a prompt."""
    with opened(where) as brain:
        found = brain.context(query, scope=where.scope, max_tokens=max_tokens)
        click.echo(found.text, nl=not found.text.endswith("\n"))


@cli.command("list")
@click.option("--limit", default=20, type=click.IntRange(1), help="The maximum number of memories.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@brain_options
def list_memories(where: Where, limit: int, as_json: bool) -> None:
    """List memories, newest first."""
    with opened(where) as brain:
        for memory in brain.list(scope=where.scope, limit=limit):
            show(memory, as_json)


@cli.command()
@click.option("--url", help="The brain. Default: $ONEBRAIN_URL, else the embedded brain.")
@click.option("--space", help="The space. Default: all spaces.")
@click.option(
    "--replace", is_flag=True, help="Discard what an unfinished call with another embedder has made."
)
@click.argument("embedder")
def reembed(url: str | None, space: str | None, replace: bool, embedder: str) -> None:
    """Give memories the vectors of another embedder, such as use-m3 or fastembed:BAAI/bge-small-en-v1.5.

    The former vectors serve until the last new one is made. An interrupted command goes on where it was if it is repeated.
    Afterwards set $ONEBRAIN_EMBEDDER to the name.
    """

    def show_progress(done: int, total: int) -> None:
        click.echo(f"\r{done} of {total}", nl=False, err=True)

    where = Where(url=url, api_key=None, space=space, user=None, agent=None, session=None)
    with opened(where) as brain:
        result = brain.reembed(embedder=embedder, scope=where.scope, replace=replace, progress=show_progress)
    if result.count:
        click.echo(err=True)
    for name in result.skipped:
        click.echo(
            f"space {name or 'default'!r} is left as it is: it holds vectors of the caller's own", err=True
        )
    click.echo(f"{result.count} vectors of {result.embedder}")


@cli.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="-")
@brain_options
def export(where: Where, file: Path) -> None:
    """Write every memory to a file, or to standard output, as one JSON object a line."""
    count = 0
    with opened(where) as brain:
        can, embedders = brain.capabilities, brain.embedders()
        if not can.embeddings:
            click.echo(f"{can.service} returns no vectors; an import makes new ones", err=True)
        # The order of storing keeps the order of memories within a session.
        memories = brain.list(
            scope=where.scope,
            order="sequence",
            include_archived=True,
            include_superseded=True,
            with_embeddings=can.embeddings,
        )
        with click.open_file(str(file), "w", encoding="utf-8") as out:
            for memory in memories:
                out.write(transfer.line(memory, embedders) + "\n")
                count += 1
    click.echo(f"{count} memories", err=True)


@cli.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="-")
@click.option("--without", multiple=True, help="A field to leave out, such as created_at; may be repeated.")
@brain_options
def import_memories(where: Where, file: Path, without: tuple[str, ...]) -> None:
    """Store memories from a file, or from standard input: one JSON object a line, as `export` writes them.

    Unknown fields are kept in the metadata. If a value cannot be stored, nothing is stored. A memory that supersedes one
    which is neither in the file nor in the brain is stored without that link.
    """
    try:
        with click.open_file(str(file), encoding="utf-8", errors="strict") as source:
            copies = list(transfer.read(source, where.scope, without=without))
    except OneBrainError as error:
        raise click.ClickException(f"not as `onebrain export` writes it: {error.message}") from None
    except UnicodeDecodeError:
        raise click.ClickException(f"{file}: is not UTF-8") from None
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    with opened(where, create=True) as brain:
        results = brain.restore(copies)
        for index in results.failed:
            click.echo(f"line {copies[index].line}: {results[index].error}", err=True)
        for index, result in enumerate(results):
            if result.unlinked:
                names = ", ".join(result.unlinked)
                click.echo(
                    f"line {copies[index].line}: stored without the link to {names}, which it supersedes",
                    err=True,
                )
        kept = sorted({name for copied in copies for name in copied.others})
        if kept:
            click.echo(f"in the metadata, because no memory has such fields: {', '.join(kept)}", err=True)
        click.echo(f"{len(results) - len(results.failed)} memories", err=True)
        if results.failed:
            sys.exit(1)

"""Commands for the embedded brain: encrypt and reembed."""

from __future__ import annotations

import click

from onebrain.cli.exits import installed
from onebrain.cli.options import Target, command, json_option
from onebrain.cli.output import Output, counted
from onebrain.errors import Unsupported


@command("encrypt", "onebrain encrypt --url sqlite:///brain.db")
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
@json_option
def encrypt(url: str, key: str, before: str | None, out: Output) -> None:
    """Encrypt a whole brain or the database of a server, or change its key.

    Pass keys in the environment, because other users of the machine can read a command line. Readers of a brain may continue
    meanwhile; a server has to be stopped, and started again with the key as $MEMORY_ENCRYPTION_KEY. An interrupted command
    changes nothing.
    """
    with installed("embedded brain", "onebrain-engine"):
        from onebrain_engine import encrypt as seal
    try:
        count = seal(url, key, before=before)
    except Unsupported:
        with installed("server", "onebrain-server"):
            from onebrain_server.state.rekeying import encrypt as seal_server
        count = seal_server(url, key, before=before)
    out.result(f"{counted(count, 'memory', 'memories')} sealed", sealed=count)


@command("reembed", "onebrain reembed --url sqlite:///brain.db use-m3")
@click.option("--url", help="The brain. Default: $ONEBRAIN_URL, else the embedded brain.")
@click.option("--space", help="The space. Default: all spaces.")
@click.option(
    "--replace", is_flag=True, help="Discard what an unfinished call with another embedder has made."
)
@click.option("--anew", is_flag=True, help="Make the vectors again where they are this embedder's already.")
@click.argument("embedder")
@json_option
def reembed(
    url: str | None, space: str | None, replace: bool, anew: bool, embedder: str, out: Output
) -> None:
    """Give memories the vectors of another embedder.

    EMBEDDER is a name, such as use-m3 or fastembed:BAAI/bge-small-en-v1.5. The former vectors serve until the last new one is
    made. An interrupted command goes on where it was if it is repeated. Afterwards set $ONEBRAIN_EMBEDDER to the name.
    """
    target = Target(url=url, space=space)
    with target.opened() as brain, out.progress("vectors") as advance:
        result = brain.reembed(
            embedder=embedder, scope=target.scope, replace=replace, progress=advance, anew=anew
        )
    if result.count:
        out.note(f"{result.count} of {result.count}")
    for name in result.skipped:
        out.note(f"space {name or 'default'!r} is left as it is: it holds vectors of the caller's own")
    out.result(
        f"{counted(result.count, 'vector', 'vectors')} of {result.embedder}",
        embedder=result.embedder,
        vectors=result.count,
    )

"""The command that serves memory tools."""

from __future__ import annotations

import click

from onebrain.cli.options import Target, brain_options, command


@command(
    "mcp",
    "onebrain mcp --url sqlite:///brain.db --user maria",
    "onebrain mcp --url sqlite:///brain.db --user maria --http --port 8765",
    "onebrain mcp --url onebrain+http://localhost:3000/api --review",
)
@click.option("--read-only", is_flag=True, help="Offer only tools that change nothing.")
@click.option(
    "--review",
    is_flag=True,
    help="What an agent writes waits for approval. Searches find it after the tool onebrain_approve.",
)
@click.option(
    "--model", help="The language model that finds facts in what was said, for the tool onebrain_remember."
)
@click.option(
    "--tools",
    type=click.Choice(["memory", "account"]),
    default="memory",
    help="The tools: of a memory, or of a whole account of OneBrain with projects, skills and briefings.",
)
@click.option("--http", is_flag=True, help="Serve over HTTP instead of standard input and output.")
@click.option("--host", default="127.0.0.1", help="With --http, the address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    help="With --http, the port to listen on; 0 selects a free one.",
)
@click.option(
    "--token",
    envvar="ONEBRAIN_MCP_TOKEN",
    show_envvar=True,
    help="With --http, the bearer token that clients send. Other users of the machine can read a command line.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="With --http, a further name under which clients reach the server; may be repeated.",
)
@brain_options
def mcp(
    target: Target,
    read_only: bool,
    review: bool,
    model: str | None,
    tools: str,
    http: bool,
    host: str,
    port: int,
    token: str | None,
    hosts: tuple[str, ...],
) -> None:
    """Serve memory tools to an agent over MCP.

    Clients such as Claude Desktop, Cursor and VS Code start the command themselves. The brain and the scope are fixed by the
    options: no tool reaches a memory outside of them.
    """
    from onebrain.mcp import Listening, serve

    serve(
        target.url,
        api_key=target.api_key,
        scope=target.scope,
        read_only=read_only,
        review=review,
        model=model,
        tools="account" if tools == "account" else "memory",
        listening=Listening(host.strip("[]"), port, token, hosts) if http else None,
        announce=lambda address: click.echo(f"MCP at {address}", err=True),
    )

"""Commands that read many memories: search, context, list, count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from onebrain.cli.options import Target, brain_options, command, filter_option, json_option
from onebrain.cli.output import Output, visible

_ORDERS: Final = (
    "-created_at",
    "created_at",
    "-updated_at",
    "updated_at",
    "-importance",
    "importance",
    "sequence",
)
_AT: Final = click.option("--at", metavar="TIME", help="The moment at which the memories hold. Default: now.")
_LAPSED: Final = click.option(
    "--include-superseded",
    is_flag=True,
    help="Include memories that others supersede, or that no longer hold.",
)
_ARCHIVED: Final = click.option("--include-archived", is_flag=True, help="Include archived memories.")


def _selecting(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which memories of which brain are meant, and ``--json``."""
    return filter_option(_AT(_ARCHIVED(_LAPSED(json_option(brain_options(function))))))


@command(
    "search",
    'onebrain search "Where does Maria live?" --user maria',
    'onebrain search tea --filter \'{"year": {"$gte": 2025}}\' --json',
)
@click.argument("query")
@click.option("--limit", default=5, type=click.IntRange(1, 1000), help="The maximum number of memories.")
@click.option("--mode", default="hybrid", type=click.Choice(["hybrid", "keyword", "vector"]))
@click.option(
    "--min-confidence",
    default=0.0,
    type=click.FloatRange(0, 1),
    help="Print nothing if an answer is less likely than this.",
)
@_selecting
def search(target: Target, out: Output, query: str, **options: Any) -> None:
    """Search memories, best first."""
    with target.opened() as brain:
        found = brain.search(query, scope=target.scope, **options)
    for hit in found:
        out.memory(hit.memory, hit.score)
    if not found:
        out.note("no memory matches")


@command("context", 'onebrain context "plan a flight for Maria" --user maria --max-tokens 500')
@click.argument("query")
@click.option("--max-tokens", default=1500, type=click.IntRange(1), help="The maximum number of tokens.")
@filter_option
@_AT
@json_option
@brain_options
def context(target: Target, out: Output, query: str, **options: Any) -> None:
    """Print the memories about a question as text for a prompt."""
    with target.opened() as brain:
        found = brain.context(query, scope=target.scope, **options)
    if out.as_json:
        out.json(found.model_dump(mode="json", exclude_none=True))
    elif found.text:
        text = visible(found.text) if out.rich else found.text
        click.echo(text, nl=not text.endswith("\n"))
    if not found.text:
        out.note("no memory matches")


@command("list", "onebrain list --user maria --limit 50", "onebrain list --order importance --json")
@click.option("--limit", default=20, type=click.IntRange(1), help="The maximum number of memories.")
@click.option(
    "--order", default="-created_at", type=click.Choice(_ORDERS), help='The order; "-" is for descending.'
)
@_selecting
def list_memories(target: Target, out: Output, **options: Any) -> None:
    """List memories, newest first."""
    with target.opened() as brain:
        for memory in brain.list(scope=target.scope, **options):
            out.memory(memory)


@command("count", "onebrain count --user maria", "onebrain count --filter '{\"year\": 2026}'")
@_selecting
def count(target: Target, out: Output, **options: Any) -> None:
    """Count memories."""
    with target.opened() as brain:
        number = brain.count(scope=target.scope, **options)
    out.result(str(number), count=number)

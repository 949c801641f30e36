"""Commands that write memories, or read single ones: store, get, update, delete, forget."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from onebrain.cli.exits import NOT_FOUND, Failure
from onebrain.cli.options import (
    Target,
    brain_options,
    command,
    confirm,
    filter_option,
    json_object,
    json_option,
    yes_option,
)
from onebrain.cli.output import Output, counted

_MOMENT: Final = "ISO 8601, such as 2026-03-01 or 2026-03-01T13:00+01:00"
_FIELDS: Final = (
    click.option("--title", help="A short heading."),
    click.option("--type", help="A kind, such as fact or preference."),
    click.option("--metadata", callback=json_object, metavar="JSON", help="A JSON object."),
    click.option("--importance", type=click.FloatRange(0, 1), help="0 to 1."),
    click.option("--source", help="Where it came from, such as chat."),
    click.option("--created-at", metavar="TIME", help=f"When it happened: {_MOMENT}."),
    click.option("--expires-at", metavar="TIME", help="When it vanishes."),
    click.option("--valid-from", metavar="TIME", help="When it begins to hold in the world."),
    click.option("--valid-until", metavar="TIME", help="When it ceases to hold."),
)
_CLEARABLE: Final = ("title", "type", "importance", "source", "expires_at", "valid_from", "valid_until")


def field_options(function: Any) -> Any:
    """Add the options for the fields of a memory."""
    for option in reversed(_FIELDS):
        function = option(function)
    return function


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that were given."""
    return {name: value for name, value in fields.items() if value is not None}


@command(
    "store",
    'onebrain store "Maria prefers window seats" --user maria --tag travel',
    "onebrain store - --title Minutes < minutes.md",
)
@click.argument("content")
@click.option("--id", help="An id of your own; storing it again replaces the memory.")
@click.option("--tag", "tags", multiple=True, help="A label; may be repeated.")
@field_options
@click.option("--ttl", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="How long it lives.")
@click.option("--pinned", is_flag=True, help="Rank it first in contexts.")
@click.option("--supersedes", multiple=True, metavar="ID", help="A memory that it replaces; may be repeated.")
@click.option(
    "--dedupe",
    type=click.Choice(["exact"]),
    help="Do not store the text again if the scope has it already.",
)
@json_option
@brain_options
def store(target: Target, out: Output, content: str, pinned: bool, **fields: Any) -> None:
    """Store a memory and print its id.

    "-" reads the text from standard input. A file that is missing is created.
    """
    text = sys.stdin.read() if content == "-" else content
    if pinned:
        fields["pinned"] = True
    with target.opened(create=True) as brain:
        result = brain.store(text, scope=target.scope, **_given(fields))
    out.result(str(result.id), id=result.id, status=result.status)


@command("get", "onebrain get seat --user maria", "onebrain get 7f3c 9a1e --json")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--with-embedding", is_flag=True, help="Print the vector as well.")
@json_option
@brain_options
def get(target: Target, out: Output, ids: tuple[str, ...], with_embedding: bool) -> None:
    """Print memories by their ids.

    The exit code is 3 if one of them is not there.
    """
    with target.opened() as brain:
        found = brain.get_many(ids, scope=target.scope, with_embeddings=with_embedding)
        for memory in found:
            out.whole_memory(memory)
    known = {memory.id for memory in found}
    missing = [id for id in dict.fromkeys(ids) if id not in known]
    if missing:
        raise Failure(f"not in this scope: {', '.join(missing)}", NOT_FOUND, kind="OneBrainNotFoundError")


@command(
    "update",
    'onebrain update seat --content "Maria prefers aisle seats" --user maria',
    "onebrain update seat --metadata '{\"year\": 2026}' --clear expires_at",
)
@click.argument("id")
@click.option("--content", help='The text; "-" reads it from standard input.')
@click.option(
    "--tag", "tags", multiple=True, help="A label; may be repeated. All former labels are replaced."
)
@field_options
@click.option(
    "--ttl", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="How long it lives from now."
)
@click.option("--replace-metadata", is_flag=True, help="Drop the keys that --metadata does not name.")
@click.option("--pinned/--not-pinned", default=None, help="Rank it first in contexts, or no longer.")
@click.option("--archived/--not-archived", default=None, help="Leave it out of searches, or no longer.")
@click.option(
    "--clear", multiple=True, type=click.Choice(_CLEARABLE), help="A field to empty; may be repeated."
)
@json_option
@brain_options
def update(
    target: Target,
    out: Output,
    id: str,
    tags: tuple[str, ...],
    replace_metadata: bool,
    clear: tuple[str, ...],
    **fields: Any,
) -> None:
    """Change fields of a memory.

    Fields that are not named stay as they are. Metadata is merged, unless --replace-metadata is given.
    """
    changes = _given(fields)
    if tags:
        changes["tags"] = tags
    both = sorted(changes.keys() & set(clear))
    if both:
        raise click.UsageError(f"--clear {both[0]}: the same field has a new value")
    changes |= dict.fromkeys(clear)
    if not changes:
        raise click.UsageError("nothing to change: name a field, such as --content or --title")
    if changes.get("content") == "-":
        changes["content"] = sys.stdin.read()
    with target.opened() as brain:
        memory = brain.update(id, scope=target.scope, replace_metadata=replace_metadata, **changes)
    if out.as_json:
        out.memory(memory)
    else:
        out.line(f"updated {memory.id}: {', '.join(sorted(changes))}")


@command("delete", "onebrain delete seat --user maria", "onebrain delete 7f3c 9a1e --yes")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--keep-facts", is_flag=True, help="Keep the facts that were drawn from these memories.")
@yes_option
@json_option
@brain_options
def delete(target: Target, out: Output, ids: tuple[str, ...], keep_facts: bool, yes: bool) -> None:
    """Delete memories by their ids.

    Facts that were drawn from them are deleted as well. The exit code is 3 if none of the ids is there.
    """
    with target.opened() as brain:
        named = list(dict.fromkeys(ids))
        found = brain.get_many(named, scope=target.scope)
        if not found:
            raise Failure("no memory with such an id in this scope", NOT_FOUND, kind="OneBrainNotFoundError")
        if not yes:
            for memory in found:
                out.preview(memory)
        confirm(f"Delete {_memories(len(found))}?", yes)
        count = brain.delete(named, scope=target.scope, keep_facts=keep_facts)
    out.result(f"{_memories(count)} deleted", deleted=count)


@command(
    "forget",
    "onebrain forget --user maria --dry-run",
    'onebrain forget --user maria --filter \'{"year": {"$lt": 2020}}\' --yes',
    "onebrain forget --everything --url sqlite:///brain.db",
)
@filter_option
@click.option(
    "--everything", is_flag=True, help="All memories of the scope, or of the brain if no scope is given."
)
@click.option("--dry-run", is_flag=True, help="Delete nothing; print how many would go.")
@click.option("--keep-facts", is_flag=True, help="Keep the facts that were drawn from these memories.")
@yes_option
@json_option
@brain_options
def forget(
    target: Target,
    out: Output,
    filter: dict[str, Any] | None,
    everything: bool,
    dry_run: bool,
    keep_facts: bool,
    yes: bool,
) -> None:
    """Delete all memories that match a filter or a scope.

    An empty filter, or none without a scope, is refused: --everything deletes all. Archived memories are deleted as well.
    """
    if filter is None and not target.scope and not everything:
        raise click.UsageError(
            "name a scope, such as --user, or a --filter; or --everything for all memories"
        )
    if filter == {} and not everything:
        raise click.UsageError("--filter is empty; --everything deletes all memories of the scope")
    with target.opened() as brain:
        wanted: dict[str, Any] = {"filter": filter, "scope": target.scope, "everything": everything}
        would = brain.forget(**wanted, keep_facts=keep_facts, dry_run=True)
        if dry_run or not would.count:
            out.result(f"{_memories(would.count)} would be deleted", deleted=0, matched=would.count)
            return
        confirm(f"Delete {_memories(would.count)}?", yes)
        result = brain.forget(**wanted, keep_facts=keep_facts)
    out.result(f"{_memories(result.count)} deleted", deleted=result.count, matched=would.count)


def _memories(count: int) -> str:
    return counted(count, "memory", "memories")

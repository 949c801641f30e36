"""Commands that move memories: export and import."""

from __future__ import annotations

from pathlib import Path

import click

from onebrain.cli.exits import FAILED, Failure
from onebrain.cli.options import Target, brain_options, command, json_option
from onebrain.cli.output import Output


@command(
    "export",
    "onebrain export memories.jsonl --url sqlite:///brain.db",
    "onebrain export --user maria > maria.jsonl",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="-")
@json_option
@brain_options
def export(target: Target, out: Output, file: Path) -> None:
    """Write every memory to a file, or to standard output.

    A line is a JSON object with all fields of a memory, and its vector if the brain's embedder did not make it.
    """
    from onebrain.memory import transfer

    count = 0
    with target.opened() as brain, out.progress("memories") as advance:
        can, embedders = brain.capabilities, brain.embedders()
        if not can.embeddings:
            out.note(f"{can.service} returns no vectors; an import makes new ones")
        # The order of storing keeps the order of memories within a session.
        memories = brain.list(
            scope=target.scope,
            order="sequence",
            include_archived=True,
            include_superseded=True,
            with_embeddings=can.embeddings,
        )
        with click.open_file(str(file), "w", encoding="utf-8") as lines:
            for count, memory in enumerate(memories, 1):
                lines.write(transfer.line(memory, embedders) + "\n")
                advance(count)
    if out.as_json:
        out.note_json({"exported": count})
    else:
        out.note(f"{count} memories")


@command(
    "import",
    "onebrain import memories.jsonl --url sqlite:///brain.db",
    "onebrain import notes.jsonl --user maria --without created_at",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="-")
@click.option("--without", multiple=True, help="A field to leave out, such as created_at; may be repeated.")
@json_option
@brain_options
def import_memories(target: Target, out: Output, file: Path, without: tuple[str, ...]) -> None:
    """Store memories from a file, or from standard input.

    A line is a JSON object, as `onebrain export` writes it. Unknown fields are kept in the metadata. If a value cannot be
    stored, nothing is stored. A memory that supersedes one which is neither in the file nor in the brain is stored without that
    link.
    """
    from onebrain.errors import OneBrainError
    from onebrain.memory import transfer

    try:
        with click.open_file(str(file), encoding="utf-8", errors="strict") as source:
            copies = list(transfer.read(source, target.scope, without=without))
    except OneBrainError as error:
        raise Failure(f"not as `onebrain export` writes it: {error.message}") from None
    except UnicodeDecodeError:
        raise Failure(f"{file}: is not UTF-8") from None
    with target.opened(create=True) as brain:
        results = brain.restore(copies)
    for index, result in enumerate(results):
        if result.error is not None:
            out.note(f"line {copies[index].line}: {result.error}")
        if result.unlinked:
            names = ", ".join(result.unlinked)
            out.note(f"line {copies[index].line}: stored without the link to {names}, which it supersedes")
    kept = sorted({name for copied in copies for name in copied.others})
    if kept:
        out.note(f"in the metadata, because no memory has such fields: {', '.join(kept)}")
    count = len(results) - len(results.failed)
    if out.as_json:
        out.json({"imported": count, "failed": len(results.failed)})
    else:
        out.note(f"{count} memories")
    if results.failed:
        raise click.exceptions.Exit(FAILED)

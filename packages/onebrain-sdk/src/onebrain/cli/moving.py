"""Commands that move memories: export, import and migrate."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from onebrain.cli.exits import FAILED, NOT_FOUND, Failure
from onebrain.cli.options import Target, brain_options, command, json_option, scope_options
from onebrain.cli.output import Output, counted

if TYPE_CHECKING:
    from onebrain.memory.brain import Brain

# Those of `onebrain.importing.formats`, which the help does not import.
FORMATS: Final = (
    "onebrain", "chatgpt", "claude", "mem0", "zep", "langmem", "supermemory", "hindsight", "letta", "langgraph-store",
    "chroma", "llama-index", "slack", "jsonl", "csv", "markdown",
)  # fmt: skip


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
        out.note(_memories(count))


@command(
    "import",
    "onebrain import conversations.json --user maria",
    "onebrain import memories.jsonl --url sqlite:///brain.db --dry-run",
    "onebrain import notes.csv --from csv --without created_at",
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")
@click.option(
    "--from", "format", default="auto", metavar="FORMAT", help="auto, or one of: " + ", ".join(FORMATS)
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and store nothing.")
@click.option("--overwrite", is_flag=True, help="Replace memories that are there already.")
@click.option("--without", multiple=True, help="A field to leave out, such as created_at; may be repeated.")
@json_option
@brain_options
def import_memories(target: Target, out: Output, file: Path, **options: Any) -> None:
    """Store memories from a file, or from standard input.

    FILE is an export of another tool, a folder or a ZIP archive of one, or what `onebrain export` writes. Places that hold no
    memory are named, and all others are stored. Memories that are there already stay as they are, so that an import can be
    repeated.
    """
    from onebrain.importing import Progress, check_format, import_file

    if str(file) != "-" and not file.exists():
        raise Failure(f"{file}: there is no such file", NOT_FOUND)
    source = sys.stdin.buffer if str(file) == "-" else file
    # Before the brain is made, which a mistake should not do.
    check_format(source, options["format"])
    with _written(target, options["dry_run"]) as brain, out.progress("memories") as advance:

        def on_progress(done: Progress) -> None:
            total = (
                None
                if not done.size or not done.read
                else max(done.memories * done.size // done.read, done.memories)
            )
            advance(done.memories, total)

        report = import_file(brain, source, scope=target.scope, on_progress=on_progress, **options)
    for place in report.skipped:
        out.note(str(place))
    if report.skipped_count > len(report.skipped):
        out.note(f"and {counted(report.skipped_count - len(report.skipped), 'more place', 'more places')}")
    for text in report.unlinked:
        out.note(text)
    if report.unknown:
        out.note(f"in the metadata, because no memory has such fields: {', '.join(sorted(report.unknown))}")
    _note_losses(out, report.carried, report.lost)
    would = "would be " if report.dry_run else ""
    text = f"{report.format}: {_memories(report.stored)} {would}stored"
    text += f", {report.already_there:,} there already" if report.already_there else ""
    text += f", {counted(report.skipped_count, 'place', 'places')} skipped" if report.skipped_count else ""
    out.result(
        text,
        format=report.format,
        imported=report.stored,
        already_there=report.already_there,
        failed=report.skipped_count,
        skipped=[{"place": place.place, "reason": place.reason} for place in report.skipped],
        carried=dict(report.carried),
        lost=dict(report.lost),
        dry_run=report.dry_run,
    )
    if report.skipped_count:
        raise click.exceptions.Exit(FAILED)


@command(
    "migrate",
    "onebrain migrate sqlite:///brain.db onebrain+http://localhost:3000 --target-key ob_... --dry-run",
    "onebrain migrate sqlite:///brain.db postgresql://localhost/brain --verify",
)
@click.argument("source")
@click.argument("destination")
@click.option("--source-key", envvar="ONEBRAIN_SOURCE_KEY", show_envvar=True, help="The key of the source.")
@click.option(
    "--target-key", envvar="ONEBRAIN_TARGET_KEY", show_envvar=True, help="The key of the destination."
)
@click.option("--dry-run", is_flag=True, help="Show what cannot be carried, and store nothing.")
@click.option("--overwrite", is_flag=True, help="Replace memories that are there already.")
@click.option("--verify", is_flag=True, help="Compare both brains at the end.")
@json_option
@scope_options
def migrate(
    target: Target,
    out: Output,
    source: str,
    destination: str,
    source_key: str | None,
    target_key: str | None,
    **options: Any,
) -> None:
    """Copy all memories of a brain into another one.

    SOURCE and DESTINATION are URLs. After an interruption, run the command again: it goes on, and stores nothing twice. Values
    that the destination has no field for go along in the metadata, and a migration back takes them from there.
    """
    from onebrain.migrating import migrate as run

    start, end = Target(source, source_key), Target(destination, target_key)
    with start.opened() as reading, _written(end, options["dry_run"]) as writing:
        total = _total(reading, target)
        with out.progress("memories", total) as advance:
            report = run(reading, writing, scope=target.scope, on_progress=advance, **options)
    for id, reason in report.failed.items():
        out.note(f"{id}: {reason}")
    for id in report.unlinked:
        out.note(f"{id}: stored without the link to a memory that it supersedes, which is not there")
    _note_losses(out, report.carried, report.lost)
    would = "would be " if report.dry_run else ""
    text = f"{_memories(report.read)} read, {report.stored:,} {would}stored, {report.already_there:,} there already"
    text += f", {report.failed_count:,} not stored" if report.failed_count else ""
    check = report.verification
    row: dict[str, Any] = {
        "read": report.read,
        "stored": report.stored,
        "already_there": report.already_there,
        "failed": report.failed_count,
        "carried": dict(report.carried),
        "lost": dict(report.lost),
        "dry_run": report.dry_run,
    }
    if check is not None:
        for id in check.missing:
            out.note(f"{id}: is missing")
        for id, names in check.different.items():
            out.note(f"{id}: differs in {', '.join(names)}")
        for id in check.doubled:
            out.note(f"{id}: is there several times")
        text += f"; verified: {'equal' if check.ok else counted(check.problems, 'problem', 'problems')}"
        row["verified"] = {
            "equal": check.ok,
            "problems": check.problems,
            "source": check.source,
            "target": check.target,
        }
    out.result(text, **row)
    if report.failed_count or not (check is None or check.ok):
        raise click.exceptions.Exit(FAILED)


@contextmanager
def _written(target: Target, dry_run: bool) -> Generator[Brain, None, None]:
    """Open a brain to write to. A dry run makes no file: it looks at an empty brain in place of a missing one."""
    from onebrain.memory.sqlite_urls import is_in_memory, sqlite_path

    url, _ = target.address
    missing = url.startswith("sqlite:") and not is_in_memory(url) and not Path(sqlite_path(url)).exists()
    chosen = Target("sqlite://") if dry_run and missing else target
    with chosen.opened(create=not dry_run or missing) as brain:
        yield brain


def _total(brain: Brain, target: Target) -> int | None:
    """Return the number of memories to read, if the brain knows it."""
    from onebrain.errors import Unsupported

    try:
        return brain.count(scope=target.scope, include_archived=True, include_superseded=True)
    except Unsupported:
        return None


def _note_losses(out: Output, carried: Mapping[str, int], lost: Mapping[str, int]) -> None:
    """Tell which values a brain has no field for."""
    for name, count in sorted(carried.items()):
        out.note(
            f"{name} of {_memories(count)}: goes along in the metadata, because the brain has no such field"
        )
    for name, count in sorted(lost.items()):
        out.note(f"{name} of {_memories(count)}: cannot be carried")


def _memories(count: int) -> str:
    return counted(count, "memory", "memories")

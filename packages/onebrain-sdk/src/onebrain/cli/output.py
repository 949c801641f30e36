"""The output of commands: JSON for machines, tables and colour on a terminal, plain lines in a pipe.

Results go to standard output, and everything else to standard error. Colour follows ``$NO_COLOR`` and ``$FORCE_COLOR``.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from onebrain.memory.models import Memory


class Advance(Protocol):
    """Moves a bar."""

    def __call__(self, done: int, total: int | None = None, /) -> None:
        """Show the number of steps done so far, and the number of all of them as far as it is known."""


# Terminals obey these characters, and a memory may be of anyone.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return text without characters that control a terminal, of which each becomes U+FFFD."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Return text in one line."""
    return " ".join(text.split())


class Output:
    """The output of one command.

    Attributes:
        as_json: Whether results are printed as JSON.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json

    @property
    def rich(self) -> bool:
        """Whether results are tables in colour: on a terminal, unless JSON is asked for."""
        return not self.as_json and _is_terminal(sys.stdout)

    @property
    def console(self) -> Console:
        """The terminal."""
        from rich.console import Console

        return Console(highlight=False, soft_wrap=False)

    def json(self, row: Mapping[str, Any]) -> None:
        """Print one JSON object."""
        from onebrain._core.codec import to_json

        click.echo(to_json(row))

    def line(self, text: str) -> None:
        """Print a line of a result."""
        click.echo(text)

    def note(self, text: str) -> None:
        """Print something beside the result, on standard error."""
        click.echo(text, err=True)

    def note_json(self, row: Mapping[str, Any]) -> None:
        """Print one JSON object on standard error, for a command whose result is another text."""
        from onebrain._core.codec import to_json

        click.echo(to_json(row), err=True)

    def result(self, text: str, **row: Any) -> None:
        """Print the outcome of a command: `text` for people, `row` as JSON."""
        if self.as_json:
            self.json(row)
        else:
            self.line(text)

    def memory(self, memory: Memory, score: float | None = None) -> None:
        """Print one memory of many; its score as well if it is a hit."""
        if self.as_json:
            row = memory.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
            self.json(row if score is None else {**row, "score": round(score, 6)})
        elif self.rich:
            from onebrain.cli.tables import memory_block

            self.console.print(memory_block(memory, score))
        else:
            mark = "" if score is None else f"{score:.3f}  "
            self.line(f"{mark}{one_line(memory.id)}  {one_line(memory.content)}")

    def whole_memory(self, memory: Memory) -> None:
        """Print all fields of a memory."""
        row = memory.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        if self.as_json:
            self.json(row)
            return
        fields = {
            name: value for name, value in row.items() if name not in ("id", "content", "scope", "embedding")
        }
        if memory.embedding is not None:
            fields["embedding"] = f"{len(memory.embedding)} numbers"
        self.fields(memory.id, {"id": memory.id, **row.get("scope", {}), **fields})
        self.line("")
        self.line(visible(memory.content) if self.rich else memory.content)

    def preview(self, memory: Memory) -> None:
        """Print one memory on standard error, before it is deleted."""
        text = visible(one_line(memory.content))
        self.note(f"{visible(one_line(memory.id))}  {text if len(text) <= 100 else text[:99] + '…'}")

    def fields(self, title: str, fields: Mapping[str, Any]) -> None:
        """Print names with their values; names of JSON have no spaces."""
        if self.as_json:
            self.json({name.replace(" ", "_"): value for name, value in fields.items()})
        elif self.rich:
            from onebrain.cli.tables import fields_table

            self.console.print(fields_table(title, fields))
        else:
            for name, value in fields.items():
                self.line(f"{name}: {shown(value)}")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
        """Print rows: a table on a terminal, an object a line as JSON, otherwise lines with tabs between the values."""
        if self.as_json:
            for row in rows:
                self.json(dict(zip(columns, row, strict=True)))
        elif self.rich:
            from onebrain.cli.tables import rows_table

            self.console.print(rows_table(columns, rows, title))
        else:
            for row in rows:
                self.line("\t".join(one_line(shown(value)) for value in row))

    def styled(self, *parts: str | tuple[str, str] | Text) -> None:
        """Print a line of parts, each with a style of rich; without styles if this is no terminal."""
        if self.rich:
            from rich.text import Text

            self.console.print(Text.assemble(*parts))
        else:
            self.line("".join(part[0] if isinstance(part, tuple) else str(part) for part in parts))

    @contextmanager
    def progress(self, label: str, total: int | None = None) -> Generator[Advance, None, None]:
        """Show a bar on standard error while something long runs, if that is a terminal.

        Args:
            label: The work, in a word or two.
            total: The number of steps; None if it is not known, in which case the bar moves without an end.

        Yields:
            A function to call with the number of steps done so far.
        """
        # In a log a bar is noise, also where it shows colours.
        if self.as_json or not (sys.stderr.isatty() and _is_terminal(sys.stderr)):
            yield _nothing
            return
        from onebrain.cli.tables import bar

        with bar(total) as progress:
            task = progress.add_task(label, total=total)

            def advance(done: int, total: int | None = None, /) -> None:
                progress.update(task, completed=done, total=total)

            yield advance


class Size(int):
    """A number of bytes: a number in JSON, and a unit for people."""


def shown(value: Any) -> str:
    """Return a value as people read it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple() | set() | frozenset():
            return ", ".join(str(one) for one in value) or "-"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case Size():
            return size(value)
        case int():
            return f"{value:,}"
        case datetime():
            return value.astimezone().strftime("%Y-%m-%d %H:%M")
        case _:
            return str(value)


def _nothing(done: int, total: int | None = None, /) -> None:
    return None


def _is_terminal(stream: Any) -> bool:
    if find_spec("rich") is None:
        return False
    # As rich does: for continuous integration, which shows colour and is no terminal.
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def counted(count: int, one: str, many: str) -> str:
    """Return a count with its noun, such as ``1 memory`` or ``2,000 memories``."""
    return f"{count:,} {one if count == 1 else many}"

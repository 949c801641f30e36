"""Tables, blocks and bars of rich. This module is imported only where they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from onebrain.cli.output import shown, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from onebrain.memory.models import Memory


def memory_block(memory: Memory, score: float | None = None) -> RenderableType:
    """Return a memory as its text, with its id, scope, time and tags below."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    texts = [Text(visible(memory.content.strip())), _about(memory)]
    if score is None:
        grid.add_column()
        rows = [[text] for text in texts]
    else:
        grid.add_column(width=5)
        grid.add_column()
        rows = [[Text(f"{score:.3f}", style="bold cyan"), texts[0]], [Text(), texts[1]]]
    for row in rows:
        grid.add_row(*row)
    return Padding(grid, (0, 0, 1, 0))


def _about(memory: Memory) -> Text:
    scope = memory.scope
    parts = [Text(visible(memory.id), style="dim")]
    named = [
        f"{name} {value}"
        for name in ("space", "user", "agent", "session")
        if (value := getattr(scope, name)) is not None
    ]
    moment = memory.created_at
    parts += [Text(visible(one), style="dim green") for one in named]
    if moment is not None:
        parts.append(Text(moment.astimezone().strftime("%Y-%m-%d %H:%M"), style="dim"))
    if memory.tags:
        parts.append(Text(visible(" ".join(f"#{tag}" for tag in memory.tags)), style="dim magenta"))
    states = (("pinned", memory.pinned), ("archived", memory.archived), ("superseded", memory.superseded_by))
    parts += [Text(name, style="dim yellow") for name, state in states if state]
    return Text("  ", style="dim").join(parts)


def fields_table(title: str, fields: Mapping[str, Any]) -> RenderableType:
    """Return names with their values."""
    # The title may be the id of a memory.
    heading = Text(visible(title))
    table = Table(
        box=None, show_header=False, title=heading, title_justify="left", title_style="bold", pad_edge=False
    )
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(name, Text(visible(shown(value))))
    return table


def rows_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> RenderableType:
    """Return a table; columns of numbers are aligned to the right."""
    values = [list(row) for row in rows]
    table = Table(
        box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold", pad_edge=False
    )
    for index, name in enumerate(columns):
        numbers = bool(values) and all(isinstance(row[index], int | float) for row in values)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold", header_style="cyan")
    for row in values:
        table.add_row(*(Text(visible(shown(value))) for value in row))
    return table


def bar(total: int | None) -> Progress:
    """Return a bar on standard error, or a spinner if the end is not known."""
    count = MofNCompleteColumn() if total is not None else TextColumn("{task.completed:,}")
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), count, TimeRemainingColumn())
    return Progress(SpinnerColumn(), *columns, console=Console(stderr=True), transient=True, expand=True)

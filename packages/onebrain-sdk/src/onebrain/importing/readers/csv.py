"""Tables: comma, semicolon or tab between the cells, and the names of the columns in the first row."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from onebrain.importing.entries import Entry, Row, Skipped
from onebrain.importing.readers import jsonl
from onebrain.importing.rows import placed
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Part, Source


def detects(sample: Sample) -> bool:
    """Whether it is a table."""
    if sample.ends(".csv", ".tsv"):
        return True
    header = sample.head.partition("\n")[0].lower()
    cells = {cell.strip(' "\r') for cell in header.split(_delimiter(header))}
    return not sample.is_json and len(cells) > 1 and bool(cells & {*jsonl.TEXTS})


def read(source: Source) -> Iterator[Entry]:
    """Return the rows. Columns with usual names become fields, and the others metadata."""
    for part in source.ending(".csv", ".tsv"):
        yield from _table(part)


def _table(part: Part) -> Iterator[Entry]:
    numbered = (text or "" for _, text in part.lines())
    header = next(numbered, "")
    # A plain word as the first line is a table of one column.
    delimiter = _delimiter(header)
    empty: list[str] = []
    names = next(csv.reader([header], delimiter=delimiter), empty)
    table = csv.reader(numbered, delimiter=delimiter)
    while True:
        line = table.line_num + 2
        place = placed(part, f"line {line}")
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            yield Skipped(place, f"is no row of a table: {error}")
            continue
        if not any(cells):
            continue
        if len(cells) > len(names):
            yield Skipped(place, f"has {len(cells)} cells, but the table has {len(names)} columns")
            continue
        row = Row({name.strip(): cell for name, cell in zip(names, cells, strict=False) if cell != ""})
        yield jsonl.draft(row, place, "csv")


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)

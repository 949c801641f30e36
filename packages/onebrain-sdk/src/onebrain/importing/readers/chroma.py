"""Chroma's collections as JSON: the columns that ``collection.get()`` returns, or a row for each record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onebrain._core.codec import as_array, as_object
from onebrain.importing.entries import Draft, Entry, Row, Skipped
from onebrain.importing.json_stream import items
from onebrain.importing.rows import is_lines, placed, rows
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Source

_COLUMNS = ("ids", "documents", "metadatas")


def detects(sample: Sample) -> bool:
    """Whether these are records of Chroma."""
    row = sample.first
    return sample.says(*_COLUMNS) or ("document" in row and "id" in row and "metadata" in row)


def read(source: Source) -> Iterator[Entry]:
    """Return the records; vectors are left out, because the brain makes its own."""
    for part in source.ending(".json", ".jsonl"):
        head = part.head()
        if (is_lines(part) and '"ids"' not in head) or head.lstrip().startswith("["):
            yield from rows(source, _record)
            return
        columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        for item in items(part.chunks()):
            if item.reason is not None:
                yield Skipped(placed(part, item.place), item.reason)
            elif item.key in columns and item.number:
                columns[item.key].append(item.value)
        yield from records(columns, placed(part, "record"))


def records(columns: Mapping[str, Any], place: str) -> Iterator[Entry]:
    """Return the records of columns of equal length."""
    ids, documents, metadatas = (as_array(columns.get(name)) for name in _COLUMNS)
    for number, id in enumerate(ids):
        text = documents[number] if number < len(documents) else None
        metadata = as_object(metadatas[number] if number < len(metadatas) else None)
        if not isinstance(text, str) or not text.strip():
            yield Skipped(f"{place} {number + 1}", "has no document")
            continue
        yield Draft(
            f"{place} {number + 1}",
            {"content": text, "id": id, "metadata": dict(metadata), "source": "chroma"},
        )


def _record(row: Row, place: str) -> Entry:
    row.metadata = row.object("metadata")
    row.left.pop("embedding", None)
    text = row.text("document", "text", "text_chunk")
    return Draft(
        place, {"content": text, "id": row.take("id"), "source": "chroma", "metadata": row.rest("chroma")}
    )

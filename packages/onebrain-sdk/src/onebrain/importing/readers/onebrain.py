"""The format of ``onebrain export``: JSON Lines with all fields of a memory."""

from __future__ import annotations

from collections.abc import Iterator

from onebrain.errors import OneBrainError
from onebrain.importing.entries import Skipped
from onebrain.importing.rows import lines
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Source
from onebrain.memory.transfer import KNOWN, Copied, read_line

# Keys by which a line is told from one of another program.
_OWN = {"id", "content", "scope"}


def detects(sample: Sample) -> bool:
    """Whether lines have the fields that an export writes."""
    row = sample.first
    return row.keys() >= _OWN and row.keys() <= KNOWN | {"dates"} and isinstance(row["scope"], dict)


def read(source: Source) -> Iterator[Copied | Skipped]:
    """Return the memories as they were, with vectors, links and times of change; unknown fields go into the metadata."""
    for part in source.ending(".jsonl", ".json"):
        for place, text in lines(part):
            if isinstance(text, Skipped):
                yield text
                continue
            try:
                yield read_line(text, place=place)
            except OneBrainError as error:
                yield Skipped(place, error.message)
            except ValueError as error:
                yield Skipped(place, str(error))

"""The beginning of a source, by which a format is recognised."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from onebrain._core.codec import as_object, from_json, is_object
from onebrain.importing.json_stream import items
from onebrain.importing.rows import LISTS
from onebrain.importing.sources import Part, Source

_KEY: Final = re.compile(r'"([^"\\]{1,80})"\s*:')


@dataclass(frozen=True)
class Sample:
    """What is known of a source before it is read.

    Attributes:
        names: The names of its files; the name of a single file alone.
        plain: Whether it is a single file.
        head: The beginning of the text: of the single file, or of the first file that holds JSON.
    """

    names: tuple[str, ...]
    plain: bool
    head: str

    @classmethod
    def of(cls, source: Source) -> Sample:
        """Look at a source."""
        if source.is_plain:
            name = source.path.name if source.path is not None else ""
            return cls((name,), True, source.parts[0].head())
        part = _chief(source.parts)
        names = tuple(part.name.rpartition("/")[2] for part in source.parts)
        return cls(names, False, part.head() if part is not None else "")

    def ends(self, *ends: str) -> bool:
        """Whether the name of the single file ends so."""
        return self.plain and self.names[0].lower().endswith(ends)

    def says(self, *keys: str) -> bool:
        """Whether the beginning holds all of these keys of JSON objects."""
        return self._keys.issuperset(keys)

    @cached_property
    def _keys(self) -> frozenset[str]:
        return frozenset(_KEY.findall(self.head))

    @cached_property
    def first(self) -> dict[str, Any]:
        """The first object of an array, of a list within an object, or of JSON lines; empty if the sample has no whole one."""
        return _first_object(self.head, self.plain and self.ends(".jsonl", ".ndjson"))

    @property
    def is_json(self) -> bool:
        """Whether the text begins as JSON does."""
        return self.head.lstrip()[:1] in ("{", "[")


def _first_object(head: str, lines: bool) -> dict[str, Any]:
    line, _, rest = head.lstrip().partition("\n")
    if lines or rest.lstrip().startswith("{"):
        try:
            return dict(as_object(from_json(line)))
        except ValueError:
            pass
    whole: dict[str, Any] = {}
    for item in items([head]):
        if item.reason is not None:
            continue
        if (item.key is None or item.key in LISTS) and is_object(item.value):
            return dict(item.value)
        if item.key is not None:
            whole.setdefault(item.key, item.value)
    return whole


def _chief(parts: list[Part]) -> Part | None:
    """Return the part by which a folder is recognised."""
    named = {part.name.rpartition("/")[2]: part for part in parts}
    for name in ("conversations.json", "docstore.json", "channels.json"):
        if name in named:
            return named[name]
    return next((part for part in parts if part.name.endswith((".json", ".jsonl"))), None)

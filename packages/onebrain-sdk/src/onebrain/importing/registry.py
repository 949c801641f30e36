"""Formats by their names, and the format of a source."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast

from onebrain.errors import OneBrainValidationError
from onebrain.importing.entries import Entry, Skipped
from onebrain.importing.sample import Sample
from onebrain.importing.sources import Readable, Source
from onebrain.memory.transfer import Copied

# The group of entry points by which other packages add readers: the name of the format, and a module or object with
# ``detects`` and ``read``.
GROUP: Final = "onebrain.readers"

# In the order in which they look at a sample: the formats that say more come first.
_SPECIAL: Final = (
    "slack",
    "chatgpt",
    "claude",
    "llama-index",
    "letta",
    "onebrain",
    "langmem",
    "langgraph-store",
    "zep",
    "hindsight",
    "supermemory",
    "mem0",
    "chroma",
)
_GENERAL: Final = ("csv", "jsonl", "markdown")


class Reader(Protocol):
    """A format."""

    def detects(self, sample: Sample) -> bool:
        """Return whether a source has this format."""
        ...

    def read(self, source: Source) -> Iterator[Entry] | Iterator[Copied | Skipped]:
        """Return the memories of a source, and the places that hold none."""
        ...


def formats() -> list[str]:
    """Return the names of all formats, those of other packages at the end.

    Example:
        >>> "chatgpt" in formats()
        True
    """
    return [*_SPECIAL, *_GENERAL, *sorted(_plugins())]


def reader(name: str) -> Reader:
    """Return the reader of a format.

    Raises:
        OneBrainValidationError: There is no such format.
    """
    if name in _SPECIAL or name in _GENERAL:
        return cast(Reader, import_module(f"onebrain.importing.readers.{name.replace('-', '_')}"))
    plugins = _plugins()
    if name not in plugins:
        raise OneBrainValidationError(
            f"format: there is no {name!r:.40}; there are auto, {', '.join(formats())}"
        )
    return plugins[name]


def detected(source: Source) -> str:
    """Return the name of the format of a source.

    Raises:
        OneBrainValidationError: No reader knows it.
    """
    sample = Sample.of(source)
    for name in _SPECIAL:
        if reader(name).detects(sample):
            return name
    for name, plugin in _plugins().items():
        if plugin.detects(sample):
            return name
    for name in _GENERAL:
        if reader(name).detects(sample):
            return name
    raise OneBrainValidationError(f"the format is not known; name one of {', '.join(formats())}")


def check_format(given: Readable, name: str) -> None:
    """Refuse a format that does not exist, and a file whose format is not known. A stream is not looked at.

    Raises:
        OneBrainValidationError: There is no such format or file, or no reader knows the file.
    """
    if name != "auto":
        reader(name)
    elif isinstance(given, str | Path):
        detected(Source(given))


def _plugins() -> dict[str, Reader]:
    from importlib.metadata import entry_points

    return {point.name: cast(Reader, point.load()) for point in entry_points(group=GROUP)}

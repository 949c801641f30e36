"""The entries that readers return: drafts of memories, and places of a file that hold none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from onebrain._core.codec import as_array, as_object, from_json, is_object
from onebrain.memory.moments import instant_of

# Unix times above it are in milliseconds: as seconds, it is the year 5138.
_MILLISECONDS: Final = 100_000_000_000
# Numbers of nine digits and more.
_LONG: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Skipped:
    """A place that holds no memory.

    Attributes:
        place: The place, such as ``line 7`` or ``item 3``, behind the name of the file if there are several.
        reason: Why nothing was stored; it quotes nothing of the file.
    """

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory as a reader found it.

    Attributes:
        place: Its place in the file.
        fields: The fields of `NewMemory`; without an id, it gets one of its place and its text.
        updated_at: The time of its last change, if the file says so.
    """

    place: str
    fields: Mapping[str, Any]
    updated_at: Any = None


Entry: TypeAlias = Draft | Skipped


@dataclass(slots=True)
class Row:
    """A JSON object whose fields are taken one by one; what is left goes into the metadata.

    Example:
        >>> row = Row({"memory": "likes tea", "user_id": "maria", "score": 0.5})
        >>> row.text("memory", "text"), row.take("user_id"), row.left
        ('likes tea', 'maria', {'score': 0.5})
    """

    left: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])

    def take(self, *names: str) -> Any:
        """Remove the fields with these names, and return the first one that is neither null nor empty."""
        found: Any = None
        for name in names:
            value = self.left.get(name)
            if found is None and value is not None and value != "":
                found = self.left.pop(name)
            elif value is None:
                self.left.pop(name, None)
        return found

    def text(self, *names: str) -> str:
        """Remove the fields with these names, and return the first one that is text; empty if none is."""
        for name in names:
            if isinstance(self.left.get(name), str):
                return str(self.left.pop(name))
        return ""

    def time(self, *names: str) -> datetime | None:
        """Remove the first field that says a time, and return the time; a field that says none is left."""
        for name in names:
            found = moment(self.left.get(name))
            if found is not None:
                del self.left[name]
                return found
        return None

    def object(self, name: str) -> dict[str, Any]:
        """Remove a field that is an object, or an object as JSON text, and return it."""
        value = self.left.get(name)
        if isinstance(value, str) and value.startswith("{"):
            value = _parsed(value)
        if not is_object(value):
            if value is None:
                self.left.pop(name, None)
            return {}
        self.left.pop(name)
        return dict(value)

    def texts(self, *names: str) -> list[str]:
        """Remove the first field that is a list of texts, or such a list as JSON or with commas, and return it."""
        for name in names:
            value = self.left.get(name)
            if isinstance(value, str) and value:
                parsed = as_array(_parsed(value)) if value.startswith("[") else None
                value = (
                    parsed
                    if parsed is not None
                    else [part.strip() for part in value.replace(";", ",").split(",")]
                )
            found = as_array(value)
            if found and all(isinstance(one, str) for one in found):
                self.left.pop(name)
                return [one for one in found if one]
        return []

    def rest(self, format: str, **more: Any) -> dict[str, Any]:
        """Return the metadata: that of the row, `more`, and all fields that were not taken.

        A field whose name the metadata has already gets the format's name in front.
        """
        found = {name: value for name, value in more.items() if value is not None}
        found.update(self.metadata)
        for name, value in self.left.items():
            if value is not None:
                found[name if name not in found else f"{format}_{name}"] = value
        return found


def moment(value: Any) -> datetime | None:
    """Return the time that a number or a text says: seconds or milliseconds since 1970, or ISO 8601; None for no time."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        number = _number(value)
        # Eight digits are a date, and four are a year; a longer number counts from 1970, though ISO 8601 may read it.
        if number is not None and abs(number) >= _LONG:
            value = number
        else:
            try:
                return _in_utc(instant_of(value))
            except (ValueError, OverflowError):
                value = number
    if isinstance(value, datetime):
        return _in_utc(value)
    if not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value / 1000 if abs(value) >= _MILLISECONDS else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _in_utc(found: datetime | None) -> datetime | None:
    if found is None or found.utcoffset() is not None:
        return found
    return found.replace(tzinfo=UTC)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _parsed(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return None


def scope_of(user: Any = None, agent: Any = None, session: Any = None, space: Any = None) -> dict[str, Any]:
    """Return the parts of a scope that are known."""
    parts = {"user": user, "agent": agent, "session": session, "space": space}
    return {name: value for name, value in parts.items() if value is not None and value != ""}


def as_row(value: Any) -> Row | None:
    """Return an object as a `Row`; None for anything else."""
    return Row(dict(value)) if is_object(value) else None


def blocks_text(content: Any) -> str:
    """Return the text of a message: a text, or a list of texts and of objects with ``text``."""
    if isinstance(content, str):
        return content
    parts: list[str] = []
    for block in as_array(content):
        found: Any = block if isinstance(block, str) else as_object(block).get("text")
        if isinstance(found, str) and found.strip():
            parts.append(found)
    return "\n\n".join(parts)

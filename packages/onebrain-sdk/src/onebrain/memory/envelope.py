"""Fields that a service lacks are kept in its metadata, under one reserved key.

A memory of ours has fields that a service lacks, such as a user, a session or a title. They go into the metadata as one
object under `KEY`, which other clients of the service can see and leave alone. The scope is always in there, whatever
the service makes of it, so that it can be checked on every memory that comes back.

A service may also refuse or change what JSON allows: huge integers, floats without a fraction, keys of its own. Such
metadata is kept a second time, as exact JSON text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar, cast

from onebrain._core.codec import from_json, is_array, is_object, to_json
from onebrain.memory.models import EVERYTHING, Scope
from onebrain.memory.moments import instant_of, moments_of, with_moments

T = TypeVar("T")

KEY: Final = "onebrain"
# The key of the marks on superseded memories (`onebrain.memory.linking`). They are no part of the envelope, because memories of
# other clients have them, too.
MARKS: Final = "onebrain_superseded"
_EXACT: Final = "metadata"
# The paths of dates and datetimes.
_MOMENTS: Final = "moments"
_PARTS: Final = ("space", "user", "agent", "session")
# Beyond it, JSON readers that know only floats lose digits.
_SAFE: Final = 2**53


@dataclass(frozen=True, slots=True)
class Envelope:
    """The fields that were folded into a memory's metadata, and the caller's own metadata.

    Attributes:
        ours: Whether there was anything: False for memories that other clients stored.
        scope: The scope, as given when storing.
        kept: The other fields, by name.
        metadata: The caller's own object.
    """

    ours: bool
    scope: Scope
    kept: Mapping[str, Any]
    metadata: dict[str, Any]

    def text(self, name: str) -> str | None:
        """Return a text that was folded in, or None."""
        value = self.kept.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> float | None:
        """Return a number that was folded in, or None."""
        value = self.kept.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def instant(self, name: str) -> datetime | None:
        """Return a time that was folded in, or None."""
        value = self.kept.get(name)
        return instant_of(value) if isinstance(value, str) else None

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Return a list of texts that was folded in, or None."""
        value = self.kept.get(name)
        return tuple(map(str, value)) if is_array(value) else None


def fold(
    metadata: Mapping[str, Any], scope: Scope, kept: Mapping[str, Any], *, taken: Collection[str] = ()
) -> dict[str, Any]:
    """Return `metadata` with `scope` and the fields of `kept` that are not None under `KEY`.

    Args:
        metadata: The caller's own object.
        scope: Where the memory belongs.
        kept: Further fields, as JSON values; datetimes become ISO text.
        taken: Keys that the service uses for itself.

    Raises:
        OneBrainValidationError: JSON cannot hold the metadata exactly.
    """
    text = to_json(metadata, what="metadata")
    plain = cast("dict[str, Any]", from_json(text))
    parts = {name: getattr(scope, name) for name in _PARTS if getattr(scope, name) is not None}
    # The values of an older version of the memory do not apply.
    made_here = (_EXACT, _MOMENTS)
    inside = {name: value for name, value in kept.items() if value is not None and name not in made_here}
    if parts:
        inside["scope"] = parts
    if not plain.keys().isdisjoint((KEY, MARKS, *taken)) or not _survives(plain):
        inside[_EXACT] = text
    if moments := moments_of(metadata):
        inside[_MOMENTS] = moments
    outside = {
        key: value
        for key, value in plain.items()
        if key not in (KEY, MARKS) and key not in taken and _survives(value)
    }
    return {**outside, KEY: inside}


def unfold(metadata: Mapping[str, Any], *, taken: Collection[str] = ()) -> Envelope:
    """Return the envelope in a memory's metadata; metadata of other clients never raises."""
    inside: Any = metadata.get(KEY)
    if not is_object(inside):
        own = {key: value for key, value in metadata.items() if key != MARKS and key not in taken}
        return Envelope(False, EVERYTHING, {}, own)
    kept = inside
    exact = kept.get(_EXACT)
    own = {key: value for key, value in metadata.items() if key not in (KEY, MARKS) and key not in taken}
    if isinstance(exact, str):
        try:
            read: Any = from_json(exact)
        except ValueError:
            read = None
        own = dict(read) if is_object(read) else own
    if _MOMENTS in kept:
        own = with_moments(_copy(own), kept[_MOMENTS])
    return Envelope(True, _scope(kept.get("scope")), kept, own)


def _copy(value: Any) -> Any:
    """Return JSON in objects and lists of its own, which may be changed."""
    if is_object(value):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if is_array(value) else value


def _scope(value: Any) -> Scope:
    if not is_object(value):
        return EVERYTHING
    try:
        return Scope(**{name: value[name] for name in _PARTS if isinstance(value.get(name), str)})
    except ValueError:
        # Another client wrote it. No scope selects such a memory.
        return EVERYTHING


def _survives(value: Any) -> bool:
    """Whether every JSON reader gives `value` back as it is."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return True
    if isinstance(value, int):
        return abs(value) < _SAFE
    if isinstance(value, float):
        return not value.is_integer()
    if is_object(value):
        return all(_survives(item) for item in value.values())
    return all(_survives(item) for item in cast("Sequence[Any]", value))


def mark(kind: str, value: str) -> str:
    """Return the tag of one part of a scope: one opaque word, which no query matches."""
    return f"ob{kind}{hashlib.sha256(value.encode()).hexdigest()[:24]}"

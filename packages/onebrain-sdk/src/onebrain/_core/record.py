"""The base of every model that a service's client returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, overload

from pydantic import BaseModel, ConfigDict

from onebrain._core.rows import RowsOf

T = TypeVar("T")


class Record(BaseModel):
    """One object of a service's API: frozen, with the fields that we know typed and all others kept.

    A field is read as an attribute, ``created.id``, or by name as in a dict, ``created["id"]``; both know the names
    that the service uses on the wire, too.
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True, protected_namespaces=())

    def __getitem__(self, name: str) -> Any:
        if name in type(self).model_fields or name in (self.model_extra or {}):
            return getattr(self, name)
        for field, info in type(self).model_fields.items():
            if name == info.alias:
                return getattr(self, field)
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name in set(self.keys())

    def get(self, name: str, default: Any = None) -> Any:
        """Return the field `name`, or `default` where the service did not send it."""
        try:
            return self[name]
        except KeyError:
            return default

    def keys(self) -> Iterator[str]:
        """Return the names of the fields, so that ``dict(record)`` and ``{**record}`` work."""
        yield from type(self).model_fields
        yield from self.model_extra or {}


class NamedRows(RowsOf[T]):
    """Makes a record a sequence of its rows, whose fields are still read by name, too."""

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    @overload
    def __getitem__(self, index: str) -> Any: ...
    def __getitem__(self, index: int | slice | str) -> Any:
        record: Any = self
        return Record.__getitem__(record, index) if isinstance(index, str) else super().__getitem__(index)

    def __contains__(self, value: object) -> bool:
        record: Any = self
        return value in tuple(self) or Record.__contains__(record, value)

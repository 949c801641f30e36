"""Namespaces whose labels are ids: users give a LangGraph store numbers and UUIDs, not only text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from langgraph.store.base import BaseStore, Item, ListNamespacesOp, MatchCondition, Op, SearchItem, SearchOp

from onebrain.memory.ids import as_id

_STRINGS = frozenset({str})


def labels(namespace: Any) -> Any:
    """Return a namespace with its labels as text; a label that is no id stays as it is, for the framework to refuse."""
    if type(namespace) is tuple and _STRINGS.issuperset(map(type, cast("tuple[Any, ...]", namespace))):
        # Nearly all namespaces are of this kind, in every operation of a store.
        return cast("Any", namespace)
    if not isinstance(namespace, tuple | list):
        return namespace
    return tuple(map(_label, cast("Sequence[Any]", namespace)))


def _label(label: Any) -> Any:
    try:
        return as_id(label)
    except ValueError:
        return label


def labelled(op: Op) -> Op:
    """Return an operation with the labels of its namespaces as text."""
    if isinstance(op, SearchOp):
        prefix = labels(op.namespace_prefix)
        return op if prefix is op.namespace_prefix else op._replace(namespace_prefix=prefix)
    if isinstance(op, ListNamespacesOp):
        conditions = op.match_conditions
        if not conditions:
            return op
        return op._replace(
            match_conditions=tuple(
                MatchCondition(condition.match_type, labels(condition.path)) for condition in conditions
            )
        )
    namespace = labels(op.namespace)
    return op if namespace is op.namespace else op._replace(namespace=namespace)


class IdLabels(BaseStore):
    """A store whose methods take numbers and UUIDs as labels; the framework's own methods refuse them."""

    def get(self, namespace: tuple[Any, ...], key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        """Return an item, or None."""
        return super().get(labels(namespace), key, refresh_ttl=refresh_ttl)

    async def aget(
        self, namespace: tuple[Any, ...], key: str, *, refresh_ttl: bool | None = None
    ) -> Item | None:
        """Return an item, or None."""
        return await super().aget(labels(namespace), key, refresh_ttl=refresh_ttl)

    def search(self, namespace_prefix: tuple[Any, ...], /, **kwargs: Any) -> list[SearchItem]:
        """Return the items below a namespace that match a filter and answer a query."""
        return super().search(labels(namespace_prefix), **kwargs)

    async def asearch(self, namespace_prefix: tuple[Any, ...], /, **kwargs: Any) -> list[SearchItem]:
        """Return the items below a namespace that match a filter and answer a query."""
        return await super().asearch(labels(namespace_prefix), **kwargs)

    def put(self, namespace: tuple[Any, ...], key: str, value: Any, index: Any = None, **kwargs: Any) -> None:
        """Store an item, or replace it."""
        super().put(labels(namespace), key, value, index, **kwargs)

    async def aput(
        self, namespace: tuple[Any, ...], key: str, value: Any, index: Any = None, **kwargs: Any
    ) -> None:
        """Store an item, or replace it."""
        await super().aput(labels(namespace), key, value, index, **kwargs)

    def delete(self, namespace: tuple[Any, ...], key: str) -> None:
        """Remove an item."""
        super().delete(labels(namespace), key)

    async def adelete(self, namespace: tuple[Any, ...], key: str) -> None:
        """Remove an item."""
        await super().adelete(labels(namespace), key)

    def list_namespaces(
        self, *, prefix: Any = None, suffix: Any = None, **kwargs: Any
    ) -> list[tuple[str, ...]]:
        """Return the namespaces that begin and end so, in order."""
        return super().list_namespaces(prefix=labels(prefix), suffix=labels(suffix), **kwargs)

    async def alist_namespaces(
        self, *, prefix: Any = None, suffix: Any = None, **kwargs: Any
    ) -> list[tuple[str, ...]]:
        """Return the namespaces that begin and end so, in order."""
        return await super().alist_namespaces(prefix=labels(prefix), suffix=labels(suffix), **kwargs)

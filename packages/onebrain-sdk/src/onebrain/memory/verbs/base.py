"""The base of the verbs, and the checks of the arguments that several of them take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, TypeAlias, get_args

from onebrain._core.paging import Page
from onebrain._core.steps import Call, Coloured, Mode, Steps
from onebrain.errors import OneBrainNotFoundError, OneBrainValidationError
from onebrain.memory.acceptance import in_utc, zoned
from onebrain.memory.capabilities import Capabilities
from onebrain.memory.checks import check_id, check_ids
from onebrain.memory.driver import (
    Change,
    ChangesAsItIs,
    Counts,
    DeletesUnless,
    Driver,
    Forgets,
    Judges,
    ListRequest,
    Names,
    Repeats,
    Settles,
    several_with_id,
    unsupported,
)
from onebrain.memory.filters import TRUE, Filter, memory_matches, split
from onebrain.memory.identity import Identity as Identity
from onebrain.memory.identity import identity as identity
from onebrain.memory.identity import owner_of as owner_of
from onebrain.memory.ids import Id, is_id
from onebrain.memory.linking.emulation import Emulated, emulated
from onebrain.memory.locks import KeyedLock
from onebrain.memory.models import Memory, Order, Scope
from onebrain.memory.transfer import Copies

FilterLike: TypeAlias = Filter | Mapping[str, Any]
Embedding: TypeAlias = Sequence[float]
Moment: TypeAlias = datetime | date | str

LIST_PAGE = 200
# The characters of a text that are searched for where memories like it are wanted.
QUERY_CHARACTERS = 2000
ORDERS: tuple[Order, ...] = get_args(Order)
OLDEST: tuple[Order, ...] = ("sequence", "created_at")
NEWEST: tuple[Order, ...] = ("-created_at", "-sequence")


class Verbs(Coloured[Mode]):
    """The base of all verbs: the driver, and reading lists with the checks that the service does not make."""

    def __init__(self, mode: Mode, driver: Driver) -> None:
        super().__init__(mode)
        self._driver = emulated(driver)
        self._emulated = self._driver if isinstance(self._driver, Emulated) else None
        driver = self.driver
        # The driver by each of its further abilities, asked once, because isinstance() looks for every method of a protocol.
        self._forgets = driver if isinstance(driver, Forgets) else None
        self._deletes_unless = driver if isinstance(driver, DeletesUnless) else None
        self._counts = driver if isinstance(driver, Counts) else None
        self._copies = driver if isinstance(driver, Copies) else None
        self._settles = driver if isinstance(driver, Settles) else None
        self._judges = driver if isinstance(driver, Judges) else None
        self._names = driver if isinstance(driver, Names) else None
        self._repeats = driver if isinstance(driver, Repeats) else None
        self._changes = driver if isinstance(driver, ChangesAsItIs) else None
        self._changing = KeyedLock()
        # Models and rerankers that were given by name: they keep their connections, and what they loaded, between calls.
        self._models: dict[str, Any] = {}

    def _close_models(self) -> Steps[None]:
        """Close the models and rerankers that were given by name."""
        while self._models:
            _, model = self._models.popitem()
            close = getattr(model, "close", None)
            if callable(close):
                yield Call(close, coroutine=getattr(model, "aclose", None))

    @property
    def capabilities(self) -> Capabilities:
        """The abilities of the service behind this brain."""
        return self._driver.capabilities

    @property
    def driver(self) -> Driver:
        """The driver of the service behind this brain."""
        return self._driver if self._emulated is None else self._emulated.inner

    def _split(self, condition: Filter) -> tuple[Filter, Filter]:
        """Return the part of a filter that the service evaluates, and the part that is evaluated here."""
        can = self.capabilities
        return split(condition, can.can, can.logic)

    def _get(self, ids: Sequence[str], scope: Scope, with_embeddings: bool) -> Steps[list[Memory]]:
        return (yield from self._read(self._driver, ids, scope, with_embeddings))

    def _read(
        self, driver: Driver, ids: Sequence[str], scope: Scope, with_embeddings: bool
    ) -> Steps[list[Memory]]:
        check_scope(scope)
        wanted = [id for id in dict.fromkeys(ids) if is_storable_id(id)]
        if not wanted:
            return []
        found = yield from driver.get(wanted, scope, with_embeddings=with_embeddings)
        by_id: dict[str, list[Memory]] = {}
        for memory in found:
            if scope.covers(memory.scope):
                by_id.setdefault(memory.id, []).append(memory)
        return [memory for id in ids for memory in by_id.get(id, ())]

    def _change(self, id: str, change: Change, scope: Scope) -> Steps[Memory]:
        """Change a memory by what it holds, and return it.

        Where the service has no such change, only calls of this brain wait for each other.

        Raises:
            OneBrainNotFoundError: `scope` has no memory with this id.
        """
        if self._changes is not None:
            return (yield from self._changes.change(id, change, scope))
        return (yield from self._changing.hold(id, lambda: self._read_and_change(id, change, scope)))

    def _read_and_change(self, id: str, change: Change, scope: Scope) -> Steps[Memory]:
        found = yield from self._get([id], scope, False)
        if not found:
            raise not_found(self.capabilities.service)
        if len(found) > 1:
            raise several_with_id(self.capabilities.service)
        wanted = change(found[0])
        return found[0] if wanted is None else (yield from self._driver.update(id, wanted, scope))

    def _moment(self, at: Moment | None) -> datetime | None:
        """Return the moment that an answer is about, as a datetime in UTC; None means now.

        Raises:
            Unsupported: The service knows no validity.
        """
        if at is None:
            return None
        if not self.capabilities.validity:
            raise unsupported(self.capabilities, "answers about another time", "leave `at` out")
        return utc_moment("at", at)

    def _knowledge(self, as_of: Moment | None) -> datetime | None:
        """Return the moment whose knowledge is asked for, as a datetime in UTC; None means now.

        Raises:
            Unsupported: The service does not say when a memory was stored.
        """
        if as_of is None:
            return None
        if not self.capabilities.as_of:
            other = ", or ask by `at` for the memories that held then" if self.capabilities.validity else ""
            raise unsupported(
                self.capabilities, "answers from earlier knowledge", f"leave `as_of` out{other}"
            )
        return utc_moment("as_of", as_of)

    def _listing(
        self,
        scope: Scope,
        condition: Filter,
        include_archived: bool,
        with_embeddings: bool,
        *,
        include_superseded: bool = False,
        at: datetime | None = None,
        as_of: datetime | None = None,
        order: Order | None = None,
        limit: int = LIST_PAGE,
        cursor: str | None = None,
    ) -> tuple[ListRequest, Callable[[Memory], bool]]:
        """Return the request for a list, by default oldest first if the service can, and the check of each row."""
        can = self.capabilities
        pushed, residual = self._split(condition)
        checked = condition if can.rechecked else residual
        everything = checked == TRUE

        def keep(memory: Memory) -> bool:
            return (
                scope.covers(memory.scope)
                and (include_archived or not memory.archived)
                and (everything or memory_matches(checked, memory))
            )

        request = ListRequest(
            scope=scope,
            filter=pushed,
            order=order or first_of(can.orders, *OLDEST, *NEWEST, *ORDERS) or "created_at",
            limit=limit,
            cursor=cursor,
            include_archived=include_archived,
            include_superseded=include_superseded,
            at=at,
            as_of=as_of,
            with_embeddings=with_embeddings,
        )
        return request, keep

    def _walk(self, request: ListRequest, keep: Callable[[Memory], bool]) -> Steps[list[Memory]]:
        """Return all memories of all pages, oldest first where the service lists by age at all."""
        # A service may repeat a row on the next page when others were added.
        rows: dict[Identity, Memory] = {}
        while True:
            page: Page[Memory] = yield from self._driver.list(request)
            rows.update((identity(memory), memory) for memory in page.data if keep(memory))
            if not page.meta.has_more or page.meta.cursor in (None, request.cursor):
                break
            request = replace(request, cursor=page.meta.cursor)
        walked = list(rows.values())
        if request.order in NEWEST:
            walked.reverse()
        return walked


def check_scope(scope: Scope) -> None:
    """Refuse anything but a `Scope`."""
    if not isinstance(scope, Scope):
        raise OneBrainValidationError(
            f"scope: must be a Scope, such as Scope(user='maria'), not {type(scope).__name__}"
        )


def moment(name: str, value: object) -> datetime:
    """Return a moment as a datetime in its own time zone; one without is in UTC."""
    try:
        read: object = zoned(value)
    except ValueError as error:
        raise OneBrainValidationError(f"{name}: {error}") from None
    if not isinstance(read, datetime):
        raise OneBrainValidationError(f"{name}: must be a datetime or ISO 8601 text")
    return read


def utc_moment(name: str, value: object) -> datetime:
    """Return a moment as a datetime in UTC."""
    return in_utc(moment(name, value))


def not_found(service: str) -> OneBrainNotFoundError:
    """Return the error for an id that no memory of a scope has."""
    return OneBrainNotFoundError("no memory with this id in this scope", service=service)


def check_iterable(name: str, value: object) -> None:
    """Refuse anything but an iterable."""
    if not isinstance(value, Iterable):
        raise OneBrainValidationError(f"{name}: must be a list of memories, not {type(value).__name__}")


def id_list(ids: Id | Iterable[Id]) -> list[str]:
    """Return one id, or several, as a list of text."""
    if is_id(ids):
        return [check_id("ids", ids)]
    if ids is None:
        raise OneBrainValidationError("ids: must be an id or a list of ids, not None")
    return check_ids("ids", ids)


def is_storable_id(id: str) -> bool:
    """Whether a memory can have this id at all; one that cannot is simply not found."""
    try:
        id.encode()
    except UnicodeEncodeError:
        return False
    return bool(id)


def first_of(known: frozenset[Order], *wanted: Order) -> Order | None:
    """Return the first wanted order that is known, or None."""
    return next((order for order in wanted if order in known), None)

"""One memory for sync and async code: the options ``brain``, ``url``, ``api_key`` and ``base_url`` of every component."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from types import CoroutineType, FunctionType
from typing import Any, Generic, ParamSpec, Self, TypeAlias, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, field_validator

from onebrain.brains import Brains
from onebrain.errors import ConfigurationError, OneBrainValidationError, redact
from onebrain.frameworks.plans import Plan, arun, run
from onebrain.memory.brain import AsyncBrain, Brain
from onebrain.memory.models import Scope
from onebrain.urls import resolve

T = TypeVar("T")
P = ParamSpec("P")
AnyBrain: TypeAlias = Brain | AsyncBrain | Brains | tuple[Brain, AsyncBrain]
ScopeLike: TypeAlias = Scope | Mapping[str, Any]

# The attribute of a method that holds the plan of which it was made.
_FROM_PLAN = "__plan__"


class Connection:
    """One memory for sync and async code, opened when it is first used.

    A brain that was given stays open; a brain that was opened here is closed by `close` or `aclose`. A pickle holds no
    key: its copy takes the key from the environment. Copies within the process share the memory.

    Example:
        >>> connection = Connection(url="sqlite://")
        >>> connection.sync.store("Maria prefers window seats").status
        'created'
        >>> connection.close()
    """

    def __init__(
        self,
        brain: AnyBrain | None = None,
        *,
        url: str | None = None,
        api_key: SecretStr | str | None = None,
        base_url: str | None = None,
    ) -> None:
        key = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
        self._brain = brain
        self._brains = Brains(brain, url=url, api_key=key, base_url=base_url)
        self._url: str | None = None
        if url is not None or api_key is not None or base_url is not None:
            self._url = resolve(url or (f"onebrain+{base_url}" if base_url else None), key)[0]
        self._opened = brain is not None and not isinstance(brain, Brains)

    def __repr__(self) -> str:
        if self._brain is not None:
            return f"brain={self._brain!r}"
        return f"url={redact(self._url)!r}" if self._url is not None else ""

    @property
    def brains(self) -> Brains:
        """The memory for both kinds of code, open or not, for another component that shares it."""
        return self._brains

    @property
    def address(self) -> str | None:
        """The URL from `url`, `api_key` or `base_url`, without its password; None if none of them was given."""
        return None if self._url is None else redact(self._url)

    @property
    def sync(self) -> Brain:
        """The memory for sync code."""
        brain = self._brains.sync
        self._opened = True
        return brain

    async def open(self) -> AsyncBrain:
        """Return the memory for async code."""
        if not self._opened:
            # Finding a driver reads the disk and imports it, which must not block the event loop.
            await asyncio.to_thread(lambda: self._brains.sync)
            self._opened = True
        return self._brains.asynchronous

    def run(self, plan: Plan[T]) -> T:
        """Run a plan on the memory for sync code."""
        return run(self.sync, plan)

    async def arun(self, plan: Plan[T]) -> T:
        """Run a plan on the memory for async code."""
        return await arun(await self.open(), plan)

    def finish_background(self) -> None:
        """Wait for what sync code began in the background, such as looking for facts."""
        if self._opened:
            self._brains.sync.finish_background()

    async def afinish_background(self) -> None:
        """Wait for what async code began in the background of the running event loop."""
        if self._opened:
            await self._brains.asynchronous.finish_background()

    def close(self) -> None:
        """Close the memory if it was opened here; a brain that was given stays open."""
        self._brains.close()

    async def aclose(self) -> None:
        """Close the memory if it was opened here; a brain that was given stays open."""
        if self._opened:
            await self._brains.aclose()

    def portable(self) -> dict[str, Any]:
        """Return the data with which another process connects to the same memory, without the key.

        Raises:
            TypeError: The URL holds a password.
        """
        if self.address != self._url:
            raise TypeError(
                f"a component at {self.address!r} cannot be pickled or serialized, because its URL holds a password; "
                "put the URL into $ONEBRAIN_URL and leave `url` out"
            )
        return {"brain": self._brain, "url": self._url}

    def __getstate__(self) -> dict[str, Any]:
        return self.portable()

    def __setstate__(self, state: dict[str, Any]) -> None:
        Connection.__init__(self, state["brain"], url=state["url"])

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self


class Closing:
    """The methods that close a component: they close the memory that it opened, and no brain that it was given."""

    _connection: Connection

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Methods made of plans get the names under which the class has them: frameworks name tools after methods, and
        # pickles of bound methods look their names up.
        for name, method in vars(cls).items():
            if isinstance(method, FunctionType) and _FROM_PLAN in method.__dict__:
                method.__name__ = name
                method.__qualname__ = f"{cls.__qualname__}.{name}"

    def finish_background(self) -> None:
        """Wait for what this component began in the background in sync code."""
        self._connection.finish_background()

    async def afinish_background(self) -> None:
        """Wait for what this component began in the background of the running event loop."""
        await self._connection.afinish_background()

    def close(self) -> None:
        """Close the memory if this component opened it; a brain that was given stays open."""
        self._connection.close()

    async def aclose(self) -> None:
        """Close the memory if this component opened it; a brain that was given stays open."""
        await self._connection.aclose()


class Component(Closing):
    """A component that is a plain class, with one memory and one scope."""

    _scope: Scope

    def __repr__(self) -> str:
        where = repr(self._connection)
        return f"{type(self).__name__}({where + ', ' if where else ''}scope={self._scope!r})"


class ComponentModel(Closing, BaseModel):
    """A component that is a pydantic model, with one memory and one scope.

    Attributes:
        brain: A `Brain`, an `AsyncBrain`, or both as a pair; one is made from the other if it is needed.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key; never shown, traced, serialized or pickled.
        base_url: OneBrain's address, as an alternative to `url`.
        scope: Whose memory: a `Scope`, or a dict of its parts.
    """

    # A misspelt option is an error, and an error does not show the key that was given.
    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True)

    brain: AnyBrain | None = Field(default=None, exclude=True, repr=False)
    url: str | None = None
    api_key: SecretStr | None = Field(default=None, repr=False)
    base_url: str | None = None
    scope: Scope = Scope()

    _connection: Connection = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Check the options; open nothing."""
        super().model_post_init(context)
        self._connection = Connection(self.brain, url=self.url, api_key=self.api_key, base_url=self.base_url)

    @field_validator("scope", mode="before")
    @classmethod
    def _as_scope(cls, value: Any) -> Scope:
        return as_scope(value)

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, redact(value) if name in ("url", "base_url") and value else value


class Method(Generic[P, T]):
    """The methods for sync and for async code of a component whose logic is a plan, with its signature and docstring.

    Example:
        >>> from onebrain.frameworks.plans import ask
        >>> class Counter(Component):
        ...     def __init__(self, url: str) -> None:
        ...         self._connection, self._scope = Connection(url=url), Scope()
        ...
        ...     def _count(self) -> Plan[int]:
        ...         return (yield ask("count"))
        ...
        ...     count = Method(_count).sync
        ...     acount = Method(_count).asynchronous
        >>> counter = Counter("sqlite://")
        >>> counter.count(), asyncio.run(counter.acount())
        (0, 0)
        >>> counter.close()
    """

    def __init__(self, plan: Callable[P, Plan[T]]) -> None:
        self._plan = plan

    # Properties, because a checker would infer the type of a call's result from the method that it overrides.

    @property
    def sync(self) -> Callable[P, T]:
        """The method for sync code."""
        plan = self._plan

        @wraps(plan)
        def method(*args: P.args, **kwargs: P.kwargs) -> T:
            return _connection_of(args).run(plan(*args, **kwargs))

        method.__dict__.update(__signature__=_signature(plan), **{_FROM_PLAN: plan})
        return method

    @property
    def asynchronous(self) -> Callable[P, CoroutineType[Any, Any, T]]:
        """The method for async code."""
        plan = self._plan

        @wraps(plan)
        async def method(*args: P.args, **kwargs: P.kwargs) -> T:
            return await _connection_of(args).arun(plan(*args, **kwargs))

        method.__dict__.update(__signature__=_signature(plan), **{_FROM_PLAN: plan})
        # mypy has a coroutine function return a `Coroutine`, pyright a `CoroutineType`.
        return cast("Callable[P, CoroutineType[Any, Any, T]]", method)


def _connection_of(args: Sequence[Any]) -> Connection:
    connection: Connection = args[0]._connection
    return connection


def _signature(plan: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a plan with the type of its value, which is what its methods return."""
    signature = inspect.signature(plan)
    value = signature.return_annotation
    if isinstance(value, str):
        value = value.removeprefix("Plan[").removesuffix("]")
    elif get_args(value):
        value = get_args(value)[-1]
    return signature.replace(return_annotation=value)


def as_scope(value: ScopeLike | None) -> Scope:
    """Return `value` as a scope; None is the scope of everything, and a dict has the names of the scope's parts.

    Raises:
        ConfigurationError: It is neither, or a part is not valid.
    """
    if value is None:
        return Scope()
    if isinstance(value, Scope):
        return value
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"scope: must be a Scope or a dict, not {type(value).__name__}")
    try:
        return Scope(**value)
    except TypeError:
        raise ConfigurationError(
            "scope: has the parts space, user, agent and session, and no other"
        ) from None
    except OneBrainValidationError as error:
        raise ConfigurationError(f"scope: {error.message}") from None


def in_space(scope: ScopeLike | None, space: str | None, default: str) -> Scope:
    """Return `scope` with the space that it names, else `space`, else `default`."""
    given = as_scope(scope)
    if space is not None and given.space not in (None, space):
        raise ConfigurationError("space and scope.space differ: give one of the two")
    return given.within(Scope(space=space or default))


def refuse(owner: object, unknown: Mapping[str, Any]) -> None:
    """Raise `TypeError` if a framework's open-ended keyword arguments hold any."""
    if unknown:
        names = ", ".join(sorted(unknown))
        raise TypeError(f"{type(owner).__name__} got unexpected keyword arguments: {names}")

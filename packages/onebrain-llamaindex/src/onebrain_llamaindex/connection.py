"""Where a component's memory is: what every component takes as ``brain=``, or as ``url=``, ``api_key=``, ``base_url=``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_serializer,
    field_validator,
)

from onebrain import AsyncBrain, Brain, ConfigurationError, OneBrainValidationError, Scope
from onebrain.errors import redact
from onebrain.memory.brains import Brains
from onebrain.urls import resolve
from onebrain_llamaindex.steps import Steps, adrive, drive

T = TypeVar("T")
AnyBrain: TypeAlias = Brain | AsyncBrain | Brains | tuple[Brain, AsyncBrain]
ScopeLike: TypeAlias = Scope | Mapping[str, Any]


class Connection:
    """One memory in both colours, opened when it is first used.

    It pickles without its key: the copy takes that from the environment. Copies within the process share the memory.
    """

    def __init__(
        self,
        brain: AnyBrain | None = None,
        *,
        url: str | None = None,
        api_key: SecretStr | str | None = None,
        base_url: str | None = None,
    ) -> None:
        if isinstance(brain, str):  # what `to_dict` writes in place of a brain that has no address
            raise ConfigurationError(
                f"brain: this component was made with {brain}, which no address leads to; give it again as brain="
            )
        for name, address in (("url", url), ("base_url", base_url)):
            if address is not None and "***" in address:
                raise ConfigurationError(
                    f"{name}: its password was left out when it was saved; give {name} again"
                )
        key = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
        self._brain = brain
        self._brains = Brains(brain, url=url, api_key=key, base_url=base_url)
        self._url: str | None = None
        if url is not None or api_key is not None or base_url is not None:
            self._url = resolve(url or (f"onebrain+{base_url}" if base_url else None), key)[0]
        self._async: AsyncBrain | None = None

    def __repr__(self) -> str:
        if self._brain is not None:
            return f"brain={self._brain!r}"
        return f"url={redact(self._url)!r}" if self._url is not None else ""

    @property
    def brain(self) -> AnyBrain | None:
        """The brain that was given, if one was."""
        return self._brain

    @property
    def address(self) -> str | None:
        """The URL that was given or follows from what was given, without a password; None where `connect` decides."""
        return None if self._url is None else redact(self._url)

    @property
    def sync(self) -> Brain:
        """The memory for synchronous code."""
        return self._brains.sync

    async def open(self) -> AsyncBrain:
        """Return the memory for asynchronous code."""
        if self._async is None:
            # Finding a driver reads the disk and imports it, which must not block the event loop.
            self._async = await asyncio.to_thread(lambda: self._brains.asynchronous)
        return self._async

    def run(self, steps: Steps[T]) -> T:
        """Run `steps` on the sync memory."""
        return drive(self.sync, steps)

    async def arun(self, steps: Steps[T]) -> T:
        """Run `steps` on the async memory."""
        return await adrive(await self.open(), steps)

    def close(self) -> None:
        """Close what was opened here; a brain that was given stays open."""
        self._brains.close()

    async def aclose(self) -> None:
        """Close what was opened here; a brain that was given stays open."""
        await self._brains.aclose()

    def __getstate__(self) -> dict[str, Any]:
        if self.address != self._url:
            raise TypeError(
                f"a component at {self.address!r} cannot be pickled, because its URL holds a password; "
                "put the URL into $ONEBRAIN_URL and leave `url` out"
            )
        return {"brain": self._brain, "url": self._url}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Connection.__init__(self, state["brain"], url=state["url"])

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self


class Connected(BaseModel):
    """The fields that say where a component's memory is, for components that are pydantic models.

    ``to_dict()`` holds the address without its secrets. Where a brain was given it holds only a description of it, and
    ``from_dict(data, brain=brain)`` takes the brain again: a component never moves to another memory in silence.

    Attributes:
        brain: A `Brain`, an `AsyncBrain`, or both as a pair; the missing colour is made from the other.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key; never shown, traced, serialized or pickled.
        base_url: OneBrain's address, as an alternative to `url`.
        scope: Whose memory, and where: a `Scope`, or a dict with its parts.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True)

    brain: AnyBrain | str | None = Field(default=None, repr=False)
    url: str | None = None
    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False)
    base_url: str | None = Field(default=None, exclude=True)
    scope: Scope = Scope()

    _connection: Connection = PrivateAttr()

    if not TYPE_CHECKING:  # editors and type checkers see the fields

        def __init__(self, **fields: Any) -> None:
            try:
                super().__init__(**fields)
            except ValidationError as error:
                raise ConfigurationError(f"{type(self).__name__}: {_problems(error)}") from None

    def model_post_init(self, context: Any, /) -> None:
        """Check how to connect; open nothing."""
        super().model_post_init(context)
        self._connection = Connection(
            cast("AnyBrain | None", self.brain), url=self.url, api_key=self.api_key, base_url=self.base_url
        )

    @field_validator("scope", mode="before")
    @classmethod
    def _as_scope(cls, value: Any) -> Scope:
        return as_scope(value)

    @field_serializer("brain")
    def _brain_described(self, value: Any) -> str | None:
        return None if value is None else redact(repr(value))

    @field_serializer("url")
    def _url_redacted(self, value: str | None) -> str | None:
        return self._connection.address

    def close(self) -> None:
        """Close what this component opened; a brain that was given stays open."""
        self._connection.close()

    async def aclose(self) -> None:
        """Close what this component opened; a brain that was given stays open."""
        await self._connection.aclose()

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, redact(value) if name in ("url", "base_url") and value else value

    def __getstate__(self) -> dict[Any, Any]:
        # The framework's own version drops what it cannot pickle with a log line; this one raises.
        where = self._connection.__getstate__()
        return {"fields": {**self.__dict__, **where, "api_key": None, "base_url": None}}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        self.__init__(**state["fields"])  # type: ignore[misc]


def as_scope(value: Any) -> Scope:
    """Return `value` as a scope; a dict has the names of the scope's parts."""
    if value is None:
        return Scope()
    if isinstance(value, Scope):
        return value
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"scope: must be a Scope or a dict, not {type(value).__name__}")
    try:
        return Scope(**cast("Mapping[str, Any]", value))
    except TypeError:
        raise ConfigurationError(
            "scope: has the parts space, user, agent and session, and no other"
        ) from None
    except OneBrainValidationError as error:
        raise ConfigurationError(f"scope: {error.message}") from None


def _problems(error: ValidationError) -> str:
    """Say what is wrong without quoting the input, which may be a key."""
    parts: list[str] = []
    for issue in error.errors(include_url=False, include_input=False, include_context=False):
        where = ".".join(str(step) for step in issue["loc"])
        message = issue["msg"].removeprefix("Value error, ")
        parts.append(f"{where}: {message}" if where and not message.startswith(where) else message)
    return "; ".join(parts[:5])


def in_space(scope: Scope, space: str | None, default: str) -> Scope:
    """Return `scope` with its space: the one it names, else `space`, else `default`."""
    if space is not None and scope.space not in (None, space):
        raise ConfigurationError("space and scope.space differ: give one of the two")
    return scope.within(Scope(space=space or default))


def refuse(owner: object, unknown: Mapping[str, Any]) -> None:
    """Raise where a framework's open-ended keyword arguments hold one that nobody knows."""
    if unknown:
        raise TypeError(
            f"{type(owner).__name__} got unexpected keyword arguments: {', '.join(sorted(unknown))}"
        )

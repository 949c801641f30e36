"""Where a component's memory is: what every component takes as ``brain=``, or as ``url=``, ``api_key=``, ``base_url=``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Self, TypeAlias, cast

from langchain_core.load.serializable import Serializable
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator

from onebrain import AsyncBrain, Brain, ConfigurationError, Scope
from onebrain.errors import redact
from onebrain.memory.brains import Brains
from onebrain.urls import resolve

AnyBrain: TypeAlias = Brain | AsyncBrain | Brains | tuple[Brain, AsyncBrain]
ScopeLike: TypeAlias = Scope | Mapping[str, Any]


class Connection:
    """One memory in both colours, opened when it is first used.

    Pickles without its key: the copy takes that from the environment. Copies within the process share the memory.
    """

    def __init__(
        self,
        brain: AnyBrain | None = None,
        *,
        url: str | None = None,
        api_key: SecretStr | str | None = None,
        base_url: str | None = None,
    ) -> None:
        self._brain = brain
        self._given = url is not None or api_key is not None or base_url is not None
        self._base_url = base_url
        key = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
        if isinstance(brain, Brains) and not self._given:
            self._brains = brain  # open yet or not
        else:
            self._brains = Brains(brain, url=url, api_key=key, base_url=base_url)
        self._url = None
        if self._given:
            self._url = resolve(url or (f"onebrain+{base_url}" if base_url else None), key)[0]
        self._opened = brain is not None and not isinstance(brain, Brains)

    @property
    def url(self) -> str | None:
        """Where the memory is, if that was said by `url`, `api_key` or `base_url`; raises where it holds a password."""
        if self._url is not None and redact(self._url) != self._url:
            raise TypeError(
                f"a component at {redact(self._url)!r} cannot be serialized, because its URL holds a password; "
                "put the URL into $ONEBRAIN_URL and leave `url` out"
            )
        return self._url

    @property
    def brains(self) -> Brains:
        """The memory in both colours, open yet or not, for another component that shares it."""
        return self._brains

    def __repr__(self) -> str:
        if self._brain is not None:
            return f"brain={self._brain!r}"
        return f"url={redact(self._url)!r}" if self._url is not None else ""

    @property
    def sync(self) -> Brain:
        """The memory for synchronous code."""
        brain = self._brains.sync
        self._opened = True
        return brain

    async def open(self) -> AsyncBrain:
        """Return the memory for asynchronous code."""
        if not self._opened:
            # Finding a driver reads the disk and imports it, which must not block the event loop.
            await asyncio.to_thread(lambda: self.sync)
        return self._brains.asynchronous

    def close(self) -> None:
        """Close what was opened here; a brain that was given stays open."""
        if self._brain is None and self._opened:
            self._brains.close()

    async def aclose(self) -> None:
        """Close what was opened here; a brain that was given stays open."""
        if self._brain is None and self._opened:
            await self._brains.aclose()

    def portable(self) -> dict[str, Any]:
        """Return what another process needs to connect to the same place, without the key."""
        return {"brain": self._brain, "url": self.url}

    def __getstate__(self) -> dict[str, Any]:
        return self.portable()

    def __setstate__(self, state: dict[str, Any]) -> None:
        Connection.__init__(self, state["brain"], url=state["url"])

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self


# What every pydantic component sets itself, because the framework's own base class would decide otherwise: a misspelt
# option is an error, and an error does not show the key that was given.
STRICT = ConfigDict(arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True)


class Connected(Serializable):
    """The fields that say where a component's memory is, for components that are pydantic models.

    Attributes:
        brain: A `Brain`, an `AsyncBrain`, or both as a pair; one makes the other where it is needed.
        url: Where to connect instead, as for `onebrain.connect`.
        api_key: The service's key; never shown, traced, serialized or pickled.
        base_url: OneBrain's address, as an alternative to `url`.
        scope: Whose memory, and where.
    """

    model_config = STRICT

    brain: AnyBrain | None = Field(default=None, exclude=True, repr=False)
    url: str | None = None
    api_key: SecretStr | None = None
    base_url: str | None = None
    scope: Scope = Scope()

    _connection: Connection = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Check how to connect; open nothing."""
        super().model_post_init(context)
        self._connection = Connection(self.brain, url=self.url, api_key=self.api_key, base_url=self.base_url)

    @field_validator("scope", mode="before")
    @classmethod
    def _scope(cls, value: Any) -> Any:
        return as_scope(cast("ScopeLike", value)) if isinstance(value, Mapping) else value

    def close(self) -> None:
        """Close what this component opened; a brain that was given stays open."""
        self._connection.close()

    async def aclose(self) -> None:
        """Close what this component opened; a brain that was given stays open."""
        await self._connection.aclose()

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain may write this component as JSON: yes, where it was configured by URL or by nothing."""
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The key is written as the name of the environment variable that holds it."""
        return {"api_key": "ONEBRAIN_API_KEY"}

    def to_json(self) -> Any:
        """Return LangChain's serialized form; "not implemented" where a brain was given, for it has none."""
        if self.brain is not None:
            return self.to_json_not_implemented()
        try:
            url = self._connection.url
        except TypeError:
            return self.to_json_not_implemented()
        form = cast("dict[str, Any]", super().to_json())
        if form["type"] != "constructor":
            return form
        kwargs = form["kwargs"]
        kwargs.pop("base_url", None)
        if url is not None:
            kwargs["url"] = url
        if "scope" in kwargs:
            kwargs["scope"] = self.scope.model_dump(exclude_none=True)
        return form

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, redact(value) if name in ("url", "base_url") and value else value

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        fields = {**state["__dict__"], "api_key": None, "base_url": None, **self._connection.portable()}
        return {**state, "__dict__": fields}


def as_scope(value: ScopeLike | None) -> Scope:
    """Return `value` as a scope; a dict has the names of the scope's parts."""
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


def refuse(owner: object, unknown: Mapping[str, Any]) -> None:
    """Raise where a framework's open-ended keyword arguments hold one that nobody knows."""
    if unknown:
        names = ", ".join(sorted(unknown))
        raise TypeError(f"{type(owner).__name__} got unexpected keyword arguments: {names}")

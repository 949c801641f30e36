"""A reranker of any shape, asked once for the candidates of a search."""

from __future__ import annotations

import inspect
import logging
import math
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, cast, runtime_checkable

from onebrain._core.awaitables import in_time, waits
from onebrain._core.steps import Call, Steps
from onebrain.errors import ConfigurationError
from onebrain.memory.models import Hit
from onebrain.memory.reranking.names import from_name
from onebrain.memory.words import text_of

CANDIDATES: Final = 50  # hits that a reranker sees
LONGEST: Final = 2_000  # characters of each
TIMEOUT: Final = 10.0  # seconds for an async function, and for a request of a reranker behind an API
# Seconds for a function that blocks: one on this machine loads its model at the first call.
BLOCKING: Final = 60.0

_ASYNC_ONLY: Final = (
    "rerank: this one is for asynchronous code only; give it to an AsyncBrain, or give a plain function"
)
_log = logging.getLogger("onebrain")


@runtime_checkable
class Reranker(Protocol):
    """A model that says how well each of some texts answers a query; for async code it may have ``arerank`` as well.

    Example:
        >>> class Shortest:
        ...     def rerank(self, query: str, texts: list[str]) -> list[float]:
        ...         return [-len(text) for text in texts]
        >>> isinstance(Shortest(), Reranker)
        True
    """

    def rerank(self, query: str, texts: list[str], /) -> Any:
        """Return one number for each text, in their order; the highest is the best."""
        ...


RerankerLike: TypeAlias = "str | Reranker | Callable[[str, list[str]], Any]"


@dataclass(frozen=True, slots=True)
class Asked:
    """A reranker as plans ask it.

    Attributes:
        function: Ranks in sync code; None if the reranker is for async code only.
        coroutine: Ranks in async code; None if a thread calls `function` there.
    """

    function: Callable[..., Any] | None
    coroutine: Callable[..., Awaitable[Any]] | None

    def order(self, query: str, hits: Sequence[Hit]) -> Steps[tuple[Sequence[Hit], bool]]:
        """Return hits in the order of the reranker, and whether it answered; if not, they are as they were.

        The first 50 are ranked, with at most 2,000 characters of each. A score is what the reranker said, if all that it said is
        from 0 to 1, and its sigmoid otherwise. Hits behind the first 50 stay behind them.

        Raises:
            ConfigurationError: The reranker cannot be used at all, as a library or a model is missing, or it is for async code
                only and this is not.
        """
        first, rest = hits[:CANDIDATES], hits[CANDIDATES:]
        texts = [text_of(hit.memory)[:LONGEST] for hit in first]
        try:
            told = yield Call(self.function or _never, (query, texts), coroutine=self.coroutine)
            if inspect.isawaitable(told):
                # A plain function that returns a coroutine cannot be told before it is called.
                told = yield Call(_refuse, (told,), coroutine=in_time(_awaited, TIMEOUT))
            values = _numbers(told, len(texts))
        except ConfigurationError:
            raise
        except Exception as error:
            # The error of a reranker may quote the texts, so that its kind alone is told.
            _log.warning("the reranker failed with %s, so the hits keep their order", type(error).__name__)
            return hits, False
        scores = _scores(values)
        order = sorted(range(len(first)), key=lambda at: -values[at])
        ranked = [first[at].model_copy(update={"score": scores[at]}) for at in order]
        least = ranked[-1].score
        return [
            *ranked,
            *(hit.model_copy(update={"score": min(hit.score, least)}) for hit in rest),
        ], True


def reranker_of(given: RerankerLike, *, asynchronous: bool) -> Asked:
    """Return a reranker of any shape as plans ask it.

    Args:
        given: A name, an object with a method ``rerank``, or a function of the same shape, which may be async.
        asynchronous: Whether an event loop asks it.

    Raises:
        ConfigurationError: It has none of the shapes, or it is for async code only and this is not.
    """
    reranker: Any = from_name(given) if isinstance(given, str) else given
    if isinstance(reranker, type):
        raise ConfigurationError(
            f"rerank: is a class; give an object of it, such as {cast('type[object]', reranker).__name__}(...)"
        )
    method = getattr(reranker, "rerank", None)
    function: Any = method if callable(method) else reranker if callable(reranker) else None
    if function is None:
        raise ConfigurationError(
            "rerank: must be a name such as 'fastembed:Xenova/ms-marco-MiniLM-L-6-v2', an object with a method rerank, or a "
            f"function of a query and texts; not {type(reranker).__name__}"
        )
    if not waits(function):
        other: Any = getattr(reranker, "arerank", None)
        return Asked(_within(function), in_time(other, TIMEOUT) if waits(other) else None)
    if not asynchronous:
        raise ConfigurationError(_ASYNC_ONLY)
    return Asked(None, in_time(function, TIMEOUT))


def _within(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that gives up after a time; the thread that still asks is left behind, and ends no program."""

    def answer(*args: Any) -> Any:
        told: list[Any] = []
        failed: list[BaseException] = []

        def work() -> None:
            try:
                told.append(ask(*args))
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(
            target=copy_context().run, args=(work,), name="onebrain-reranker", daemon=True
        )
        thread.start()
        thread.join(BLOCKING)
        if failed:
            raise failed[0]
        if not told:
            raise TimeoutError
        return told[0]

    return answer


async def _awaited(told: Awaitable[Any]) -> Any:
    return await told


def _refuse(told: Any) -> Any:
    close = getattr(told, "close", None)
    if callable(close):
        # Otherwise Python warns that the coroutine was never awaited.
        close()
    raise ConfigurationError(_ASYNC_ONLY)


def _never(*_: Any) -> Any:
    raise AssertionError("a reranker for async code was asked in sync code")


def _numbers(told: Any, count: int) -> list[float]:
    if isinstance(told, Mapping | Set | str | bytes):
        raise TypeError("a reranker returns a sequence of numbers")
    values = [float(value) for value in told]
    if len(values) != count or not all(map(math.isfinite, values)):
        raise ValueError("a reranker returns one finite number for each text")
    return values


def _scores(values: Sequence[float]) -> list[float]:
    if all(0 <= value <= 1 for value in values):
        return list(values)
    return [0.5 + 0.5 * math.tanh(value / 2) for value in values]

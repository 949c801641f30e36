"""The language model of the caller: one method, whatever object it is behind. No framework is imported.

A model is taken by its shape, in this order: the address of an OpenAI-compatible API, an object with ``invoke`` (LangChain), an
object with ``complete`` (LlamaIndex, and `Model` itself), a function.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeAlias, cast, runtime_checkable

from onebrain._core.awaitables import in_time, waits
from onebrain._core.codec import as_object, is_object, is_sequence
from onebrain._core.steps import Call, Steps
from onebrain.errors import ConfigurationError, ModelError, OneBrainError, redact
from onebrain.memory.remembering.chat import ChatModel

TIMEOUT: Final = 60.0  # seconds
# The most characters of an answer that is read.
LONGEST_ANSWER: Final = 1_000_000
# Attributes that tell models apart, none of which is a key; and attributes that hold the model of one that is a shell.
_NAMES: Final = (
    "model_name",
    "model",
    "model_id",
    "deployment_name",
    "azure_deployment",
    "base_url",
    "api_base",
    "openai_api_base",
    "azure_endpoint",
    "endpoint_url",
)
_INNER: Final = ("__self__", "bound", "func", "__wrapped__")
_DEPTH: Final = 3


@runtime_checkable
class Model(Protocol):
    """A language model that answers a prompt; for async code it may have ``acomplete`` as well.

    Example:
        >>> class Parrot:
        ...     def complete(self, prompt: str) -> str:
        ...         return prompt
        >>> isinstance(Parrot(), Model)
        True
    """

    def complete(self, prompt: str, /) -> Any:
        """Return the answer to a prompt: text, or an object whose ``text`` it is."""
        ...


ModelLike: TypeAlias = "str | Model | Callable[[str], Any] | Any"


@dataclass(frozen=True, slots=True)
class Asked:
    """A model as plans ask it.

    Attributes:
        name: Its name, which is kept with the facts that it found; it holds no key.
        function: Answers a prompt in sync code; None if the model is for async code only.
        coroutine: Answers a prompt in async code; None if a thread calls `function` there.
        read: Returns the text of an answer.
        identity: Distinguishes it from other models, also from those of the same name; it holds no key.
        unlimited: Answers like `coroutine`, but without the limit of time that was put on that; None if there is no such limit.
    """

    name: str
    function: Callable[..., Any] | None
    coroutine: Callable[..., Awaitable[Any]] | None
    read: Callable[[Any], Any]
    identity: str = ""
    unlimited: Callable[..., Awaitable[Any]] | None = None

    def guarded(self) -> Asked:
        """Return the same model for work in the background, where its ``SystemExit`` ends no program, but is a failure."""
        function, coroutine = self.function, self.coroutine
        if self.unlimited is not None:
            # Within the limit, which is a task of its own, where the exception would end the event loop.
            coroutine = in_time(_guarded_coroutine(self.unlimited), TIMEOUT)
        elif coroutine is not None:
            coroutine = _guarded_coroutine(coroutine)
        return replace(self, function=None if function is None else _guarded(function), coroutine=coroutine)

    def answer(self, prompt: str) -> Steps[str]:
        """Return the plan that asks the model once.

        Raises:
            ModelError: It failed, took too long, or did not answer with text. The message quotes neither prompt nor answer.
        """
        name = f"the model {self.name!r:.80}"
        try:
            told = yield Call(self.function or _never, (prompt,), coroutine=self.coroutine)
            text = self.read(told)
        except OneBrainError as error:
            # A model of the caller may use a brain itself, and fail for any reason.
            problem = error if isinstance(error, ModelError) else _failed(name, error)
        except TimeoutError:
            problem = ModelError(
                f"{name} gave no answer within {TIMEOUT:g} s; the messages are kept, try again"
            )
        except Exception as error:
            problem = _failed(name, error)
        else:
            if not isinstance(text, str) or not text.strip():
                problem = ModelError(
                    f"{name} answered with {_kind(text)}, not with text; the messages are kept"
                )
            elif len(text) > LONGEST_ANSWER:
                problem = ModelError(f"{name} answered with {len(text)} characters; the messages are kept")
            else:
                return text
        # The error of the model may quote the prompt.
        raise problem from None


def asked(model: ModelLike, *, asynchronous: bool) -> Asked:
    """Return a model of any shape as plans ask it.

    Args:
        model: The model.
        asynchronous: Whether an event loop asks it.

    Raises:
        ConfigurationError: It has none of the shapes, or it is for async code only and this is not.
    """
    found = _by_shape(model)
    if found.function is None and not asynchronous:
        raise ConfigurationError(
            "model: this one is for asynchronous code only; give it to an AsyncBrain, or give a plain function"
        )
    return found


def _by_shape(model: Any) -> Asked:
    if isinstance(model, str):
        model = ChatModel.from_name(model)
    if isinstance(model, ChatModel):
        return Asked(model.model, model.complete, model.acomplete, _text, identity_of(model))
    if isinstance(model, type):
        raise ConfigurationError(f"model: is a class; give an object of it, such as {model.__name__}(...)")
    sync, other = _method(model, "invoke"), _method(model, "ainvoke")
    if sync or other:
        return _of(model, _with_messages(sync), _with_messages(other), _content)
    sync, other = _method(model, "complete"), _method(model, "acomplete")
    if sync or other:
        return _of(model, sync, other, _text)
    if callable(model):
        function: Callable[..., Any] = model
        return _of(model, function, None, _text)
    raise ConfigurationError(
        "model: must be a name such as 'openai+http://localhost:11434/v1#llama3.2', a ChatModel, an object with a method "
        f"complete or invoke, or a function; not {type(model).__name__}"
    )


def _of(
    model: Any,
    sync: Callable[..., Any] | None,
    other: Callable[..., Awaitable[Any]] | None,
    read: Callable[[Any], Any],
) -> Asked:
    # A method that returns an awaitable is for async code, whatever its name.
    if sync is not None and waits(sync):
        sync, other = None, other or sync
    timed = None if other is None else in_time(other, TIMEOUT)
    return Asked(name_of(model), sync, timed, read, identity_of(model), unlimited=other)


def _with_messages(ask: Callable[..., Any] | None) -> Callable[..., Any] | None:
    if ask is None:
        return None

    def told(prompt: str) -> Any:
        return ask([{"role": "user", "content": prompt}])

    async def awaited(prompt: str) -> Any:
        return await ask([{"role": "user", "content": prompt}])

    return awaited if waits(ask) else told


def _method(model: Any, name: str) -> Callable[..., Any] | None:
    found = getattr(model, name, None)
    return found if callable(found) else None


def name_of(model: Any) -> str:
    """Return the name under which a model is known: that of its weights, else that of its class or function."""
    metadata = _attribute(model, "metadata")
    for owner, attribute in (
        (model, "model_name"),
        (model, "model"),
        (metadata, "model_name"),
        (model, "model_id"),
    ):
        value = _attribute(owner, attribute)
        if isinstance(value, str) and value.strip():
            return value.strip()[:200]
    name = getattr(model, "__qualname__", None)
    return name if isinstance(name, str) else type(model).__name__


def identity_of(model: Any) -> str:
    """Return what distinguishes a model from others: its class or function, its name and its address, without any key."""
    return "\n".join(_identity(model, 0))


def _identity(model: Any, depth: int) -> list[str]:
    kind: Any = model if hasattr(model, "__qualname__") else cast("type[object]", type(model))
    lines = [f"{kind.__module__}.{kind.__qualname__}"]
    metadata = _attribute(model, "metadata")
    # The arguments that a partial function, or a binding of LangChain, adds to each call.
    added = [as_object(_attribute(model, name)) for name in ("keywords", "kwargs")]
    for name in _NAMES:
        values = [_attribute(model, name), _attribute(metadata, name), *(some.get(name) for some in added)]
        lines += [f"{name}={text}" for text in map(_public, values) if text is not None]
    if depth < _DEPTH:
        steps = _attribute(model, "steps")
        parts = [*(_attribute(model, name) for name in _INNER), *(steps[:10] if is_sequence(steps) else ())]
        for part in parts:
            if part is not None and not inspect.ismodule(part):
                lines += [f" {line}" for line in _identity(part, depth + 1)]
    return lines


def _attribute(model: Any, name: str) -> Any:
    try:
        return getattr(model, name, None)
    except Exception:
        # A property of somebody else's object may fail in any way.
        return None


def _public(value: Any) -> str | None:
    """Return a name or an address as text; None for anything else. Of an address, no password and no query is left."""
    if isinstance(value, str):
        text = value.strip()
    elif type(value).__name__ in ("URL", "AnyUrl", "HttpUrl", "Url"):
        text = str(value)
    else:
        return None
    return redact(text.partition("?")[0])[:500] or None


def _guarded(ask: Callable[..., Any]) -> Callable[..., Any]:
    def answer(*args: Any) -> Any:
        try:
            return ask(*args)
        except Exception:
            raise
        except BaseException as error:
            raise _failed("the model", error) from None

    return answer


def _guarded_coroutine(ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def answer(*args: Any) -> Any:
        # Imported here, because programs without an event loop need not load it.
        import asyncio

        try:
            return await ask(*args)
        except (Exception, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            raise _failed("the model", error) from None

    return answer


def _text(answer: Any) -> Any:
    return answer if isinstance(answer, str) else getattr(answer, "text", answer)


def _content(message: Any) -> Any:
    """Return the text of a message of LangChain, or of a string that a pipeline made of it."""
    content: Any = message if isinstance(message, str) else getattr(message, "content", message)
    if is_object(message):
        content = message.get("content")
    return joined(content)


def joined(content: Any) -> Any:
    """Return content of a message as text: a list of blocks becomes the text of those that have any.

    Example:
        >>> joined([{"type": "reasoning"}, {"type": "text", "text": "Hello"}, " there"])
        'Hello there'
    """
    if not is_sequence(content):
        return content
    parts = [block if isinstance(block, str) else _text_of(block) for block in content]
    return "".join(part for part in parts if isinstance(part, str))


def _text_of(block: Any) -> Any:
    """Return the text of a block, which is a dict in chat APIs and an object in frameworks."""
    return block.get("text") if is_object(block) else getattr(block, "text", None)


def _failed(name: str, error: BaseException) -> ModelError:
    return ModelError(
        f"{name} failed ({type(error).__name__}); the messages are kept. Call remember again to look for facts in them"
    )


def _kind(value: Any) -> str:
    return (
        "nothing" if value is None or isinstance(value, str) else f"an object of type {type(value).__name__}"
    )


def _never(prompt: str) -> Any:
    raise ConfigurationError("model: this one is for asynchronous code only")


__all__ = ["LONGEST_ANSWER", "TIMEOUT", "Asked", "Model", "ModelLike", "asked", "joined", "name_of"]

"""A chat model behind any OpenAI-compatible API: Ollama, LM Studio, vLLM, llama.cpp, OpenAI itself and others."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self
from urllib.parse import SplitResult, urlsplit

from onebrain._core.client import ClientOptions
from onebrain._core.codec import as_array, as_object, from_json, is_object, to_json
from onebrain._core.model_apis import is_loopback, remedy
from onebrain._core.steps import Async, Send, Steps, Sync
from onebrain._core.transport import (
    AsyncTransport,
    HttpOptions,
    Request,
    Response,
    SyncTransport,
    async_transport,
    sync_transport,
)
from onebrain.errors import (
    ConfigurationError,
    ModelError,
    OneBrainTimeoutError,
    OneBrainTransportError,
    redact,
)

OPENAI: Final = "https://api.openai.com/v1"
KEY: Final = "ONEBRAIN_MODEL_API_KEY"
PREFIX: Final = "openai+"
_EXAMPLE: Final = "openai+http://localhost:11434/v1#llama3.2"
# The names under which APIs count the tokens of an answer, whole or in parts.
_COUNTS: Final = (
    ("total_tokens",),
    ("prompt_tokens", "completion_tokens"),
    ("input_tokens", "output_tokens"),
)
# Of one answer; a higher count is wrong.
_MOST_TOKENS: Final = 10_000_000


class _Connections:
    """The connections of a model, opened at the first request of each colour and shared by its copies."""

    def __init__(
        self, http: HttpOptions, sync: SyncTransport | None, asynchronous: AsyncTransport | None
    ) -> None:
        self._http = http
        self._given = sync, asynchronous
        # At most one of each. A transport opens nothing before its first request, so a second thread's may be dropped.
        self._sync: dict[None, Sync] = {}
        self._async: dict[None, Async] = {}

    def sync(self) -> Sync:
        return self._sync.get(None) or self._sync.setdefault(
            None, Sync(self._given[0] or sync_transport(self._http))
        )

    def asynchronous(self) -> Async:
        return self._async.get(None) or self._async.setdefault(
            None, Async(self._given[1] or async_transport(self._http))
        )

    def close(self) -> None:
        mode = self._sync.pop(None, None)
        if mode is not None:
            mode.close()

    async def aclose(self) -> None:
        mode = self._async.pop(None, None)
        if mode is not None:
            await mode.close()


class ChatModel:
    """A model behind ``POST {base_url}/chat/completions``, for sync and async code.

    An answer is asked for once. It is asked for as JSON, and as plain text where the server refuses that (400). Connections
    are kept until `close` or `aclose`.

    Args:
        base_url: The API up to ``/chat/completions``, such as ``http://localhost:11434/v1`` of Ollama.
        model: The model's name.
        api_key: Sent as a bearer token. The default is ``$ONEBRAIN_MODEL_API_KEY``, and ``$OPENAI_API_KEY`` for OpenAI's own
            API. Servers on the same machine mostly need none.
        timeout: Seconds for connecting, and again for each read, above 0; None for no limit.
        headers: Further headers of each request; ``authorization`` among them is sent instead of the key.
        http: How connections are made.
        transport: Sends the requests of sync code instead of httpx's own.
        async_transport: Sends those of async code.

    Example:
        >>> ChatModel("http://localhost:11434/v1", "llama3.2")
        ChatModel('http://localhost:11434/v1', 'llama3.2')
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        *,
        timeout: float | None = 60.0,
        headers: Mapping[str, str] | None = None,
        http: HttpOptions | None = None,
        transport: SyncTransport | None = None,
        async_transport: AsyncTransport | None = None,
    ) -> None:
        url = _address(base_url)
        if url is None:
            raise ConfigurationError(
                "model: the address of an OpenAI-compatible API is http:// or https:// with a host, without a user, a query "
                f"or a fragment, such as http://localhost:11434/v1; not {redact(str(base_url))!r:.80}"
            )
        if not isinstance(model, str) or not model.strip():
            raise ConfigurationError(f"model: name the model behind the address, as in {_EXAMPLE}")
        if api_key is not None:
            _check_key("api_key", api_key)
        if timeout is not None:
            # As the options of a client are checked.
            ClientOptions(timeout=timeout)
        self.base_url = base_url.rstrip("/")
        self.model = model
        self._own = url.hostname == "api.openai.com"
        self._key = api_key
        self._timeout = timeout
        self._headers = {name.lower(): value for name, value in (headers or {}).items()}
        self._used: Callable[[int], object] | None = None
        # A proxy of the environment cannot reach this machine's own servers.
        http = http or HttpOptions(trust_env=not is_loopback(url.hostname or ""))
        self._connections = _Connections(http, transport, async_transport)

    @classmethod
    def from_name(cls, name: str) -> Self:
        """Return the model that a name such as ``openai+http://localhost:11434/v1#llama3.2`` means.

        ``openai:gpt-4o-mini`` is a model of OpenAI itself.

        Raises:
            ConfigurationError: It is no such name.
        """
        kind, colon, own = name.partition(":")
        if kind == "openai" and colon:
            return cls(os.environ.get("OPENAI_BASE_URL") or OPENAI, own)
        if not name.startswith((f"{PREFIX}http://", f"{PREFIX}https://")):
            raise ConfigurationError(f"model: {redact(name)!r:.80} is no name of a model; one is {_EXAMPLE}")
        address, _, model = name.removeprefix(PREFIX).partition("#")
        return cls(address, model)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} cannot be pickled: it may hold a key; make it anew where it is needed")

    def __repr__(self) -> str:
        return f"ChatModel({self.base_url!r}, {self.model!r})"

    def metered(self, used: Callable[[int], object]) -> Self:
        """Return the same model with the same connections, which reports the tokens of each answer as its API counts them.

        Args:
            used: Called once for each answer, with 0 for one that does not say; it may be called from any thread.
        """
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made._used = used
        return made

    def complete(self, prompt: str, *, system: str | None = None, json: bool = True) -> str:
        """Return the model's answer to a prompt.

        Args:
            prompt: The prompt.
            system: An instruction, sent as a system message before it.
            json: Whether to ask for JSON.

        Raises:
            ModelError: There is none; the message quotes nothing of the prompt.
        """
        return self._connections.sync().drive(self._answer(prompt, system, json))

    async def acomplete(self, prompt: str, *, system: str | None = None, json: bool = True) -> str:
        """Return the model's answer to a prompt, as `complete` does."""
        return await self._connections.asynchronous().drive(self._answer(prompt, system, json))

    def completion(
        self, messages: Sequence[Mapping[str, Any]], *, model: str | None = None, **options: Any
    ) -> dict[str, Any]:
        """Return a chat completion as the API gives it, asked for exactly once.

        Args:
            messages: The chat, as the API takes it.
            model: Another model of the same API.
            options: Further fields of the request, such as ``temperature``.

        Raises:
            ModelError: There is none; the message quotes nothing of the chat.
        """
        return self._connections.sync().drive(self._completion(messages, model, options))

    async def acompletion(
        self, messages: Sequence[Mapping[str, Any]], *, model: str | None = None, **options: Any
    ) -> dict[str, Any]:
        """Return a chat completion as the API gives it, as `completion` does."""
        return await self._connections.asynchronous().drive(self._completion(messages, model, options))

    def close(self) -> None:
        """Close the connections of sync code; a further call opens new ones."""
        self._connections.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._connections.aclose()

    def _answer(self, prompt: str, system: str | None, json: bool) -> Steps[str]:
        told = [] if system is None else [{"role": "system", "content": system}]
        messages = [*told, {"role": "user", "content": prompt}]
        body: dict[str, Any] = {"model": self.model, "messages": messages}
        asked = {"response_format": {"type": "json_object"}} if json else {}
        response = yield from self._send({**body, "temperature": 0, **asked})
        if response.status == 400:
            # Servers that do not know the format refuse it, and some models any temperature but their own.
            response = yield from self._send(body)
        text = text_of(self._read(response))
        if text is None:
            raise self._unreadable("it has no text")
        return text

    def _completion(
        self, messages: Sequence[Mapping[str, Any]], model: str | None, options: Mapping[str, Any]
    ) -> Steps[dict[str, Any]]:
        rows = [dict(message) for message in messages]
        response = yield from self._send({**options, "model": model or self.model, "messages": rows})
        return self._read(response)

    def _read(self, response: Response) -> dict[str, Any]:
        """Return the completion that a response holds, and report its tokens."""
        if response.status != 200:
            raise self._refused(response.status)
        try:
            answer: Any = from_json(response.content)
        except ValueError:
            raise self._unreadable("it is no JSON") from None
        if not is_object(answer):
            raise self._unreadable("it is no JSON object")
        if self._used is not None:
            self._used(tokens_of(answer))
        return dict(answer)

    def _send(self, body: dict[str, Any]) -> Steps[Response]:
        headers = {"content-type": "application/json", "accept": "application/json"}
        key = self._api_key()
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        request = Request(
            "POST",
            f"{self.base_url}/chat/completions",
            headers | self._headers,
            to_json(body, what="the prompt").encode(),
            self._timeout,
        )
        try:
            response: Response = yield Send(request)
        except OneBrainTimeoutError:
            problem = ModelError(f"{self._name} gave no answer within {self._timeout} s; try again later")
        except OneBrainTransportError as error:
            problem = ModelError(
                f"{self._name} cannot be reached ({type(error).__name__}); check that its server runs"
            )
        else:
            return response
        raise problem from None

    @property
    def _name(self) -> str:
        return f"the model {self.model!r:.80} at {redact(self.base_url)}"

    def _refused(self, status: int) -> ModelError:
        # Its body may quote the prompt.
        advice = remedy(status, key=KEY, sent="the messages are")
        return ModelError(f"{self._name} answered {status}. Remedy: {advice}", status_code=status)

    def _unreadable(self, reason: str) -> ModelError:
        return ModelError(
            f"the answer of {self._name} cannot be used: {reason}. Check that the address is that of an OpenAI-compatible API"
        )

    def _api_key(self) -> str | None:
        if self._key is not None:
            return self._key
        # OpenAI's key is for OpenAI alone.
        return os.environ.get(KEY) or (os.environ.get("OPENAI_API_KEY") if self._own else None) or None


def text_of(completion: object) -> str | None:
    """Return the text of a chat completion, or None if it has none.

    Example:
        >>> text_of({"choices": [{"message": {"role": "assistant", "content": "Hello"}}]})
        'Hello'
    """
    choices = as_array(as_object(completion).get("choices"))
    message = as_object(as_object(choices[0] if choices else None).get("message"))
    text = message.get("content")
    return text if isinstance(text, str) else None


def tokens_of(completion: Mapping[str, Any]) -> int:
    """Return the tokens that a chat completion reports, or 0 if it reports none.

    Example:
        >>> tokens_of({"usage": {"prompt_tokens": 7, "completion_tokens": 2}})
        9
    """
    told = as_object(completion.get("usage"))
    for names in _COUNTS:
        counts = [count for name in names if (count := _count(told.get(name))) is not None]
        if counts:
            return min(_MOST_TOKENS, sum(counts))
    return 0


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _address(base_url: object) -> SplitResult | None:
    """Return the parts of an API's address; None if it cannot be one."""
    if not isinstance(base_url, str):
        return None
    try:
        url = urlsplit(base_url)
        named = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return None
    return url if named and not (url.username or url.password or url.query or url.fragment) else None


def _check_key(name: str, key: object) -> None:
    """Raise `ConfigurationError` where a key cannot be sent in a header; the message does not quote it."""
    if not isinstance(key, str) or not key.strip() or not key.isascii() or not key.isprintable():
        raise ConfigurationError(f"{name}: must be text of printable ASCII characters that is not blank")


__all__ = ["KEY", "ChatModel", "text_of", "tokens_of"]

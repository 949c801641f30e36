"""A chat model behind any OpenAI-compatible API: Ollama, LM Studio, vLLM, llama.cpp, OpenAI itself and others."""

from __future__ import annotations

import os
from typing import Any, Final, Self
from urllib.parse import SplitResult, urlsplit

from onebrain._core.client import ClientOptions
from onebrain._core.codec import as_array, as_object, from_json, to_json
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


class ChatModel:
    """A model behind ``POST {base_url}/chat/completions``, for sync and async code.

    An answer is asked for once. It is asked for as JSON, and as plain text where the server refuses that (400).

    Args:
        base_url: The API up to ``/chat/completions``, such as ``http://localhost:11434/v1`` of Ollama.
        model: The model's name.
        api_key: Sent as a bearer token. The default is ``$ONEBRAIN_MODEL_API_KEY``, and ``$OPENAI_API_KEY`` for OpenAI's own
            API. Servers on the same machine mostly need none.
        timeout: Seconds for connecting, and again for each read, above 0; None for no limit.
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
        # A proxy of the environment cannot reach this machine's own servers.
        self._http = http or HttpOptions(trust_env=not is_loopback(url.hostname or ""))
        self._given = transport, async_transport
        self._sync: Sync | None = None
        self._async: Async | None = None

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

    def complete(self, prompt: str) -> str:
        """Return the model's answer to a prompt.

        Raises:
            ModelError: There is none; the message quotes nothing of the prompt.
        """
        if self._sync is None:
            self._sync = Sync(self._given[0] or sync_transport(self._http))
        return self._sync.drive(self._answer(prompt))

    async def acomplete(self, prompt: str) -> str:
        """Return the model's answer to a prompt, as `complete` does."""
        if self._async is None:
            self._async = Async(self._given[1] or async_transport(self._http))
        return await self._async.drive(self._answer(prompt))

    def close(self) -> None:
        """Close the connections of sync code; a further call opens new ones."""
        mode, self._sync = self._sync, None
        if mode is not None:
            mode.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        mode, self._async = self._async, None
        if mode is not None:
            await mode.close()

    def _answer(self, prompt: str) -> Steps[str]:
        body = {"model": self.model, "messages": [{"role": "user", "content": prompt}], "temperature": 0}
        response = yield from self._send({**body, "response_format": {"type": "json_object"}})
        if response.status == 400:
            # Servers that do not know the format refuse it, and some models any temperature but their own.
            del body["temperature"]
            response = yield from self._send(body)
        if response.status != 200:
            raise self._refused(response.status)
        try:
            answer: Any = from_json(response.content)
        except ValueError:
            raise self._unreadable("it is no JSON") from None
        choices = as_array(as_object(answer).get("choices"))
        message = as_object(as_object(choices[0] if choices else None).get("message"))
        text = message.get("content")
        if not isinstance(text, str):
            raise self._unreadable("it has no text")
        return text

    def _send(self, body: dict[str, Any]) -> Steps[Response]:
        headers = {"content-type": "application/json", "accept": "application/json"}
        key = self._api_key()
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        request = Request(
            "POST",
            f"{self.base_url}/chat/completions",
            headers,
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


__all__ = ["KEY", "ChatModel"]

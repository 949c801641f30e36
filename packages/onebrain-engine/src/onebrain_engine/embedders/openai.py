"""Embedders behind an OpenAI-compatible API: OpenAI itself, Ollama, LM Studio, vLLM, TEI, llama.cpp and others."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Final, cast

import httpx
import numpy as np

from onebrain._core.model_apis import OFFLINE, is_loopback, offline, remedy
from onebrain.errors import ConfigurationError, EmbedderError, redact
from onebrain_engine.embedders.loading import Loaded, NamedEmbedder
from onebrain_engine.embedding import Floats

OPENAI: Final = "https://api.openai.com/v1"
KEY: Final = "ONEBRAIN_EMBEDDER_API_KEY"

_BATCH: Final = 64  # texts of one request
_TRIES: Final = 3
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_PAUSE: Final = 20.0


class OpenAICompatible(NamedEmbedder):
    """A model behind ``POST {base_url}/embeddings``.

    Texts are sent 64 at a time. A request is repeated twice if the server is overloaded or cannot be reached.

    Args:
        model: The model's name.
        base_url: The API up to ``/embeddings``, such as ``http://localhost:11434/v1`` of Ollama. The default is
            ``$OPENAI_BASE_URL``, else OpenAI's own.
        api_key: Sent as a bearer token. The default is ``$ONEBRAIN_EMBEDDER_API_KEY``, and ``$OPENAI_API_KEY`` for OpenAI's own
            API. Servers on the same machine mostly need none.
        dimensions: The length of vectors to ask for, if the model has a choice.
        timeout: Seconds for one request.
        query_prefix: See `NamedEmbedder`.
        document_prefix: See `NamedEmbedder`.
        transport: Sends the requests instead of httpx's own.

    Example:
        >>> OpenAICompatible("nomic-embed-text", base_url="http://localhost:11434/v1").name
        'openai:nomic-embed-text'
    """

    kind = "openai"

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        dimensions: int | None = None,
        timeout: float = 60.0,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(model, query_prefix=query_prefix, document_prefix=document_prefix)
        if base_url is None:
            base_url = os.environ.get("OPENAI_BASE_URL") or OPENAI
        try:
            url = httpx.URL(base_url)
        except (httpx.InvalidURL, TypeError):
            url = httpx.URL("")
        if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
            raise ConfigurationError(
                f"embedder: the address of an OpenAI-compatible API is http:// or https:// with a host, without a user, a "
                f"query or a fragment, such as http://localhost:11434/v1; not {redact(str(base_url))!r:.80}"
            )
        if not model:
            raise ConfigurationError(
                "embedder: name the model behind the address, as in openai+http://localhost:11434/v1#nomic-embed-text"
            )
        self._url = str(url).rstrip("/")
        self._own = url.host == "api.openai.com"
        self._loopback = is_loopback(url.host)
        self._key = api_key
        self._dimensions = dimensions
        self._timeout = timeout
        self._transport = transport
        self._clients: dict[int, httpx.Client] = {}
        self._clients_lock = threading.Lock()

    def _load(self) -> Loaded:
        # The server is asked for the length of its vectors once.
        dimension = self._vectors(["dimension"]).shape[1]
        return Loaded(
            self.model,
            dimension,
            self._prefixes(self.model),
            self._vectors,
            lambda text: self._vectors([text])[0],
        )

    def _vectors(self, texts: list[str]) -> Floats:
        rows: list[list[float]] = []
        for start in range(0, len(texts), _BATCH):
            rows.extend(self._batch(texts[start : start + _BATCH]))
        try:
            vectors = np.array(rows, np.float32)
        except (ValueError, TypeError, OverflowError):
            vectors = np.zeros((0, 0), np.float32)
        if vectors.ndim != 2 or not vectors.size:
            raise self._unreadable("its vectors are no lists of numbers of one length")
        return vectors

    def _batch(self, texts: list[str]) -> list[list[float]]:
        body: dict[str, Any] = {"model": self.model, "input": texts, "encoding_format": "float"}
        if self._dimensions is not None:
            body["dimensions"] = self._dimensions
        response = self._post(body)
        try:
            answer: Any = response.json()
        except ValueError as error:
            raise self._unreadable("it is no JSON") from error
        return self._rows(answer, len(texts))

    def _post(self, body: dict[str, Any]) -> httpx.Response:
        if offline() and not self._loopback:
            raise ConfigurationError(
                f"the embedder {self.name!r} is on another machine, {self._url}, and ${OFFLINE} forbids to call it"
            )
        key = self._api_key()
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        client = self._client()
        attempt = 0
        while True:
            attempt += 1
            last = attempt == _TRIES
            try:
                response = client.post(f"{self._url}/embeddings", json=body, headers=headers)
            except httpx.HTTPError as error:
                if last or isinstance(error, httpx.TimeoutException):
                    # The error itself names no text; its request does, so it is not the cause of ours.
                    raise EmbedderError(
                        f"the embedder {self.name!r} at {self._url} cannot be reached ({type(error).__name__}); nothing was "
                        "stored. Start its server, or try again"
                    ) from None
                time.sleep(0.25 * 2**attempt)
                continue
            if response.status_code not in _AGAIN or last:
                break
            time.sleep(_pause(response, 0.25 * 2**attempt))
        if response.status_code != 200:
            raise self._refused(response.status_code)
        return response

    def _refused(self, status: int) -> EmbedderError:
        # Its body may quote the texts that were sent.
        return EmbedderError(
            f"the embedder {self.name!r} at {self._url} answered {status}; nothing was stored. "
            f"Remedy: {remedy(status, key=KEY, sent='a text is')}"
        )

    def _rows(self, answer: Any, count: int) -> list[list[float]]:
        data: Any = cast("dict[str, Any]", answer).get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list) or len(cast("list[Any]", data)) != count:
            raise self._unreadable(f"it has no list of {count} vectors")
        rows: dict[int, list[float]] = {}
        for position, entry in enumerate(cast("list[Any]", data)):
            row = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
            index, vector = row.get("index", position), row.get("embedding")
            if not isinstance(index, int) or not isinstance(vector, list):
                raise self._unreadable("a vector is missing")
            rows[index] = cast("list[float]", vector)
        if sorted(rows) != list(range(count)):
            raise self._unreadable("its vectors are numbered wrongly")
        return [rows[index] for index in range(count)]

    def _unreadable(self, reason: str) -> EmbedderError:
        return EmbedderError(
            f"the answer of the embedder {self.name!r} at {self._url} cannot be used: {reason}; nothing was stored. Check "
            "that the address is that of an OpenAI-compatible API"
        )

    def _api_key(self) -> str | None:
        if self._key is not None:
            return self._key
        # OpenAI's key is for OpenAI alone.
        return os.environ.get(KEY) or (os.environ.get("OPENAI_API_KEY") if self._own else None) or None

    def _client(self) -> httpx.Client:
        # A forked process needs connections of its own.
        process = os.getpid()
        with self._clients_lock:
            if process not in self._clients:
                self._clients[process] = httpx.Client(
                    timeout=self._timeout,
                    transport=self._transport,
                    # A proxy of the environment cannot reach this machine's own servers.
                    trust_env=self._transport is None and not self._loopback,
                )
            return self._clients[process]


def _pause(response: httpx.Response, default: float) -> float:
    given = response.headers.get("retry-after", "")
    return min(float(given), _LONGEST_PAUSE) if given.isascii() and given.isdecimal() else default

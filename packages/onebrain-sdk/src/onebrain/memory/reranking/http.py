"""Rerankers behind an HTTP API: Cohere, Jina, Voyage, vLLM, LiteLLM and TEI."""

from __future__ import annotations

import math
import os
import threading
from typing import Any, Final

import httpx

from onebrain._core.codec import as_array, as_object
from onebrain._core.model_apis import OFFLINE, is_loopback, offline
from onebrain.errors import ConfigurationError, redact

KEY: Final = "ONEBRAIN_RERANKER_API_KEY"
_HOSTED: Final = {
    "cohere": ("https://api.cohere.com/v2/rerank", "COHERE_API_KEY"),
    "jina": ("https://api.jina.ai/v1/rerank", "JINA_API_KEY"),
    "voyage": ("https://api.voyageai.com/v1/rerank", "VOYAGE_API_KEY"),
}


class RerankError(RuntimeError):
    """An answer that is no ranking; the message quotes neither query nor texts."""


class RerankAPI:
    """A model behind a rerank API. It is asked once for all texts; a failure is not tried again.

    Args:
        kind: The API's form: ``cohere``, ``jina``, ``vllm``, ``litellm``, ``voyage`` or ``tei``.
        url: The whole address, such as ``http://localhost:8000/v2/rerank``.
        model: The model's name; a TEI server has only one, and takes none.
        api_key: Sent as a bearer token. The default is ``$ONEBRAIN_RERANKER_API_KEY``, and the maker's own variable, such as
            ``$COHERE_API_KEY``, for its own address. Servers on the same machine mostly need none.
        timeout: Seconds to wait for a connection, and for each part of the answer.
        transport: Sends the requests instead of httpx's own.

    Raises:
        ConfigurationError: The address or the model cannot be one.
    """

    def __init__(
        self,
        kind: str,
        url: str,
        model: str = "",
        *,
        api_key: str | None = None,
        timeout: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, TypeError):
            parsed = httpx.URL("")
        if (
            parsed.scheme not in ("http", "https")
            or not parsed.host
            or parsed.userinfo
            or parsed.query
            or parsed.fragment
        ):
            raise ConfigurationError(
                "rerank: the address of an API is http:// or https:// with a host, without a user, a query or a fragment, "
                f"such as http://localhost:8000/v2/rerank; not {redact(str(url))!r:.80}"
            )
        if kind != "tei" and not model.strip():
            raise ConfigurationError(
                f"rerank: name the model behind the address, as in {kind}+http://localhost:8000/v2/rerank#MODEL"
            )
        self.kind, self.url, self.model = kind, url, model
        self._key = api_key
        self._timeout = timeout
        self._transport = transport
        # A proxy of the environment cannot reach this machine's own servers.
        self._local = is_loopback(parsed.host)
        self._clients: dict[int, httpx.Client] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"RerankAPI({self.kind!r}, {self.url!r}, {self.model!r})"

    def rerank(self, query: str, texts: list[str], /) -> list[float]:
        """Return the relevance of each text, in their order.

        Raises:
            RerankError: The API refused, or its answer is no ranking.
        """
        if not texts:
            return []
        response = self._post(self._body(query, texts))
        if response.status_code != 200:
            # Its body may quote the texts that were sent.
            raise RerankError(f"the reranker at {self.url} answered {response.status_code}")
        try:
            answer: Any = response.json()
        except ValueError:
            raise RerankError(f"the answer of the reranker at {self.url} is no JSON") from None
        return self._read(answer, len(texts))

    def _body(self, query: str, texts: list[str]) -> dict[str, Any]:
        if self.kind == "tei":
            return {"query": query, "texts": texts, "raw_scores": False}
        top = "top_k" if self.kind == "voyage" else "top_n"
        return {"model": self.model, "query": query, "documents": texts, top: len(texts)}

    def _read(self, answer: Any, count: int) -> list[float]:
        """Return the scores of an answer in the order of the texts."""
        if self.kind == "tei":
            rows, field = as_array(answer), "score"
        else:
            rows, field = (
                as_array(as_object(answer).get("data" if self.kind == "voyage" else "results")),
                "relevance_score",
            )
        scores: dict[int, float] = {}
        for row in map(as_object, rows):
            index, score = row.get("index"), row.get(field)
            if isinstance(index, int) and isinstance(score, int | float) and math.isfinite(score):
                scores[index] = float(score)
        if len(rows) != count or sorted(scores) != list(range(count)):
            raise RerankError(f"the answer of the reranker at {self.url} has no score for each text")
        return [scores[index] for index in range(count)]

    def _post(self, body: dict[str, Any]) -> httpx.Response:
        if offline() and not self._local:
            raise ConfigurationError(
                f"the reranker at {self.url} is on another machine, and ${OFFLINE} forbids to call it"
            )
        key = self._api_key()
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        # A forked process needs connections of its own.
        with self._lock:
            client = self._clients.get(os.getpid())
            if client is None:
                client = self._clients[os.getpid()] = httpx.Client(
                    timeout=self._timeout,
                    transport=self._transport,
                    trust_env=self._transport is None and not self._local,
                )
        return client.post(self.url, json=body, headers=headers)

    def _api_key(self) -> str | None:
        if self._key is not None:
            return self._key
        own, variable = _HOSTED.get(self.kind, ("", ""))
        # A maker's key is for its own address alone.
        return os.environ.get(KEY) or (os.environ.get(variable) if own == self.url else None) or None

    def close(self) -> None:
        """Close the connections; a further call opens new ones."""
        with self._lock:
            clients = [*self._clients.values()]
            self._clients.clear()
        for client in clients:
            client.close()


def hosted_at(kind: str) -> str:
    """Return the address of a maker's own API.

    Raises:
        ConfigurationError: There is none: the kind is run by oneself.
    """
    if kind not in _HOSTED:
        raise ConfigurationError(
            f"rerank: {kind!r} has no address of its own; name it, as in {kind}+http://localhost:8000/rerank#MODEL"
        )
    return _HOSTED[kind][0]

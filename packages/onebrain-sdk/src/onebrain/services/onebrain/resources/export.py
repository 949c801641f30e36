"""Exports of the whole brain."""

from __future__ import annotations

from typing import Any

from onebrain._core.codec import as_object
from onebrain._core.endpoint import endpoint
from onebrain._core.service import GET
from onebrain._core.steps import Mode, Steps
from onebrain.services.onebrain.resources.resource import Resource

_ANYTHING = {"accept": "*/*"}


class Export(Resource[Mode]):
    """Exports; the hosted server's leave out ids, tags, links and dates, so that they cannot be imported whole."""

    def _json(self, where: str) -> Steps[Any]:
        reply = yield from self._service.ask(GET(where))
        answer: Any = reply.data
        whole = as_object(answer)
        return whole["data"] if "data" in whole and whole.keys() <= {"data", "meta"} else answer

    @endpoint
    def json(self) -> Steps[Any]:
        """Return the active memories, and all else that the server exports, as JSON."""
        return (yield from self._json("/v1/export/json"))

    @endpoint
    def markdown(self) -> Steps[str]:
        """Return the brain as Markdown."""
        reply = yield from self._service.ask(GET("/v1/export/markdown").but(expect="text", headers=_ANYTHING))
        return str(reply.data or "")

    @endpoint
    def ai_prompt(self) -> Steps[str]:
        """Return the brain as a prompt for a language model."""
        reply = yield from self._service.ask(
            GET("/v1/export/ai-prompt").but(expect="text", headers=_ANYTHING)
        )
        return str(reply.data or "")

    @endpoint
    def pdf(self) -> Steps[bytes]:
        """Return the brain as a document to print; the hosted server's PDF is an HTML page."""
        reply = yield from self._service.ask(GET("/v1/export/pdf").but(expect="bytes", headers=_ANYTHING))
        return bytes(reply.data or b"")

    @endpoint
    def user(self) -> Steps[Any]:
        """Return everything that is stored about the account (GDPR); once an hour."""
        return (yield from self._json("/v1/user/export"))

"""A tenant's own parts: an address for mail, object storage, a database, a language model, a webhook."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

from onebrain._core.endpoint import endpoint
from onebrain._core.service import DELETE, GET, POST, PUT, Spec
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read, rows
from onebrain.services.rememberos.models import (
    DatabaseConfig,
    EmailAddress,
    ExtractionConfig,
    StorageConfig,
    WebhookConfig,
)
from onebrain.services.rememberos.service import NAME, SLOW, RememberOSService, Resource, guarded, wrong

EMAIL = "/v1/memory/email"
R = TypeVar("R", bound=BaseModel)

# A password inside a DSN of either form, which a database's own message may quote by itself.
_PASSWORD = re.compile(r"(?:(?<=password=)|(?<=://)[^:/@\s]*:)([^\s@]+)")


class Email(Resource[Mode]):
    """Memories by mail: an address, and who may write to it."""

    @endpoint
    def address(self) -> Steps[EmailAddress]:
        """Return the private address."""
        return (yield from self._service.get(EmailAddress, GET(f"{EMAIL}/address")))

    @endpoint
    def rotate_address(self) -> Steps[EmailAddress]:
        """Make a new address; the old one stops working."""
        return (yield from self._service.get(EmailAddress, POST(f"{EMAIL}/address/rotate")))

    @endpoint
    def senders(self) -> Steps[list[str]]:
        """Return the addresses that may write."""
        reply = yield from self._service.ask(GET(f"{EMAIL}/senders"))
        return [str(row) for row in rows(reply.data, "senders", "allowlist", service=NAME)]

    @endpoint
    def set_senders(self, senders: Sequence[str]) -> Steps[None]:
        """Replace the addresses that may write."""
        if isinstance(senders, str):
            raise wrong("senders: must be a list of addresses, not one string")
        yield from self._service.ask(PUT(f"{EMAIL}/senders", senders=list(senders)))


class Setting(Resource[Mode], Generic[Mode, R]):
    """One part of the configuration: its route, and the record of its answers."""

    _route: ClassVar[str]
    _record: type[R]

    @endpoint
    def get(self) -> Steps[R]:
        """Return the part in use, without secrets."""
        return (yield from self._service.get(self._record, GET(self._route)))

    @endpoint
    def delete(self) -> Steps[None]:
        """Go back to the platform's own part; for the webhook, send no more events."""
        yield from self._service.ask(DELETE(self._route))

    def _put(self, spec: Spec, *secrets: Any) -> Steps[R]:
        """Send a part, which the service tries before it saves, and keep its secrets out of errors."""
        reply = yield from guarded(self._service.ask(spec.but(timeout=SLOW)), *secrets)
        return read(self._record, reply.data or {}, service=NAME)


class Storage(Setting[Mode, StorageConfig]):
    """The tenant's own object storage."""

    _route = "/v1/memory/storage/config"
    _record = StorageConfig

    @endpoint
    def set(
        self,
        *,
        bucket: str,
        access_key: str,
        secret_key: str,
        endpoint_url: str | None = None,
        region: str | None = None,
        backend: str = "s3",
    ) -> Steps[StorageConfig]:
        """Use a bucket of your own; the service tries it before it saves."""
        fields = {
            "backend": backend,
            "endpoint_url": endpoint_url,
            "bucket": bucket,
            "region": region,
            "access_key": access_key,
            "secret_key": secret_key,
        }
        spec = PUT(self._route, **{name: value for name, value in fields.items() if value is not None})
        return (yield from self._put(spec, access_key, secret_key))


class Database(Setting[Mode, DatabaseConfig]):
    """The tenant's own PostgreSQL."""

    _route = "/v1/memory/database/config"
    _record = DatabaseConfig

    @endpoint
    def set(self, dsn: str) -> Steps[DatabaseConfig]:
        """Use a database of your own, by its DSN; the service tries it before it saves."""
        return (yield from self._put(PUT(self._route, dsn=dsn), [dsn, *_PASSWORD.findall(dsn)]))


class Extraction(Setting[Mode, ExtractionConfig]):
    """The tenant's own language model, behind any OpenAI-compatible endpoint."""

    _route = "/v1/memory/extraction/config"
    _record = ExtractionConfig

    @endpoint
    def set(
        self, *, base_url: str, model: str, api_key: str, provider: str = "custom"
    ) -> Steps[ExtractionConfig]:
        """Use a model of your own; the service tries it before it saves."""
        spec = PUT(self._route, provider=provider, base_url=base_url, model=model, api_key=api_key)
        return (yield from self._put(spec, api_key))


class Configuration(Resource[Mode]):
    """The parts that replace the platform's own: ``storage``, ``database``, ``extraction``."""

    def __init__(self, mode: Mode, service: RememberOSService) -> None:
        super().__init__(mode, service)
        self.storage: Storage[Mode] = Storage(mode, service)
        self.database: Database[Mode] = Database(mode, service)
        self.extraction: Extraction[Mode] = Extraction(mode, service)


class Webhook(Setting[Mode, WebhookConfig]):
    """Where memory.created, memory.updated and memory.deleted are sent; see `onebrain.webhooks` for checking them."""

    _route = "/v1/memory/webhook/config"
    _record = WebhookConfig

    @endpoint
    def set(self, url: str) -> Steps[WebhookConfig]:
        """Send events to `url`; the answer holds the signing secret, shown this once.

        It is sent once only, because each time makes a new secret.
        """
        return (yield from self._service.get(WebhookConfig, PUT(self._route, url=url).but(safe=False)))

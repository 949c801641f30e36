"""A tenant's own parts: an address for mail, object storage, a database, a language model, a webhook."""

from __future__ import annotations

import re
from collections.abc import Sequence

from onebrain._core.endpoint import endpoint
from onebrain._core.service import DELETE, GET, POST, PUT
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
STORAGE = "/v1/memory/storage/config"
DATABASE = "/v1/memory/database/config"
EXTRACTION = "/v1/memory/extraction/config"
WEBHOOK = "/v1/memory/webhook/config"

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


class Storage(Resource[Mode]):
    """The tenant's own object storage."""

    @endpoint
    def get(self) -> Steps[StorageConfig]:
        """Return the part in use, without secrets."""
        return (yield from self._service.get(StorageConfig, GET(STORAGE)))

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
        spec = PUT(STORAGE, **{name: value for name, value in fields.items() if value is not None})
        reply = yield from guarded(self._service.ask(spec.but(timeout=SLOW)), access_key, secret_key)
        return read(StorageConfig, reply.data or {}, service=NAME)

    @endpoint
    def delete(self) -> Steps[None]:
        """Go back to the platform's storage."""
        yield from self._service.ask(DELETE(STORAGE))


class Database(Resource[Mode]):
    """The tenant's own PostgreSQL."""

    @endpoint
    def get(self) -> Steps[DatabaseConfig]:
        """Return the part in use, without secrets."""
        return (yield from self._service.get(DatabaseConfig, GET(DATABASE)))

    @endpoint
    def set(self, dsn: str) -> Steps[DatabaseConfig]:
        """Use a database of your own, by its DSN; the service tries it before it saves."""
        hidden = [dsn, *_PASSWORD.findall(dsn)]
        reply = yield from guarded(self._service.ask(PUT(DATABASE, dsn=dsn).but(timeout=SLOW)), hidden)
        return read(DatabaseConfig, reply.data or {}, service=NAME)

    @endpoint
    def delete(self) -> Steps[None]:
        """Go back to the platform's database."""
        yield from self._service.ask(DELETE(DATABASE))


class Extraction(Resource[Mode]):
    """The tenant's own language model, behind any OpenAI-compatible endpoint."""

    @endpoint
    def get(self) -> Steps[ExtractionConfig]:
        """Return the part in use, without secrets."""
        return (yield from self._service.get(ExtractionConfig, GET(EXTRACTION)))

    @endpoint
    def set(
        self, *, base_url: str, model: str, api_key: str, provider: str = "custom"
    ) -> Steps[ExtractionConfig]:
        """Use a model of your own; the service tries it before it saves."""
        spec = PUT(EXTRACTION, provider=provider, base_url=base_url, model=model, api_key=api_key)
        reply = yield from guarded(self._service.ask(spec.but(timeout=SLOW)), api_key)
        return read(ExtractionConfig, reply.data or {}, service=NAME)

    @endpoint
    def delete(self) -> Steps[None]:
        """Go back to the platform's model."""
        yield from self._service.ask(DELETE(EXTRACTION))


class Configuration(Resource[Mode]):
    """The parts that replace the platform's own: ``storage``, ``database``, ``extraction``."""

    def __init__(self, mode: Mode, service: RememberOSService) -> None:
        super().__init__(mode, service)
        self.storage: Storage[Mode] = Storage(mode, service)
        self.database: Database[Mode] = Database(mode, service)
        self.extraction: Extraction[Mode] = Extraction(mode, service)


class Webhook(Resource[Mode]):
    """Where memory.created, memory.updated and memory.deleted are sent; see `onebrain.webhooks` for checking them."""

    @endpoint
    def get(self) -> Steps[WebhookConfig]:
        """Return where events are sent."""
        return (yield from self._service.get(WebhookConfig, GET(WEBHOOK)))

    @endpoint
    def set(self, url: str) -> Steps[WebhookConfig]:
        """Send events to `url`; the answer holds the signing secret, shown this once.

        It is sent once only, because each time makes a new secret.
        """
        return (yield from self._service.get(WebhookConfig, PUT(WEBHOOK, url=url).but(safe=False)))

    @endpoint
    def delete(self) -> Steps[None]:
        """Send no more events."""
        yield from self._service.ask(DELETE(WEBHOOK))

"""Managed connectors: sources that RememberOS syncs into a collection by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from onebrain._core.endpoint import endpoint
from onebrain._core.service import DELETE, GET, POST, path
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read
from onebrain.errors import OneBrainInternalError, OneBrainResponseError, Unsupported
from onebrain.services.rememberos.models import Connection, OAuthStart, Provider, SyncResult, SyncRun
from onebrain.services.rememberos.service import NAME, SLOW, Resource, check_number, guarded, wrong

CONNECTIONS = "/v1/memory/connections"
PROVIDERS: tuple[str, ...] = get_args(Provider)


class Connections(Resource[Mode]):
    """The tenant's connections.

    Each syncs every hour, or every ``config["sync_interval_minutes"]``; five failures in a row pause it, and a
    successful `sync` makes it active again. Postgres cannot be synced by the service yet.
    """

    @endpoint
    def create(
        self,
        provider: Provider,
        *,
        collection: str,
        credentials: Mapping[str, Any],
        config: Mapping[str, Any] | None = None,
        name: str | None = None,
        container_tag: str | None = None,
    ) -> Steps[Connection]:
        """Connect a source; its credentials are encrypted at rest and never returned.

        Args:
            provider: ``notion``, ``slack``, ``gdrive``, ``postgres``, ``gmail``, ``linear``, ``confluence`` or
                ``hubspot``.
            collection: Where its records become memories.
            credentials: ``{"token": ...}``; for Confluence ``{"email": ..., "api_token": ...}``.
            config: Slack needs ``channel_id``, Confluence ``base_url``; optional are Notion's ``database_id``, Google
                Drive's ``folder_id`` or ``query``, Gmail's ``query``, Confluence's ``space_key`` and everyone's
                ``sync_interval_minutes``.
            name: A name for people.
            container_tag: The sub-namespace of the collection to write to.
        """
        if provider not in PROVIDERS:
            raise wrong(f"provider: must be one of {', '.join(PROVIDERS)}, not {provider!r:.40}")
        spec = POST(
            CONNECTIONS,
            provider=provider,
            name=name,
            collection=collection,
            container_tag=container_tag,
            config=dict(config or {}),
            credentials=dict(credentials),
        )
        reply = yield from guarded(self._service.ask(spec), credentials)
        return read(Connection, reply.data, service=NAME)

    @endpoint
    def get(self, id: str) -> Steps[Connection]:
        """Return one connection."""
        return (yield from self._service.get(Connection, GET(path(CONNECTIONS + "/{}", id))))

    @endpoint
    def delete(self, id: str) -> Steps[None]:
        """Remove a connection; the memories that it brought stay."""
        yield from self._service.ask(DELETE(path(CONNECTIONS + "/{}", id)))

    @endpoint
    def sync(self, id: str) -> Steps[SyncResult]:
        """Sync now, from where the last sync ended."""
        spec = POST(path(CONNECTIONS + "/{}/sync", id)).but(timeout=SLOW)
        return (yield from self._service.get(SyncResult, spec))

    @endpoint
    def runs(self, id: str, *, limit: int = 20) -> Steps[list[SyncRun]]:
        """Return the latest syncs, newest first."""
        check_number("limit", limit, 1)
        spec = GET(path(CONNECTIONS + "/{}/runs", id), limit=limit)
        return (yield from self._service.get_rows(SyncRun, spec, "runs"))

    @endpoint
    def oauth_start(
        self, provider: Provider, *, collection: str, name: str | None = None
    ) -> Steps[OAuthStart]:
        """Return where to send the user, to connect an account without pasting a token.

        Raises:
            Unsupported: The host has no OAuth app for this provider; `create` with a token works all the same.
        """
        spec = GET(path(CONNECTIONS + "/oauth/{}/start", provider), collection=collection, name=name)
        try:
            # 503 is this endpoint's lasting answer, so it is no reason to ask again.
            return (yield from self._service.get(OAuthStart, spec.but(safe=False)))
        except OneBrainInternalError as error:
            if error.status_code != 503:
                raise
            raise Unsupported(
                f"connecting {provider} by OAuth",
                NAME,
                hint="its operator has set up no OAuth app for it; pass a token to connections.create()",
                status_code=503,
                request_id=error.request_id,
            ) from None

    @endpoint
    def oauth_callback(self, provider: Provider, *, code: str, state: str) -> Steps[str | None]:
        """Hand in the code that a provider gave the user's browser, and return the page that the browser would be sent to.

        Browsers come here by themselves; it is for programs that play the browser. A code works once, so it is
        sent once.
        """
        spec = GET(path(CONNECTIONS + "/oauth/{}/callback", provider), code=code, state=state)
        try:
            # The browser that comes here has no API key, and neither does this request.
            yield from guarded(self._service.public.ask(spec.but(safe=False, expect="text")), code, state)
        except OneBrainResponseError as error:
            if error.status_code is None or not 300 <= error.status_code < 400:
                raise
            details: Any = error.details
            location: str | None = details["location"]
            return location
        return None

    @endpoint
    def list(self) -> Steps[list[Connection]]:
        """Return all connections."""
        return (yield from self._service.get_rows(Connection, GET(CONNECTIONS), "connections"))

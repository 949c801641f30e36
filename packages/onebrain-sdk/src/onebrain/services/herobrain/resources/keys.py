"""``hb.api_keys``: make, list and revoke keys, and see how much they are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from onebrain._core.endpoint import endpoint
from onebrain._core.service import GET, POST
from onebrain._core.steps import Mode, Steps
from onebrain.services.herobrain.models import ApiKey, Environment, NewApiKey
from onebrain.services.herobrain.service import Resource, fields_of, invalid, within

Strings: TypeAlias = Sequence[str]


class ApiKeys(Resource[Mode]):
    """The keys of a tenant; every call takes a ``tenant_id`` that goes before the client's."""

    @endpoint
    def create(
        self,
        name: str,
        *,
        environment: Environment | None = None,
        scopes: Strings | None = None,
        expires_at: datetime | float | None = None,
        tenant_id: str | None = None,
    ) -> Steps[NewApiKey]:
        """Make a key; its ``plain_key`` is shown only in this answer.

        Args:
            name: 1 to 255 characters.
            environment: ``production``, the default, or ``development``.
            scopes: Its permissions: ``read:memories``, ``write:memories``, ``read:intelligence``, ``write:webhooks``.
            expires_at: When it ends: a datetime, or seconds or milliseconds since 1970.
            tenant_id: Whose key it is, instead of the client's tenant.
        """
        if not isinstance(name, str) or not 1 <= len(name) <= 255:
            raise invalid("name: must have 1 to 255 characters")
        if environment not in (None, "development", "production"):
            raise invalid("environment: must be development or production")
        if isinstance(scopes, str):
            raise invalid("scopes: must be a list of strings")
        spec = POST(
            "/api/v1/api-keys",
            name=name,
            tenantId=self._service.tenant(tenant_id),
            environment=environment,
            scopes=scopes,
            expiresAt=_milliseconds(expires_at),
        )
        return (yield from self._ask(NewApiKey, spec))

    @endpoint
    def revoke(self, key_id: str, *, tenant_id: str | None = None) -> Steps[None]:
        """Make a key unusable."""
        if not isinstance(key_id, str) or not key_id.strip():
            raise invalid("key_id: must not be blank")
        spec = POST("/api/v1/api-keys/revoke", keyId=key_id, tenantId=self._service.tenant(tenant_id))
        yield from self._data(spec.but(safe=True))

    @endpoint
    def usage(self, key_id: str, *, days: int = 30, tenant_id: str | None = None) -> Steps[Mapping[str, Any]]:
        """Return how much a key was used in the last `days`, in the service's own form."""
        if not isinstance(key_id, str) or not key_id.strip():
            raise invalid("key_id: must not be blank")
        within("days", days, 1, None)
        tenant = self._service.tenant(tenant_id)
        data = yield from self._data(GET("/api/v1/api-keys/usage", keyId=key_id, days=days, tenantId=tenant))
        return fields_of(data) or {"usage": data}

    # Last, because a method named list hides the type from annotations below it.
    @endpoint
    def list(self, *, tenant_id: str | None = None) -> Steps[Sequence[ApiKey]]:
        """Return the tenant's keys, without their secret parts."""
        data = yield from self._data(GET("/api/v1/api-keys", tenantId=self._service.tenant(tenant_id)))
        return self._rows(ApiKey, data, "keys", "apiKeys")


def _milliseconds(when: datetime | float | None) -> int | None:
    if when is None:
        return None
    if isinstance(when, datetime):
        return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
    if isinstance(when, bool) or not isinstance(when, int | float) or not 0 < when < 1e16:
        raise invalid("expires_at: must be a datetime, or seconds or milliseconds since 1970")
    return round(when if when >= 1e11 else when * 1000)

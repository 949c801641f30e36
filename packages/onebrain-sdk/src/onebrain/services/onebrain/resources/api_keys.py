"""API keys."""

from __future__ import annotations

from collections.abc import Iterable

from onebrain._core.codec import UNSET, Unset, is_set
from onebrain._core.endpoint import endpoint, listing
from onebrain._core.former import formerly
from onebrain._core.paging import Page
from onebrain._core.service import DELETE, GET, PATCH, POST, path
from onebrain._core.steps import Mode, Steps
from onebrain.services.onebrain.models import ApiKey, NewApiKey, Scopes, TrustLevel
from onebrain.services.onebrain.resources.resource import Resource, check_limit, strings


class ApiKeys(Resource[Mode]):
    """The account's API keys."""

    @endpoint
    def create(
        self, name: str, *, scopes: Iterable[str] | None = None, expires_in_days: int | None = None
    ) -> Steps[NewApiKey]:
        """Make a key; ``key`` is the whole key and is shown this once.

        Args:
            name: Its purpose.
            scopes: Its permissions; the default is all seven.
            expires_in_days: When it expires, 1 to 365 days from now; never where left out.
        """
        spec = POST(
            "/v1/api-keys",
            name=name,
            scopes=list(Scopes if scopes is None else strings("scopes", scopes)),
            expiresInDays=expires_in_days,
        )
        return (yield from self._one(NewApiKey, spec))

    @endpoint
    def update(
        self,
        id: str,
        *,
        name: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        trust_level: TrustLevel | Unset = UNSET,
        rate_limit_per_min: int | Unset | None = UNSET,
        scopes: Iterable[str] | Unset = UNSET,
        is_active: bool | Unset = UNSET,
    ) -> Steps[ApiKey]:
        """Change the given fields of a key and return it."""
        spec = PATCH(
            path("/v1/api-keys/{}", id),
            name=name,
            description=description,
            trustLevel=trust_level,
            rateLimitPerMin=rate_limit_per_min,
            scopes=list(strings("scopes", scopes))
            if not isinstance(scopes, Unset) and is_set(scopes)
            else UNSET,
            isActive=is_active,
        )
        return (yield from self._one(ApiKey, spec))

    @endpoint
    @formerly(key_id="id")
    def update_trust_level(self, id: str, level: TrustLevel) -> Steps[ApiKey]:
        """Trust a key, so that its memories are active at once, or put it back under review."""
        if level == "trusted":
            spec = PATCH(path("/v1/api-keys/{}/trust", id), trustLevel=level)
        else:
            # The other route fails on "review".
            spec = PATCH(path("/v1/api-keys/{}", id), trustLevel=level)
        return (yield from self._one(ApiKey, spec))

    @endpoint
    @formerly(key_id="id")
    def revoke(self, id: str) -> Steps[None]:
        """Revoke a key, at once and for good."""
        yield from self._none(DELETE(path("/v1/api-keys/{}", id)))

    def _list(self, *, cursor: str | None = None, limit: int | None = None) -> Steps[Page[ApiKey]]:
        """List the keys, without their secrets: ``list`` returns a page, ``all`` iterates over the rows of all pages.

        Args:
            cursor: ``page.meta.cursor`` of the page before.
            limit: Rows of a page, 1 to 100; the server's default is 20.
        """
        check_limit(limit)
        return (yield from self._page(ApiKey, GET("/v1/api-keys", cursor=cursor, limit=limit)))

    all = listing(_list)
    list = endpoint(_list)

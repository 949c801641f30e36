"""Accounts: registration, login, and the account's own small things."""

from __future__ import annotations

from typing import Literal

from onebrain._core.endpoint import endpoint
from onebrain._core.service import GET, POST
from onebrain._core.steps import Mode, Steps
from onebrain._core.wire import read
from onebrain.services.onebrain.models import (
    LoginSession,
    Notifications,
    Organization,
    Session,
    Streak,
    User,
)
from onebrain.services.onebrain.resources.resource import Resource


class Auth(Resource[Mode]):
    """Registration and login; for these make the client with ``anonymous=True``."""

    @endpoint
    def register(
        self,
        *,
        email: str,
        password: str,
        name: str | None = None,
        locale: Literal["de", "en", "es"] | None = None,
    ) -> Steps[User]:
        """Create an account.

        Args:
            email: The address.
            password: 8 to 128 characters.
            name: The name to show.
            locale: de, en or es.
        """
        spec = POST(
            "/v1/auth/register", email=email, password=password, displayName=name, name=name, locale=locale
        )
        account = yield from self._object(spec)
        return read(User, account.get("user") or account, service="onebrain")

    @endpoint
    def login(self, *, email: str, password: str) -> Steps[Session]:
        """Log in; pass the session's ``access_token`` to a client of its own."""
        return (yield from self._one(Session, POST("/v1/auth/login", email=email, password=password)))

    @endpoint
    def refresh(self, refresh_token: str) -> Steps[Session]:
        """Return a new session for a refresh token."""
        return (yield from self._one(Session, POST("/v1/auth/refresh", refreshToken=refresh_token)))

    @endpoint
    def me(self) -> Steps[User]:
        """Return the account."""
        return (yield from self._one(User, GET("/v1/auth/me")))

    @endpoint
    def sessions(self) -> Steps[tuple[LoginSession, ...]]:
        """Return the devices that are logged in."""
        return (yield from self._many(LoginSession, GET("/v1/auth/sessions")))


class Account(Resource[Mode]):
    """The account's own small things."""

    @endpoint
    def streak(self) -> Steps[Streak]:
        """Return on how many days in a row something was stored."""
        return (yield from self._one(Streak, GET("/v1/user/streak")))

    @endpoint
    def notifications(self) -> Steps[Notifications]:
        """Return how the account wants to be told."""
        return (yield from self._one(Notifications, GET("/v1/user/notifications")))

    @endpoint
    def create_organization(self, name: str, *, description: str | None = None) -> Steps[Organization]:
        """Create an organization."""
        return (yield from self._one(Organization, POST("/v1/orgs", name=name, description=description)))

    @endpoint
    def organizations(self) -> Steps[tuple[Organization, ...]]:
        """Return the account's organizations."""
        return (yield from self._many(Organization, GET("/v1/orgs"), "items"))

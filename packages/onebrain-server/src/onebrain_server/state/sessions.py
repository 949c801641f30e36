"""Logins: sessions with refresh tokens that are good once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, fields
from typing import Final

import sqlalchemy as sa

from onebrain_server.clock import now_micros
from onebrain_server.ids import new_id
from onebrain_server.security.tokens import REFRESH_LIFETIME
from onebrain_server.state.accounts import Account, Accounts
from onebrain_server.state.database import SERVER, Database
from onebrain_server.state.tables import session

_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Login:
    """One device that is logged in."""

    id: str
    ip_address: str | None
    user_agent: str | None
    created_at: int
    expires_at: int


class Replayed(Exception):
    """A refresh token was used a second time, and its login has ended.

    Args:
        tenant: The account whose login it was.
    """

    def __init__(self, tenant: str) -> None:
        super().__init__("the refresh token was used before")
        self.tenant = tenant


class Sessions:
    """The logins of all accounts."""

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self._database = database
        self._accounts = accounts
        self._secret = accounts.secret("refresh").encode()

    def open(self, tenant: str, ip: str, agent: str | None) -> tuple[str, str]:
        """Open a login; return its id and refresh token."""
        id, moment = new_id(), now_micros()
        token = self._token(id)
        login = session.insert().values(
            tenant=tenant,
            id=id,
            token_hash=_hash(token),
            ip_address=ip[:64],
            user_agent=(agent or "")[:512] or None,
            created_at=moment,
            expires_at=moment + REFRESH_LIFETIME * _SECOND,
        )
        self._database.run(tenant, login)
        return id, token

    def refresh(self, token: str) -> tuple[Account, str, str] | None:
        """Exchange a refresh token for a new one; return account, login id and token, or None for an unknown token.

        A token is good once. Whoever holds a used one is the owner or a thief, and so is whoever used it first: nobody can
        say which, so that the login ends for both.

        Raises:
            Replayed: The token was used before.
        """
        moment, fresh = now_micros(), ""
        with self._database.writing(SERVER) as connection:
            where = (session.c.token_hash == _hash(token)) & (session.c.expires_at > moment)
            # Locked, for of two requests with one token only the first may get another.
            row = connection.execute(
                sa.select(session.c.tenant, session.c.id).where(where).with_for_update()
            ).first()
            if row is not None:
                fresh = self._token(row[1])
                connection.execute(
                    session.update()
                    .where((session.c.tenant == row[0]) & (session.c.id == row[1]))
                    .values(token_hash=_hash(fresh), expires_at=moment + REFRESH_LIFETIME * _SECOND)
                )
        if row is None:
            self._end_replayed(token)
            return None
        found = self._accounts.by_id(row[0])
        return None if found is None or not found.is_active else (found, row[1], fresh)

    def _end_replayed(self, token: str) -> None:
        """End the login that a refresh token was made for, and raise `Replayed`; do nothing where it was made for none."""
        id, _, proof = token.partition(".")
        whole = self._token(id, proof.partition(".")[0])
        if not proof or not hmac.compare_digest(token.encode(), whole.encode()):
            return
        with self._database.writing(SERVER) as connection:
            tenant = connection.execute(sa.select(session.c.tenant).where(session.c.id == id)).scalar()
            if tenant is None:
                return
            connection.execute(session.delete().where((session.c.tenant == tenant) & (session.c.id == id)))
        self._accounts.forget_callers(tenant)
        raise Replayed(tenant)

    def _token(self, id: str, once: str | None = None) -> str:
        """Return a refresh token: its login, a random part, and the proof that this server made it."""
        once = once or secrets.token_urlsafe(32)
        proof = hmac.new(self._secret, f"{id}.{once}".encode(), hashlib.sha256).hexdigest()
        return f"{id}.{once}.{proof}"

    def all(self, tenant: str) -> list[Login]:
        """Return an account's logins, newest first."""
        query = sa.select(*(session.c[field.name] for field in fields(Login)))
        mine = (session.c.tenant == tenant) & (session.c.expires_at > now_micros())
        rows = self._database.rows(tenant, query.where(mine).order_by(session.c.id.desc()))
        return [Login(*row) for row in rows]

    def close(self, tenant: str, id: str) -> bool:
        """End a login."""
        where = (session.c.tenant == tenant) & (session.c.id == id)
        gone = self._database.run(tenant, session.delete().where(where)) > 0
        self._accounts.forget_callers(tenant)
        return gone


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

"""Accounts, their logins and their keys; and who stands behind a request."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import sqlalchemy as sa

from onebrain_server.clock import now_micros
from onebrain_server.ids import random_id
from onebrain_server.security import keys
from onebrain_server.security.passwords import hash_password, verify_password
from onebrain_server.security.scopes import ALL, SCOPES
from onebrain_server.state.database import SERVER, Database, Taken
from onebrain_server.state.tables import account, api_key, session, setting

# A key or account that another replica changes is known here after this many seconds; this process knows at once.
REMEMBERED: Final = 2.0
_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Account:
    """One account; its id is the tenant of everything it owns."""

    id: str
    email: str
    display_name: str | None
    locale: str
    role: str
    plan: str
    is_active: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class Key:
    """One API key, without its secret."""

    tenant: str
    id: str
    prefix: str
    secret_hash: str
    name: str
    description: str | None
    scopes: tuple[str, ...]
    trust_level: str
    is_active: bool
    rate_limit_per_min: int | None
    last_used_at: int | None
    last_synced_at: int | None
    expires_at: int | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who stands behind a request: an account, and the key it came with, if any."""

    account: Account
    key: Key | None
    scopes: frozenset[str]
    session_id: str | None = None

    @property
    def tenant(self) -> str:
        """The tenant that every query is bound to."""
        return self.account.id

    @property
    def trusted(self) -> bool:
        """Whether the caller's memories are active at once."""
        return self.key is None or self.key.trust_level == "trusted"

    @property
    def service(self) -> str | None:
        """The service whose routes made its key, which is good for nothing else; None for the account's own keys."""
        return next((scope.partition(":")[0] for scope in self.scopes if ":" in scope), None)

    def lasting(self, until: int | None) -> int | None:
        """Return when a key that the caller makes ends: at `until`, None for never, and no later than the caller's own key: a key must not outlive itself by another."""
        own = None if self.key is None else self.key.expires_at
        return min((end for end in (until, own) if end is not None), default=None)

    @property
    def subject(self) -> str:
        """Whose rate limits count."""
        return self.key.prefix if self.key is not None else self.account.id


class Accounts:
    """Accounts and keys of all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._callers: dict[str, tuple[float, Caller]] = {}
        # Of keys, logins and accounts, in this process.
        self._changes = 0
        self._used: dict[tuple[str, str], int] = {}
        # Held until the times are written: a reader that finds none to write must not miss those on their way.
        self._flushing = threading.Lock()

    # ---- settings of the server itself ------------------------------------------------------------------------------

    def secret(self, name: str) -> str:
        """Return a secret of the server, made at its first use and shared by all replicas."""
        where = setting.c.name == name
        with self._database.writing(SERVER) as connection:
            found = connection.execute(sa.select(setting.c.value).where(where)).scalar()
            if found is None:
                self._database.insert(connection, setting, {"name": name, "value": secrets.token_hex(32)})
                found = connection.execute(sa.select(setting.c.value).where(where)).scalar_one()
        return str(found)

    def first_key(self) -> str | None:
        """Make the owner's account and its first key on an empty database; None if there is an account already."""
        with self._database.writing(SERVER) as connection:
            if self._database.postgres:
                connection.execute(sa.text("LOCK TABLE server_account IN EXCLUSIVE MODE"))
            if connection.execute(sa.select(account.c.id).limit(1)).first() is not None:
                return None
            owner = Account(
                random_id(), "owner@localhost", "Owner", "en", "admin", "team", True, now_micros()
            )
            connection.execute(account.insert().values(**asdict(owner)))
            values, whole = _new_key(owner.id, "First key", SCOPES, "trusted", None)
            connection.execute(api_key.insert().values(**values))
        return whole

    # ---- accounts ---------------------------------------------------------------------------------------------------

    def register(
        self, email: str, password: str | None, name: str | None, locale: str, *, plan: str = "free"
    ) -> Account:
        """Make an account; raise `Taken` if the address has one."""
        made = Account(random_id(), email.strip().lower(), name, locale, "user", plan, True, now_micros())
        hashed = None if password is None else hash_password(password)
        with self._database.writing(SERVER) as connection:
            if not self._database.insert(connection, account, {**asdict(made), "password": hashed}):
                raise Taken
        return made

    def by_id(self, id: str) -> Account | None:
        """Return an account."""
        row = self._database.first(SERVER, _ACCOUNT.where(account.c.id == id))
        return None if row is None else Account(*row)

    def by_email(self, email: str) -> Account | None:
        """Return the account of an address."""
        row = self._database.first(SERVER, _ACCOUNT.where(account.c.email == email.strip().lower()))
        return None if row is None else Account(*row)

    def everyone(self) -> list[Account]:
        """Return all accounts, oldest first: for those who run the server."""
        return [Account(*row) for row in self._database.rows(SERVER, _ACCOUNT.order_by(account.c.created_at))]

    def change_plan(self, id: str, plan: str) -> None:
        """Put an account on another plan; other processes know it within two seconds."""
        self._database.run(SERVER, account.update().where(account.c.id == id).values(plan=plan))
        self.forget_callers(id)

    def made_since(self, moment: int) -> list[tuple[str, int]]:
        """Return (id, time) of the accounts made from a moment on, oldest first: for those who run the server."""
        made = account.c.created_at
        rows = self._database.rows(SERVER, sa.select(account.c.id, made).where(made >= moment).order_by(made))
        return [(row[0], row[1]) for row in rows]

    def counts(self) -> tuple[int, int]:
        """Return how many accounts there are, and how many keys that work."""
        lasting = api_key.c.expires_at.is_(None) | (api_key.c.expires_at > now_micros())
        working = api_key.c.is_active & lasting
        with self._database.reading(SERVER) as connection:
            users = connection.execute(sa.select(sa.func.count()).select_from(account)).scalar()
            keys = connection.execute(sa.select(sa.func.count()).select_from(api_key).where(working)).scalar()
        return users or 0, keys or 0

    def close(self, id: str) -> None:
        """Make an account unusable, with its logins and keys."""
        with self._database.writing(SERVER) as connection:
            for table in (session, api_key):
                connection.execute(table.delete().where(table.c.tenant == id))
            connection.execute(account.update().where(account.c.id == id).values(is_active=False))
        self.forget_callers(id)

    def remove(self, id: str) -> None:
        """Remove an account that is closed; other owners remove the rest of its data."""
        self._database.run(SERVER, account.delete().where(account.c.id == id))
        self.forget_callers(id)

    def login(self, email: str, password: str) -> Account | None:
        """Return the account of an address and password; None if they do not fit."""
        wanted = account.c.email == email.strip().lower()
        row = self._database.first(SERVER, _ACCOUNT.add_columns(account.c.password).where(wanted))
        # Also if there is no such account, so that the time of the answer does not tell.
        good = verify_password(password, None if row is None else row[-1])
        return Account(*row[:-1]) if good and row is not None else None

    # ---- keys -------------------------------------------------------------------------------------------------------

    def create_key(
        self,
        tenant: str,
        name: str,
        scopes: Sequence[str],
        *,
        trust: str = "review",
        expires_at: int | None = None,
        kind: keys.Kind = "ob",
    ) -> tuple[Key, str]:
        """Make a key; return it, and the whole key, which is shown once.

        A scope with a colon, such as ``rememberos:read``, is one service's: the key is good for nothing else.
        """
        values, whole = _new_key(tenant, name, scopes, trust, expires_at, kind)
        self._database.run(tenant, api_key.insert().values(**values))
        made = self.key(tenant, str(values["id"]))
        assert made is not None
        return made, whole

    def key(self, tenant: str, id: str) -> Key | None:
        """Return one of a tenant's keys."""
        row = self._database.first(tenant, _KEY.where(_this_key(tenant, id)))
        return None if row is None else _key(row)

    def keys(self, tenant: str) -> list[Key]:
        """Return a tenant's keys, newest first."""
        newest = (api_key.c.created_at.desc(), api_key.c.id.desc())
        mine = _KEY.where(api_key.c.tenant == tenant).order_by(*newest)
        return [_key(row) for row in self._database.rows(tenant, mine)]

    def change_key(self, tenant: str, id: str, changes: Mapping[str, Any]) -> Key | None:
        """Change a key; its callers are known anew at once."""
        if changes:
            self._database.run(tenant, api_key.update().where(_this_key(tenant, id)).values(**changes))
            self.forget_callers(tenant)
        return self.key(tenant, id)

    def revoke_key(self, tenant: str, id: str) -> bool:
        """Remove a key; it is refused from now on."""
        gone = self._database.run(tenant, api_key.delete().where(_this_key(tenant, id))) > 0
        self.forget_callers(tenant)
        return gone

    # ---- callers ----------------------------------------------------------------------------------------------------

    def remembered(self, credential: str) -> Caller | None:
        """Return the caller of a credential if it was looked up a moment ago: no query, so the event loop may ask."""
        found = self._callers.get(credential)
        if found is None or found[0] <= time.monotonic():
            return None
        key = found[1].key
        if key is not None and key.expires_at is not None and key.expires_at <= now_micros():
            return None
        return found[1]

    def by_key(self, credential: str) -> Caller | None:
        """Return the caller of an API key; None if it is malformed, unknown, expired or switched off."""
        parsed = keys.parse(credential)
        if parsed is None:
            return None
        prefix, secret = parsed
        changes = self._changes
        with self._database.reading(SERVER) as connection:
            row = connection.execute(_KEY.where(api_key.c.prefix == prefix)).first()
            if row is None or not keys.same(keys.digest(secret), row.secret_hash):
                return None
            found = _key(row)
            if not found.is_active or (found.expires_at is not None and found.expires_at <= now_micros()):
                return None
            owner = connection.execute(_ACCOUNT.where(account.c.id == found.tenant)).first()
        if owner is None or not owner.is_active:
            return None
        caller = Caller(Account(*owner), found, frozenset(found.scopes))
        self._remember(credential, caller, changes)
        return caller

    def by_session(self, credential: str, tenant: str, session_id: str) -> Caller | None:
        """Return the caller of an access token; None if its login has ended."""
        changes = self._changes
        with self._database.reading(tenant) as connection:
            where = (session.c.tenant == tenant) & (session.c.id == session_id)
            if connection.execute(sa.select(session.c.id).where(where)).first() is None:
                return None
            owner = connection.execute(_ACCOUNT.where(account.c.id == tenant)).first()
        if owner is None or not owner.is_active:
            return None
        caller = Caller(Account(*owner), None, ALL, session_id)
        self._remember(credential, caller, changes)
        return caller

    def note_use(self, caller: Caller) -> None:
        """Note that a key was used; written a second later, with others."""
        if caller.key is not None:
            self._used[caller.tenant, caller.key.id] = now_micros()

    def flush(self) -> None:
        """Write when keys were last used."""
        with self._flushing:
            used, self._used = self._used, {}
            if not used:
                return
            with self._database.writing(SERVER) as connection:
                for (tenant, id), at in used.items():
                    used_key = api_key.update().where(_this_key(tenant, id))
                    connection.execute(used_key.values(last_used_at=at))

    def _remember(self, credential: str, caller: Caller, changes: int) -> None:
        """Remember who was read after a number of changes; the very key may have changed since."""
        with self._lock:
            if changes != self._changes:
                return
            if len(self._callers) > 10_000:
                self._callers.clear()
            self._callers[credential] = (time.monotonic() + REMEMBERED, caller)

    def forget_callers(self, tenant: str) -> None:
        """Forget the remembered callers of an account, which is read again at their next requests."""
        with self._lock:
            self._changes += 1
            for credential in [
                name for name, (_, caller) in self._callers.items() if caller.tenant == tenant
            ]:
                del self._callers[credential]


_ACCOUNT = sa.select(*(account.c[field.name] for field in fields(Account)))
_KEY = sa.select(api_key)


def _this_key(tenant: str, id: str) -> sa.ColumnElement[bool]:
    return (api_key.c.tenant == tenant) & (api_key.c.id == id)


def _new_key(
    tenant: str,
    name: str,
    scopes: Sequence[str],
    trust: str,
    expires_at: int | None,
    kind: keys.Kind = "ob",
) -> tuple[dict[str, Any], str]:
    prefix, hashed, whole = keys.make(kind)
    values: dict[str, Any] = {
        "tenant": tenant,
        "id": random_id(),
        "prefix": prefix,
        "secret_hash": hashed,
        "name": name,
        "scopes": ",".join(
            [scope for scope in SCOPES if scope in set(scopes)]
            + sorted(scope for scope in set(scopes) if ":" in scope)
        ),
        "trust_level": trust,
        "is_active": True,
        "expires_at": expires_at,
        "created_at": now_micros(),
    }
    return values, whole


def _key(row: Any) -> Key:
    values: dict[str, Any] = dict(row._mapping)
    values["scopes"] = tuple(row.scopes.split(",")) if row.scopes else ()
    return Key(**values)

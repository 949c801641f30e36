"""``/v1/auth``: accounts with a password, and logins."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from onebrain_server.dialects.onebrain.wire import Routes, Wire
from onebrain_server.http.operation import Answer
from onebrain_server.http.problems import Problem, not_found
from onebrain_server.http.requests import Call
from onebrain_server.http.rows import row_of
from onebrain_server.security import tokens
from onebrain_server.security.scopes import ACCOUNT
from onebrain_server.state.accounts import Account
from onebrain_server.state.database import Taken
from onebrain_server.state.sessions import Replayed

routes = Routes("/v1/auth", "auth")
Email = Annotated[str, Field(min_length=3, max_length=320, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$")]


class UserRow(Wire):
    """An account."""

    id: str
    email: str
    display_name: str | None
    region: str
    locale: str
    role: str
    created_at: str
    totp_enabled: bool
    email_verified: bool


def _row(account: Account) -> dict[str, Any]:
    return row_of(UserRow, account, region="self", totp_enabled=False, email_verified=False)


class RegisterFields(Wire):
    """An account to make; ``name`` is the documentation's word for ``displayName``."""

    email: Email
    password: Annotated[str, Field(min_length=8, max_length=128)]
    display_name: Annotated[str, Field(max_length=255)] | None = None
    name: Annotated[str, Field(max_length=255)] | None = None
    locale: Literal["de", "en", "es"] = "en"


@routes.post(
    "/register",
    idempotent=False,
    needs="anyone",
    answers=UserRow,
    status=201,
    limit="auth",
    errors=(403, 409),
)
def register(call: Call, body: RegisterFields) -> dict[str, Any]:
    """Make an account; its address stays unverified, for this server sends no mail."""
    if not call.server.settings.registration:
        raise Problem(403, "FORBIDDEN", "This server takes no registrations")
    try:
        account = call.server.accounts.register(
            body.email, body.password, body.display_name or body.name, body.locale
        )
    except Taken:
        raise Problem(409, "EMAIL_ALREADY_EXISTS", "There is an account with this address already") from None
    call.audit_account(account.id, "account.register")
    return _row(account)


class LoginFields(Wire):
    """Who logs in."""

    email: Email
    password: Annotated[str, Field(min_length=1, max_length=128)]


class SessionRow(Wire):
    """A login: the access token lives fifteen minutes, the refresh token thirty days, each of them once."""

    access_token: str
    refresh_token: str
    expires_in: int
    user: UserRow


def _session(call: Call, account: Account, session_id: str, refresh: str) -> Answer:
    access = call.server.tokens.make(account.id, session_id)
    data = {
        "accessToken": access,
        "refreshToken": refresh,
        "expiresIn": tokens.LIFETIME,
        "user": _row(account),
    }
    secure = "" if call.server.settings.development else " Secure;"
    cookie = f"accessToken={access}; Path=/; HttpOnly;{secure} SameSite=Lax; Max-Age={tokens.LIFETIME}"
    return Answer(data, headers={"set-cookie": cookie})


@routes.post("/login", idempotent=False, needs="anyone", answers=SessionRow, limit="auth", errors=(401, 403))
def login(call: Call, body: LoginFields) -> Answer:
    """Log in with a password; after five wrong ones from one address, each further one from there has to wait longer."""
    accounts = call.server.accounts
    wait = call.server.attempts.wait(body.email, call.ip)
    if wait:
        raise Problem(
            429,
            "ACCOUNT_LOCKED",
            "Too many failed logins; try again later",
            headers={"retry-after": str(wait)},
        )
    account = accounts.login(body.email, body.password)
    if account is None:
        raise Problem(401, "INVALID_CREDENTIALS", "The address or the password is wrong")
    call.server.attempts.forgive(body.email, call.ip)
    if not account.is_active:
        raise Problem(401, "ACCOUNT_DISABLED", "This account is switched off")
    session_id, refresh = call.server.sessions.open(account.id, call.ip, call.header("user-agent"))
    call.audit_account(account.id, "account.login")
    return _session(call, account, session_id, refresh)


class RefreshFields(Wire):
    """The refresh token of a login."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=512)]


@routes.post(
    "/refresh", idempotent=False, needs="anyone", answers=SessionRow, limit="auth.refresh", errors=(401,)
)
def refresh(call: Call, body: RefreshFields) -> Answer:
    """Exchange a refresh token for new tokens; the old one is good for nothing, and using it again ends the login."""
    try:
        found = call.server.sessions.refresh(body.refresh_token)
    except Replayed as replayed:
        found = None
        call.audit_account(replayed.tenant, "account.refresh.replayed")
    if found is None:
        raise Problem(401, "TOKEN_EXPIRED", "The refresh token is unknown, used or expired; log in again")
    return _session(call, *found)


@routes.get("/me", needs=ACCOUNT, answers=UserRow)
def me(call: Call) -> dict[str, Any]:
    """Return the account; for its login, or a trusted key with every scope."""
    return _row(call.known.account)


class LoginRow(Wire):
    """A device that is logged in."""

    id: str
    device_name: str | None
    ip_address: str | None
    user_agent: str | None
    region: str
    created_at: str
    expires_at: str
    is_current: bool


@routes.get("/sessions", needs=ACCOUNT, answers=list[LoginRow])
def sessions(call: Call) -> list[dict[str, Any]]:
    """List the devices that are logged in, newest first."""
    current = call.known.session_id
    return [
        row_of(LoginRow, one, device_name=None, region="self", is_current=one.id == current)
        for one in call.server.sessions.all(call.tenant_id)
    ]


@routes.delete("/sessions/{id}", needs=ACCOUNT)
def end_session(call: Call, id: str) -> None:
    """Log a device out."""
    if not call.server.sessions.close(call.tenant_id, id):
        raise not_found("Session")


@routes.post("/logout", idempotent=False, needs="login", status=204, limit="write")
def logout(call: Call) -> Answer:
    """Log this device out; an API key is not a login, so nothing happens to it."""
    if call.known.session_id is not None:
        call.server.sessions.close(call.tenant_id, call.known.session_id)
    return Answer(headers={"set-cookie": "accessToken=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"})

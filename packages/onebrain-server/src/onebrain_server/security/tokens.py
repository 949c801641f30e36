"""Access tokens: short-lived JWTs, signed with HMAC-SHA-256."""

from __future__ import annotations

import time
from typing import Any, Final

import jwt

LIFETIME: Final = 15 * 60
REFRESH_LIFETIME: Final = 30 * 24 * 3600
_ISSUER: Final = "onebrain-server"


class Tokens:
    """Makes and reads access tokens."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def make(self, account_id: str, session_id: str) -> str:
        """Return an access token of an account."""
        moment = int(time.time())
        claims = {
            "sub": account_id,
            "sid": session_id,
            "typ": "access",
            "iss": _ISSUER,
            "iat": moment,
            "exp": moment + LIFETIME,
        }
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def read(self, token: str) -> dict[str, Any] | None:
        """Return a token's claims, or None where it is forged, of another kind, or too old."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                # Named here and never taken from the token, which could name none.
                algorithms=["HS256"],
                issuer=_ISSUER,
                options={"require": ["exp", "sub", "sid", "iat"]},
            )
        except jwt.InvalidTokenError:
            return None
        return claims if claims.get("typ") == "access" else None

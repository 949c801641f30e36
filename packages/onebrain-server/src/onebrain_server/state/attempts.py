"""Passwords that are tried: each account and address has to wait longer after each wrong one."""

from __future__ import annotations

from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Final

import sqlalchemy as sa

from onebrain_server.clock import now_micros
from onebrain_server.state.database import SERVER, Database
from onebrain_server.state.tables import attempt

# Passwords that may be wrong before the next one has to wait.
_FREE: Final = 5
# Microseconds; each further one takes twice as long.
_FIRST_WAIT: Final = 30_000_000
# Microseconds without one after which all is forgotten, and the longest wait.
_FORGIVEN: Final = 1_800_000_000


class Attempts:
    """Counts of passwords that were tried, shared by all processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def wait(self, email: str, ip: str) -> int:
        """Count a password that is about to be tried; return for how many seconds none is taken instead, 0 for at once.

        The count is that of the account together with the address that the request comes from, so that nobody can shut out
        another: after five wrong passwords each further one takes twice the time of the one before, up to half an hour. It
        is counted before it is tried, in the database, so that neither many at a time nor several processes give more.
        """
        who, moment = _who(email, ip), now_micros()
        with self._database.writing(SERVER) as connection:
            fresh = {"who": who, "count": 0, "until": 0, "last_at": moment}
            self._database.insert(connection, attempt, fresh)
            where = attempt.c.who == who
            tried, until, last_at = connection.execute(
                sa.select(attempt.c.count, attempt.c.until, attempt.c.last_at).where(where).with_for_update()
            ).one()
            if until > moment:
                return int((until - moment) // 1_000_000) + 1
            count = 1 if last_at < moment - _FORGIVEN else tried + 1
            wait = 0 if count < _FREE else min(_FORGIVEN, _FIRST_WAIT << min(20, count - _FREE))
            connection.execute(
                attempt.update()
                .where(where)
                # No wait is no moment either: that of another request may be a little earlier.
                .values(count=count, until=moment + wait if wait else 0, last_at=moment)
            )
        return 0

    def forgive(self, email: str, ip: str) -> None:
        """Forget the wrong passwords before a right one."""
        self._database.run(SERVER, attempt.delete().where(attempt.c.who == _who(email, ip)))

    def tidy(self) -> None:
        """Remove counts of passwords that were tried long ago."""
        old = attempt.c.last_at < now_micros() - 2 * _FORGIVEN
        self._database.run(SERVER, attempt.delete().where(old))


def _who(email: str, ip: str) -> str:
    """Return an account and an address as one digest; of IPv6, the network that one customer has."""
    try:
        address = ip_address(ip)
    except ValueError:
        where = ip
    else:
        where = str(ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
    return sha256(f"{email.strip().lower()}\0{where}".encode()).hexdigest()

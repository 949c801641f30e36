"""Passwords that are tried: each account and address has to wait longer after each wrong one, sooner where many guess."""

from __future__ import annotations

from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from onebrain_server.clock import now_micros
from onebrain_server.state.database import SERVER, Database
from onebrain_server.state.tables import attempt

# Passwords that may be wrong before the next one has to wait.
_FREE: Final = 5
# Passwords of one account that may be wrong, from all addresses together, before an address that tries one has to wait at once.
_FREE_OF_ALL: Final = 50
# Counts that are kept, about 100 bytes each, and how many are added before the oldest are looked for.
_MOST: Final = 100_000
_ADDED: Final = 1_000
# Microseconds; each further one takes twice as long.
_FIRST_WAIT: Final = 30_000_000
# Microseconds without one after which all is forgotten, and the longest wait.
_FORGIVEN: Final = 1_800_000_000


class Attempts:
    """Counts of passwords that were tried, shared by all processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._added = 0

    def wait(self, email: str, ip: str) -> int:
        """Count a password that is about to be tried; return for how many seconds none is taken instead, 0 for at once.

        The count is that of the account together with the address that the request comes from, so that nobody can shut out
        another: after five wrong passwords each further one takes twice the time of the one before, up to half an hour. It
        is counted before it is tried, in the database, so that neither many at a time nor several processes give more.

        Many addresses that guess at one account are counted together, too. Each is then free to try one password, not
        five. The first one from any address is always taken, or else the guessers would shut out the account's owner.
        """
        who, moment = _who(email, ip), now_micros()
        with self._database.writing(SERVER) as connection:
            # First that of the account, so that two requests wait for each other in one order.
            of_all, _, _ = self._held(connection, _who(email), moment)
            tried, until, added = self._held(connection, who, moment)
            if until > moment:
                return int((until - moment) // 1_000_000) + 1
            count = tried + 1
            free = _FREE if of_all < _FREE_OF_ALL else 1
            wait = 0 if count < free else min(_FORGIVEN, _FIRST_WAIT << min(20, count - free))
            # No wait is no moment either: that of another request may be a little earlier.
            self._set(connection, who, count=count, until=moment + wait if wait else 0, last_at=moment)
            self._set(connection, _who(email), count=of_all + 1, last_at=moment)
        self._added += added
        if self._added >= _ADDED:
            self._added = 0
            self._shorten()
        return 0

    def forgive(self, email: str, ip: str) -> None:
        """Forget the wrong passwords before a right one, of its address; those of others still count."""
        with self._database.writing(SERVER) as connection:
            count, _, _ = self._held(connection, _who(email), now_micros())
            self._set(connection, _who(email), count=max(0, count - 1))
            connection.execute(attempt.delete().where(attempt.c.who == _who(email, ip)))

    def tidy(self) -> None:
        """Remove counts of passwords that were tried long ago."""
        old = attempt.c.last_at < now_micros() - 2 * _FORGIVEN
        self._database.run(SERVER, attempt.delete().where(old))
        self._shorten()

    def _held(self, connection: Connection, who: str, moment: int) -> tuple[int, int, bool]:
        """Return a count, until when no password is taken, and whether it is new; it is held until the transaction ends."""
        fresh = {"who": who, "count": 0, "until": 0, "last_at": moment}
        added = self._database.insert(connection, attempt, fresh)
        chosen = sa.select(attempt.c.count, attempt.c.until, attempt.c.last_at)
        count, until, last_at = connection.execute(chosen.where(attempt.c.who == who).with_for_update()).one()
        return (0 if last_at < moment - _FORGIVEN else count), until, added

    def _set(self, connection: Connection, who: str, **values: int) -> None:
        connection.execute(attempt.update().where(attempt.c.who == who).values(**values))

    def _shorten(self) -> None:
        """Remove the oldest counts where there are too many: whoever has that many addresses has no need to wait."""
        newest = sa.select(attempt.c.last_at).order_by(attempt.c.last_at.desc()).offset(_MOST).limit(1)
        last = self._database.scalar(SERVER, newest)
        if last is not None:
            self._database.run(SERVER, attempt.delete().where(attempt.c.last_at <= last))


def _who(email: str, ip: str | None = None) -> str:
    """Return an account and an address as one digest, or the account alone; of IPv6, the network that one customer has."""
    if ip is None:
        return sha256(email.strip().lower().encode()).hexdigest()
    try:
        address = ip_address(ip)
    except ValueError:
        where = ip
    else:
        where = str(ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
    return sha256(f"{email.strip().lower()}\0{where}".encode()).hexdigest()

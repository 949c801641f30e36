"""Rate limits: fixed windows, counted in this process, and shared through the database where workers or replicas run."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from onebrain_server.settings import Settings
from onebrain_server.state.database import SERVER, Database
from onebrain_server.state.tables import rate


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `most` requests in `seconds`; 0 seconds means the configured window."""

    name: str
    most: int
    seconds: int = 0
    by_ip: bool = False


# The limits of single routes beyond the two for all; they grow with RATE_LIMIT_WRITE_MAX, whose default is 30.
RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "write": (Rule("write", 30),),
    "brrain.write": (Rule("brrain.write", 120, 60),),
    "connect.read": (Rule("connect.read", 30),),
    "connect.write": (Rule("connect.write", 10),),
    "auth": (Rule("auth", 5, 60, by_ip=True),),
    "auth.refresh": (Rule("auth.refresh", 20, 900, by_ip=True),),
    "user.export": (Rule("user.export", 1, 3600),),
    "agents.register": (
        Rule("agents.register.hour", 5, 3600, by_ip=True),
        Rule("agents.register.day", 3, 86400, by_ip=True),
    ),
}
_DEFAULT_WRITES: Final = 30


@dataclass(slots=True)
class State:
    """A caller's budget: the values of the three headers, and whether this request is one too many."""

    limit: int
    remaining: int
    reset: int
    exceeded: bool = False


class Limiter:
    """Counts requests; safe to share between threads.

    Attributes:
        clock: Returns the time, in Unix seconds; windows begin at its multiples.
    """

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._window = settings.rate_limit_window
        self._most = settings.rate_limit_max
        self._writes = settings.rate_limit_write_max
        self._factor = settings.rate_limit_write_max / _DEFAULT_WRITES
        self.enabled = self._most > 0
        self._counts: dict[tuple[str, int], int] = {}
        # Requests that other replicas have counted.
        self._others: dict[tuple[str, int], int] = {}
        self._unsent: dict[tuple[str, int], int] = {}
        self._ends: dict[tuple[str, int], float] = {}
        self.clock = time.time
        self._lock = threading.Lock()
        self._database = database if database is not None and database.shared else None

    def take(
        self, subject: str, route: str, kind: str | None, ip: str, own: int | None = None
    ) -> State | None:
        """Count one request and say where its caller stands; None if nothing is limited.

        Args:
            subject: Whose budget: a key, an account, or an address.
            route: Method and path template; each route's writes are counted apart.
            kind: The name of a set of rules for this route.
            ip: The caller's address, for rules that count by it.
            own: A limit a minute of the key itself.
        """
        if not self.enabled:
            return None
        moment = self.clock()
        asked: list[tuple[str, int, int]] = [(subject, self._most, self._window)]
        if own is not None:
            asked.append((f"{subject}|own", own, 60))
        for rule in RULES.get(kind or "", ()):
            most = max(1, round(rule.most * self._factor))
            who = f"{ip}|{rule.name}" if rule.by_ip else f"{subject}|{rule.name}|{route}"
            asked.append((who, most, rule.seconds or self._window))
        tightest: State | None = None
        with self._lock:
            if len(self._counts) > 50_000:
                self._sweep(moment)
            for who, most, seconds in asked:
                start = int(moment // seconds) * seconds
                bucket = (who, start)
                count = self._counts.get(bucket, 0) + 1
                self._counts[bucket] = count
                self._ends[bucket] = start + seconds
                if self._database is not None:
                    self._unsent[bucket] = self._unsent.get(bucket, 0) + 1
                    count += self._others.get(bucket, 0)
                state = State(most, max(0, most - count), max(1, int(start + seconds - moment)), count > most)
                if tightest is None or (state.exceeded, -state.remaining) > (
                    tightest.exceeded,
                    -tightest.remaining,
                ):
                    tightest = state
        return tightest

    def share(self) -> None:
        """Exchange counts with the other replicas; called every second or so where there may be some."""
        if self._database is None:
            return
        with self._lock:
            unsent, self._unsent = self._unsent, {}
            known = dict(self._ends)
        moment = self.clock()
        totals: dict[tuple[str, int], int] = {}
        with self._database.writing(SERVER) as connection:
            # In one order on every replica: two that lock the same rows in different orders would wait for each other for ever.
            for (who, start), count in sorted(unsent.items()):
                statement = self._database.inserting(rate).values(
                    bucket=who[:160], window_start=start, count=count
                )
                statement = statement.on_conflict_do_update(
                    index_elements=["bucket", "window_start"], set_={"count": rate.c.count + count}
                )
                connection.execute(statement)
            live = [bucket for bucket, end in known.items() if end > moment]
            wanted = {who[:160] for who, _ in live}
            if wanted:
                for who, start, count in connection.execute(
                    sa.select(rate.c.bucket, rate.c.window_start, rate.c.count).where(
                        rate.c.bucket.in_(wanted)
                    )
                ):
                    totals[who, start] = count
            # The longest window is a day; the hour more is for replicas whose clocks differ.
            connection.execute(rate.delete().where(rate.c.window_start < moment - 90_000))
        with self._lock:
            for who, start in live:
                # The total has this replica's own requests in it, except those since the exchange began.
                mine = self._counts.get((who, start), 0) - self._unsent.get((who, start), 0)
                self._others[who, start] = max(0, totals.get((who[:160], start), 0) - mine)
            self._sweep(moment)

    def _sweep(self, moment: float) -> None:
        for bucket in [bucket for bucket, end in self._ends.items() if end <= moment]:
            for table in (self._counts, self._others, self._unsent, self._ends):
                table.pop(bucket, None)

"""PostgreSQL's URLs, as libpq, SQLAlchemy, asyncpg, Django and hosting services write them.

Nothing of a URL but its host, port and database ever shows in an error: a password that was not percent-encoded can look
like any other part.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from onebrain.errors import ConfigurationError

SERVICE: Final = "postgresql"

_SCHEME: Final = re.compile(r"postgres(?:ql)?(?:\+[a-z0-9_]+)?:", re.IGNORECASE)
_END: Final = re.compile("[/?]")  # of a URL's authority
_PLACE: Final = re.compile(r"(\[[0-9A-Fa-f:.%]*\]|/.*|[^:\[\]]*)(?::([0-9]*))?")
EXAMPLE: Final = "it looks like 'postgresql://host:5432/database', with 'user:password@' before the host"
_ENCODE: Final = "its user name or password holds a character that has to be percent-encoded there: write / as %2F, ? as %3F, # as %23 and @ as %40"
# By these, other libraries are told that a pooler stands in between; what stands for "no" there is "yes" here.
_UNPREPARED: Final[Mapping[str, frozenset[str]]] = {
    "pgbouncer": frozenset({"1", "true", "yes", "on"}),
    "prepare_threshold": frozenset({"0", "none"}),
    "prepared_statement_cache_size": frozenset({"0"}),
    "statement_cache_size": frozenset({"0"}),
}
_TLS: Final[Mapping[str, str]] = {"true": "require", "1": "require", "false": "disable", "0": "disable"}
_DEFAULTS: Final[Mapping[str, Any]] = {
    "connect_timeout": 10,
    "application_name": "onebrain",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


@dataclass(frozen=True, slots=True)
class Target:
    """The database that a URL names.

    Attributes:
        parameters: The arguments of psycopg's connect(), the password included.
        where: A name for the database that holds no secret.
        prepares: Whether statements may be prepared as far as the URL says; a pooler in between may forbid it.
    """

    parameters: Mapping[str, Any]
    where: str
    prepares: bool = True

    def __repr__(self) -> str:
        return f"Target({self.where!r})"


def is_postgres(url: str) -> bool:
    """Return whether a URL names a PostgreSQL database, whichever library it was written for.

    Example:
        >>> [is_postgres(url) for url in ("postgres://db", "postgresql+asyncpg://db", "sqlite://")]
        [True, True, False]
    """
    return _SCHEME.match(url.strip()) is not None


def parse(url: str, *, known: Collection[str]) -> Target:
    """Return the database of a URL.

    Args:
        url: ``postgresql://user:password@host:port/database?parameter=value``. The scheme may be ``postgres`` and may name
            a library, as in ``postgresql+psycopg``. A password may hold an ``@`` as it is.
        known: The parameters that libpq knows.

    Raises:
        ConfigurationError: It is no such URL; the message holds nothing of it.

    Example:
        >>> parse("postgres://app:secret@localhost/brains", known=())
        Target('the PostgreSQL database brains on localhost')
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator or not is_postgres(f"{scheme}:") or _has_control(rest):
        raise refused(EXAMPLE)
    authority = _END.split(rest, maxsplit=1)[0]
    path, _, query = rest[len(authority) :].partition("?")
    user, at, hosts = authority.rpartition("@")
    given, prepares = _query(query, known)
    if "@" in path:
        raise refused(_ENCODE)
    parameters: dict[str, Any] = {}
    if at:
        name, colon, password = user.partition(":")
        if name:
            parameters["user"] = _decoded(name)
        if colon:
            parameters["password"] = _decoded(password)
    parameters.update(_addresses(hosts.split(",")) if hosts else {})
    if path.strip("/"):
        parameters["dbname"] = _decoded(path[1:])
    parameters.update(given)
    return described(parameters, prepares=prepares)


def described(parameters: Mapping[str, Any], *, prepares: bool = True) -> Target:
    """Return the database that libpq's parameters name."""
    return Target({**_DEFAULTS, **parameters, "client_encoding": "utf8"}, _where(parameters), prepares)


def _query(text: str, known: Collection[str]) -> tuple[dict[str, str], bool]:
    """Return the parameters, and whether statements may be prepared.

    Where the text may be the rest of a password, as with an ``@`` in it, nothing of it is named.
    """
    found: dict[str, str] = {}
    hosts: list[str] = []
    prepares = True
    for number, part in enumerate(filter(None, text.split("&")), 1):
        name, equals, raw = part.partition("=")
        value = _decoded(raw)
        if name in _UNPREPARED:
            prepares = prepares and value.lower() not in _UNPREPARED[name]
        elif name == "ssl":
            found["sslmode"] = _TLS.get(value.lower(), value)
        elif name == "host" and equals:
            hosts += value.split(",")
        elif name in known and equals:
            found[name] = value
        elif "@" in text:
            raise refused(_ENCODE)
        else:
            raise refused(f"its parameter {number} is none that PostgreSQL knows; leave it out")
    if hosts:
        addresses = _addresses(hosts)
        found["host"] = addresses["host"]
        if "port" in addresses:
            found.setdefault("port", addresses["port"])
    return found, prepares


def _addresses(hosts: list[str]) -> dict[str, str]:
    """Return hosts and ports as libpq takes them: ``a:1,b`` is the hosts ``a,b`` with the ports ``1,``."""
    names: list[str] = []
    ports: list[str] = []
    for text in hosts:
        found = _PLACE.fullmatch(text)
        if found is None:
            raise refused(f"its host or port cannot be read; {EXAMPLE}")
        names.append(_decoded(found[1].strip("[]")))
        ports.append(found[2] or "")
    return {"host": ",".join(names), **({"port": ",".join(ports)} if any(ports) else {})}


def _decoded(text: str) -> str:
    try:
        found = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise refused("what is percent-encoded in it is not UTF-8") from None
    if _has_control(found):
        raise refused("it holds a control character")
    return found


def _has_control(text: str) -> bool:
    return any(character < " " or character == "\x7f" for character in text)


def _where(parameters: Mapping[str, Any]) -> str:
    host, port, name = (parameters.get(key) for key in ("host", "port", "dbname"))
    address = f"{host or os.environ.get('PGHOST') or 'localhost'}{f':{port}' if port else ''}"
    return f"the PostgreSQL database {name or os.environ.get('PGDATABASE') or 'of this user'} on {address}"


def refused(message: str) -> ConfigurationError:
    """Return the error for an invalid URL; `message` quotes nothing of it."""
    return ConfigurationError(f"not a PostgreSQL URL: {message}", service=SERVICE)

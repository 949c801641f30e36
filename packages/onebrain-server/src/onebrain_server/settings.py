"""What a server can be told, from environment variables; nothing has to be."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from onebrain.errors import ConfigurationError
from onebrain.memory.sqlite_urls import sqlite_url
from onebrain.memory.urls import data_directory
from onebrain_engine.store.postgres_url import is_postgres

LogLevel = Literal["debug", "info", "warn", "error"]

# Variables of OneBrain's documentation for parts that this server does not have. Setting one must not look as if it worked.
ABSENT: Final[Mapping[str, str]] = {
    "RESEND_API_KEY": "mail: magic links and confirmation mails are not sent",
    "STRIPE_SECRET_KEY": "payments",
    "GOOGLE_CLIENT_ID": "login with Google",
    "APPLE_CLIENT_ID": "login with Apple",
    "GITHUB_CLIENT_ID": "login with GitHub",
    "TOTP_ENCRYPTION_KEY": "two-factor login",
}

_LEVELS: Final[Mapping[str, LogLevel]] = {"debug": "debug", "info": "info", "warn": "warn", "error": "error"}

FREE_PLAN: Final[Mapping[str, int]] = {
    "memories": 10_000,
    "memory_writes_per_month": 10_000,
    "extract_calls_per_month": 1_000,
    "context_calls_per_month": 10_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that configures a server.

    Attributes:
        database_url: ``sqlite:///server.db``, ``sqlite://`` (in memory) or ``postgresql://...``.
        host: Address to listen on; the default is reachable from this machine only.
        port: Port to listen on; 0 for any free one.
        jwt_secret: Signs access tokens, at least 32 characters; made and kept in the database where it is None.
        development: True relaxes what only a browser on localhost needs: cookies without TLS.
        cors_origins: Origins whose pages may call the API.
        rate_limit_window: Seconds of the two limits below.
        rate_limit_max: Requests a window for each key; 0 for no limits at all.
        rate_limit_write_max: Writes a window, for each key and route; the other limits of single routes grow with it.
        log_level: debug, info, warn or error.
        memory_encryption_key: 32 bytes as 64 hex digits: texts are encrypted at rest.
        max_body_bytes: The largest request that is read.
        body_seconds: How long a request's body may take to arrive.
        threads: Calls that run at the same time, in each process.
        workers: Processes that answer; more than one needs PostgreSQL.
        free_plan: Allowances of accounts that registered themselves; the owner's plan has none.
        registration: Whether strangers may register accounts and agents.
        private_addresses: Whether webhooks and ``ingest-url`` may reach private addresses, as tests must.
        model_url: Base URL of an OpenAI-compatible API, for what a language model does better; None for no model.
        model_key: Its key.
        model_name: Its model.
        public_url: The server's address as agents are told it; where None, the request's own host.
        strict: Whether the four services' formats ask for all that their documents require, even where this server could do
            without it: for testing clients.
        brrain_idempotent_replay: bRRAIn's format only: whether a repeated ``idempotency_key`` is answered as it was the first
            time, instead of 409.
        brrain_retention_days: bRRAIn's format only: how long deleted memories stay in storage; 0 for not at all.
        history_days: How long the states that memories had before a change or deletion are kept, for reads as of then; 0 for
            not at all.
        large_space: PostgreSQL only: from how many memories on a space is served by the database's own indexes; ``never``
            for not at all, the engine's own default where it is None.
        index_memory: About how many bytes indexes in memory may take.
        delivery_delays: Seconds after which a webhook that was not taken is delivered again, one for each try.

    Example:
        >>> Settings.from_environment({"PORT": "8080"}).port
        8080
    """

    database_url: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 3000
    jwt_secret: str | None = field(default=None, repr=False)
    development: bool = False
    cors_origins: tuple[str, ...] = ()
    rate_limit_window: int = 60
    rate_limit_max: int = 600
    rate_limit_write_max: int = 30
    log_level: LogLevel = "info"
    memory_encryption_key: bytes | None = field(default=None, repr=False)
    max_body_bytes: int = 12 * 1024 * 1024
    body_seconds: float = 30.0
    threads: int = 8
    workers: int = 1
    free_plan: Mapping[str, int] = field(default_factory=lambda: dict(FREE_PLAN))
    registration: bool = True
    private_addresses: bool = False
    model_url: str | None = None
    model_key: str | None = field(default=None, repr=False)
    model_name: str = "gpt-4o-mini"
    public_url: str | None = None
    strict: bool = False
    brrain_idempotent_replay: bool = False
    brrain_retention_days: int = 30
    history_days: int = 30
    large_space: int | Literal["never"] | None = None
    index_memory: int = 4 * 2**30
    delivery_delays: tuple[float, ...] = (10.0, 60.0, 600.0, 3600.0)

    def __post_init__(self) -> None:
        if self.jwt_secret is not None and len(self.jwt_secret) < 32:
            raise ConfigurationError(
                "JWT_SECRET: must have at least 32 characters; make one with openssl rand -hex 32"
            )
        if self.memory_encryption_key is not None and len(self.memory_encryption_key) != 32:
            raise ConfigurationError("MEMORY_ENCRYPTION_KEY: must be 32 bytes, written as 64 hex digits")
        if "*" in self.cors_origins:
            raise ConfigurationError(
                "CORS_ORIGINS: '*' would let every page use your users' logins; name the origins"
            )
        if self.large_space is not None and not is_postgres(self.database_url):
            raise ConfigurationError(
                "LARGE_SPACE: only PostgreSQL serves large spaces by indexes of its own; leave it out, or set "
                "DATABASE_URL=postgresql://..."
            )
        if self.workers < 1:
            raise ConfigurationError(f"WORKERS: must be at least 1, not {self.workers}")
        if self.workers > 1 and not is_postgres(self.database_url):
            raise ConfigurationError(
                "WORKERS: more than one needs PostgreSQL, set DATABASE_URL=postgresql://...; on SQLite one process answers"
            )
        if not 0 <= self.port <= 65535:
            raise ConfigurationError(f"PORT: must be from 0 to 65535, not {self.port}")

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str] | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        database_url: str | None = None,
        workers: int | None = None,
    ) -> Settings:
        """Read settings from environment variables; the arguments win over them.

        Raises:
            ConfigurationError: A variable has a value that cannot be meant; the message names it.
        """
        given = os.environ if environment is None else environment

        def text(name: str) -> str | None:
            return (given.get(name) or "").strip() or None

        key = text("MEMORY_ENCRYPTION_KEY")
        if key is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", key):
            raise ConfigurationError(
                "MEMORY_ENCRYPTION_KEY: must be 64 hex digits; make one with openssl rand -hex 32"
            )
        level = (text("LOG_LEVEL") or "info").lower()
        level = "warn" if level == "warning" else level
        if level not in _LEVELS:
            raise ConfigurationError(f"LOG_LEVEL: must be debug, info, warn or error, not {level!r:.20}")
        origins = text("CORS_ORIGINS") or ""
        return cls(
            database_url=database_url or text("DATABASE_URL") or sqlite_url(data_directory() / "server.db"),
            host=host or text("HOST") or "127.0.0.1",
            port=_number(text("PORT"), "PORT", 3000) if port is None else port,
            workers=_number(text("WORKERS"), "WORKERS", 1, least=1) if workers is None else workers,
            jwt_secret=text("JWT_SECRET"),
            development=(text("NODE_ENV") or "production").lower() == "development",
            cors_origins=tuple(part.strip().rstrip("/") for part in origins.split(",") if part.strip()),
            rate_limit_window=_number(text("RATE_LIMIT_WINDOW"), "RATE_LIMIT_WINDOW", 60, least=1),
            rate_limit_max=_number(text("RATE_LIMIT_MAX"), "RATE_LIMIT_MAX", 600),
            rate_limit_write_max=_number(text("RATE_LIMIT_WRITE_MAX"), "RATE_LIMIT_WRITE_MAX", 30, least=1),
            log_level=_LEVELS[level],
            memory_encryption_key=None if key is None else bytes.fromhex(key),
            free_plan=_allowances(text("FREE_PLAN_LIMITS")),
            registration=(text("REGISTRATION") or "open").lower() != "closed",
            private_addresses=(text("ALLOW_PRIVATE_ADDRESSES") or "").lower() in ("1", "true", "yes"),
            model_url=text("MODEL_URL"),
            model_key=text("MODEL_API_KEY"),
            model_name=text("MODEL_NAME") or "gpt-4o-mini",
            public_url=(text("PUBLIC_URL") or "").rstrip("/") or None,
            brrain_idempotent_replay=(text("BRRAIN_IDEMPOTENT_REPLAY") or "").lower() in ("1", "true", "yes"),
            brrain_retention_days=_number(text("BRRAIN_RETENTION_DAYS"), "BRRAIN_RETENTION_DAYS", 30),
            history_days=_number(text("HISTORY_DAYS"), "HISTORY_DAYS", 30),
            strict=(text("STRICT") or "").lower() in ("1", "true", "yes"),
            large_space=_large_space(text("LARGE_SPACE")),
            index_memory=_number(text("INDEX_MEMORY"), "INDEX_MEMORY", 4096, least=1) * 2**20,
        )

    @classmethod
    def absent(cls, environment: Mapping[str, str] | None = None) -> list[str]:
        """Return a warning for every variable that is set and has no effect here."""
        given = os.environ if environment is None else environment
        return [
            f"{name} is set, but this server has no {what}"
            for name, what in ABSENT.items()
            if given.get(name)
        ]


def _number(value: str | None, name: str, default: int, *, least: int = 0) -> int:
    if value is None:
        return default
    if not value.isdecimal() or int(value) < least:
        raise ConfigurationError(f"{name}: must be a whole number of at least {least}, not {value!r:.20}")
    return int(value)


def _large_space(value: str | None) -> int | Literal["never"] | None:
    if value is None:
        return None
    return "never" if value.lower() == "never" else _number(value, "LARGE_SPACE", 0)


def _allowances(value: str | None) -> Mapping[str, int]:
    """Read ``memories=500,context_calls_per_month=100``; what is left out keeps its default, 0 stands for no limit."""
    found = dict(FREE_PLAN)
    for part in (value or "").split(","):
        if not part.strip():
            continue
        name, _, number = part.partition("=")
        if name.strip() not in FREE_PLAN:
            raise ConfigurationError(
                f"FREE_PLAN_LIMITS: {name.strip()!r:.40} is none of {', '.join(FREE_PLAN)}"
            )
        found[name.strip()] = _number(number.strip(), "FREE_PLAN_LIMITS", 0)
    return found

"""Managing the accounts and keys of a server on its database, without a request: for those who run it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from onebrain.errors import OneBrainConflictError, OneBrainNotFoundError, OneBrainValidationError
from onebrain.memory.filters import TRUE
from onebrain.memory.models import EVERYTHING
from onebrain_server.dialects import DIALECTS
from onebrain_server.partitions import partition_name
from onebrain_server.security.scopes import SCOPES
from onebrain_server.server import Server
from onebrain_server.settings import Settings
from onebrain_server.state.accounts import Account, Key
from onebrain_server.state.database import Taken

Plan: TypeAlias = Literal["free", "team"]
PLANS: Final[tuple[Plan, ...]] = ("free", "team")


@dataclass(frozen=True, slots=True)
class Usage:
    """An account with what it has stored, and what its plan allows.

    Attributes:
        account: The account.
        memories: The memories of all formats, archived ones included.
        bytes: The bytes of their text and metadata.
        most_memories: The allowance of memories; None for no limit.
        most_bytes: The allowance of bytes; None for no limit.
    """

    account: Account
    memories: int
    bytes: int
    most_memories: int | None
    most_bytes: int | None


class Administration:
    """What an operator may do; a server may run on the same database meanwhile.

    Args:
        server: The server, which is not serving.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._accounts = server.accounts

    def account(self, email: str) -> Account:
        """Return the account of a mail address.

        Raises:
            OneBrainNotFoundError: There is none.
        """
        found = self._accounts.by_email(email)
        if found is None:
            raise OneBrainNotFoundError(
                f"no account has the address {email}; `onebrain admin users` lists all"
            )
        return found

    def users(self) -> list[Usage]:
        """Return all accounts with their usage, oldest first."""
        return [self._usage(one) for one in self._accounts.everyone()]

    def _usage(self, account: Account) -> Usage:
        # The server itself knows the formats of the application alone, which is not made here.
        services = (None if dialect.name == "onebrain" else dialect.name for dialect in DIALECTS)
        partitions = [self._server.engine.tenant(partition_name(account.id, name)) for name in services]
        limit = self._server.plans.limit
        return Usage(
            account,
            sum(one.count(EVERYTHING, TRUE, include_archived=True) for one in partitions),
            sum(one.size() for one in partitions),
            limit(account, "memories"),
            limit(account, "memory_bytes"),
        )

    def add(self, email: str, *, name: str | None = None, plan: Plan = "team") -> Account:
        """Make an account without a password, which is used with keys.

        Raises:
            OneBrainConflictError: The address has an account.
        """
        if "@" not in email.strip("@ "):
            raise OneBrainValidationError(f"{email}: is not a mail address")
        try:
            return self._accounts.register(email, None, name, "en", plan=plan)
        except Taken:
            raise OneBrainConflictError(f"{email} has an account already") from None

    def change_plan(self, email: str, plan: Plan) -> None:
        """Put an account on a plan: ``free`` has the allowances of ``FREE_PLAN_LIMITS``, ``team`` has none."""
        self._accounts.change_plan(self.account(email).id, plan)

    def keys(self, email: str) -> list[Key]:
        """Return the keys of an account, newest first, without their secrets."""
        return self._accounts.keys(self.account(email).id)

    def create_key(self, email: str, name: str, *, days: int | None = None) -> tuple[Key, str]:
        """Make a trusted key with all scopes; return it, and the whole key, which is shown once."""
        ends = None if days is None else int((datetime.now(UTC).timestamp() + days * 86_400) * 1_000_000)
        return self._accounts.create_key(
            self.account(email).id, name, SCOPES, trust="trusted", expires_at=ends
        )

    def revoke_key(self, email: str, id: str) -> None:
        """Remove a key, by its id or the beginning that is shown of it.

        Raises:
            OneBrainNotFoundError: The account has no such key.
        """
        owner = self.account(email)
        found = [key for key in self._accounts.keys(owner.id) if id in (key.id, key.prefix)]
        if not found:
            raise OneBrainNotFoundError(f"{email} has no key {id}; `onebrain admin keys` lists them")
        self._accounts.revoke_key(owner.id, found[0].id)


@contextmanager
def administration(database_url: str | None = None) -> Generator[Administration, None, None]:
    """Open the database of a server; the default is the one that `onebrain serve` takes."""
    with closing(Server(Settings.from_environment(database_url=database_url))) as server:
        yield Administration(server)


__all__ = ["PLANS", "Administration", "Plan", "Usage", "administration"]

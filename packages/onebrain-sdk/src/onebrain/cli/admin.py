"""Commands for those who run a server: its accounts, their plans and keys."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from onebrain.cli.exits import installed
from onebrain.cli.options import confirm, db_option, group_command, json_option, yes_option
from onebrain.cli.output import Output

if TYPE_CHECKING:
    from onebrain_server.administration import Administration

_PLAN = click.Choice(["free", "team"])


@click.group()
def admin() -> None:
    """Manage the accounts and keys in a server's database.

    The server may run meanwhile, and knows of a change within two seconds.
    """


@contextmanager
def _opened(db: str | None) -> Generator[Administration, None, None]:
    with installed("server", "onebrain-server"):
        from onebrain_server.administration import administration
    with administration(db) as found:
        yield found


@group_command(admin, "users", "onebrain admin users --db sqlite:///server.db")
@db_option
@json_option
def users(db: str | None, out: Output) -> None:
    """List accounts with their plans, and what they have stored of what they may."""
    with _opened(db) as opened:
        rows = [
            (one.account.email, one.account.plan, one.memories, one.most_memories, one.bytes, one.most_bytes)
            for one in opened.users()
        ]
    out.table(("email", "plan", "memories", "most memories", "bytes", "most bytes"), rows)


@group_command(admin, "add-user", "onebrain admin add-user team-a@example.com --plan team")
@click.argument("email")
@click.option("--name", help="The name that is shown.")
@click.option("--plan", type=_PLAN, default="team", help="free has allowances, team has none.")
@db_option
@json_option
def add_user(db: str | None, out: Output, email: str, name: str | None, plan: Any) -> None:
    """Make an account, and print its first key, which is never shown again."""
    with _opened(db) as opened:
        opened.add(email, name=name, plan=plan)
        _, whole = opened.create_key(email, "First key")
    out.result(whole, email=email.strip().lower(), plan=plan, key=whole)


@group_command(admin, "set-plan", "onebrain admin set-plan team-a@example.com free")
@click.argument("email")
@click.argument("plan", type=_PLAN)
@db_option
@json_option
def set_plan(db: str | None, out: Output, email: str, plan: Any) -> None:
    """Put an account on another plan.

    free has the allowances of $FREE_PLAN_LIMITS, team has none.
    """
    with _opened(db) as opened:
        opened.change_plan(email, plan)
    out.result(f"{email}: {plan}", email=email, plan=plan)


@group_command(admin, "keys", "onebrain admin keys owner@localhost")
@click.argument("email")
@db_option
@json_option
def keys(db: str | None, out: Output, email: str) -> None:
    """List the keys of an account, without their secrets."""
    with _opened(db) as opened:
        rows = [
            (
                key.id,
                key.prefix,
                key.name,
                key.trust_level,
                key.is_active,
                _day(key.last_used_at),
                _day(key.expires_at),
            )
            for key in opened.keys(email)
        ]
    out.table(("id", "prefix", "name", "trust", "active", "last used", "expires"), rows)


@group_command(
    admin,
    "create-key",
    "onebrain admin create-key owner@localhost",
    "onebrain admin create-key team-a@example.com --name laptop --days 90",
)
@click.argument("email")
@click.option("--name", default="Made by the operator", help="The name of the key.")
@click.option("--days", type=click.IntRange(1, 36500), help="The days until it ends. Default: never.")
@db_option
@json_option
def create_key(db: str | None, out: Output, email: str, name: str, days: int | None) -> None:
    """Make a key of an account, and print it; it is never shown again.

    If the first key of a server is lost, make another one of owner@localhost.
    """
    with _opened(db) as opened:
        key, whole = opened.create_key(email, name, days=days)
    out.result(whole, id=key.id, key=whole)


@group_command(admin, "revoke-key", "onebrain admin revoke-key owner@localhost ob_4f2a9c")
@click.argument("email")
@click.argument("key")
@yes_option
@db_option
@json_option
def revoke_key(db: str | None, out: Output, email: str, key: str, yes: bool) -> None:
    """Remove a key, by its id or its prefix."""
    with _opened(db) as opened:
        confirm(f"Remove the key {key} of {email}?", yes)
        opened.revoke_key(email, key)
    out.result("removed", removed=key)


def _day(moment: int | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment / 1_000_000, UTC).strftime("%Y-%m-%d")

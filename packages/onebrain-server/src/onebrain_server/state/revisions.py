"""The revision of an account: a number that every change of its records, entities and links raises."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from onebrain_server.clock import now_micros
from onebrain_server.state.database import Database
from onebrain_server.state.tables import account


def revision_of(database: Database, tenant: str) -> int:
    """Return the revision of an account; 0 if there is no such account."""
    return database.value("SELECT revision FROM server_account WHERE id = ?", (tenant,)) or 0


def touch(connection: Connection, tenant: str) -> None:
    """Raise the revision of an account, in the transaction of the change."""
    # A time, so that a database restored from a backup never repeats one.
    moment, last = now_micros(), account.c.revision
    new = sa.case((last < moment, moment), else_=last + 1)
    connection.execute(account.update().where(account.c.id == tenant).values(revision=new))

"""The scopes of keys."""

from __future__ import annotations

from typing import Final, Literal, get_args

Scope = Literal[
    "brain.read",
    "brain.write",
    "memory.extract.write",
    "entity.read",
    "entity.write",
    "connect.read",
    "connect.write",
]
SCOPES: Final[tuple[str, ...]] = get_args(Scope)
ALL: Final = frozenset(SCOPES)
READ_ONLY: Final = ("connect.read", "brain.read", "entity.read")

# What concerns the account itself: whose it is, its logins, its end. No key has it as a scope: a login does, and a trusted key
# that may do everything else.
ACCOUNT: Final = "account"

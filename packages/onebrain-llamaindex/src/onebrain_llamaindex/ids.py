"""Ids of the framework as ids of memories, as this package has always made them."""

from __future__ import annotations

from urllib.parse import quote

from onebrain import Scope
from onebrain.frameworks.ids import LONGEST, digest
from onebrain.memory.checks import check_id
from onebrain.memory.ids import Id


def encode(scope: Scope, *parts: Id) -> str:
    """Return the id of the memory that the framework knows by `parts` in `scope`; hashed if it would be too long.

    A brain tells ids apart by space and user. Two components may share both and differ in the agent or the session, so
    an id begins with these if the scope names them.
    """
    names = [check_id("id", part) for part in parts]
    where = [] if scope.agent is None and scope.session is None else [scope.agent or "", scope.session or ""]
    whole = "/".join([*(quote(part, safe="") for part in (*where, *names[:-1])), names[-1]])
    try:
        fits = len(whole) <= LONGEST and bool(whole.encode())
    except UnicodeEncodeError:
        fits = False
    return whole if fits else "#" + digest(whole)

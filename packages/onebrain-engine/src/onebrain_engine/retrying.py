"""Trying again where the database undid a transaction."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from onebrain_engine.store.protocol import Contention

P = ParamSpec("P")
T = TypeVar("T")


def persistent(verb: Callable[P, T]) -> Callable[P, T]:
    """Run a verb again where the database undid its transaction in favour of another, for as long as writers may wait."""

    @wraps(verb)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        deadline: float | None = None
        while True:
            try:
                return verb(*args, **kwargs)
            except Contention as error:
                if deadline is None:
                    deadline = time.monotonic() + error.patience
                if time.monotonic() >= deadline:
                    raise
                time.sleep(random.uniform(0.001, 0.02))

    return call

"""Commands that look at a brain as a whole: stats and doctor."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import uuid4

import click

import onebrain
from onebrain.cli.exits import FAILED
from onebrain.cli.options import Target, brain_options, command, json_option, url_options
from onebrain.cli.output import Output, Size, size
from onebrain.errors import (
    OneBrainAuthenticationError,
    OneBrainError,
    OneBrainPermissionError,
    OneBrainTransportError,
    Unsupported,
    redact,
)

if TYPE_CHECKING:
    from onebrain.memory.brain import Brain

_TEXT: Final = "onebrain doctor was here: a heron stood by the lock"
_QUERY: Final = "Where did the heron stand?"
# Seconds by which a clock may be wrong.
_CLOCK: Final = 30.0
# Bytes free beside the database below which a warning is due.
_FREE: Final = 200_000_000

State = Literal["ok", "warn", "fail"]


@command("stats", "onebrain stats", "onebrain stats --url sqlite:///brain.db --user maria --json")
@json_option
@brain_options
def stats(target: Target, out: Output) -> None:
    """Print where a brain is and how much it holds."""
    url, _ = target.address
    with target.opened() as brain:
        fields: dict[str, Any] = {"brain": redact(url), "service": brain.capabilities.service}
        fields.update(_files(url))
        scope = target.scope
        fields["memories"] = _counted(brain, scope=scope)
        fields["archived or superseded"] = _more(
            _counted(brain, scope=scope, include_archived=True, include_superseded=True), fields["memories"]
        )
        with suppress(Unsupported):
            for name, order in (("oldest", "created_at"), ("newest", "-created_at")):
                for memory in brain.list(scope=scope, order=order, limit=1):  # type: ignore[arg-type]
                    fields[name] = memory.created_at
        held = brain.embedders()
        if held is not None:
            fields["embedder"] = held.own
            others = {name or "default": found for name, found in held.spaces.items() if found != held.own}
            if others:
                fields["spaces of other embedders"] = sorted(
                    f"{name}: {found}" for name, found in others.items()
                )
    out.fields("", fields)


def _counted(brain: Brain, **which: Any) -> int | None:
    try:
        return brain.count(**which)
    except Unsupported:
        return None


def _more(whole: int | None, part: int | None) -> int | None:
    return None if whole is None or part is None else max(0, whole - part)


def _files(url: str) -> dict[str, Any]:
    """Return where a brain in a file lies, and the bytes of its files."""
    from onebrain.memory.sqlite_urls import is_in_memory, sqlite_path

    if not url.startswith("sqlite:") or is_in_memory(url):
        return {}
    path = Path(sqlite_path(url)).absolute()
    files = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
    index = list(Path(f"{path}.index").glob("*"))
    return {
        "file": str(path),
        "size": Size(sum(file.stat().st_size for file in files if file.exists())),
        "index": Size(sum(file.stat().st_size for file in index)),
    }


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor: what was looked at, what was found, and what to do about it."""

    name: str
    state: State
    found: str
    advice: str = ""


@command("doctor", "onebrain doctor", "onebrain doctor --url onebrain+http://localhost:3000 --json")
@json_option
@url_options
def doctor(target: Target, out: Output) -> None:
    """Check a brain, and say what to do.

    One memory is stored, searched and deleted in a scope of its own. The exit code is 1 if a check failed.
    """
    failed = False
    for check in _checks(target):
        failed |= check.state == "fail"
        _show(out, check)
    if failed:
        raise click.exceptions.Exit(FAILED)


def _show(out: Output, check: Check) -> None:
    if out.as_json:
        out.json({"check": check.name, "state": check.state, "found": check.found, "advice": check.advice})
        return
    sign, style = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red")}[check.state]
    mark = f"{sign} " if out.rich else f"{check.state:<6}"
    out.styled((mark, style), (f"{check.name:<14}", "cyan"), check.found)
    if check.advice:
        out.styled(f"{'':<{len(mark) + 14}}", (f"→ {check.advice}", "yellow"))


def _checks(target: Target) -> Iterator[Check]:
    """Yield the checks one after the other; those that need an earlier one which failed are left out."""
    yield Check("version", "ok", f"onebrain {onebrain.__version__}, Python {platform.python_version()}")
    try:
        url, key = target.address
    except OneBrainError as error:
        yield Check("url", "fail", str(error), "set --url, or $ONEBRAIN_URL")
        return
    source = "--url" if target.url else "$ONEBRAIN_URL" if os.environ.get("ONEBRAIN_URL") else "the default"
    yield Check("url", "ok", f"{redact(url)} ({source})")
    embedded = url.startswith(("sqlite:", "postgres"))
    if url.startswith("sqlite:"):
        yield from _file_checks(url)
    elif not embedded:
        yield from _server_checks(url, key)
    try:
        with target.opened() as brain:
            yield from _brain_checks(brain, embedded)
    except OneBrainError as error:
        yield Check("open", "fail", str(error), _advice(error))


def _file_checks(url: str) -> Iterator[Check]:
    from onebrain.memory.sqlite_urls import is_in_memory, sqlite_path

    if is_in_memory(url):
        return
    path = Path(sqlite_path(url)).absolute()
    if not path.exists():
        return
    free = shutil.disk_usage(path.parent).free
    advice = "" if free > _FREE else "free some space, or move the brain with onebrain backup and restore"
    yield Check("disk", "ok" if free > _FREE else "warn", f"{size(free)} free beside {path}", advice)
    mode = path.stat().st_mode & 0o077
    if mode and os.name == "posix":
        yield Check("permissions", "warn", "others on this machine can read the file", f"chmod 600 {path}")
    yield Check("sqlite", "ok", f"SQLite {sqlite3.sqlite_version}")


def _server_checks(url: str, key: str | None) -> Iterator[Check]:
    """Look at the server itself: whether it answers, how fast, its version and its clock."""
    import httpx

    scheme, _, rest = url.partition("+")
    variable = f"{scheme.upper().replace('-', '_')}_API_KEY"
    if not key and not os.environ.get(variable):
        yield Check(
            "key",
            "warn",
            f"neither --api-key nor ${variable} is set",
            f"set ${variable}, if the server needs a key",
        )
    address = httpx.URL(rest or url)
    begun = time.perf_counter()
    try:
        answer = httpx.get(address.copy_with(path="/health", query=None), timeout=10.0)
    except httpx.HTTPError as error:
        advice = "check the host and the port, and that the server runs; a proxy is taken from $HTTPS_PROXY"
        yield Check("reachability", "fail", f"no answer from {address.host}: {type(error).__name__}", advice)
        return
    taken = (time.perf_counter() - begun) * 1000
    yield Check("reachability", "ok", f"{address.host} answers in {taken:.0f} ms")
    with suppress(ValueError, AttributeError):
        version = answer.json().get("version")
        if version:
            yield Check("server", "ok", f"version {version}")
    yield from _clock_check(answer.headers.get("date"))


def _clock_check(date: str | None) -> Iterator[Check]:
    from email.utils import parsedate_to_datetime

    try:
        wrong = abs(parsedate_to_datetime(date or "").timestamp() - time.time())
    except ValueError:
        return
    if wrong > _CLOCK:
        advice = "set this machine's clock: expiry and relative dates follow it"
        yield Check("clock", "warn", f"{wrong:.0f} s apart from the server's", advice)
    else:
        yield Check("clock", "ok", "as the server's")


def _brain_checks(brain: Brain, embedded: bool) -> Iterator[Check]:
    can = brain.capabilities
    lacking = [
        name
        for name in (
            "update",
            "delete",
            "list",
            "created_at",
            "expiry",
            "embeddings",
            "supersede",
            "entities",
        )
        if not getattr(can, name)
    ]
    yield Check(
        "capabilities", "ok", f"{can.service}: {'all' if not lacking else 'all but ' + ', '.join(lacking)}"
    )
    if embedded:
        held = brain.embedders()
        own = None if held is None else held.own
        if own is None:
            yield Check("embedder", "warn", "none, so searches use words alone", "set $ONEBRAIN_EMBEDDER")
        else:
            yield Check("embedder", "ok", own)
    yield from _round_trip(brain)


def _round_trip(brain: Brain) -> Iterator[Check]:
    """Store, search and delete a memory in a scope of its own; stop at the first that fails."""
    scope = onebrain.Scope(user=f"onebrain-doctor-{uuid4().hex[:12]}")
    stored: list[str] = []

    def write() -> str:
        stored.append(str(brain.store(_TEXT, scope=scope, wait=True).id))
        return "stored"

    def read() -> str:
        return "read" if brain.get(stored[0], scope=scope).content == _TEXT else ""

    def search() -> str:
        return "found" if any(hit.id == stored[0] for hit in brain.search(_QUERY, scope=scope)) else ""

    def delete() -> str:
        return "deleted" if brain.delete(stored.pop(), scope=scope) else ""

    steps: tuple[tuple[str, Callable[[], str]], ...] = (
        ("write", write),
        ("read", read),
        ("search", search),
        ("delete", delete),
    )
    with _removed(brain, stored, scope):
        for name, step in steps:
            check = _timed(name, step)
            yield check
            if check.state == "fail":
                return


@contextmanager
def _removed(brain: Brain, stored: list[str], scope: onebrain.Scope) -> Generator[None, None, None]:
    try:
        yield
    finally:
        if stored:
            with suppress(OneBrainError):
                brain.delete(stored, scope=scope)


def _timed(name: str, step: Callable[[], str]) -> Check:
    begun = time.perf_counter()
    try:
        done = step()
    except Unsupported as error:
        return Check(name, "warn", str(error))
    except OneBrainError as error:
        return Check(name, "fail", str(error), _advice(error))
    taken = (time.perf_counter() - begun) * 1000
    if not done:
        return Check(
            name, "fail", "the memory was not there", "the service may index with a delay; try again"
        )
    return Check(name, "ok", f"{done} in {taken:.0f} ms")


def _advice(error: OneBrainError) -> str:
    match error:
        case OneBrainAuthenticationError():
            return "give a key: --api-key, or the variable of the service"
        case OneBrainPermissionError():
            return "the key may not do this; make one with more scopes"
        case OneBrainTransportError():
            return "check the URL, and that the server runs"
        case _:
            return ""

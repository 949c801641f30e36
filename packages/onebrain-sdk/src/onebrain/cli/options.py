"""The options that commands share: the brain and the scope, ``--json``, and an example below ``--help``."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from onebrain.cli.exits import INTERRUPTED, JSON, Failure
from onebrain.cli.output import Output

if TYPE_CHECKING:
    from onebrain.memory.brain import Brain
    from onebrain.memory.models import Scope

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Target:
    """The brain and the scope that a command was given."""

    url: str | None = None
    api_key: str | None = None
    space: str | None = None
    user: str | None = None
    agent: str | None = None
    session: str | None = None

    @property
    def scope(self) -> Scope:
        """The scope."""
        from onebrain.memory.models import Scope

        return Scope(self.space, self.user, self.agent, self.session)

    @property
    def address(self) -> tuple[str, str | None]:
        """The URL and the key, with those of the environment where none were given."""
        from onebrain.urls import resolve

        return resolve(self.url, self.api_key)

    @contextmanager
    def opened(self, *, create: bool = False, **options: Any) -> Generator[Brain, None, None]:
        """Open the brain, and close it at the end.

        Args:
            create: Whether a missing file is created. Commands that read leave it out, so that a mistyped file is an error.
            options: Further options of `onebrain.connect`.
        """
        from onebrain.urls import connect

        url, api_key = self.address
        # Other drivers do not take the option.
        if url.startswith("sqlite:"):
            options["create"] = create
        with connect(url, api_key=api_key, **options) as brain:
            yield brain


class Command(click.Command):
    """A command whose help lists the options of the brain and the scope apart from its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in sections."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Argument):
                continue
            record = parameter.get_help_record(ctx)
            if record is not None:
                (shared if parameter.name in _SHARED else own).append(record)
        for title, records in (("Options", own), ("Brain and scope", shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def command(name: str, *examples: str) -> Callable[[Callable[..., None]], Command]:
    """Make a command; `examples` are command lines, which stand below its help."""
    return click.command(name, cls=Command, epilog="\n".join(examples))


def brain_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose a brain and a scope; the command takes them as a `Target`, first."""
    return _as_target(function, (*_BRAIN, *_SCOPE))


def url_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose a brain, without a scope; the command takes them as a `Target`, first."""
    return _as_target(function, _BRAIN)


def scope_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose a scope, without a brain; the command takes them as a `Target`, first."""
    return _as_target(function, _SCOPE)


def _as_target(function: Callable[..., None], options: Sequence[Callable[[Any], Any]]) -> Callable[..., None]:
    @wraps(function)
    def run(**given: Any) -> None:
        target = Target(**{one.name: given.pop(one.name) for one in fields(Target) if one.name in given})
        function(target, **given)

    made: Callable[..., None] = run
    for option in reversed(options):
        made = option(made)
    return made


_BRAIN: Final = (
    click.option("--url", help="The brain. Default: $ONEBRAIN_URL, else the cloud or the embedded brain."),
    click.option("--api-key", envvar="ONEBRAIN_API_KEY", help="The key of the brain.", show_envvar=True),
)
_SCOPE: Final = (
    click.option("--space", help="A vector store, collection or project."),
    click.option("--user", help="The user whose memories they are."),
    click.option("--agent", help="The agent that wrote the memories."),
    click.option("--session", help="The conversation or document."),
)
_SHARED: Final = frozenset(one.name for one in fields(Target))


def json_option(function: F) -> F:
    """Add ``--json``; the command takes the keyword ``out``, an `Output`."""

    def chosen(ctx: click.Context, _: click.Parameter, value: bool) -> Output:
        ctx.meta[JSON] = value
        return Output(value)

    return click.option(
        "--json", "out", is_flag=True, is_eager=True, callback=chosen, help="Print JSON, one object a line."
    )(function)


def yes_option(function: F) -> F:
    """Add ``--yes``; the command takes the keyword ``yes``, and passes it to `confirm`."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask.")(function)


def confirm(question: str, yes: bool) -> None:
    """Ask before something is destroyed.

    Raises:
        Failure: The answer is no, or nobody is there to answer.
        click.exceptions.Exit: The question is interrupted.
    """
    if yes:
        return
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort as abort:
        # The cause tells Ctrl-C from the end of the input.
        if isinstance(abort.__context__, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        click.echo(err=True)
        raise Failure(
            "nobody answered, so nothing was changed; --yes answers with yes", kind="Aborted"
        ) from None
    if not agreed:
        raise Failure("nothing was changed, because the answer was no", kind="Aborted")


def json_object(ctx: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """Return the JSON object in the text of an option: the option's `callback`."""
    if value is None:
        return None
    try:
        found: Any = json.loads(value)
    except RecursionError:
        raise click.BadParameter("is nested too deep") from None
    except ValueError:
        raise click.BadParameter("is not valid JSON") from None
    if not isinstance(found, dict):
        raise click.BadParameter("must be a JSON object")
    return cast("dict[str, Any]", found)


def filter_option(function: F) -> F:
    """Add ``--filter``; the command takes the keyword ``filter``, an object or None."""
    return click.option(
        "--filter",
        callback=json_object,
        metavar="JSON",
        help='A filter of metadata, such as {"year": {"$gte": 2025}}.',
    )(function)


def db_option(function: F) -> F:
    """Add ``--db``, the database of a server."""
    return click.option(
        "--db",
        help="The server's database. Default: $DATABASE_URL, else a file in the user's data directory.",
    )(function)


def group_command(group: click.Group, name: str, *examples: str) -> Callable[[Callable[..., None]], Command]:
    """Make a command of a group, as `command` does."""

    def add(function: Callable[..., None]) -> Command:
        made = command(name, *examples)(function)
        group.add_command(made)
        return made

    return add

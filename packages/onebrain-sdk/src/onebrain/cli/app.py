"""The command ``onebrain``: the list of its commands, each of which is imported when it runs or shows its help."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

import onebrain
from onebrain.cli.exits import JSON, reported
from onebrain.cli.streams import prepare


class Entry(NamedTuple):
    """A command that is not imported yet: its address, and its line in the list of commands."""

    address: str
    help: str


# The lines are those of the commands' own help, which would take an import of every module.
SECTIONS: Final[Mapping[str, Mapping[str, Entry]]] = {
    "Memories": {
        "store": Entry("memories:store", "Store a memory and print its id."),
        "get": Entry("memories:get", "Print memories by their ids."),
        "search": Entry("reading:search", "Search memories, best first."),
        "context": Entry("reading:context", "Print the memories about a question as text for a prompt."),
        "list": Entry("reading:list_memories", "List memories, newest first."),
        "count": Entry("reading:count", "Count memories."),
        "update": Entry("memories:update", "Change fields of a memory."),
        "delete": Entry("memories:delete", "Delete memories by their ids."),
        "forget": Entry("memories:forget", "Delete all memories that match a filter or a scope."),
    },
    "Move": {
        "import": Entry("moving:import_memories", "Store memories from a file, or from standard input."),
        "migrate": Entry("moving:migrate", "Copy all memories of a brain into another one."),
        "export": Entry("moving:export", "Write every memory to a file, or to standard output."),
        "backup": Entry("copying:backup", "Copy a brain into a file, while others write."),
        "restore": Entry("copying:restore", "Put a copy in place of a brain."),
        "reembed": Entry("embedded:reembed", "Give memories the vectors of another embedder."),
        "encrypt": Entry(
            "embedded:encrypt", "Encrypt a whole brain or the database of a server, or change its key."
        ),
    },
    "Look": {
        "stats": Entry("inspecting:stats", "Print where a brain is and how much it holds."),
        "doctor": Entry("inspecting:doctor", "Check a brain, and say what to do."),
    },
    "Run": {
        "serve": Entry("serving:serve", "Serve OneBrain's API."),
        "mcp": Entry("mcp:mcp", "Serve memory tools to an agent over MCP."),
        "admin": Entry("admin:admin", "Manage the accounts and keys in a server's database."),
        "credentials": Entry(
            "serving:credentials", "Manage the credentials that a server keeps for its users."
        ),
    },
}
_ENTRIES: Final = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class LazyGroup(click.Group):
    """A group that imports a command when it is used, and reports every error in one line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; note whether it asks for JSON before an error in it is reported."""
        prepare()
        ctx.meta[JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of the help."""
        return list(_ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        entry = _ENTRIES.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.address.partition(":")
        found = getattr(import_module(f"onebrain.cli.{module}"), attribute)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of a command line; suggest one if there is none."""
        if args and args[0] not in _ENTRIES and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], _ENTRIES, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in sections."""
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.help) for name, entry in entries.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with reported():
            return super().invoke(ctx)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog="onebrain COMMAND --help shows the options of a command, with examples.",
)
@click.version_option(onebrain.__version__, prog_name="onebrain")
def cli() -> None:
    """Store, search, move and serve long-term memory."""

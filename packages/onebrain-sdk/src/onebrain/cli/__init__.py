"""The ``onebrain`` command. `app` lists the commands, and each module beside it holds a group of them."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

INSTALL: Final = 'pip install "onebrain-sdk[cli]>=2"'


def main() -> None:
    """Run the command line. It needs the extra ``cli``; without it, the command that installs it is printed."""
    if find_spec("click") is None:
        print(f"onebrain: the command line is not installed. Install it with: {INSTALL}", file=sys.stderr)
        sys.exit(2)
    from onebrain.cli.app import cli

    cli(prog_name="onebrain")


__all__ = ["main"]

"""The ``onebrain`` command, for brains and servers."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. It needs the extra ``cli``."""
    try:
        from onebrain.cli.commands import cli
    except ImportError as error:
        if error.name != "click":
            raise
        sys.exit('the command line needs click: pip install "onebrain-sdk[cli]"')
    cli()


__all__ = ["main"]

"""Standard streams that every command can use: none is missing, and every text can be written to them."""

from __future__ import annotations

import codecs
import io
import os
import sys
from pathlib import Path


def prepare() -> None:
    """Open closed streams on the null device, and make the output take every character.

    A terminal shows ``?`` for a character that its encoding does not have. A pipe or a file gets UTF-8 instead, so that no
    text is changed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            # It stays open until the process ends.
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and hasattr(stream, "reconfigure"):
            _widen(stream)


def _widen(stream: io.TextIOWrapper) -> None:
    """Make a stream take every character."""
    if codecs.lookup(stream.encoding).name == "utf-8":
        return
    if stream.isatty():
        stream.reconfigure(errors="replace")
    else:
        stream.reconfigure(encoding="utf-8")

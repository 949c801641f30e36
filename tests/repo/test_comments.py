"""No comment tears its statement apart."""

from __future__ import annotations

import re


def test_no_comment_follows_closing_brackets_alone(texts):
    """The formatter breaks the line that a trailing comment makes too long; the comment then explains a bracket."""
    alone = re.compile(r"^[ \t]*[)\]}]+:?,?[ \t]+# (?!fmt:|type:|noqa|pyright:|pragma:)", re.MULTILINE)
    torn = [
        f"{path}:{text.count(chr(10), 0, found.start()) + 1}"
        for path, text in texts.items()
        if path.endswith(".py")
        for found in alone.finditer(text)
    ]
    assert torn == []

"""The text of a PDF, as a program of its own: the file comes on standard input, its text leaves on standard output.

A PDF may keep whoever reads it busy for ever, or unfold to gigabytes. So it is read in a process that has limits and can be
ended (`files.pdf_text` does both), which is why nothing of this package is imported here.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pypdf import PdfReader

MAX_PAGES: Final = 1_000
MAX_CHARACTERS: Final = 5_000_000
# The status that goes with a sentence on standard output, instead of a text.
REFUSED: Final = 3

_MEMORY: Final = 512 * 1024 * 1024
# Should nobody be left to end it.
_CPU_SECONDS: Final = 60
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SENTENCE_END: Final = (".", "!", "?", ":", ";")


class Refused(Exception):
    """Why a PDF has no text for us, in a sentence for whoever sent it."""


def read(data: bytes) -> str:
    """Return a PDF's text, a blank line between pages.

    Raises:
        Refused: It is encrypted, too large, or has no text; a broken one raises whatever its reader meets.
    """
    from pypdf import PdfReader
    from pypdf.errors import LimitReachedError

    try:
        return _text(PdfReader(BytesIO(data)))
    except (LimitReachedError, MemoryError):
        raise Refused("The PDF unfolds to more than can be read; save it as text and upload that") from None


def _text(reader: PdfReader) -> str:
    # Many PDFs that may not be changed are encrypted with an empty password.
    if reader.is_encrypted and not reader.decrypt(""):
        raise Refused("The PDF is encrypted; save it without a password and upload that")
    if len(reader.pages) > MAX_PAGES:
        raise Refused(f"The PDF has more than {MAX_PAGES} pages; upload it in parts")
    pages: list[str] = []
    size = 0
    for page in reader.pages:
        text = unwrapped(_clean(page.extract_text()))
        size += len(text)
        if size > MAX_CHARACTERS:
            raise Refused(f"The PDF has more than {MAX_CHARACTERS} characters; upload it in parts")
        if text:
            pages.append(text)
    if not pages:
        raise Refused("The PDF has no text: its pages are empty, or pictures")
    return "\n\n".join(pages)


def unwrapped(text: str) -> str:
    r"""Return a page's text with the lines of a paragraph as one, which a PDF does not tell apart.

    Example:
        >>> unwrapped("Agenda\nMaria prefers a window seat on the long train\nto Lisbon.\nPedro drives.")
        'Agenda\nMaria prefers a window seat on the long train to Lisbon.\nPedro drives.'
    """
    lines = [" ".join(line.split()) for line in text.splitlines()]
    longest = max(map(len, lines), default=0)
    found: list[str] = []
    # The line above, where the next may go on.
    last = ""
    for line in lines:
        goes_on = bool(last and line) and not last.endswith(_SENTENCE_END)
        if goes_on and last.endswith("-") and line[0].islower():
            found[-1] = found[-1][:-1] + line
        elif goes_on and (line[0].islower() or len(last) >= 0.75 * longest):
            found[-1] += " " + line
        elif line:
            found.append(line)
        last = line
    return "\n".join(found)


def _clean(text: str) -> str:
    # Halves of characters come as they stand in the file: pairs are joined, single ones replaced.
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _CONTROL.sub("", whole)


def _limit() -> None:
    """Bound the resources of this process, if the system can."""
    try:
        import os
        import resource
    except ImportError:
        # Windows: time alone is bounded, from outside.
        return
    for kind, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, _CPU_SECONDS)):
        # macOS bounds no memory; or a limit is there that is lower.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))
    # Answering requests comes first.
    os.nice(5)


def main() -> int:
    """Read the PDF on standard input; return the process's status."""
    _limit()
    try:
        text = read(sys.stdin.buffer.read())
    except Refused as refused:
        sys.stdout.buffer.write(str(refused).encode())
        return REFUSED
    sys.stdout.buffer.write(text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())

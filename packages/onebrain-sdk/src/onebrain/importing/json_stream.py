"""JSON documents read as streams: the items of an array one by one, each decoded when its text is there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from typing import Any, Final

# One item, such as a conversation, has at most so many characters; it is in memory as a whole.
MOST: Final = 64 * 2**20

_decoder: Final = JSONDecoder(strict=False)
_BLANK: Final = re.compile(r"[ \t\r\n]*")
# A text without its end is one match, for otherwise a search would begin anew at each of its quotes.
_STRUCTURE: Final = re.compile(r'"(?:[^"\\]|\\.)*("?)|[{}\[\]]', re.DOTALL)
_NUMBER_GOES_ON: Final = re.compile(r"[-+.eE0-9]*")
_AFTER_PLAIN: Final = re.compile(r"[,\]]")
_FIRST_KEY: Final = re.compile(r'\{\s*("(?:[^"\\]|\\.){1,80}")\s*:')
_NEXT_OBJECT: Final = re.compile(r'\}\s*,\s*(?=\{\s*("(?:[^"\\]|\\.){1,80}")\s*:)')
# A literal or an escape of this many characters may be cut by the end of the buffer.
_TOKEN: Final = 12


@dataclass(frozen=True, slots=True)
class Item:
    """A value of a document.

    Attributes:
        key: The key of the outer object under which it stands; None if the document is an array.
        number: Its position in its array, from 1; 0 if it is the value of the key itself.
        value: The value.
        reason: Why there is no value; None if there is one.
    """

    key: str | None
    number: int
    value: Any
    reason: str | None = None

    @property
    def place(self) -> str:
        """The place, in words."""
        number = f"item {self.number}" if self.number else ""
        return f"{self.key} {number}".strip() if self.key is not None else number or "the document"


def items(chunks: Iterable[str]) -> Iterator[Item]:
    """Read a document: an array item by item, or an object whose arrays are read item by item, and its other values whole.

    Damage costs the item that it is in. The reader goes on behind it, and at the end of a document that was cut.

    Args:
        chunks: The text in pieces of any size.

    Example:
        >>> [item.value for item in items(['[1, {"a"', ": 2}]"])]
        [1, {'a': 2}]
        >>> [(item.key, item.value) for item in items(['{"total": 2, "results": ["x", "y"]}'])]
        [('total', 2), ('results', 'x'), ('results', 'y')]
    """
    return _Reader(chunks).document()


class _Reader:
    """A buffer over chunks, and a position in it."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self._chunks = iter(chunks)
        self._text = ""
        self._at = 0
        self._ended = False
        self._first_key: str | None = None

    def document(self) -> Iterator[Item]:
        start = self._peek()
        if start == "[":
            self._at += 1
            yield from self._array(None)
        elif start == "{":
            self._at += 1
            yield from self._object()
        elif start:
            yield self._whole(None)
        if self._peek():
            yield Item(None, 0, None, "there is text behind the end of the JSON document")

    def _object(self) -> Iterator[Item]:
        while True:
            start = self._peek()
            if start == ",":
                self._at += 1
                continue
            if start != '"':
                yield from self._end_of_object(start)
                return
            try:
                key = self._decode()
            except _Damaged as damage:
                yield Item(None, 0, None, str(damage))
                return
            if self._peek() != ":":
                yield Item(key, 0, None, _found("is no JSON: a colon is missing", self._ended))
                self._finish()
                return
            self._at += 1
            if self._peek() == "[":
                self._at += 1
                yield from self._array(key)
            else:
                yield self._whole(key)

    def _end_of_object(self, start: str) -> Iterator[Item]:
        if start == "}":
            self._at += 1
            return
        reason = "the file ends within the JSON document" if not start else "is no JSON"
        self._finish()
        yield Item(None, 0, None, reason)

    def _whole(self, key: str | None) -> Item:
        try:
            return Item(key, 0, self._decode())
        except _Damaged as damage:
            self._finish()
            return Item(key, 0, None, str(damage))

    def _array(self, key: str | None) -> Iterator[Item]:
        number = 0
        while True:
            start = self._peek()
            if start == ",":
                self._at += 1
                continue
            if start == "]":
                self._at += 1
                return
            number += 1
            if not start:
                yield Item(key, number, None, "the file ends before the array does")
                return
            try:
                yield Item(key, number, self._decode())
            except _Damaged as damage:
                yield Item(key, number, None, str(damage))
                if not self._pass_over():
                    self._finish()
                    return

    def _decode(self) -> Any:
        """Return the value at the position, and move behind it.

        Raises:
            _Damaged: It is no JSON; the position is where it was.
        """
        if self._first_key is None and (match := _FIRST_KEY.match(self._text, self._at)):
            self._first_key = match[1]
        while True:
            value, end = self._attempt()
            # A number at the end of the buffer may go on, also behind what is cut of an exponent.
            if end is not None and (self._ended or not _NUMBER_GOES_ON.fullmatch(self._text, end)):
                self._at = end
                return value
            if len(self._text) - self._at > MOST:
                raise _Damaged(f"has no end within {MOST >> 20} million characters")
            # Twice as much each time, because decoding begins again.
            self._more(max(len(self._text) - self._at, 1))

    def _attempt(self) -> tuple[Any, int | None]:
        """Return the value at the position and its end; None as the end if it is not in the buffer."""
        try:
            return _decoder.raw_decode(self._text, self._at)
        except JSONDecodeError as error:
            cut = error.pos >= len(self._text) - _TOKEN or error.msg.startswith("Unterminated string")
            if not cut:
                raise _Damaged("is no JSON") from None
            if self._ended:
                raise _Damaged("is no JSON, or the file ends within it") from None
            return None, None
        except RecursionError:
            raise _Damaged("is nested too deep") from None
        except ValueError:
            raise _Damaged("holds a number with too many digits") from None

    def _pass_over(self) -> bool:
        """Move behind a damaged item; return False if its end cannot be found."""
        end = self._end_by_depth()
        while end is None and not self._ended and len(self._text) - self._at <= MOST:
            self._more(max(len(self._text) - self._at, 1))
            end = self._end_by_depth()
        if end is None and self._first_key is not None:
            following = _NEXT_OBJECT.finditer(self._text, self._at)
            end = next((match.end() for match in following if match[1] == self._first_key), None)
        if end is None:
            return False
        self._at = end
        return True

    def _end_by_depth(self) -> int | None:
        """Return the position behind the item by its brackets, or of the comma behind a plain value; None if it is not there."""
        if self._text[self._at] not in ("{", "["):
            match = _AFTER_PLAIN.search(self._text, self._at)
            return match.start() if match else None
        depth = 0
        for match in _STRUCTURE.finditer(self._text, self._at):
            token = match[0]
            if match[1] == "":
                return None
            if token in "{[":
                depth += 1
            elif token in "}]":
                depth -= 1
            if depth == 0:
                # Behind an item stands a comma or the end of the array; otherwise, its brackets are damaged.
                after = _BLANK.match(self._text, match.end())
                following = self._text[after.end() : after.end() + 1] if after else ""
                return match.end() if following in ",]" else None
        return None

    def _peek(self) -> str:
        """Move behind blanks, and return the next character; empty at the end."""
        while True:
            match = _BLANK.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more(1)

    def _more(self, characters: int) -> None:
        """Read at least so many characters more, and drop what lies before the position."""
        parts, size = [self._text[self._at :]], 0
        while size < characters:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._ended = True
                break
            parts.append(chunk)
            size += len(chunk)
        self._text = "".join(parts)
        self._at = 0

    def _finish(self) -> None:
        """Move to the end of the document: nothing more can be read of it."""
        self._text, self._at, self._ended = "", 0, True


class _Damaged(Exception):
    """A value that cannot be decoded."""


def _found(reason: str, ended: bool) -> str:
    return f"{reason}, or the file ends within it" if ended else reason

"""Files, folders and archives as readers see them: parts with names, read as text in pieces or lines.

Text is UTF-8, with or without a byte order mark, or UTF-16 with one. Bytes that are no UTF-8 are read as Windows-1252, which
Latin-1 is a part of. Only a line feed ends a line, so that U+2028 stays in its text.
"""

from __future__ import annotations

import codecs
import io
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final, TypeAlias, cast

from onebrain.errors import OneBrainValidationError

Readable: TypeAlias = str | Path | IO[bytes]

CHUNK: Final = 1 << 20
HEAD: Final = 1 << 16
# The longest line, in bytes.
LONGEST: Final = 64 << 20
# Errors of members of an archive: of their checksum, their compression, or a password that they need.
_UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    """Read bytes that are no UTF-8 as Windows-1252, or as Latin-1 where that has no character."""
    assert isinstance(error, UnicodeDecodeError)
    part = error.object[error.start : error.end]
    return part.decode("cp1252", "ignore") or part.decode("latin-1"), error.end


codecs.register_error("onebrain_windows", _as_windows)


@dataclass(slots=True)
class Meter:
    """The number of bytes that were read of a source."""

    read: int = 0


@dataclass(frozen=True)
class Part:
    """A file of a source.

    Attributes:
        name: Its name within the source.
    """

    name: str
    opened: Any
    meter: Meter

    @contextmanager
    def open(self) -> Generator[IO[bytes], None, None]:
        """Open the file, and close it at the end.

        Raises:
            OneBrainValidationError: It cannot be read, or is damaged or encrypted within its archive.
        """
        try:
            with self.opened() as stream:
                yield stream
        except (*_UNREADABLE, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise OneBrainValidationError(f"{self.name or 'the file'}: cannot be read: {reason}") from None

    def chunks(self) -> Iterator[str]:
        """Return the text in pieces."""
        with self.open() as stream:
            first = stream.read(CHUNK)
            mark, encoding = encoding_of(first)
            decoder = codecs.getincrementaldecoder(encoding)("onebrain_windows")
            block = first[len(mark) :]
            self.meter.read += len(first)
            while block:
                yield decoder.decode(block)
                block = stream.read(CHUNK)
                self.meter.read += len(block)
            yield decoder.decode(b"", True)

    def lines(self) -> Iterator[tuple[int, str | None]]:
        """Return the lines with their numbers, from 1, and their line feeds; None for one that is too long."""
        with self.open() as stream:
            mark, encoding = encoding_of(_peeked(stream))
            if encoding != "utf-8":
                # By this name, the codec takes the mark away.
                yield from enumerate(io.TextIOWrapper(stream, "utf-16", "replace", newline="\n"), 1)
                return
            number, whole = 0, True
            while line := stream.readline(LONGEST):
                self.meter.read += len(line)
                if whole:
                    number += 1
                ended = line.endswith(b"\n") or len(line) < LONGEST
                if not whole:
                    whole = ended
                elif not ended:
                    whole = False
                    yield number, None
                else:
                    text = line.decode("utf-8", "onebrain_windows")
                    yield number, text.removeprefix("\ufeff") if number == 1 and mark else text

    def head(self) -> str:
        """Return the beginning of the text."""
        with self.open() as stream:
            first = _peeked(stream)[:HEAD]
        mark, encoding = encoding_of(first)
        return codecs.getincrementaldecoder(encoding)("onebrain_windows").decode(first[len(mark) :])


def encoding_of(first: bytes) -> tuple[bytes, str]:
    """Return the byte order mark at the beginning of a text, and the encoding that it says; UTF-8 without one."""
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return mark, encoding
    return b"", "utf-8"


def _peeked(stream: IO[bytes]) -> bytes:
    """Return the beginning of a stream, and leave its position."""
    peek: Any = getattr(stream, "peek", None)
    if peek is not None:
        return bytes(peek(HEAD))
    found = stream.read(HEAD)
    stream.seek(0)
    return found


class Source:
    """A file, a folder, a ZIP archive, or a stream of bytes.

    Raises:
        OneBrainValidationError: There is no such file, or the archive is damaged.
    """

    def __init__(self, given: Readable) -> None:
        self.meter = Meter()
        self._given = given
        self.path = Path(given) if isinstance(given, str | Path) else None
        if self.path is not None and not self.path.exists():
            raise OneBrainValidationError(f"{self.path}: there is no such file")

    @property
    def size(self) -> int | None:
        """The number of bytes of a file; None for anything else."""
        return self.path.stat().st_size if self.path is not None and self.is_plain else None

    @property
    def is_plain(self) -> bool:
        """Whether it is one file or stream."""
        return self.path is None or (self.path.is_file() and not self._is_archive)

    @cached_property
    def _is_archive(self) -> bool:
        return self.path is not None and self.path.is_file() and zipfile.is_zipfile(self.path)

    @cached_property
    def parts(self) -> list[Part]:
        """The files, in the order of their names."""
        if self.path is None:
            return [Part("", self._stream, self.meter)]
        if self._is_archive:
            return self._members(self.path)
        if self.path.is_dir():
            root = self.path
            files = sorted(path for path in root.rglob("*") if path.is_file())
            return [self._file(path, path.relative_to(root).as_posix()) for path in files]
        return [self._file(self.path, "")]

    def named(self, *names: str) -> list[Part]:
        """Return the parts whose file names are among `names`; of a single file, that one."""
        if self.is_plain:
            return self.parts
        return [part for part in self.parts if part.name.rpartition("/")[2] in names]

    def ending(self, *ends: str) -> list[Part]:
        """Return the parts whose names end so; of a single file, that one."""
        return self.parts if self.is_plain else [part for part in self.parts if part.name.endswith(ends)]

    def _file(self, path: Path, name: str) -> Part:
        return Part(name, lambda: path.open("rb", CHUNK), self.meter)

    def _members(self, path: Path) -> list[Part]:
        try:
            with zipfile.ZipFile(path) as archive:
                infos = sorted(
                    (info for info in archive.infolist() if not info.is_dir()), key=lambda info: info.filename
                )
        except (zipfile.BadZipFile, OSError):
            raise OneBrainValidationError(f"{path}: is a damaged ZIP archive") from None
        # By the entry and not by its name, which several members may have.
        return [Part(info.filename, lambda info=info: _member(path, info), self.meter) for info in infos]

    def _stream(self) -> Any:
        stream: Any = self._given
        if not hasattr(stream, "peek"):
            stream = self._given = io.BufferedReader(stream, CHUNK)
        return _Kept(stream)


class _Kept(io.BufferedIOBase):
    """A stream of the caller's: closing it leaves theirs open, so that it can be looked at before it is read."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._inner = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self._inner.read(size)

    def read1(self, size: int = -1, /) -> bytes:
        return self._inner.read1(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._inner.readline(-1 if size is None else size)

    def peek(self, size: int = 0, /) -> bytes:
        return self._inner.peek(size)


def _member(path: Path, info: zipfile.ZipInfo) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    # The member keeps the file open, and closes it with itself.
    stream = archive.open(info)
    archive.close()
    return cast("IO[bytes]", io.BufferedReader(cast("Any", stream), CHUNK))

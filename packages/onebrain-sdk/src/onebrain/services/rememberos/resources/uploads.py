"""Files to send: named, sized and read without blocking an event loop."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from onebrain._core.service import File
from onebrain._core.steps import Call, Steps
from onebrain.services.rememberos.service import MAX_FILE, wrong


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in memory: its name, its bytes, and its media type, which is guessed from the name where it is left out.

    Example:
        >>> Upload("notes.txt", b"hello").media_type
        'text/plain'
    """

    name: str
    content: bytes = field(repr=False)
    media_type: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise wrong("a file needs a name")
        if not isinstance(self.content, bytes):
            raise wrong(f"{self.name!r:.60}: the content must be bytes, not {type(self.content).__name__}")
        if not self.media_type:
            guess = mimetypes.guess_type(self.name)[0]
            object.__setattr__(self, "media_type", guess or "application/octet-stream")


FileLike: TypeAlias = Upload | Path | str


def load(files: Sequence[FileLike], *, check_size: bool = True) -> Steps[list[Upload]]:
    """Return `files` with their contents; a path is read when its turn comes. Refuses files that are too large to be sent."""
    if isinstance(files, str | Path | Upload):
        raise wrong("files: must be a list, even for one file")
    loaded: list[Upload] = []
    for file in files:
        if isinstance(file, Upload):
            upload = file
        else:
            content: bytes = yield Call(_read, (Path(file),))
            upload = Upload(Path(file).name, content)
        if check_size and len(upload.content) > MAX_FILE:
            raise wrong(
                f"{upload.name!r:.60} has {len(upload.content)} bytes; a file may have {MAX_FILE} (10 MB)"
            )
        loaded.append(upload)
    if not loaded:
        raise wrong("files: give at least one")
    return loaded


def load_files(files: Sequence[FileLike], name: str) -> Steps[list[File]]:
    """Return `files` as the parts of a form, each in the field `name`."""
    loaded = yield from load(files)
    return [(name, (upload.name, upload.content, upload.media_type)) for upload in loaded]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise wrong(f"{file.name!r:.60} cannot be read: {error.strerror or type(error).__name__}") from error

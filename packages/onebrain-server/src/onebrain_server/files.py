"""The texts of files that clients send."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import threading
import time
import zipfile
from typing import Any, Final
from xml.etree import ElementTree

from onebrain._core.codec import from_json
from onebrain_server import pdf
from onebrain_server.http.operation import File
from onebrain_server.http.problems import Problem
from onebrain_server.json_values import is_array, is_object

FILE_LIMIT: Final = 10 * 1024 * 1024
PDF_SECONDS: Final = 20.0

_PDF_TURNS: Final = threading.BoundedSemaphore(2)


def file_text(file: File, *, seconds: float = PDF_SECONDS) -> str:
    """Return a file's text, by the end of its name.

    Args:
        file: The file.
        seconds: How long a PDF may take; the other kinds take no time to speak of.

    Raises:
        Problem: 400 ``UPLOAD_ERROR``: the file cannot be read, or is of a kind that cannot; 503: too many PDFs at a time.
    """
    ending = file.name.lower().rpartition(".")[2]
    try:
        if ending in ("txt", "md"):
            return file.data.decode("utf-8-sig", "replace")
        if ending == "csv":
            rows = csv.reader(io.StringIO(file.data.decode("utf-8-sig", "replace")))
            return "\n".join(". ".join(cell for cell in row if cell.strip()) for row in rows)
        if ending == "json":
            return "\n".join(_strings(from_json(file.data)))
        if ending == "docx":
            return _docx(file.data)
        if ending == "pdf":
            return pdf_text(file.data, seconds)
    except (ValueError, KeyError, csv.Error, zipfile.BadZipFile, ElementTree.ParseError, RecursionError):
        raise Problem(400, "UPLOAD_ERROR", f"The file cannot be read as .{ending}") from None
    raise Problem(400, "UPLOAD_ERROR", "Only .txt, .md, .csv, .json, .docx and .pdf files can be read")


def pdf_text(data: bytes, seconds: float) -> str:
    """Return a PDF's text, read by a process that is ended after `PDF_SECONDS`; two of them run at a time."""
    deadline = time.monotonic() + seconds
    if not _PDF_TURNS.acquire(timeout=max(0.0, seconds)):
        raise _no_reader("Other PDFs are being read")
    try:
        # Without the way to itself, the program would take this package's folders for the standard library's.
        done = subprocess.run(
            [sys.executable, "-P", pdf.__file__],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=deadline - time.monotonic(),
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        reason = "The PDF takes too long to read; save it as text, or upload it in parts"
        raise Problem(400, "UPLOAD_ERROR", reason) from None
    except OSError:
        raise _no_reader("No PDF can be read at the moment") from None
    finally:
        _PDF_TURNS.release()
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode == pdf.REFUSED:
        raise Problem(400, "UPLOAD_ERROR", text)
    if done.returncode != 0:
        raise Problem(400, "UPLOAD_ERROR", "The file cannot be read as .pdf")
    return text


def _environment() -> dict[str, str]:
    """Return the reader's environment: where Python finds its modules, and none of the server's secrets."""
    needed = {
        name: os.environ[name]
        for name in ("LD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT")
        if name in os.environ
    }
    return {**needed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _no_reader(reason: str) -> Problem:
    return Problem(503, "SERVICE_UNAVAILABLE", f"{reason}; try again", headers={"retry-after": "5"})


def _docx(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        info = archive.getinfo("word/document.xml")
        # A small archive may hold an endless file.
        if info.file_size > 5 * FILE_LIMIT:
            raise Problem(400, "UPLOAD_ERROR", "The document is too large")
        content = archive.read(info)
    if b"<!DOCTYPE" in content[:2000] or b"<!ENTITY" in content:
        raise Problem(400, "UPLOAD_ERROR", "The document cannot be read as .docx")
    space = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
    paragraphs = ElementTree.fromstring(content).iter(f"{space}p")
    return "\n".join(
        "".join(text.text or "" for text in paragraph.iter(f"{space}t")) for paragraph in paragraphs
    )


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if is_object(value):
        return [text for item in value.values() for text in _strings(item)]
    if is_array(value):
        return [text for item in value for text in _strings(item)]
    return []


__all__ = ["FILE_LIMIT", "PDF_SECONDS", "file_text", "pdf_text"]

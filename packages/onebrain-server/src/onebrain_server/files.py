"""The texts of files that clients send."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any, Final, cast
from xml.etree import ElementTree

from onebrain._core.codec import from_json
from onebrain_server.http.operation import File
from onebrain_server.http.problems import Problem

FILE_LIMIT: Final = 10 * 1024 * 1024


def file_text(file: File) -> str:
    """Return a file's text, by the end of its name."""
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
    except (ValueError, KeyError, csv.Error, zipfile.BadZipFile, ElementTree.ParseError, RecursionError):
        raise Problem(400, "UPLOAD_ERROR", f"The file cannot be read as .{ending}") from None
    if ending == "pdf":
        raise Problem(400, "UPLOAD_ERROR", "This server reads no PDF; save it as text and upload that")
    raise Problem(400, "UPLOAD_ERROR", "Only .txt, .md, .csv, .json and .docx files can be read")


def _docx(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        info = archive.getinfo("word/document.xml")
        if info.file_size > 5 * FILE_LIMIT:  # a small archive may hold an endless file
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
    if isinstance(value, dict):
        return [text for item in cast("dict[str, Any]", value).values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in cast("list[Any]", value) for text in _strings(item)]
    return []


__all__ = ["FILE_LIMIT", "file_text"]

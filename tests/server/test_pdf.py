"""PDF files: their text becomes proposals; what cannot be read says why, and never holds the server."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
import zlib

import psutil
import pypdf
import pytest

from onebrain_server import pdf
from onebrain_server.files import file_text
from onebrain_server.http.operation import File
from onebrain_server.http.problems import Problem

NOTE = "Maria prefers window seats. Is it late?"


def document(*contents: bytes, filter: bytes = b"", kids: int | None = None) -> bytes:
    """A PDF with a page for each stream of content, or with its only page several times."""
    count = len(contents) if kids is None else kids
    pages = [b"%d 0 R" % (4 + 2 * (n if kids is None else 0)) for n in range(count)]
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, b" ".join(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for n, content in enumerate(contents):
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
            % (5 + 2 * n),
            b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), filter, content),
        ]
    made = io.BytesIO(b"%PDF-1.4\n")
    made.seek(0, io.SEEK_END)
    places = []
    for number, one in enumerate(objects, 1):
        places.append(made.tell())
        made.write(b"%d 0 obj\n%s\nendobj\n" % (number, one))
    start = made.tell()
    made.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    made.writelines(b"%010d 00000 n \n" % place for place in places)
    made.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start))
    return made.getvalue()


def shown(*lines: str) -> bytes:
    """A page's content that shows lines of text."""
    texts = b" T* ".join(b"(%s) Tj" % line.encode("cp1252") for line in lines)
    return b"BT /F1 12 Tf 14 TL 72 720 Td " + texts + b" ET"


def encrypted(password: str, algorithm: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(document(shown(NOTE))))
    writer.encrypt(password, owner_password="owner", algorithm=algorithm)
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


def endless() -> bytes:
    """A small file that keeps its reader busy for minutes."""
    content = b"BT /F1 12 Tf " + b"(a) Tj T* " * 6_000_000 + b"ET"
    return document(zlib.compress(content), filter=b"/Filter /FlateDecode")


def upload(client, data):
    return client.post(
        "/v1/memory/upload", files={"file": ("Notes.PDF", data, "application/pdf")}, timeout=180
    )


def candidates(answer):
    assert answer.status_code == 200, answer.text
    return [row["body"] for row in answer.json()["data"]["candidates"]]


def test_sentences_are_found_over_lines_and_pages(client):
    first = shown(
        "Minutes", "Maria prefers a seat at the window when she goes", "to Lisbon by train. Pedro loves cof-", "fee."
    )  # fmt: skip
    answer = upload(client, document(first, shown("We decided to meet in Évora.")))
    assert candidates(answer) == [
        "Maria prefers a seat at the window when she goes to Lisbon by train.",
        "Pedro loves coffee.",
        "We decided to meet in Évora.",
    ]


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_a_pdf_that_anyone_may_open_is_read(client, algorithm):
    assert candidates(upload(client, encrypted("", algorithm))) == ["Maria prefers window seats."]


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_a_pdf_with_a_password_is_refused(client, algorithm):
    refused(upload(client, encrypted("secret", algorithm)), "is encrypted")


def refused(answer, reason):
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["code"] == "UPLOAD_ERROR"
    assert reason in error["message"]


PICTURE = b"q 100 0 0 100 72 600 cm BI /W 1 /H 1 /BPC 8 /CS /G ID x EI Q"


def bomb(mebibytes: int) -> bytes:
    """Spaces as a zlib stream that repeats one compressed block: compressing all of them would take seconds."""
    block = b" " * 2**20
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    check = 1
    for _ in range(mebibytes):
        check = zlib.adler32(block, check)
    return b"\x78\xda" + packed * mebibytes + packer.flush() + check.to_bytes(4, "big")


def test_the_bomb_is_a_whole_stream():
    assert zlib.decompress(bomb(3)) == b" " * 3 * 2**20


BOMB = bomb(600)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF", "cannot be read as .pdf"),
        (b"", "cannot be read as .pdf"),
        (b"no PDF at all", "cannot be read as .pdf"),
        (document(shown(NOTE))[:200], "cannot be read as .pdf"),
        (document(PICTURE), "has no text"),
        (document(), "has no text"),
        (document(shown(NOTE), kids=pdf.MAX_PAGES + 1), "more than 1000 pages"),
        (document(BOMB, filter=b"/Filter /FlateDecode"), "unfolds to more than can be read"),
    ],
    ids=["head", "empty", "text", "cut off", "picture", "no pages", "pages", "bomb"],
)
def test_what_cannot_be_read_says_why(client, data, reason):
    refused(upload(client, data), reason)


def readers():
    return [one for one in psutil.Process().children() if pdf.__file__ in one.cmdline()]


def attempt(data, seconds):
    """The problem that reading a file ends with."""
    with pytest.raises(Problem) as caught:
        file_text(File("a.pdf", "application/pdf", data), seconds=seconds)
    return caught.value


def test_a_pdf_that_takes_too_long_is_given_up():
    problem = attempt(endless(), 2.0)
    assert (problem.status, problem.code) == (400, "UPLOAD_ERROR")
    assert "takes too long" in problem.message
    assert readers() == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's memory")
def test_a_reader_that_takes_too_much_memory_gets_none():
    program = "from onebrain_server import pdf; pdf._limit(); bytearray(1 << 30)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MemoryError" in done.stderr


def test_two_pdfs_are_read_at_a_time_and_no_secret_goes_along(monkeypatch):
    monkeypatch.setenv("MEMORY_ENCRYPTION_KEY", "ab" * 32)
    slow, found = endless(), []
    busy = [threading.Thread(target=lambda: found.append(attempt(slow, 60.0))) for _ in range(2)]
    for thread in busy:
        thread.start()
    while len(readers()) < 2:
        assert not found
        time.sleep(0.02)
    assert [one for one in readers() if "MEMORY_ENCRYPTION_KEY" in one.environ()] == []
    problem = attempt(document(shown(NOTE)), 0.1)
    assert (problem.status, problem.headers) == (503, {"retry-after": "5"})
    # As the system does when memory is short.
    for one in readers():
        one.kill()
    for thread in busy:
        thread.join()
    assert [one.message for one in found] == ["The file cannot be read as .pdf"] * 2
    assert file_text(File("a.pdf", "application/pdf", document(shown(NOTE)))) == NOTE

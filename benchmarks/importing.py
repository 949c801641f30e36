"""Measures importing: memories a second, and the memory that large files take.

    python benchmarks/importing.py [--json] [--rows 20000] [--megabytes 0] [--format jsonl]

A file of rows is stored in an embedded brain. With `--megabytes`, a file of that size is only read, as JSON Lines or as an
export of ChatGPT, which is one JSON array. Seconds of the processor do not depend on what else the machine does.
"""

from __future__ import annotations

import _path  # noqa: F401  # isort: skip

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onebrain
from onebrain.importing import import_file, read


def note(number: int, words: int = 12) -> dict[str, Any]:
    """Return a row of JSON Lines."""
    text = f"Note {number}: " + " ".join(f"topic{(number * 7 + word) % 997}" for word in range(words))
    return {
        "text": text,
        "user": f"user{number % 50}",
        "tags": ["note"],
        "created_at": 1_700_000_000 + number,
    }


def conversation(number: int) -> dict[str, Any]:
    """Return a conversation of ChatGPT with 60 messages."""
    nodes = {
        f"n{index}": {
            "id": f"n{index}",
            "parent": f"n{index - 1}" if index else None,
            "children": [f"n{index + 1}"] if index < 59 else [],
            "message": {
                "id": f"n{index}",
                "author": {"role": "assistant" if index % 2 else "user"},
                "create_time": 1_700_000_000 + index,
                "content": {"content_type": "text", "parts": [note(number + index, 100)["text"]]},
            },
        }
        for index in range(60)
    }
    return {"title": "A talk", "conversation_id": f"c{number}", "current_node": "n59", "mapping": nodes}


def written(path: Path, format: str, size: int) -> None:
    """Write a file of a number of bytes."""
    with path.open("w", encoding="utf-8") as file:
        number = 0
        file.write("[" if format == "chatgpt" else "")
        while file.tell() < size:
            block: Iterator[str]
            if format == "chatgpt":
                block = (("," if number else "") + json.dumps(conversation(number)) for _ in range(1))
            else:
                block = (json.dumps(note(number + index, 800)) + "\n" for index in range(100))
            file.writelines(block)
            number += 100
        file.write("]" if format == "chatgpt" else "")


def stored(rows: int) -> dict[str, Any]:
    """Store rows in a new brain, and again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "notes.jsonl")
        path.write_text("".join(json.dumps(note(number)) + "\n" for number in range(rows)), encoding="utf-8")
        figures: dict[str, Any] = {"rows": rows}
        with onebrain.connect(onebrain.sqlite_url(Path(folder, "brain.db"))) as brain:
            brain.search("loads the embedder")
            for name in ("first", "again"):
                start, begun = time.process_time(), time.perf_counter()
                report = import_file(brain, path)
                assert report.stored + report.already_there == rows
                figures[f"{name}_cpu_s"] = round(time.process_time() - start, 2)
                figures[f"{name}_s"] = round(time.perf_counter() - begun, 2)
        return figures


def streamed(megabytes: int, format: str) -> dict[str, Any]:
    """Read a large file, and tell the peak of the process's memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.json")
        written(path, format, megabytes * 1_000_000)
        start = time.process_time()
        rows = sum(1 for _ in read(path))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        seconds = round(time.process_time() - start, 1)
        return {"format": format, "megabytes": megabytes, "rows": rows, "cpu_s": seconds, "peak_mib": peak}


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--megabytes", type=int, default=0)
    parser.add_argument("--format", choices=["jsonl", "chatgpt"], default="jsonl")
    options = parser.parse_args()
    figures = streamed(options.megabytes, options.format) if options.megabytes else stored(options.rows)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:>14} {value}")


if __name__ == "__main__":
    main()

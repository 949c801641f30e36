"""Long-term memory in one command: stores a long conversation and searches it through two frameworks.

    uv run cookbooks/quickstart.py                        # the sample conversation
    uv run cookbooks/quickstart.py --data chat.jsonl      # yours: {"session", "time", "speaker", "text"} a line
    uv run cookbooks/quickstart.py --data locomo.json     # LoCoMo conversations
    uv run cookbooks/quickstart.py --data notes/          # a folder of Markdown files
    uv run cookbooks/quickstart.py --ask "Who minds the dog?" --ask "When is the race?"

It runs on the embedded brain, without a key, a server or a network. With --db FILE the memory is kept; otherwise it is
deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llama_index.core import VectorStoreIndex

import onebrain
from onebrain import NewMemory, Scope
from onebrain_langchain import OneBrainRetriever
from onebrain_llamaindex import OneBrainVectorStore

HERE = Path(__file__).parent
SPACE = "quickstart"
# The number of memories to find for each question.
FOUND = 10


@dataclass
class Question:
    """A question, with the positions in the data that answer it if they are known."""

    text: str
    evidence: set[str] = field(default_factory=set)


@dataclass
class Answer:
    """The result of a framework: the memory that answers the question if it is known, else the first one found."""

    framework: str
    text: str
    when: str
    score: float
    milliseconds: float
    # The rank of the answering memory, from 1. None if it is not known or was not found.
    rank: int | None


# ---- reading --------------------------------------------------------------------------------------------------------


def read(path: Path) -> tuple[list[NewMemory], list[Question]]:
    """Read memories and, if the data has any, questions. `position` in the metadata is the origin of each memory."""
    if path.is_dir():
        return read_markdown(path)
    if not path.is_file():
        sys.exit(
            f"{path} does not exist; --data takes a .jsonl or LoCoMo .json file, or a folder of Markdown files"
        )
    try:
        if path.suffix == ".jsonl":
            return read_conversation(path)
        return read_locomo(json.loads(path.read_text(encoding="utf-8-sig")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(
            f"{path} is not in a format this program reads ({type(error).__name__}: {error}); see --help"
        )


def read_conversation(path: Path) -> tuple[list[NewMemory], list[Question]]:
    """Read one turn per line, and the questions in a file questions.jsonl in the same folder, if it exists."""
    memories = []
    for number, line in enumerate(lines(path)):
        if line.strip():
            turn = json.loads(line)
            memories.append(
                NewMemory(
                    content=f"{turn['speaker']}: {turn['text']}",
                    scope=Scope(space=SPACE, session=turn.get("session")),
                    created_at=datetime.fromisoformat(turn["time"]) if turn.get("time") else None,
                    metadata={"position": str(number)},
                )
            )
    questions = []
    beside = path.with_name("questions.jsonl")
    if beside.is_file() and beside != path:
        for line in filter(str.strip, lines(beside)):
            row = json.loads(line)
            questions.append(Question(row["question"], {str(number) for number in row["evidence"]}))
    return memories, questions


def lines(path: Path) -> list[str]:
    """Return the lines of JSON Lines. Text within them may contain every separator but a line feed."""
    return path.read_text(encoding="utf-8-sig").split("\n")


def read_locomo(data: list[dict[str, Any]]) -> tuple[list[NewMemory], list[Question]]:
    """Read LoCoMo conversations, with a few questions of every kind for each."""
    memories, questions = [], []
    for sample in data:
        name, conversation = sample["sample_id"], sample["conversation"]
        number = 1
        while f"session_{number}_date_time" in conversation or f"session_{number}" in conversation:
            day = conversation.get(f"session_{number}_date_time")
            when = datetime.strptime(day, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC) if day else None
            for turn in conversation.get(f"session_{number}", []):
                image = f" (image: {turn['blip_caption']})" if turn.get("blip_caption") else ""
                memories.append(
                    NewMemory(
                        content=f"{turn['speaker']}: {turn['text']}{image}",
                        scope=Scope(space=SPACE, session=f"{name}/{number}"),
                        created_at=when,
                        metadata={"position": f"{name}/{turn['dia_id']}"},
                    )
                )
            number += 1
        answered = [row for row in sample.get("qa", []) if row.get("evidence") and row.get("category") != 5]
        step = max(1, len(answered) // 5)
        for row in answered[::step][:5]:
            questions.append(Question(row["question"], {f"{name}/{turn}" for turn in row["evidence"]}))
    return memories, questions


HEADING = re.compile(r"#{1,6}[ \t]+(\S.*)")
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


def read_markdown(folder: Path) -> tuple[list[NewMemory], list[Question]]:
    """Read Markdown files by section. The headings become the questions."""
    memories, questions = [], []
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".md", ".markdown"))
    for path in files:
        name = str(path.relative_to(folder))
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        heading = ""
        for number, block in enumerate(sections(path.read_text(encoding="utf-8-sig", errors="replace"))):
            if found := HEADING.match(block):
                heading = found[1].strip()
                if len(questions) < 24 and len(heading.split()) > 1:
                    questions.append(Question(heading, {f"{name}#{number}"}))
            memories.append(
                NewMemory(
                    content=block,
                    scope=Scope(space=SPACE, session=name),
                    created_at=changed,
                    metadata={"position": f"{name}#{number}", "file": name, "heading": heading},
                )
            )
    return memories, questions


def sections(text: str, size: int = 1500) -> list[str]:
    """Divide a text at its headings, and long sections at paragraphs."""
    blocks = [""]
    for paragraph in paragraphs(text):
        if HEADING.match(paragraph) or (blocks[-1] and len(blocks[-1]) + len(paragraph) > size):
            blocks.append(paragraph)
        else:
            blocks[-1] = f"{blocks[-1]}\n\n{paragraph}" if blocks[-1] else paragraph
    return [block.strip("\n") for block in blocks if block.strip()]


def paragraphs(text: str) -> list[str]:
    """Divide a text at headings and blank lines. Fenced code is never divided."""
    found: list[list[str]] = [[]]
    fence = ""
    for line in text.split("\n"):
        mark = FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
        elif mark and not (mark[1][0] == "`" and "`" in mark[2]):
            fence = mark[1]
        elif not line.strip():
            found.append([])
            continue
        elif HEADING.match(line):
            found.append([])
        found[-1].append(line)
    return ["\n".join(part) for part in found if part]


def own_questions(memories: Sequence[NewMemory], count: int = 8) -> list[Question]:
    """Make questions of the rarest words of some memories, for data without questions."""
    words = [set(re.findall(r"[^\W\d_]{4,}", memory.content.lower())) for memory in memories]
    frequency = Counter(word for found in words for word in found)
    telling = sorted(range(len(memories)), key=lambda n: -min(len(words[n]), 12))
    chosen = sorted(telling[: 4 * count : 4]) or list(range(len(memories)))
    questions = []
    for number in chosen:
        rare = sorted(words[number], key=lambda word: (frequency[word], word))[:3]
        if rare:
            questions.append(
                Question(
                    f"What was it about {', '.join(rare)}?", {str(memories[number].metadata["position"])}
                )
            )
    return questions


# ---- asking ---------------------------------------------------------------------------------------------------------


def ask(brain: onebrain.Brain, questions: Sequence[Question]) -> list[tuple[Question, list[Answer]]]:
    """Ask every question to a LangChain retriever and to a LlamaIndex index on the same memory."""
    retriever = OneBrainRetriever(brain=brain, scope=Scope(space=SPACE), k=FOUND)
    index = VectorStoreIndex.from_vector_store(OneBrainVectorStore(brain=brain, space=SPACE))
    engine = index.as_retriever(similarity_top_k=FOUND)

    def by_langchain(text: str) -> list[tuple[str, dict[str, Any], float]]:
        return [(hit.page_content, hit.metadata, hit.metadata["score"]) for hit in retriever.invoke(text)]

    def by_llamaindex(text: str) -> list[tuple[str, dict[str, Any], float]]:
        return [(hit.text, hit.metadata, hit.score or 0.0) for hit in engine.retrieve(text)]

    by_langchain("warm up"), by_llamaindex("warm up")
    answers = []
    for question in questions:
        row = []
        frameworks: dict[str, Callable[[str], list[tuple[str, dict[str, Any], float]]]] = {
            "LangChain": by_langchain,
            "LlamaIndex": by_llamaindex,
        }
        for name, find in frameworks.items():
            start = time.perf_counter()
            hits = find(question.text)
            took = (time.perf_counter() - start) * 1000
            right = [
                n for n, (_, found, _) in enumerate(hits) if str(found.get("position")) in question.evidence
            ]
            text, metadata, score = hits[right[0] if right else 0] if hits else ("(nothing found)", {}, 0.0)
            rank = right[0] + 1 if right else None
            row.append(Answer(name, text, str(metadata.get("created_at", ""))[:10], score, took, rank))
        answers.append((question, row))
    return answers


# ---- showing --------------------------------------------------------------------------------------------------------


def progress(total: int) -> Callable[[int], None]:
    """Return a function that draws a progress bar, or only its last state if the output is no terminal."""
    start = time.perf_counter()

    def draw(done: int) -> None:
        seconds = time.perf_counter() - start
        bar = "█" * (done * 30 // max(total, 1))
        line = f"storing  {bar:<30}  {done:,} of {total:,} memories  {done / max(seconds, 1e-9):,.0f}/s"
        if sys.stdout.isatty():
            print(f"\r{line}", end="" if done < total else "\n", flush=True)
        elif done == total:
            print(line)

    return draw


def table(answers: Sequence[tuple[Question, list[Answer]]]) -> str:
    """Return the answers as a table that fits the terminal."""
    width = max(90, min(shutil.get_terminal_size((120, 24)).columns, 150))
    asking = (width - 48) * 2 // 5
    telling = width - 48 - asking
    lines = [
        f"{'question':<{asking}}  {'memory':<{telling}}  {'date':<10}  {'rank':>5}  {'score':>5}  {'time':>7}  by",
        "─" * width,
    ]
    for question, row in answers:
        left = textwrap.wrap(question.text, asking) or [""]
        shown: list[tuple[str, str]] = []
        for number, answer in enumerate(row):
            rank = f"{answer.rank}." if answer.rank else "-" if question.evidence else ""
            facts = f"{answer.when:<10}  {rank:>5}  {answer.score:5.2f}  {answer.milliseconds:4.1f} ms  {answer.framework}"
            same = number > 0 and answer.text == row[0].text
            text = ["(the same)"] if same else textwrap.wrap(" ".join(answer.text.split()), telling)
            if len(text) > 3:
                text = [*text[:2], f"{text[2][: telling - 2]} …"]
            shown.extend((line, facts if at == 0 else "") for at, line in enumerate(text or [""]))
        for at in range(max(len(left), len(shown))):
            line, facts = shown[at] if at < len(shown) else ("", "")
            asked = left[at] if at < len(left) else ""
            lines.append(f"{asked:<{asking}}  {line:<{telling}}  {facts}".rstrip())
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE / "data" / "conversation.jsonl", metavar="PATH")
    parser.add_argument(
        "--ask", action="append", metavar="QUESTION", help="a question to ask instead; may be repeated"
    )
    parser.add_argument("--db", type=Path, metavar="FILE", help="keep the memory in this file")
    arguments = parser.parse_args()

    memories, questions = read(arguments.data)
    if not memories:
        sys.exit(f"{arguments.data} contains no memories")
    questions = (
        [Question(text) for text in arguments.ask] if arguments.ask else questions or own_questions(memories)
    )

    with tempfile.TemporaryDirectory() as folder:
        path = arguments.db or Path(folder) / "brain.db"
        with onebrain.connect(onebrain.sqlite_url(path)) as brain:
            if brain.count(scope=Scope(space=SPACE)):
                # They are from an earlier run with --db.
                brain.forget(scope=Scope(space=SPACE))
            draw = progress(len(memories))
            for start in range(0, len(memories), 100):
                brain.store_many(memories[start : start + 100]).raise_for_failures()
                draw(min(start + 100, len(memories)))
            print(f"asking   {len(questions)} questions through LangChain and LlamaIndex\n")
            answers = ask(brain, questions)
    print(table(answers))
    known = [row for question, row in answers if question.evidence]
    if known:
        ranks = [row[0].rank for row in known if row[0].rank]
        times = sorted(answer.milliseconds for _, row in answers for answer in row)
        print(
            f"{len(ranks)} of {len(known)} answers among the {FOUND} memories found, {ranks.count(1)} of them first; "
            f"{times[len(times) // 2]:.1f} ms a question."
        )
    if arguments.db:
        print(f"The memory is kept in {arguments.db}.")


if __name__ == "__main__":
    main()

# /// script
# requires-python = ">=3.11"
# dependencies = ["onebrain-langchain[local]", "onebrain-llamaindex[local]"]
#
# [tool.uv.sources]
# onebrain-sdk = { path = "../packages/onebrain-sdk", editable = true }
# onebrain-engine = { path = "../packages/onebrain-engine", editable = true }
# onebrain-langchain = { path = "../packages/onebrain-langchain", editable = true }
# onebrain-llamaindex = { path = "../packages/onebrain-llamaindex", editable = true }
# ///
"""Long-term memory in one command: everyday facts, and a long conversation through two frameworks.

    uv run cookbooks/quickstart.py                        # the samples
    uv run cookbooks/quickstart.py --data chat.jsonl      # yours: {"session", "time", "speaker", "text"} a line
    uv run cookbooks/quickstart.py --data locomo.json     # LoCoMo conversations
    uv run cookbooks/quickstart.py --data notes/          # a folder of Markdown files
    uv run cookbooks/quickstart.py --ask "Who minds the dog?" --ask "When is the race?"
    uv run cookbooks/quickstart.py --embedder use-m3      # another embedder; see docs/embedders.md

Each question has known answers, so the tables say how often the first memory found was right. It runs on the embedded brain,
without a key, a server or a network. With --db FILE the memory is kept; otherwise it is deleted at the end.
"""

from __future__ import annotations

import argparse
import io
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
from itertools import zip_longest
from pathlib import Path
from typing import Any

from llama_index.core import VectorStoreIndex

import onebrain
from onebrain import NewMemory, Scope
from onebrain_langchain import OneBrainRetriever
from onebrain_llamaindex import OneBrainVectorStore

SAMPLES = Path(__file__).parent / "data"
SPACE = "quickstart"
# The number of memories to find for each question.
FOUND = 10
# A search that is less sure than this that it found the answer returns nothing.
CONFIDENT = 0.3
MARKS = {True: "✓", False: "✗"}


@dataclass
class Question:
    """A question, with the positions in the data that answer it if they are known."""

    text: str
    evidence: set[str] = field(default_factory=set)


@dataclass
class Answer:
    """What a framework found for a question: the first memory, and the rank of the one that answers it."""

    framework: str
    text: str
    when: str
    milliseconds: float
    # From 1. None if it is not known or was not found.
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


# ---- everyday facts -------------------------------------------------------------------------------------------------


@dataclass
class Asked:
    """A question about everyday facts, what came first, and whether that was right."""

    kind: str
    question: str
    text: str
    right: bool


def everyday(brain: onebrain.Brain, data: dict[str, Any]) -> list[Asked]:
    """Store facts, some of which replace others, and ask about them; the right answer of some questions is none."""
    hanna = Scope(space="everyday", user="hanna")
    for row in data["memories"]:
        brain.store(
            row["text"],
            id=row["id"],
            scope=hanna,
            created_at=row["time"],
            supersedes=row.get("supersedes", ()),
        )
    asked = []
    for row in data["questions"]:
        found = brain.search(row["question"], scope=hanna, now=data["now"], min_confidence=CONFIDENT)
        first = found[0] if found else None
        text = first.content if first else "(nothing)"
        asked.append(
            Asked(row["kind"], row["question"], text, (first.id if first else None) == row["answer"])
        )
    return asked


def everyday_table(asked: Sequence[Asked]) -> str:
    """Return the questions with the first memory found, and how many were right."""
    lines = [
        f"{'':<12} {'question':<48}   first memory",
        "─" * 120,
        *(f"{row.kind:<12} {row.question:<48} {MARKS[row.right]} {row.text}" for row in asked),
    ]
    right = Counter(row.kind for row in asked if row.right)
    kinds = Counter(row.kind for row in asked)
    shares = ", ".join(f"{kind} {right[kind]} of {count}" for kind, count in kinds.items())
    return "\n".join([*lines, "", f"{right.total()} of {len(asked)} right: {shares}."])


# ---- asking ---------------------------------------------------------------------------------------------------------


def ask(brain: onebrain.Brain, questions: Sequence[Question]) -> list[tuple[Question, list[Answer]]]:
    """Ask every question to a LangChain retriever and to a LlamaIndex index on the same memory."""
    retriever = OneBrainRetriever(brain=brain, scope=Scope(space=SPACE), k=FOUND)
    index = VectorStoreIndex.from_vector_store(OneBrainVectorStore(brain=brain, space=SPACE))
    engine = index.as_retriever(similarity_top_k=FOUND)

    def by_langchain(text: str) -> list[tuple[str, dict[str, Any]]]:
        return [(hit.page_content, hit.metadata) for hit in retriever.invoke(text)]

    def by_llamaindex(text: str) -> list[tuple[str, dict[str, Any]]]:
        return [(hit.text, hit.metadata) for hit in engine.retrieve(text)]

    by_langchain("warm up"), by_llamaindex("warm up")
    answers = []
    for question in questions:
        row = []
        frameworks: dict[str, Callable[[str], list[tuple[str, dict[str, Any]]]]] = {
            "LangChain": by_langchain,
            "LlamaIndex": by_llamaindex,
        }
        for name, find in frameworks.items():
            start = time.perf_counter()
            hits = find(question.text)
            took = (time.perf_counter() - start) * 1000
            right = [
                rank
                for rank, (_, found) in enumerate(hits, 1)
                if str(found.get("position")) in question.evidence
            ]
            text, metadata = hits[0] if hits else ("(nothing)", {})
            rank = right[0] if right else None
            row.append(Answer(name, text, str(metadata.get("created_at", ""))[:10], took, rank))
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
    """Return the answers as a table that fits the terminal: the first memory found, and the rank of the right one.

    Frameworks that found the same share a row.
    """
    width = max(90, min(shutil.get_terminal_size((120, 24)).columns, 150))
    asking = (width - 30) * 2 // 5
    telling = width - 30 - asking
    lines = [
        f"{'question':<{asking}}    {'first memory':<{telling}}  {'date':<10}  {'answer at':>9}",
        "─" * width,
    ]
    for question, row in answers:
        same = len({(answer.text, answer.rank) for answer in row}) == 1
        for answer in row[:1] if same else row:
            mark = MARKS[answer.rank == 1] if question.evidence else " "
            rank = f"{answer.rank}." if answer.rank else "-" if question.evidence else ""
            asked = question.text if same else f"{question.text} ({answer.framework})"
            text = textwrap.wrap(" ".join(answer.text.split()), telling) or [""]
            if len(text) > 2:
                text = [text[0], f"{text[1][: telling - 2]} …"]
            for at, (left, right) in enumerate(
                zip_longest(textwrap.wrap(asked, asking) or [""], text, fillvalue="")
            ):
                facts = f"  {answer.when:<10}  {rank:>9}" if at == 0 else ""
                lines.append(
                    f"{left:<{asking}}  {mark if at == 0 else ' '} {right:<{telling}}{facts}".rstrip()
                )
    return "\n".join(lines)


def summary(answers: Sequence[tuple[Question, list[Answer]]]) -> str:
    """Return how often the right memory was found, and how long a question took."""
    lines = []
    known = [row[0].rank for question, row in answers if question.evidence]
    if known:
        within = [sum(1 for rank in known if rank and rank <= most) for most in (1, 5, FOUND)]
        lines.append(
            f"{within[0]} of {len(known)} answers came first, {within[1]} among the first 5, {within[2]} among the first {FOUND}."
        )
    frameworks = list(zip(*(row for _, row in answers), strict=True))
    times = [
        f"{found[0].framework} {sorted(answer.milliseconds for answer in found)[len(found) // 2]:.1f} ms"
        for found in frameworks
    ]
    lines.append(f"A question took {', '.join(times)} (median).")
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, metavar="PATH", help="the default is the samples")
    parser.add_argument(
        "--ask", action="append", metavar="QUESTION", help="a question to ask instead; may be repeated"
    )
    parser.add_argument("--db", type=Path, metavar="FILE", help="keep the memory in this file")
    parser.add_argument("--embedder", metavar="NAME", help="an embedder by name")
    arguments = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A console may have no such letters.
        sys.stdout.reconfigure(errors="replace")

    path = arguments.data or SAMPLES / "conversation.jsonl"
    memories, questions = read(path)
    if not memories:
        sys.exit(f"{path} contains no memories")
    questions = (
        [Question(text) for text in arguments.ask] if arguments.ask else questions or own_questions(memories)
    )
    options = {"embedder": arguments.embedder} if arguments.embedder else {}

    with tempfile.TemporaryDirectory() as folder:
        file = arguments.db or Path(folder) / "brain.db"
        with onebrain.connect(onebrain.sqlite_url(file), **options) as brain:
            for space in (SPACE, "everyday"):
                if brain.count(scope=Scope(space=space)):
                    # They are from an earlier run with --db.
                    brain.forget(scope=Scope(space=space))
            if arguments.data is None and not arguments.ask:
                data = json.loads((SAMPLES / "everyday.json").read_text(encoding="utf-8"))
                print(f"{len(data['memories'])} everyday facts about Hanna, asked on {data['now'][:10]}\n")
                print(everyday_table(everyday(brain, data)))
                print("\nA conversation of ten months, through LangChain and LlamaIndex\n")
            draw = progress(len(memories))
            for start in range(0, len(memories), 100):
                brain.store_many(memories[start : start + 100]).raise_for_failures()
                draw(min(start + 100, len(memories)))
            print(f"asking   {len(questions)} questions\n")
            answers = ask(brain, questions)
    print(f"{table(answers)}\n\n{summary(answers)}")
    if arguments.db:
        print(f"The memory is kept in {arguments.db}.")


if __name__ == "__main__":
    main()

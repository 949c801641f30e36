"""Measures how well a memory remembers, without a language model: one table for each task, baselines beside the brain.

    python benchmarks/memory.py [--data FOLDER] [--tasks facts,updates] [--embedder NAME] [--only brain] [--json]
                                [--picture FILE.svg]

Without --data the small set in `facts.json` is used. A folder may hold locomo*.json and realtalk*.json (conversations),
cranfield*.json (documents) and facts*.json, in the shape of `facts.json`.

| task | stored | asked | reported |
|---|---|---|---|
| locomo, realtalk | each turn of a conversation, in its session | each question with evidence | recall, nDCG, hit@1 |
| cranfield | each document | each query | the same |
| facts | each fact alone; then the other facts as well | in other words; and with the name | hit@1 and hit@5 |
| abstention | all facts | the same, and questions that nothing answers | AUC, and answers kept where 1 of 10 negatives passes |
| updates | all facts, what changed, and what only looks like it | about what changed | whether the new fact comes first |
| | the same, each new fact with `supersedes` | the same | the same, and whether an old one is found |
| supersession | the same | for suggestions of what replaces what | those that are right |
| candidates | the same | each new fact | whether the one that it replaces is found |
| time | all facts, and the same event at three times | with a time, such as "last week" | hit@1 and hit@3 |
"""

from __future__ import annotations

import _path  # noqa: F401  # isort: skip

import argparse
import importlib
import inspect
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.baselines import Found, baselines
from benchmarks.retrieval import evidence, measures, turns
from benchmarks.texts import machine

import onebrain
from onebrain import Brain, NewMemory

Row: TypeAlias = dict[str, float | int | None]
Report: TypeAlias = dict[str, Row | str]
OWN = Path(__file__).resolve().with_name("facts.json")


@dataclass(frozen=True)
class Answer:
    """The hits of one question, the best first, and how sure the memory is that the answer is among them."""

    found: Found
    confidence: float | None = None

    @property
    def rows(self) -> list[int]:
        """The positions of the memories that were found."""
        return [row for row, _ in self.found]


Ask: TypeAlias = Callable[..., Answer]


@dataclass(frozen=True)
class Subject:
    """A memory to measure: `open` stores memories and gives a function that asks."""

    name: str
    open: Callable[[Sequence[NewMemory]], Any]


@dataclass
class Sets:
    """The data of one run."""

    talks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    documents: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None

    @classmethod
    def read(cls, folder: Path | None) -> Sets:
        """Read a folder, or the small set that comes with this file."""
        if folder is None:
            return cls(facts=json.loads(OWN.read_text(encoding="utf-8")))

        def one(name: str) -> Any:
            files = sorted(folder.glob(f"{name}*.json"))
            return json.loads(files[0].read_text(encoding="utf-8")) if files else None

        talks = {name: data for name in ("locomo", "realtalk") if (data := one(name)) is not None}
        return cls(talks, one("cranfield"), one("facts"))


# ---- the memories that are measured ---------------------------------------------------------------------------------


def brain_subject(embedder: Any) -> Subject:
    """Return the embedded brain, with default settings."""

    @contextmanager
    def open(memories: Sequence[NewMemory]) -> Iterator[Ask]:
        with onebrain.connect("sqlite://", embedder=embedder) as brain:
            rows = stored(brain, memories)

            def ask(
                question: str,
                limit: int = 10,
                now: datetime | None = None,
                prefer_newer: bool = True,
                sure: bool = False,
            ) -> Answer:
                result = brain.search(
                    question, limit=limit, now=now, prefer_newer=prefer_newer, confidence=sure
                )
                return Answer([(rows[hit.id], hit.score) for hit in result], result.confidence)

            yield ask

    return Subject("brain", open)


def stored(brain: Brain, memories: Sequence[NewMemory]) -> dict[str, int]:
    """Store memories, and return the position of each id."""
    result = brain.store_many(list(memories))
    result.raise_for_failures()
    return {id: row for row, id in enumerate(result.ids)}


def baseline_subjects(embedder: Any) -> list[Subject]:
    """Return the baselines, which get no date."""

    def subject(name: str, make: Callable[[Sequence[str]], Callable[[str, int], Found]]) -> Subject:
        @contextmanager
        def open(memories: Sequence[NewMemory]) -> Iterator[Ask]:
            search = make([memory.content for memory in memories])
            yield lambda question, limit=10, **options: Answer(search(question, limit))

        return Subject(name, open)

    return [subject(name, make) for name, make in baselines(embedder).items()]


def embedder_of(name: str) -> Any:
    """Return an embedder by its name or by an import path, such as `package.module:Class`."""
    if name == "wordllama":
        from onebrain_engine import WordLlama

        return WordLlama()
    module, _, attribute = name.partition(":")
    try:
        made = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        from onebrain_engine import embedders

        return embedders.from_name(name)
    return made() if inspect.isclass(made) or inspect.isfunction(made) else made


# ---- tasks ----------------------------------------------------------------------------------------------------------


def averaged(rows: Sequence[Mapping[str, float]]) -> Row:
    """Return the mean of each measure, and the number of questions."""
    if not rows:
        return {"n": 0}
    return {name: round(statistics.fmean(row[name] for row in rows), 4) for name in rows[0]} | {
        "n": len(rows)
    }


def ranked(found: Sequence[str], wanted: set[str]) -> dict[str, float]:
    """Return the measures of one question of a conversation or a collection."""
    return {"hit@1": float(found[:1] != [] and found[0] in wanted), **measures(list(found), wanted)}


def talk_task(subject: Subject, samples: list[dict[str, Any]]) -> Report:
    """Ask the questions of conversations; categories 1 to 4 together, and 5 apart."""
    rows: dict[int, list[dict[str, float]]] = defaultdict(list)
    for sample in samples:
        memories = turns(sample["conversation"], sample["sample_id"])
        ids = [str(memory.metadata["dia_id"]) for memory in memories]
        with subject.open(memories) as ask:
            for question in sample["qa"]:
                wanted = evidence(question, set(ids))
                if wanted:
                    found = [ids[row] for row in ask(question["question"], 20).rows]
                    rows[question["category"]].append(ranked(found, wanted))
    report: Report = {
        "all but 5": averaged([row for category in rows if category != 5 for row in rows[category]])
    }
    return report | {f"category {category}": averaged(rows[category]) for category in sorted(rows)}


def document_task(subject: Subject, data: dict[str, Any]) -> Report:
    """Ask the queries of a collection; all grades of relevance count alike."""
    ids = [str(document["id"]) for document in data["documents"]]
    rows: list[dict[str, float]] = []
    with subject.open([NewMemory(content=document["text"]) for document in data["documents"]]) as ask:
        for query in data["queries"]:
            wanted = {str(id) for id in query["relevant"]} & set(ids)
            if wanted:
                rows.append(ranked([ids[row] for row in ask(query["text"], 20).rows], wanted))
    return {"all": averaged(rows)}


def memory_of(fact: Mapping[str, Any], key: str = "content") -> NewMemory:
    """Return a fact as a memory."""
    return NewMemory(
        content=fact[key],
        created_at=datetime.fromisoformat(fact["created_at"]),
        metadata={"id": fact["id"]} if "id" in fact else {},
    )


def pairs_of(data: dict[str, Any]) -> list[NewMemory]:
    return [memory_of(pair, "memory") for pair in data["pairs"]]


def all_facts(data: dict[str, Any]) -> list[NewMemory]:
    return pairs_of(data) + [memory_of(fact) for fact in data["distractors"]]


def facts_task(subject: Subject, data: dict[str, Any]) -> Report:
    """Ask for facts in other words, among themselves and among others."""
    report: Report = {}
    for title, memories in (("alone", pairs_of(data)), ("among others", all_facts(data))):
        with subject.open(memories) as ask:
            for key, kind in (("question", "no word shared"), ("named_question", "named")):
                rows: list[dict[str, float]] = []
                by_language: dict[str, list[float]] = defaultdict(list)
                for row, pair in enumerate(data["pairs"]):
                    if not pair.get(key):
                        continue
                    found = ask(pair[key], 5).rows
                    rows.append({"hit@1": float(found[:1] == [row]), "hit@5": float(row in found)})
                    by_language[pair.get("lang", "en")].append(rows[-1]["hit@1"])
                report[f"{title}, {kind}"] = averaged(rows)
                if key == "question":
                    report[f"{title}, hit@1 by language"] = {
                        language: round(statistics.fmean(hits), 3) for language, hits in by_language.items()
                    }
    return report


def auc(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """Return the share of pairs in which the positive one is higher; a tie is half a pair."""
    if not positive or not negative:
        return None
    won = sum((p > n) + (p == n) / 2 for p in positive for n in negative)
    return round(won / (len(positive) * len(negative)), 3)


def kept(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """Return the share of positives above the threshold that a tenth of the negatives passes."""
    if not positive or not negative:
        return None
    threshold = sorted(negative, reverse=True)[len(negative) // 10]
    return round(sum(p > threshold for p in positive) / len(positive), 3)


def abstention_task(subject: Subject, data: dict[str, Any]) -> Report:
    """Compare how sure a memory is of answers and of questions that nothing answers: four numbers, no mean."""
    sure: dict[str, dict[str, list[float]]] = {"score": defaultdict(list), "confidence": defaultdict(list)}

    def note(kind: str, answer: Answer) -> None:
        sure["score"][kind].append(answer.found[0][1] if answer.found else 0.0)
        if answer.confidence is not None:
            sure["confidence"][kind].append(answer.confidence)

    with subject.open(all_facts(data)) as ask:
        for row, pair in enumerate(data["pairs"]):
            for key, kind in (("question", "no name"), ("named_question", "named")):
                if pair.get(key) and row in (answer := ask(pair[key], 5, sure=True)).rows:
                    note(kind, answer)
        for negative in data["negatives"]:
            note(negative["about"], ask(negative["question"], 5, sure=True))
    report: Report = {}
    for measure, values in sure.items():
        if values:
            report[measure] = {
                f"{kind} vs {about} {name}": function(values[kind], values[about])
                for name, function in (("auc", auc), ("kept", kept))
                for kind in ("named", "no name")
                for about in ("people", "world")
            }
    return report


def changing(data: dict[str, Any]) -> tuple[list[NewMemory], list[list[int]], list[list[int]]]:
    """Return all facts with what changed and what does not; the positions of each chain, and of each of the others."""
    memories = all_facts(data)

    def added(facts: Sequence[Mapping[str, Any]]) -> list[int]:
        first = len(memories)
        memories.extend(memory_of(fact) for fact in facts)
        return list(range(first, len(memories)))

    chains = [added(update["chain"]) for update in data["updates"]]
    return memories, chains, [added(other["memories"]) for other in data["non_updates"]]


def updates_task(subject: Subject, data: dict[str, Any]) -> Report:
    """Ask for what changed, nothing said of what replaces what."""
    memories, chains, others = changing(data)
    first: dict[str, dict[str, int]] = defaultdict(
        lambda: {"new first": 0, "old first": 0, "other first": 0, "n": 0}
    )
    single = {"single answer first": 0, "n": 0}
    both = {"both in the first three": 0, "n": 0}
    with subject.open(memories) as ask:
        for update, chain in zip(data["updates"], chains, strict=True):
            found = ask(update["question"], 10).rows
            top = found[0] if found else -1
            key = "new first" if top == chain[-1] else "old first" if top in chain else "other first"
            for kind in ("all", update["kind"]):
                first[kind][key] += 1
                first[kind]["n"] += 1
        for other, rows in zip(data["non_updates"], others, strict=True):
            found = ask(other["question"], 10).rows
            if other["answer"] == "both":
                both["both in the first three"] += set(rows) <= set(found[:3])
                both["n"] += 1
            else:
                single["single answer first"] += found[:1] == [rows[other["answer"]]]
                single["n"] += 1
    report: Report = {**first, "non-updates": {**single}, "non-updates, both": {**both}}
    if subject.name == "brain":
        report["with supersedes"] = linked_updates(subject, data)
    return report


def linked_updates(subject: Subject, data: dict[str, Any]) -> Row:
    """Ask for what changed, where each new fact names the one that it supersedes."""
    memories, chains, _ = changing(data)
    olds = {new: old for chain in chains for old, new in pairwise(chain)}
    linked = [
        memory.model_copy(update={"id": f"{row}", "supersedes": (f"{olds[row]}",) if row in olds else ()})
        for row, memory in enumerate(memories)
    ]
    counts = {"new first": 0, "old among the hits": 0, "n": len(chains)}
    with subject.open(linked) as ask:
        for update, chain in zip(data["updates"], chains, strict=True):
            found = ask(update["question"], 10).rows
            counts["new first"] += found[:1] == [chain[-1]]
            counts["old among the hits"] += bool(set(chain[:-1]) & set(found))
    return {**counts}


def supersession_task(subject: Subject, data: dict[str, Any], embedder: Any) -> Report:
    """Store all by date and count what is suggested; only where the brain suggests."""
    if subject.name != "brain" or not hasattr(Brain, "suggest_supersessions"):
        return {"skipped": f"{subject.name} suggests nothing"}
    memories, chains, others = changing(data)
    order = sorted(range(len(memories)), key=lambda row: str(memories[row].created_at))
    step = {chain[at + 1]: chain[at] for chain in chains for at in range(len(chain) - 1)}
    twins = {row for rows in others for row in rows}
    ordinary = set(range(len(all_facts(data))))
    counts = {"right": 0, "another": 0, "steps": len(step), "twins": 0, "ordinary": 0}
    with onebrain.connect("sqlite://", embedder=embedder) as brain:
        rows: dict[str, int] = {}
        for row in order:
            id = brain.store(memories[row]).id
            rows[id] = row
            suggested = [rows[found.old.id] for found in brain.suggest_supersessions(id)]
            counts["right"] += row in step and step[row] in suggested
            counts["another"] += row in step and bool(suggested) and step[row] not in suggested
            counts["twins"] += row in twins and bool(twins & set(suggested))
            counts["ordinary"] += row in ordinary and bool(suggested)
    return {"all": {**counts}}


def candidates_task(subject: Subject, data: dict[str, Any]) -> Report:
    """Search with each new text of a chain: is the one before it among the first five and ten?"""
    memories, chains, _ = changing(data)
    rows: list[dict[str, float]] = []
    with subject.open(memories) as ask:
        for chain in chains:
            for old, new in pairwise(chain):
                found = [row for row in ask(memories[new].content, 11, prefer_newer=False).rows if row != new]
                rows.append({"among 5": float(old in found[:5]), "among 10": float(old in found[:10])})
    return {"all": averaged(rows)}


def time_task(subject: Subject, data: dict[str, Any]) -> Report:
    """Ask for one of three events that differ in time."""
    memories = all_facts(data)
    starts: list[int] = []
    for event in data["times"]:
        starts.append(len(memories))
        memories.extend(memory_of(fact) for fact in event["memories"])
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    with subject.open(memories) as ask:
        for event, start in zip(data["times"], starts, strict=True):
            found = ask(event["question"], 10, now=datetime.fromisoformat(event["now"])).rows
            right = start + event["answer"]
            row = {"hit@1": float(found[:1] == [right]), "hit@3": float(right in found[:3])}
            for kind in ("all", event["kind"]):
                rows[kind].append(row)
    return {kind: averaged(some) for kind, some in rows.items()}


def tasks_of(sets: Sets, embedder: Any) -> dict[str, Callable[[Subject], Report]]:
    """Return the tasks that there is data for."""
    tasks: dict[str, Callable[[Subject], Report]] = {}
    for name, samples in sets.talks.items():
        tasks[name] = lambda subject, samples=samples: talk_task(subject, samples)  # type: ignore[misc]
    if (documents := sets.documents) is not None:
        tasks["cranfield"] = lambda subject: document_task(subject, documents)
    if (facts := sets.facts) is not None:
        tasks |= {
            "facts": lambda subject: facts_task(subject, facts),
            "abstention": lambda subject: abstention_task(subject, facts),
            "updates": lambda subject: updates_task(subject, facts),
            "supersession": lambda subject: supersession_task(subject, facts, embedder),
            "candidates": lambda subject: candidates_task(subject, facts),
            "time": lambda subject: time_task(subject, facts),
        }
    return tasks


# The names of packages in the index, where they are not those of their modules.
INSTALLED_WITH = {"mem0": "mem0ai langchain"}


def measure(task: Callable[[Subject], Report], subject: Subject) -> Report:
    """Return a report, or the reason why there is none."""
    try:
        return task(subject)
    except ImportError as error:
        missing = INSTALLED_WITH.get(error.name or "", error.name)
        return {"skipped": f"not installed: pip install {missing}" if missing else f"not installed: {error}"}


# ---- output ---------------------------------------------------------------------------------------------------------

# The figure of each task that the picture shows.
SHOWN: dict[str, tuple[str, str]] = {
    "locomo": ("all but 5", "recall@10"),
    "realtalk": ("all but 5", "recall@10"),
    "cranfield": ("all", "ndcg@10"),
    "facts": ("alone, named", "hit@1"),
    "updates": ("all", "new first"),
    "candidates": ("all", "among 5"),
    "time": ("all", "hit@1"),
}


def show(report: dict[str, Any]) -> None:
    """Print a table for each task: a line for each memory and each group of questions."""
    print(f"embedder {report['embedder']}; {report['machine']}")
    for task, subjects in report["tasks"].items():
        print(f"\n{task}")
        for name, groups in subjects.items():
            for group, row in groups.items():
                cells = row if isinstance(row, str) else "  ".join(f"{key} {_cell(row[key])}" for key in row)
                print(f"  {name:<10} {group:<28} {cells}")


def _cell(value: float | int | None) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def picture(report: dict[str, Any]) -> str:
    """Return one figure of each task as bars, in SVG."""
    colours = ("#1b6ca8", "#9aa5b1", "#c3ccd6", "#7b8794", "#d9b26f", "#b98b82")
    lines: list[str] = []
    top = 40
    names: list[str] = []
    for task, subjects in report["tasks"].items():
        if task not in SHOWN:
            continue
        group, key = SHOWN[task]
        lines.append(f'<text x="10" y="{top}" font-weight="bold">{task}: {group}, {key}</text>')
        for name, groups in subjects.items():
            row = groups.get(group)
            if not isinstance(row, dict) or row.get(key) is None:
                continue
            names += [name] if name not in names else []
            share = row[key] / row["n"] if isinstance(row[key], int) else row[key]
            top += 18
            lines.append(
                f'<text x="20" y="{top}">{name}</text><rect x="110" y="{top - 11}" width="{400 * share:.0f}" height="13" '
                f'fill="{colours[names.index(name) % len(colours)]}"/><text x="{116 + 400 * share:.0f}" y="{top}">{share:.2f}</text>'
            )
        top += 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="{top}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/><text x="10" y="18">{report["embedder"]}</text>'
        + "".join(lines)
        + "</svg>\n"
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="a folder with data; the default is the small set of its own"
    )
    parser.add_argument("--tasks", help="with commas; the default is all that there is data for")
    parser.add_argument("--embedder", default="wordllama", help="a name, or module:Class")
    parser.add_argument("--only", help="brain or the names of baselines, with commas")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--picture", type=Path, help="write bars to this file, as SVG")
    arguments = parser.parse_args()
    embedder = embedder_of(arguments.embedder)
    tasks = tasks_of(Sets.read(arguments.data), embedder)
    chosen = arguments.tasks.split(",") if arguments.tasks else list(tasks)
    if unknown := [name for name in chosen if name not in tasks]:
        parser.error(f"no such task, or no data for it: {', '.join(unknown)}; there are {', '.join(tasks)}")
    subjects = [brain_subject(embedder), *baseline_subjects(embedder)]
    if arguments.only:
        subjects = [subject for subject in subjects if subject.name in arguments.only.split(",")]
    report: dict[str, Any] = {"embedder": arguments.embedder, "machine": machine(), "tasks": {}}
    for name in chosen:
        report["tasks"][name] = {subject.name: measure(tasks[name], subject) for subject in subjects}
        print(f"measured {name}", file=sys.stderr)
    if arguments.picture is not None:
        arguments.picture.write_text(picture(report), encoding="utf-8")
    print(json.dumps(report)) if arguments.json else show(report)


if __name__ == "__main__":
    main()

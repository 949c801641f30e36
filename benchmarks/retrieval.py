"""Measures whether search finds the turns that answer a question, without a language model.

    python benchmarks/retrieval.py --data locomo.json [--json] [--url sqlite://]

Every turn of a conversation is stored as one memory. Every question with evidence is searched once, in the scope of its
conversation, with default settings. A turn may have its own `date_time`, as in REALTALK. Recall@k is the share of a question's evidence among the first k hits. nDCG@10 weighs
hits by their rank. Both are averaged over questions: categories 1 to 4 together, and 5 separately.
"""

from __future__ import annotations

import _path  # noqa: F401  # isort: skip

import argparse
import json
import math
import platform
import re
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onebrain
from onebrain import NewMemory, Scope

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
DEPTHS = (5, 10, 20)


def turns(conversation: dict[str, Any], sample: str) -> list[NewMemory]:
    """Return the memories of a conversation, in order."""
    memories: list[NewMemory] = []
    number = 1
    while f"session_{number}_date_time" in conversation or f"session_{number}" in conversation:
        when = moment(conversation.get(f"session_{number}_date_time"))
        for turn in conversation.get(f"session_{number}", []):
            text = f"{turn['speaker']}: {turn['text']}"
            if turn.get("blip_caption"):
                text += f" (image: {turn['blip_caption']})"
            memories.append(
                NewMemory(
                    content=text,
                    scope=Scope(space=sample, session=f"session_{number}"),
                    created_at=datetime.fromisoformat(turn["date_time"]) if "date_time" in turn else when,
                    metadata={"dia_id": turn["dia_id"]},
                )
            )
        number += 1
    return memories


def moment(text: str | None) -> datetime | None:
    """Read a session's date, such as "1:56 pm on 8 May, 2023"."""
    if text is None:
        return None
    for form in ("%I:%M %p on %d %B, %Y", "%H:%M on %d %B, %Y", "%d %B, %Y"):
        try:
            return datetime.strptime(text.strip(), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ValueError(f"cannot read the date {text!r}")


def evidence(question: dict[str, Any], known: set[str]) -> set[str]:
    """Return the turns that answer a question. References to unknown turns are dropped; "D8:6; D9:17" are two."""
    named = (
        turn for reference in question.get("evidence") or [] for turn in re.findall(r"D\d+:\d+", reference)
    )
    return {turn for turn in named if turn in known}


def measures(found: list[str], wanted: set[str]) -> dict[str, float]:
    """Return recall at each depth and nDCG@10."""
    result = {f"recall@{depth}": len(wanted & set(found[:depth])) / len(wanted) for depth in DEPTHS}
    gain = sum(1 / math.log2(rank + 2) for rank, turn in enumerate(found[:10]) if turn in wanted)
    best = sum(1 / math.log2(rank + 2) for rank in range(min(len(wanted), 10)))
    return {**result, "ndcg@10": gain / best}


def mean(rows: list[dict[str, float]]) -> dict[str, float]:
    """Average the measures over questions."""
    if not rows:
        return {"questions": 0}
    return {name: round(sum(row[name] for row in rows) / len(rows), 4) for name in rows[0]} | {
        "questions": len(rows)
    }


def run(data: list[dict[str, Any]], url: str) -> dict[str, Any]:
    """Store all conversations in one brain, ask all questions, and return the report."""
    rows: dict[int, list[dict[str, float]]] = defaultdict(list)
    seconds: list[float] = []
    with onebrain.connect(url) as brain:
        for sample in data:
            memories = turns(sample["conversation"], sample["sample_id"])
            brain.store_many(memories).raise_for_failures()
        for sample in data:
            known = {
                str(memory.metadata["dia_id"])
                for memory in turns(sample["conversation"], sample["sample_id"])
            }
            for question in sample["qa"]:
                wanted = evidence(question, known)
                if not wanted:
                    continue
                start = time.perf_counter()
                hits = brain.search(
                    question["question"], scope=Scope(space=sample["sample_id"]), limit=max(DEPTHS)
                )
                seconds.append(time.perf_counter() - start)
                rows[question["category"]].append(
                    measures([hit.memory.metadata["dia_id"] for hit in hits], wanted)
                )
    headline = [row for category in (1, 2, 3, 4) for row in rows[category]]
    seconds.sort()
    return {
        "headline": mean(headline),
        "by_category": {CATEGORIES[category]: mean(rows[category]) for category in (1, 2, 3, 4)},
        "adversarial": mean(rows[5]),
        "search_ms_p50": round(seconds[len(seconds) // 2] * 1000, 3) if seconds else None,
        "url": url.split("@")[-1],
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Recall and nDCG of memory search on LoCoMo conversations.")
    parser.add_argument("--data", type=Path, required=True, help="a LoCoMo file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--url", default="sqlite://", help="the brain to measure (default: embedded, in memory)"
    )
    arguments = parser.parse_args()
    report = run(json.loads(arguments.data.read_text()), arguments.url)
    if arguments.json:
        print(json.dumps(report))
        return
    print(f"{'':16}{'recall@5':>10}{'recall@10':>10}{'recall@20':>10}{'ndcg@10':>10}{'questions':>10}")
    for name, row in [
        ("categories 1-4", report["headline"]),
        *report["by_category"].items(),
        ("adversarial", report["adversarial"]),
    ]:
        cells = "".join(
            f"{row.get(column, float('nan')):>10.3f}"
            for column in ("recall@5", "recall@10", "recall@20", "ndcg@10")
        )
        print(f"{name:16}{cells}{row['questions']:>10}")
    print(f"search p50 {report['search_ms_p50']} ms on {report['url']}; {report['machine']}")


if __name__ == "__main__":
    main()

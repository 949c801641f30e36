"""A table of the results of the conformance suite: drivers by methods.

In a ``conftest.py``::

    from onebrain.testing.report import Results

    results = Results()


    def pytest_runtest_logreport(report):
        results.add(report)


    def pytest_terminal_summary(terminalreporter):
        if results:
            terminalreporter.section("conformance")
            terminalreporter.write_line(results.table())
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, Protocol

PROPERTY: Final = "onebrain.conformance"


class Report(Protocol):
    """The used part of pytest's report of one phase of one test."""

    @property
    def when(self) -> str | None:
        """The phase: setup, call or teardown."""
        ...

    @property
    def outcome(self) -> str:
        """Passed, failed or skipped."""
        ...

    @property
    def user_properties(self) -> Iterable[tuple[str, Any]]:
        """The driver and the method, as the suite recorded them on the test."""
        ...


class Results:
    """Counts outcomes by driver and method, in the order in which they first occur.

    Example:
        >>> results = Results()
        >>> results.count("sqlite", "store", "passed", 20)
        >>> results.count("sqlite", "update", "passed", 8)
        >>> results.count("brrain", "store", "passed", 18)
        >>> results.count("brrain", "store", "skipped", 2)
        >>> results.count("brrain", "update", "skipped", 8)
        >>> print(results.table())
        | driver | store     | update |
        |--------|-----------|--------|
        | sqlite | 20        | 8      |
        | brrain | 18, 2 n/a | n/a    |
    """

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], Counter[str]] = {}

    def __bool__(self) -> bool:
        """Return True if an outcome was counted."""
        return bool(self._cells)

    def add(self, report: Report) -> None:
        """Count one of pytest's reports if the test belongs to the conformance suite."""
        # A passed test has three reports; its call is the one that counts.
        if report.when != "call" and report.outcome == "passed":
            return
        for name, value in report.user_properties:
            if name == PROPERTY:
                driver, verb = value
                self.count(driver, verb, report.outcome)

    def count(self, driver: str, verb: str, outcome: str, times: int = 1) -> None:
        """Count an outcome: ``passed``, ``failed`` or ``skipped``."""
        self._cells.setdefault((driver, verb), Counter())[outcome] += times

    def table(self) -> str:
        """Return the results as a Markdown table: tests passed, failed, and not applicable by the capabilities."""
        drivers = list(dict.fromkeys(driver for driver, _ in self._cells))
        verbs = list(dict.fromkeys(verb for _, verb in self._cells))
        rows = [
            ["driver", *verbs],
            *([driver, *(_cell(self._cells.get((driver, verb))) for verb in verbs)] for driver in drivers),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
            for row in rows
        ]
        return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _cell(outcomes: Counter[str] | None) -> str:
    if not outcomes:
        return ""
    passed, failed, skipped = (outcomes[name] for name in ("passed", "failed", "skipped"))
    if not passed and not failed:
        return "n/a"
    parts = [f"{failed} FAILED" if failed else "", str(passed), f"{skipped} n/a" if skipped else ""]
    return ", ".join(part for part in parts if part)

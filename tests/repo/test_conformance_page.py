"""The page that shows the table of drivers and verbs names every verb of the suite, and every driver that it was run on."""

from __future__ import annotations

import re

from onebrain.testing.conformance import DriverConformance

SHOWN = (
    "conformance/test_sqlite_driver.py",
    "conformance/test_postgresql_driver.py",
    "server/test_driver.py",
)


def test_the_table_has_a_column_for_each_verb_and_a_row_for_each_driver(root):
    lines = [
        line for line in (root / "docs" / "conformance.md").read_text().splitlines() if line.startswith("|")
    ]
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    verbs = {verb for kind in DriverConformance.__mro__ if (verb := vars(kind).get("verb"))}
    assert set(header[1:]) == verbs
    tests = root / "tests"
    files = [*(tests / name for name in SHOWN), *(tests / "server").glob("*/test_driver.py")]
    drivers = {
        name for file in files for name in re.findall(r'^    driver = "(.+)"', file.read_text(), re.MULTILINE)
    }
    assert {row[0] for row in rows} == drivers
    assert not any("failed" in cell for row in rows for cell in row)

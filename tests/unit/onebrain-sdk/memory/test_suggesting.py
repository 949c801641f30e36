"""Rules find memories that newer ones seem to replace, and leave alone what can be true at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from onebrain import Memory
from onebrain.memory.suggesting import CHANGED, MOST, SAME, reason, replaced

DAY = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("Marek lives in Brno", "Marek now lives in Olomouc", SAME),
        ("The port of the proxy is 8080", "The port of the proxy is 9090", SAME),
        ("Our plan is the small one", "Since May our plan is the large one", CHANGED),
        ("Marek lives in Brno", "Marek moved to Olomouc", CHANGED),
        ("Marek's bike is red", "Marek sold the bike", CHANGED),
        ("Marek lives in Brno", "Marek lives in Brno", None),
        ("Marek visited Brno", "Marek visited Olomouc", None),
        ("Marek likes plums", "Marek likes pears", None),
        ("Marek is tall", "Marek is from Brno", None),
        ("Marek lives in Brno", "Hana moved to Olomouc", None),
        ("Marek lives in Brno", "", None),
    ],
)
def test_a_reason(old, new, why):
    assert reason(new, old, 0.6) == why


def test_texts_that_are_not_similar_have_no_reason():
    assert reason("Marek lives in Olomouc", "Marek lives in Brno", 0.1) is None
    assert reason("Marek lives in Olomouc", "Marek lives in Brno", None) == SAME


def test_of_a_chain_the_newest_comes_first():
    chain = [
        Memory(id=f"{day}", content=f"The proxy runs on port {day}", created_at=DAY + timedelta(days=day))
        for day in range(5)
    ]
    found = replaced(chain[-1], [(one, 0.9 - day / 10) for day, one in enumerate(chain[:-1])])
    assert [one.old.id for one in found] == ["3", "0", "1"][:MOST]
    assert all(0 <= one.score <= 1 for one in found)
    assert replaced(chain[0], []) == []

"""Rules find memories that newer ones seem to replace, and leave alone what can be true at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import onebrain
from onebrain import Memory, Scope
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


def test_suggestions_stay_in_the_scope_of_the_call():
    with onebrain.connect("sqlite://") as brain:

        def keep(text, **scope):
            return brain.store(text, scope=Scope(**scope)).id

        there = keep("Marek lives in Brno", user="marek", session="one")
        for number in range(8):
            keep(f"Marek lives in Brno, block {number}", user=f"{number}")
        nobody = keep("Marek lives in Brno")
        new = keep("Marek lives in Olomouc now", user="marek", session="two")
        mine = keep("Marek lives in Olomouc now")
        user = Scope(user="marek")
        assert [one.old.id for one in brain.suggest_supersessions(new, scope=user)] == [there]
        assert [one.old.id for one in brain.suggest_supersessions(user)] == [there]
        for call in ((new, Scope(session="two")), (Scope(session="two"), Scope())):
            assert brain.suggest_supersessions(call[0], scope=call[1]) == []
        # The memories of no user are not among those of all.
        assert [one.old.id for one in brain.suggest_supersessions(mine)] == [nobody]

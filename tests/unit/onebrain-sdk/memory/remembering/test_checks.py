"""The checks of a proposed fact, which need no model."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from onebrain.memory.models import Memory
from onebrain.memory.remembering.answers import Proposed
from onebrain.memory.remembering.checks import LONGEST_FACT, MOST_REPLACED, Checked, checked
from onebrain.memory.remembering.dates import Evidence
from onebrain.memory.remembering.prompt import Said, prompt_of
from onebrain.memory.words import normalized

DAY = datetime(2024, 11, 13, 9, tzinfo=UTC)  # a Wednesday
TEXT = "Moved to Utrecht last week,\n the cat  hates it."
SAID = Said("m1", "user", TEXT, DAY)
OTHER = Said("m2", "assistant", "How is the weather in Utrecht?", DAY)


def known(number, content, *, at=DAY - timedelta(days=9)):
    return Memory(id=f"f{number}", content=content, type="fact", created_at=at)


def check(text="Declan's cat hates Utrecht", quote="the cat hates it", message=1, facts=(), **more):
    return checked(Proposed(text=text, quote=quote, message=message, **more), [SAID, OTHER], facts)


def test_a_quote_may_fold_white_space():
    assert check(quote="last week, the cat hates it") == Checked(
        "Declan's cat hates Utrecht", "last week, the cat hates it", SAID
    )


@pytest.mark.parametrize(
    "quote", ["", " ", "...", "it", "the dog hates it", "the cat loves it", "How is the weather"]
)
def test_a_quote_that_is_not_in_the_message_is_refused(quote):
    assert isinstance(check(quote=quote), str)


@pytest.mark.parametrize("number", [None, 0, -1, 3, 99])
def test_a_message_that_was_not_shown_is_not_one(number):
    found = check(quote="the weather in Utrecht", message=number)
    assert isinstance(found, Checked)
    assert found.source is OTHER
    assert isinstance(check(quote="the weather in Bergen", message=number), str)


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_fact_whose_quote_is_not_in_the_message_never_gets_in(message, quote):
    assume(" ".join(quote.split()) not in " ".join(message.split()))
    said = Said("m", "user", message, DAY)
    for number in (None, 1, 2):
        assert isinstance(checked(Proposed("Ewa likes tea", quote, number), [said], []), str)


@given(st.text(max_size=80), st.text("abcß語é ", min_size=3, max_size=80), st.text(max_size=80))
def test_a_part_of_a_message_is_a_quote(before, quote, after):
    assume(sum(letter.isalnum() for letter in quote) >= 3)
    message = before + quote + after
    found = checked(Proposed("Ewa likes tea", quote, 1), [Said("m", "user", message, DAY)], [])
    assert isinstance(found, Checked)


def test_a_fact_that_is_too_long_is_refused():
    assert isinstance(check(text="x" * LONGEST_FACT), Checked)
    assert isinstance(check(text="x" * (LONGEST_FACT + 1)), str)


def test_a_fact_that_cannot_be_stored_is_refused():
    assert isinstance(check(text="\ud800"), str)


# ---- numbers and dates ----------------------------------------------------------------------------------------------

FOLLOWS = [
    ("Moved to Utrecht last week", "Declan moved to Utrecht in November 2024"),
    ("I moved yesterday", "Ewa moved on 2024-11-12"),
    ("I moved yesterday", "Ewa moved on 12 November 2024"),
    ("I moved the day before yesterday", "Ewa moved on November 11th, 2024"),
    ("Wir sind gestern umgezogen", "Sie sind am 12. November 2024 umgezogen"),
    ("Ich bin letzte Woche umgezogen", "Sie ist im November 2024 umgezogen"),
    ("Nous avons déménagé hier", "Ils ont déménagé le 12 novembre 2024"),
    ("上周搬到了上海", "2024年11月搬到了上海"),
    ("I have three cats", "Ewa has 3 cats"),
    ("I have 25 bees", "Ewa has twenty-five bees"),
    ("We pay 1,200 euros", "They pay 1200 euros"),
    ("We pay 1200.50 euros", "They pay 1,200.50 euros"),
    ("Dinner is at 5pm", "Dinner is at 17:00"),
    ("I was born on 06/05/1990", "Ewa was born on 6 May 1990"),
    ("My birthday is May 6th", "Ewa's birthday is 6 May"),
    ("I have lived here for three years", "Ewa has lived there since 2021"),
    ("I quit last year", "Ewa quit in 2023"),
    ("I fly next Friday", "Ewa flies on 2024-11-22"),
    ("In March I left", "Ewa left in March 2024"),
    ("I may go", "Ewa may go"),
    ("I like one of them", "Ewa likes one of them"),
]
DOES_NOT = [
    ("I moved yesterday", "Ewa moved on 11 November 2024"),
    ("I moved last week", "Ewa moved in May 2024"),
    ("I moved last week", "Ewa moved on 2 November 2023"),
    ("I like tea", "Ewa likes tea since 2020"),
    ("I like tea", "Ewa likes tea since 13 November 2024"),
    ("I have cats", "Ewa has two cats"),
    ("I have 3 cats", "Ewa has 13 cats"),
    ("Dinner is at 5pm", "Dinner is at 18:00"),
    ("My birthday is May 6th", "Ewa was born on 6 May 1990"),
    ("In March I left", "Ewa left in April"),
    ("I quit last year", "Ewa quit in 2020"),
    ("We moved three years ago", "They moved in 2019"),
    ("I fly next Friday", "Ewa flies on 2024-11-21"),
]


@pytest.mark.parametrize(("quote", "text"), FOLLOWS)
def test_numbers_and_dates_that_follow_from_the_quote_are_kept(quote, text):
    assert Evidence(quote, DAY.date()).lacking(text) is None


@pytest.mark.parametrize(("quote", "text"), DOES_NOT)
def test_numbers_and_dates_that_do_not_are_refused(quote, text):
    assert Evidence(quote, DAY.date()).lacking(text) is not None


@given(st.text(max_size=100), st.dates())
def test_a_statement_that_is_its_quote_lacks_nothing(quote, day):
    assert Evidence(quote, day).lacking(quote) is None


@given(st.text(max_size=60), st.text(max_size=60), st.dates(), st.text(max_size=12))
def test_any_text_is_read(quote, text, day, written):
    evidence = Evidence(quote, day)
    assert evidence.lacking(text) is None or isinstance(evidence.lacking(text), str)
    assert evidence.day(written) is None or isinstance(evidence.day(written), date)


@given(st.integers(2, 10**6), st.integers(2, 10**6))
def test_another_number_is_refused(said, told):
    assume(said != told)
    assert Evidence(f"it costs {said} in all", DAY.date()).lacking(f"It costs {told}") is not None


@given(st.dates(date(1990, 1, 1), date(2089, 1, 1)), st.integers(-3, 3))
def test_yesterday_is_one_day(day, off):
    told = day - timedelta(days=1 + off)
    lacking = Evidence("I moved yesterday", day).lacking(f"Ewa moved on {told.isoformat()}")
    assert (lacking is None) == (off == 0)


def test_validity_is_kept_where_it_follows():
    found = check(quote="Moved to Utrecht last week", text="Declan lives in Utrecht", valid_from="2024-11-06")
    assert isinstance(found, Checked)
    assert found.valid_from == datetime(2024, 11, 6, tzinfo=UTC)
    found = check(quote="Moved to Utrecht last week", text="Declan lives in Utrecht", valid_from="2023-01-01")
    assert isinstance(found, Checked)
    assert found.valid_from is None
    assert "valid_from" in (found.left_out or "")


@pytest.mark.parametrize(
    "written", ["soon", "2024-13-45", "0000", "9999-99", "11/13/2024", "2024-11-13T99:99"]
)
def test_validity_that_is_no_date_is_left_out(written):
    found = check(valid_until=written)
    assert isinstance(found, Checked)
    assert found.valid_until is None or written.startswith("2024-11-13")


# ---- known facts ----------------------------------------------------------------------------------------------------

FACTS = [known(1, "Declan lives in Delft"), known(2, "Declan has 2 cats"), known(3, "Declan likes tea.")]


def test_what_a_model_calls_the_same_is_the_same():
    found = check(text="Declan enjoys tea", same=3, facts=FACTS)
    assert isinstance(found, Checked)
    assert found.same is FACTS[2]


@pytest.mark.parametrize("same", [0, -1, 4, 1000])
def test_a_number_that_was_not_shown_is_ignored(same):
    found = check(same=same, replaces=(same, 1), facts=FACTS)
    assert isinstance(found, Checked)
    assert found.same is None
    assert found.replaces == (FACTS[0],)


def test_facts_with_other_numbers_are_not_the_same():
    said = Said("m", "user", "I have 3 cats now", DAY)
    found = checked(Proposed("Declan has 3 cats", "I have 3 cats", 1, same=2), [said], FACTS)
    assert isinstance(found, Checked)
    assert found.same is None


def test_an_equal_text_is_the_same_without_the_model():
    found = check(text="DECLAN likes  tea", facts=FACTS)
    assert isinstance(found, Checked)
    assert found.same is FACTS[2]


def test_only_older_facts_are_replaced_and_three_at_most():
    newer = known(4, "Declan left", at=DAY + timedelta(days=1))
    facts = [*FACTS, newer, known(5, "Declan works in Delft")]
    found = check(replaces=(4, 5, 3, 2, 1, 1), facts=facts)
    assert isinstance(found, Checked)
    assert [memory.id for memory in found.replaces] == ["f5", "f3", "f2"]
    assert len(found.replaces) == MOST_REPLACED


@given(st.text())
def test_normalizing_twice_changes_nothing_more(text):
    assert normalized(normalized(text)) == normalized(text)


# ---- the prompt -----------------------------------------------------------------------------------------------------


@given(st.text(), st.text())
def test_a_text_never_leaves_its_line_of_the_prompt(message, fact):
    prompt = prompt_of([Said("m", "user", message, DAY)], [known(1, fact)], today=DAY)
    empty = prompt_of([Said("m", "user", "", DAY)], [known(1, "")], today=DAY)
    assert len(prompt.split("\n")) == len(empty.split("\n"))
    assert len([line for line in prompt.splitlines() if line.startswith('{"message"')]) == 1


def test_the_prompt_names_the_day_and_the_wish():
    prompt = prompt_of([SAID], [], today=DAY, instructions="only travel")
    assert "today is 2024-11-13, a Wednesday" in prompt
    assert "Remember only this: only travel" in prompt
    assert prompt_of([SAID], [], today=DAY, prompt="Now: {date} {schema} {other}").startswith(
        "Now: 2024-11-13, a Wednesday {"
    )


@pytest.mark.parametrize("digits", ["9" * 4301, "5:" + "0" * 4301, "1." + "0" * 4301, "1,000," + "1" * 4301])
def test_a_number_of_thousands_of_digits_is_text(digits):
    quote = f"the code is {digits} two weeks ago"
    assert isinstance(checked(Proposed("The code is 7", quote), [Said("1", "user", quote, DAY)], []), str)
    found = checked(Proposed("There is a code", quote), [Said("1", "user", quote, DAY)], [])
    assert found.quote == quote
    assert Evidence(quote, DAY.date()).lacking(quote) is None
    assert Evidence("at 5", DAY.date()).lacking(f"at {digits}") is not None


def test_facts_that_are_not_replaced_are_reported():
    facts = [known(number, f"Fact {number}") for number in range(1, 6)]
    new = known(6, "Fact 6", at=DAY + timedelta(days=1))
    assert check(facts=facts, replaces=(1, 2, 3)).left_out is None
    assert check(facts=facts, replaces=(1, 2, 3, 4)).left_out == "it replaces no more than 3 facts"
    assert check(facts=facts, replaces=(1, 9)).left_out == "it replaces no fact that the model was not shown"
    assert check(facts=[new], replaces=(1,)).left_out == "it replaces no fact that is newer"
    found = check(text="Fact one", facts=[known(1, "Fact one"), *facts], replaces=(2,))
    assert (found.replaces, found.left_out) == ((), "it replaces nothing, because it is known already")

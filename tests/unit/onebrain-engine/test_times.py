"""The time that a query asks for: which days it means, and that their borders are exact."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

import onebrain
from onebrain import OneBrainValidationError
from onebrain_engine.index.times import NO_TIMES, read_times
from onebrain_engine.store.records import to_micros

NOW = datetime(2025, 3, 12, 10, tzinfo=UTC)  # a Wednesday


def span(text: str, now: datetime = NOW) -> tuple[date | None, date | None]:
    """Return the first day and the day after the last, both None for no border."""
    times = read_times(text, now)

    def day(micros: int | None) -> date | None:
        if micros is None:
            return None
        return (
            (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).astimezone(now.tzinfo).date()
        )

    return day(times.start), day(times.end)


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("Who came yesterday?", "2025-03-11", "2025-03-12"),
        ("What broke two days ago?", "2025-03-10", "2025-03-11"),
        ("Where was I the day before yesterday?", "2025-03-10", "2025-03-11"),
        ("lunch last week", "2025-03-03", "2025-03-10"),
        ("the walk last weekend", "2025-03-08", "2025-03-10"),
        ("What was said last Thursday?", "2025-03-06", "2025-03-07"),
        ("last month's bill", "2025-02-01", "2025-03-01"),
        ("What did we plant this spring?", "2025-03-01", "2025-06-01"),
        ("the test last autumn", "2024-09-01", "2024-12-01"),
        ("the winter of 2024", "2023-12-01", "2024-03-01"),
        ("the third quarter of 2024", "2024-07-01", "2024-10-01"),
        ("bugs in Q1 2024", "2024-01-01", "2024-04-01"),
        ("three weeks ago on Sunday", "2025-02-16", "2025-02-17"),
        ("in the last three days", "2025-03-09", "2025-03-13"),
        ("14 February 2024", "2024-02-14", "2024-02-15"),
        ("on May 6th", "2024-05-06", "2024-05-07"),
        ("in August 2023", "2023-08-01", "2023-09-01"),
        ("in August", "2024-08-01", "2024-09-01"),
        ("on 2025-03-03", "2025-03-03", "2025-03-04"),
        ("New Year's Eve 2024", "2024-12-31", "2025-01-01"),
        ("over Easter weekend 2025", "2025-04-18", "2025-04-22"),
        ("Thanksgiving 2024", "2024-11-28", "2024-12-02"),
        ("since the summer", "2024-06-01", None),
        ("since Friday", "2025-03-07", None),
        ("before May 2024", None, "2024-05-01"),
        ("after 3 March 2025", "2025-03-04", None),
        ("29 February", "2024-02-29", "2024-03-01"),
        ("Was haben wir letztes Wochenende gemacht?", "2025-03-08", "2025-03-10"),
        ("Wen traf ich gestern?", "2025-03-11", "2025-03-12"),
        ("¿Qué hicimos el fin de semana pasado?", "2025-03-08", "2025-03-10"),
        ("¿A quién vi ayer?", "2025-03-11", "2025-03-12"),
        ("Qu'avons-nous fait le week-end dernier ?", "2025-03-08", "2025-03-10"),
        ("Qui est venu hier ?", "2025-03-11", "2025-03-12"),
        ("上周末我们做了什么?", "2025-03-08", "2025-03-10"),
        ("昨天我见了谁?", "2025-03-11", "2025-03-12"),
        ("先週末は何をしましたか", "2025-03-08", "2025-03-10"),
        ("昨日は誰に会いましたか", "2025-03-11", "2025-03-12"),
    ],
)
def test_a_phrase_means_these_days(text, first, after):
    expected = tuple(None if day is None else date.fromisoformat(day) for day in (first, after))
    assert span(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Where does Maria live?",
        "May I park here?",
        "Was ist hier?",
        "How do I march in step?",
        "What is her last name?",
        "The rotation is daily since the incident",
        "Is there a first aid kit?",
        "",
        "9999-99-99",
        "1,000,000 years",
    ],
)
def test_what_is_no_time_is_none(text):
    assert read_times(text, NOW) == NO_TIMES


@pytest.mark.parametrize(
    ("text", "order", "event", "side"),
    [
        ("When did I last change the oil?", "latest", None, None),
        ("What was the most recent thing they asked for?", "latest", None, None),
        ("What was the first thing he bought?", "earliest", None, None),
        ("Where did we live before the move?", None, "move", "before"),
        ("What did she do after her operation?", None, "her operation", "after"),
    ],
)
def test_orders_and_events(text, order, event, side):
    times = read_times(text, NOW)
    assert (times.order, times.event, times.side) == (order, event, side)


@given(
    now=st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)),
    hours=st.integers(-12, 14),
    phrase=st.sampled_from(
        ["yesterday", "last week", "last month", "last year", "this week", "last weekend", "today"]
    ),
)
def test_the_borders_are_midnights_where_the_asker_is(now, hours, phrase):
    now = now.replace(tzinfo=timezone(timedelta(hours=hours)))
    times = read_times(f"What happened {phrase}?", now)
    assert times.start is not None
    assert times.end is not None
    for border in (times.start, times.end):
        local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=border)).astimezone(now.tzinfo)
        assert (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)
    moment = to_micros(now)
    if phrase in ("today", "this week"):
        assert times.start <= moment < times.end
    else:
        assert times.end <= moment


@given(st.text(max_size=60), st.datetimes(timezones=st.just(UTC)))
def test_any_text_at_any_time_is_read(text, now):
    times = read_times(text, now)
    assert times.start is None or times.end is None or times.start < times.end


@given(
    words=st.lists(
        st.sampled_from(
            [
                "last",
                "this",
                "since",
                "before",
                "after",
                "the",
                "2",
                "three",
                "a",
                "weeks",
                "days",
                "years",
                "ago",
                "on",
                "monday",
                "may",
                "31",
                "june",
                "2024",
                "q1",
                "quarter",
                "first",
                "christmas",
                "easter",
                "yesterday",
                "winter",
                "of",
                "in",
                "29",
                "february",
                "0",
                "999",
            ]
        ),
        max_size=8,
    ),
    now=st.datetimes(timezones=st.just(UTC)),
)
def test_any_words_of_time_are_read(words, now):
    times = read_times(" ".join(words), now)
    assert times.start is None or times.end is None or times.start < times.end


def test_a_memory_of_the_time_asked_for_comes_first():
    with onebrain.connect("sqlite://") as brain:
        brain.store("Lunch with Sigrid at the fish place", created_at="2025-03-05")
        brain.store("Lunch with Anders at the noodle bar", created_at="2025-02-19")
        brain.store("Lunch with Odile in the canteen", created_at="2024-11-06")
        question = "With whom did I have lunch {}?"
        assert "Sigrid" in brain.search(question.format("last week"), now=NOW)[0].content
        assert "Anders" in brain.search(question.format("last month"), now="2025-03-12T10:00:00Z")[0].content
        assert "Odile" in brain.search(question.format("in November"), now=NOW)[0].content
        assert "Sigrid" in brain.search("When did I last have lunch?", now=NOW)[0].content
        assert "Odile" in brain.search("When was the first lunch?", now=NOW)[0].content
        assert len(brain.search(question.format("last week"), now=NOW)) == 3  # a bonus, no filter
        assert "Sigrid" in brain.context(question.format("last week"), now=NOW).text


def test_a_time_on_the_border_counts_once():
    with onebrain.connect("sqlite://") as brain:
        for name, created in (("first", "2025-03-03T00:00:00Z"), ("after", "2025-03-10T00:00:00Z")):
            brain.store("The delivery came", id=name, created_at=created)
        hits = brain.search("Which delivery came last week?", now=NOW, explain=True)
        assert [hit.id for hit in hits] == ["first", "after"]
        assert "time" not in hits[0].explanation.parts
        assert hits[1].explanation.parts["time"] == -1


def test_before_an_event_counts_from_its_memory():
    with onebrain.connect("sqlite://") as brain:
        brain.store("Joined the gym in Canal Street", created_at="2024-08-03")
        brain.store("We moved house to Elmsworth", created_at="2024-10-01")
        brain.store("Joined the gym at the lake", created_at="2024-11-12")
        assert "Canal" in brain.search("Which gym did I go to before the move?")[0].content
        assert "lake" in brain.search("Which gym did I go to after the move?")[0].content


@pytest.mark.parametrize("now", [5, "soon", object()])
def test_now_is_a_time(now):
    with onebrain.connect("sqlite://") as brain, pytest.raises(OneBrainValidationError, match="now"):
        brain.search("anything", now=now)

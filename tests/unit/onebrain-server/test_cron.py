"""Cron expressions: what they mean, and when they fire next."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from onebrain_server.jobs.briefings import quiet
from onebrain_server.jobs.cron import Cron

# A Friday.
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ZONE = ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", "2026-11-20T12:01:00+00:00"),
        ("0 8 * * *", "2026-11-21T08:00:00+00:00"),
        ("*/15 * * * *", "2026-11-20T12:15:00+00:00"),
        ("30 9 1 * *", "2026-12-01T09:30:00+00:00"),
        ("0 8 * * 1-5", "2026-11-23T08:00:00+00:00"),
        ("0 8 * * 7", "2026-11-22T08:00:00+00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00+00:00"),
        # The first of the month, or a Monday.
        ("0 8 1 * 1", "2026-11-23T08:00:00+00:00"),
        ("59 23 31 12 *", "2026-12-31T23:59:00+00:00"),
    ],
)
def test_it_fires_next(text, expected):
    assert Cron.parse(text).after(NOON, ZONE).isoformat() == expected


def test_a_day_that_never_comes_never_fires():
    assert Cron.parse("0 0 31 2 *").after(NOON, ZONE) is None


def test_it_fires_by_the_clock_of_its_zone():
    assert (
        Cron.parse("0 8 * * *").after(NOON, ZoneInfo("Asia/Tokyo")).isoformat() == "2026-11-20T23:00:00+00:00"
    )


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "60 * * * *", "* 24 * * *", "x * * * *", "5-1 * * * *", "*/0 * * * *", "1,, * * * *"],
)
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(ValueError, match=r"cron|field|value|step"):
        Cron.parse(text)


def test_quiet_hours_pass_midnight():
    config = {"quietHoursStart": "22:00", "quietHoursEnd": "07:00"}
    assert quiet(config, datetime(2026, 11, 20, 23, 0, tzinfo=UTC), ZONE)
    assert quiet(config, datetime(2026, 11, 20, 6, 59, tzinfo=UTC), ZONE)
    assert not quiet(config, NOON, ZONE)

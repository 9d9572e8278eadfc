"""Horizons: sessions with their calendar, rolling windows, fundings."""

import math
from datetime import UTC, date, datetime, time

import pytest

from ufos_nautilus.errors import SpecError
from ufos_nautilus.pricing.horizon import NextFunding, Rolling, SessionCalendar, SessionEnd


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


NEW_YORK = SessionCalendar(
    time(9, 30), time(16), "America/New_York",
    holidays=frozenset({date(2013, 12, 25)}), early_closes={date(2013, 12, 24): time(13)},
)  # fmt: skip


def test_a_rolling_horizon_never_runs_out():
    assert Rolling(300.0).time_left_s(0) == Rolling(300.0).time_left_s(10**18) == 300.0


def test_a_session_ends_at_local_closing_time_in_winter_and_in_summer():
    horizon = SessionEnd(NEW_YORK)
    assert horizon.time_left_s(ns("2013-10-07T19:59:30")) == 30.0  # UTC-4
    assert horizon.time_left_s(ns("2013-12-09T20:59:30")) == 30.0  # UTC-5


def test_outside_the_session_no_time_is_left_and_the_market_is_closed():
    horizon = SessionEnd(NEW_YORK)
    for closed in ("2013-10-07T13:29:59", "2013-10-07T20:00:00", "2013-10-12T15:00:00", "2013-12-25T15:00:00"):
        assert horizon.time_left_s(ns(closed)) == 0.0
        assert not horizon.is_open(ns(closed))
    assert horizon.is_open(ns("2013-10-07T13:30:00"))


def test_an_early_close_shortens_the_session():
    assert SessionEnd(NEW_YORK).time_left_s(ns("2013-12-24T17:59:00")) == 60.0
    assert not SessionEnd(NEW_YORK).is_open(ns("2013-12-24T18:00:00"))


def test_the_last_seconds_of_a_session_can_be_kept_for_going_flat():
    horizon = SessionEnd(NEW_YORK, flat_s=300.0)
    assert horizon.time_left_s(ns("2013-10-07T19:54:00")) == 60.0
    assert horizon.time_left_s(ns("2013-10-07T19:58:00")) == 0.0
    assert not horizon.is_open(ns("2013-10-07T19:56:00"))


def test_an_overnight_session_belongs_to_the_day_it_opens():
    globex = SessionCalendar(time(17), time(16), "America/Chicago", weekdays=(6, 0, 1, 2, 3))
    horizon = SessionEnd(globex)
    assert horizon.is_open(ns("2024-07-01T23:58:00"))
    assert horizon.time_left_s(ns("2024-07-02T20:00:00")) == 3600.0
    assert not horizon.is_open(ns("2024-07-02T21:30:00"))
    assert horizon.is_open(ns("2024-07-02T22:00:00"))


def test_the_horizon_finds_the_next_session_whatever_it_was_asked_before():
    horizon = SessionEnd(NEW_YORK)
    assert horizon.time_left_s(ns("2013-10-08T19:00:00")) == 3600.0
    assert horizon.time_left_s(ns("2013-10-07T19:00:00")) == 3600.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"zone": "Atlantis/Deep"},
        {"weekdays": ()},
        {"weekdays": (7,)},
        {"early_closes": {date(2013, 12, 24): time(9)}},
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(SpecError):
        SessionCalendar(time(9, 30), time(16), **({"zone": "UTC"} | wrong))


def test_a_calendar_without_sessions_is_refused_when_asked():
    everything = frozenset(date.fromordinal(date(2013, 1, 1).toordinal() + i) for i in range(900))
    with pytest.raises(SpecError, match="no session opens within"):
        SessionCalendar(time(9), time(17), holidays=everything).at(ns("2013-10-07T12:00:00"))


def test_funding_comes_on_a_grid_until_the_venue_says_when():
    horizon = NextFunding()
    assert horizon.time_left_s(ns("2024-08-08T23:54:00")) == 360.0
    assert horizon.time_left_s(ns("2024-08-09T00:00:00")) == 28_800.0
    horizon.announce(0.0001, ns("2024-08-09T04:00:00"))
    assert horizon.time_left_s(ns("2024-08-09T03:59:00")) == 60.0
    assert horizon.time_left_s(ns("2024-08-09T04:00:01")) == 3 * 3600 + 3599.0


def test_a_unit_is_worth_less_by_the_funding_it_will_pay_and_more_by_what_it_receives():
    horizon, now = NextFunding(), ns("2024-08-08T23:59:00")
    assert horizon.shift(60_000.0, now, 60.0) == 0.0
    horizon.announce(0.0001)
    assert horizon.shift(60_000.0, now, 60.0) == pytest.approx(6.0 * math.exp(-1.0))
    far, near = (horizon.shift(60_000.0, ns(t), 60.0) for t in ("2024-08-08T23:50:00", "2024-08-08T23:59:59"))
    assert 0.0 < far < near < 6.0
    horizon.announce(-0.0001)
    assert horizon.shift(60_000.0, now, 60.0) < 0.0
    with pytest.raises(SpecError):
        horizon.announce(math.nan)

"""Traded volume by the minute, and the profile that earlier days leave."""

from fractions import Fraction

from nautilus_trader.model import InstrumentId

from ufos_nautilus.engine.tape import MINUTES_PER_DAY, NS_PER_MINUTE, Tape
from ufos_nautilus.limits import TAPE_DAYS_MAX

BAC = InstrumentId.from_str("BAC.XNAS")
DAY = MINUTES_PER_DAY * NS_PER_MINUTE
OPEN = 100 * DAY + 810 * NS_PER_MINUTE


def tape(*trades: tuple[int, int, int]) -> Tape:
    """Trades as (day, minute after the open, size)."""
    made = Tape({"BAC.XNAS": ""})
    for day, minute, size in trades:
        made.count("BAC.XNAS", size, OPEN + day * DAY + minute * NS_PER_MINUTE + 7)
    return made


def shares(profile: list[int]) -> list[Fraction]:
    return [Fraction(v, sum(profile)) for v in profile]


def test_volume_adds_up():
    assert tape((0, 0, 5), (0, 0, 6), (0, 3, 7)).volume(BAC) == 18
    assert tape().volume(BAC) == 0


def test_the_first_day_has_a_flat_profile():
    assert tape((0, 0, 5), (0, 1, 9)).profile(BAC, OPEN, OPEN + 4 * NS_PER_MINUTE, 4) == [1, 1, 1, 1]


def test_the_profile_is_what_earlier_days_traded_in_the_same_minutes():
    made = tape((0, 0, 10), (0, 1, 30), (1, 0, 20), (1, 3, 40), (2, 0, 1_000))
    today = OPEN + 2 * DAY
    assert shares(made.profile(BAC, today, today + 4 * NS_PER_MINUTE, 4)) == [Fraction(n, 100) for n in (30, 30, 0, 40)]
    assert shares(made.profile(BAC, today, today + 4 * NS_PER_MINUTE, 2)) == [Fraction(6, 10), Fraction(4, 10)]


def test_a_minute_is_spread_evenly_over_the_spans_within_it():
    made = tape((0, 0, 60), (0, 1, 120))
    today = OPEN + DAY
    assert shares(made.profile(BAC, today, today + 2 * NS_PER_MINUTE, 4)) == [Fraction(n, 6) for n in (1, 1, 2, 2)]
    half = NS_PER_MINUTE // 2
    assert shares(made.profile(BAC, today + half, today + 3 * half, 2)) == [Fraction(1, 3), Fraction(2, 3)]
    thirds = made.profile(BAC, today, today + 2 * NS_PER_MINUTE, 3)
    assert sum(thirds) == (60 + 120) * NS_PER_MINUTE, "nothing is lost between spans that end within a minute"


def test_only_the_last_days_are_remembered():
    made = tape(*((day, 0, 1) for day in range(TAPE_DAYS_MAX)), (0, 1, 1))
    made.count("BAC.XNAS", 0, OPEN + TAPE_DAYS_MAX * DAY)
    today = OPEN + (TAPE_DAYS_MAX + 1) * DAY
    profile = made.profile(BAC, today, today + 2 * NS_PER_MINUTE, 2)
    assert profile == [(TAPE_DAYS_MAX - 1) * NS_PER_MINUTE, NS_PER_MINUTE]

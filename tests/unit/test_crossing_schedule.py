"""Schedules for the market part of a residual."""

from decimal import Decimal
from fractions import Fraction

import pytest

from ufos_nautilus.crossing.schedule import Slice, participation_rate, pov_due, twap_schedule, vwap_schedule
from ufos_nautilus.errors import LimitExceededError, SpecError
from ufos_nautilus.limits import SCHEDULE_SLICES_MAX


def test_twap_cuts_into_equal_slices_the_first_take_the_rest():
    assert twap_schedule(1_000, 3, 0, 300) == [Slice(0, 334), Slice(100, 333), Slice(200, 333)]
    assert twap_schedule(200, 4, 0, 400, lot=100) == [Slice(0, 100), Slice(100, 100)]


def test_vwap_follows_the_volume_curve():
    assert vwap_schedule(1_000, [5, 0, 3, 2], 100, 500) == [Slice(100, 500), Slice(300, 300), Slice(400, 200)]


def test_pov_keeps_our_share_of_all_that_trades():
    tenth = Fraction(1, 10)
    assert pov_due(1_000, 0, 900, tenth) == 100
    assert pov_due(1_000, 100, 900, tenth) == 0
    assert pov_due(1_000, 0, 900, tenth, lot=50, smallest=150) == 0
    assert pov_due(120, 100, 9_000, tenth, smallest=50) == 20  # the last may be small
    assert pov_due(1_000, 0, 10**9, tenth) == 1_000


@pytest.mark.parametrize("value", [0.1, "0.1", Decimal("0.1")], ids=["float", "text", "decimal"])
def test_a_participation_rate_is_taken_as_written(value):
    assert participation_rate({"participation_rate": value}) == Fraction(1, 10)


@pytest.mark.parametrize("value", [None, 0, 1, -0.1, "much", True, float("nan"), float("inf"), [0.1]])
def test_a_participation_rate_that_is_none_is_refused(value):
    with pytest.raises(SpecError):
        participation_rate({"participation_rate": value})


def test_orders_that_can_not_be_cut_are_refused():
    for make in (
        lambda: vwap_schedule(0, [1], 0, 1),
        lambda: vwap_schedule(150, [1], 0, 1, lot=100),
        lambda: vwap_schedule(100, [], 0, 1),
        lambda: vwap_schedule(100, [0, 0], 0, 1),
        lambda: vwap_schedule(100, [2, -1], 0, 1),
        lambda: vwap_schedule(100, [1], 1, 1),
        lambda: twap_schedule(100, 0, 0, 1),
        lambda: pov_due(100, 0, 10, Fraction(1)),
        lambda: pov_due(100, 101, 10, Fraction(1, 2)),
        lambda: pov_due(100, 0, -1, Fraction(1, 2)),
    ):
        with pytest.raises(SpecError):
            make()


def test_a_schedule_has_a_largest_number_of_slices():
    with pytest.raises(LimitExceededError):
        vwap_schedule(10**9, [1] * (SCHEDULE_SLICES_MAX + 1), 0, 10**9)
    with pytest.raises(LimitExceededError):
        twap_schedule(10**9, SCHEDULE_SLICES_MAX + 1, 0, 10**9)

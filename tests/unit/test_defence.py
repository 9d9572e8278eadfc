"""Defences: a leader's move, a spread out of the ordinary, toxic flow."""

from random import Random

import pytest

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import LEADER_PRICES_MAX
from ufos_nautilus.pricing.defence import LeaderWatch, SpreadWatch, ToxicityWidening

S = 1_000_000_000


def test_a_move_within_the_window_is_told_once_with_its_sign():
    watch = LeaderWatch(threshold_bps=5.0, window_s=0.25)
    assert watch.update(0, 100.0) == 0.0
    assert watch.update(S // 10, 100.04) == 0.0
    assert watch.update(S // 5, 100.06) == pytest.approx(6.0)
    assert watch.update(S // 4, 100.07) == 0.0
    assert watch.update(S // 3, 99.99) == pytest.approx(-7.0, abs=0.1)


def test_the_same_move_taken_slowly_is_no_signal():
    watch = LeaderWatch(threshold_bps=5.0, window_s=0.25)
    told = [watch.update(i * S // 10, 100.0 + 0.01 * i) for i in range(100)]
    assert not any(told)


def test_the_price_before_the_window_is_what_a_move_is_measured_from():
    watch = LeaderWatch(threshold_bps=5.0, window_s=0.25)
    watch.update(0, 100.0)
    assert watch.update(60 * S, 100.06) == pytest.approx(6.0)


def test_a_leader_that_ticks_without_end_keeps_a_bounded_memory():
    watch = LeaderWatch(threshold_bps=500.0, window_s=1e9)
    for i in range(LEADER_PRICES_MAX + 50):
        watch.update(i, 100.0 + (i % 2) * 0.01)
    assert len(watch._prices) == LEADER_PRICES_MAX


def test_a_spread_beyond_three_deviations_is_told_once():
    rng, watch = Random(1), SpreadWatch(half_life_s=60.0, sigmas=3.0, warmup_s=30.0, floor=0.1)
    told = [watch.update(i * S, 2.0 + rng.choice((-0.5, 0.0, 0.5))) for i in range(300)]
    assert not any(told)
    assert watch.mean == pytest.approx(2.0, abs=0.2)
    assert watch.deviation == pytest.approx(0.41, abs=0.12)
    found = watch.update(300 * S, 8.0)
    assert found is not None
    assert found.sigmas > 10.0
    assert watch.update(301 * S, 9.0) is None, "it is told already"
    assert watch.update(302 * S, 2.0) is None
    assert watch.update(303 * S, 9.0) is not None, "it was usual in between"


def test_nothing_is_told_before_the_warm_up_and_a_constant_spread_has_the_floor():
    watch = SpreadWatch(half_life_s=60.0, warmup_s=30.0, floor=0.5)
    assert watch.update(0, 1.0) is None
    assert watch.update(10 * S, 50.0) is None
    calm = SpreadWatch(half_life_s=60.0, warmup_s=1.0, floor=0.5)
    for i in range(100):
        assert calm.update(i * S, 1.0) is None
    assert calm.deviation == 0.5
    assert calm.update(100 * S, 2.0) is None
    assert calm.update(101 * S, 3.0) is not None


def test_mean_and_variance_are_weighted_by_time():
    watch = SpreadWatch(half_life_s=1e6, warmup_s=1e9, floor=1e-9)
    for i in range(200):
        watch.update(2 * i * S, 1.0)
        watch.update(2 * i * S + S // 2, 5.0)  # stands three times as long
    assert watch.mean == pytest.approx(4.0, rel=0.02)
    assert watch.variance == pytest.approx(3.0, rel=0.05)


def test_toxicity_adds_nothing_below_its_threshold_and_rises_in_steps_to_the_most():
    widening = ToxicityWidening(threshold=0.5, most=4.0, steps=4)
    assert [widening(x) for x in (0.0, 0.5, 0.51, 0.625, 0.63, 0.9, 1.0)] == [0.0, 0.0, 1.0, 1.0, 2.0, 4.0, 4.0]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: LeaderWatch(0.0, 1.0),
        lambda: LeaderWatch(1.0, -1.0),
        lambda: SpreadWatch(0.0),
        lambda: SpreadWatch(1.0, warmup_s=-1.0),
        lambda: ToxicityWidening(1.0, 1.0),
        lambda: ToxicityWidening(0.5, 1.0, steps=0),
    ],
    ids=range(6),
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(SpecError):
        wrong()

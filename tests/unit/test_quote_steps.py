"""The steps of the quote loop, fair value and volatility, by hand-checked cases."""

import math
from random import Random

import pytest

from ufos_nautilus.errors import SpecError
from ufos_nautilus.pricing.fair_value import FAIR_VALUES, imbalance, mid, weighted_mid
from ufos_nautilus.pricing.quoting import (
    Action,
    bound_sizes,
    clamp_post_only,
    decide,
    round_outward,
    shape_sizes,
    widen_to_minimum,
)
from ufos_nautilus.pricing.volatility import EstimatorState, EwmaVolatility

SECOND = 1_000_000_000


def test_fair_values_of_a_known_book():
    assert mid(99.0, 1.0, 101.0, 5.0) == 100.0
    assert weighted_mid(99.0, 3.0, 101.0, 1.0) == 100.5
    assert weighted_mid(99.0, 0.0, 101.0, 1.0) == 100.0
    assert imbalance(3.0, 1.0) == 0.75
    assert imbalance(0.0, 0.0) == 0.5
    assert set(FAIR_VALUES) == {"mid", "weighted_mid"}


def test_quotes_round_away_from_fair_value_and_float_dust_costs_no_tick():
    assert round_outward(100.0, 0.016, 0.016, 100.0) == (9998, 10002)
    assert round_outward(100.03, 0.01, 0.01, 100.0) == (10002, 10004)
    assert round_outward(100.0, None, 0.01, 100.0) == (None, 10001)
    assert round_outward(100.0, 0.01, None, 100.0) == (9999, None)


def test_narrow_quotes_are_widened_to_the_minimum_spread():
    assert widen_to_minimum(100, 101, 4) == (99, 103)
    assert widen_to_minimum(100, 102, 4) == (99, 103)
    assert widen_to_minimum(100, 99, 2) == (99, 101)
    assert widen_to_minimum(100, 104, 4) == (100, 104)
    assert widen_to_minimum(None, 104, 4) == (None, 104)


def test_post_only_clamp_keeps_quotes_off_the_other_side():
    assert clamp_post_only(105, 95, 99, 101) == (100, 100)
    assert clamp_post_only(98, 103, 99, 101) == (98, 103)
    assert clamp_post_only(105, 95, None, None) == (105, 95)
    assert clamp_post_only(None, None, 99, 101) == (None, None)


def test_sizes_never_carry_inventory_beyond_the_bound():
    for inventory in range(-25, 26):
        bid, ask = bound_sizes(inventory, 10, 4)
        assert 0 <= bid <= 4
        assert 0 <= ask <= 4
        assert bid == 0 or inventory + bid <= 10
        assert ask == 0 or inventory - ask >= -10
    assert bound_sizes(8, 10, 4) == (2, 4)
    assert bound_sizes(12, 10, 4) == (0, 4)


def test_sizes_shaped_by_inventory_shrink_the_side_that_adds_to_it():
    assert shape_sizes(0, 100, 1, 2.0, 10) == (100, 100)
    assert shape_sizes(5, 100, 1, 2.0, 10) == (37, 100)
    assert shape_sizes(-10, 100, 20, 2.0, 10) == (100, 20)
    assert shape_sizes(5, 100, 1, 0.0, 10) == (100, 100)


def test_throttle_holds_back_small_and_early_changes_but_never_a_withdrawal():
    assert decide(None, None, 0, 100) is Action.KEEP
    assert decide(50, None, 0, 100) is Action.CANCEL
    assert decide(50, 60, 99, 100) is Action.KEEP
    assert decide(50, 60, 100, 100) is Action.REPLACE
    assert decide(50, 50, 10**12, 100) is Action.KEEP
    assert decide(50, 49, 100, 100, 2) is Action.KEEP
    assert decide(50, 48, 100, 100, 2) is Action.REPLACE
    assert decide(None, 60, 99, 100) is Action.KEEP
    assert decide(None, 60, 100, 100) is Action.PLACE


def test_volatility_of_a_random_walk_at_irregular_times_is_recovered():
    rng = Random(7)
    estimator = EwmaVolatility(half_life_s=2_000.0)
    now, price = 0, 100.0
    for _ in range(60_000):
        step = rng.expovariate(5.0)
        now += round(step * SECOND)
        price += 0.03 * math.sqrt(step) * rng.gauss()
        estimator.update(now, price)
    assert estimator.sigma == pytest.approx(0.03, rel=0.03)
    assert estimator.state(now) is EstimatorState.READY


def test_sampling_keeps_the_bounce_between_bid_and_ask_out():
    rng = Random(7)
    every, sampled = EwmaVolatility(2_000.0), EwmaVolatility(2_000.0, sample_s=30.0)
    price = 100.0
    for i in range(200_000):
        price += 0.03 * math.sqrt(0.1) * rng.gauss()
        seen = price + rng.choice((-0.01, 0.01))
        for estimator in (every, sampled):
            estimator.update(i * SECOND // 10, seen)
    assert every.sigma > 0.045
    assert sampled.sigma == pytest.approx(0.03, rel=0.15)


def test_volatility_leans_on_its_prior_until_data_come():
    estimator = EwmaVolatility(10.0, prior_sigma=0.5, prior_s=5.0, warmup_s=3.0, stale_after_s=2.0)
    assert estimator.sigma == 0.5
    assert estimator.state(0) is EstimatorState.WARMING_UP
    for i in range(400):
        estimator.update(i * SECOND, 100.0)
    assert estimator.sigma < 1e-5
    assert estimator.state(399 * SECOND) is EstimatorState.READY
    assert estimator.state(402 * SECOND) is EstimatorState.STALE


def test_a_closed_market_adds_neither_its_jump_nor_its_time():
    estimator = EwmaVolatility(100.0, gap_s=60.0)
    for i in range(100):
        estimator.update(i * SECOND, 100.0 + 0.01 * (i % 2))
    before = estimator.sigma
    estimator.update(10_000 * SECOND, 150.0)
    assert estimator.sigma == before
    estimator.update(10_001 * SECOND, 150.01)
    assert estimator.sigma == pytest.approx(before, rel=0.05)


def test_prices_at_one_time_count_as_the_last_and_earlier_ones_not_at_all():
    estimator = EwmaVolatility(100.0)
    estimator.update(SECOND, 100.0)
    estimator.update(SECOND, 101.0)
    estimator.update(0, 500.0)
    estimator.update(2 * SECOND, 101.0)
    assert estimator.sigma == pytest.approx(1.0)


def test_volatility_refuses_parameters_out_of_range():
    for bad in ({"half_life_s": 0.0}, {"half_life_s": 1.0, "sample_s": -1.0}, {"half_life_s": 1.0, "sample_s": 400.0}):
        with pytest.raises(SpecError):
            EwmaVolatility(**bad)

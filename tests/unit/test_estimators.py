"""Estimators of intensity, order flow, toxicity and micro-price on data whose answer is known."""

import itertools
import json
import math
from random import Random

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import INTENSITY_BUCKETS_MAX, MICROPRICE_STATES_MAX, VPIN_BUCKETS_MAX
from ufos_nautilus.market.synthetic import SingleMarketParams, generate_single
from ufos_nautilus.pricing.fair_value import mid, weighted_mid
from ufos_nautilus.pricing.intensity import (
    IntensityEstimator,
    depth_growth,
    intensity_from_market,
    tail_index,
)
from ufos_nautilus.pricing.microprice import MicroPrice
from ufos_nautilus.pricing.order_flow import OrderFlowImbalance, Vpin, flow_increment
from ufos_nautilus.pricing.volatility import EstimatorState
from ufos_nautilus.research.fit_microprice import fit_microprice, forecast_errors

SECOND = 1_000_000_000
FLOATS = ("bid_price", "ask_price", "bid_size", "ask_size")


def quotes_and_trades(params: SingleMarketParams) -> tuple[pl.DataFrame, pl.DataFrame]:
    frames: dict[str, list[pl.DataFrame]] = {}
    for batch in generate_single(params).batches:
        frames.setdefault(batch.kind, []).append(batch.frame)
    return pl.concat(frames["quotes"]).cast(dict.fromkeys(FLOATS, pl.Float64)), pl.concat(frames["trades"])


def observe_own_quotes(estimator: IntensityEstimator, params: SingleMarketParams) -> int:
    """Quote both sides of a generated market anew at every book and watch what reaches the quotes."""
    quotes, trades = quotes_and_trades(params)
    rng = Random(params.seed)
    prints = trades.select(pl.col("ts_init").dt.epoch("ns"), pl.col("price").cast(pl.Float64), "aggressor_side").rows()
    place, now = 0, 0
    times = quotes["ts_init"].dt.epoch("ns").to_list()
    for i, (bid, bid_size, ask, ask_size) in enumerate(
        quotes.select("bid_price", "bid_size", "ask_price", "ask_size").iter_rows()
    ):
        if i + 1 == len(times):
            break
        start, now = times[i], times[i + 1]
        fair = weighted_mid(bid, bid_size, ask, ask_size)
        behind = rng.randrange(12) / 100.0
        seconds = {"BUY": (now - start) / SECOND, "SELL": (now - start) / SECOND}
        fills = dict.fromkeys(seconds, 0)
        while place < len(prints) and prints[place][0] < now:
            ts, price, side = prints[place]
            place += 1
            hit = price >= ask + behind - 1e-9 if side == "BUY" else price <= bid - behind + 1e-9
            if hit and not fills[side]:
                fills[side], seconds[side] = 1, (ts - start) / SECOND
        estimator.observe(now, ask + behind - fair, seconds["BUY"], fills["BUY"])
        estimator.observe(now, fair - bid + behind, seconds["SELL"], fills["SELL"])
    return now


def test_calibration_on_generated_markets_covers_the_truth():
    inside = {"A": 0, "k": 0}
    for seed in range(50):
        params = SingleMarketParams(seed=seed, A=2.0, k=20.0, duration_s=150.0, level_lots=10**7)
        estimator = IntensityEstimator(1.0, 30.0, prior_fills=0.5, bucket=0.002)
        now = observe_own_quotes(estimator, params)
        found = estimator.estimate(now)
        assert estimator.state(now) is EstimatorState.READY
        inside["A"] += abs(found.A - 2.0) < 2.0 * found.A_error
        inside["k"] += abs(found.k - 20.0) < 2.0 * found.k_error
    assert 44 <= inside["A"] <= 50
    assert 44 <= inside["k"] <= 50


def test_estimate_and_errors_are_those_of_the_likelihood():
    rng = Random(5)
    rows = []
    for _ in range(400):
        depth = rng.uniform(0.0, 2.0)
        wait = rng.expovariate(1.4 * math.exp(-1.5 * depth))
        rows.append((depth, min(wait, 3.0), 1.0 if wait < 3.0 else 0.0))
    estimator = IntensityEstimator(1.0, 1.0, prior_fills=1e-9, bucket=1e-3)
    for i, (depth, seconds, fills) in enumerate(rows):
        estimator.observe(i, depth, seconds, fills)
    found = estimator.estimate(len(rows))
    d, tau, n = np.array(rows).T

    def loss(x: np.ndarray) -> float:
        rate = x[0] * np.exp(-x[1] * d)
        return float((rate * tau - n * np.log(rate)).sum())

    best = minimize(loss, [1.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-10})
    assert (found.A, found.k) == pytest.approx(tuple(best.x), rel=1e-3)
    rate = best.x[0] * np.exp(-best.x[1] * d) * tau
    fisher = np.array(
        [
            [n.sum() / best.x[0] ** 2, -(rate * d).sum() / best.x[0]],
            [-(rate * d).sum() / best.x[0], (rate * d * d).sum()],
        ]
    )
    inverse = np.linalg.inv(fisher)
    assert found.A_error == pytest.approx(math.sqrt(inverse[0, 0]), rel=0.01)
    assert found.k_error == pytest.approx(math.sqrt(inverse[1, 1]), rel=0.01)
    assert found.covariance == pytest.approx(inverse[0, 1], rel=0.01)
    assert abs(found.A - 1.4) < 3 * found.A_error
    assert abs(found.k - 1.5) < 3 * found.k_error


def test_without_data_the_estimate_is_the_prior():
    estimator = IntensityEstimator(3.0, 12.0, bucket=0.01)
    found = estimator.estimate(0)
    assert (found.A, found.k) == pytest.approx((3.0, 12.0))
    assert (found.fills, found.exposure_s) == (0.0, 0.0)
    assert estimator.state(0) is EstimatorState.WARMING_UP
    assert found.at(0.1) == pytest.approx(3.0 * math.exp(-1.2))


def test_quotes_at_one_depth_or_never_filled_still_give_finite_numbers():
    one_depth, never = IntensityEstimator(1.0, 10.0, bucket=0.01), IntensityEstimator(1.0, 10.0, bucket=0.01)
    for i in range(1000):
        one_depth.observe(i * SECOND, 0.05, 1.0, float(i % 2))
        never.observe(i * SECOND, 0.01 * (i % 7), 10.0, 0.0)
    for estimator in (one_depth, never):
        found = estimator.estimate(1000 * SECOND)
        assert all(0.0 < x < math.inf for x in (found.A, found.k, found.A_error, found.k_error))
    assert one_depth.estimate(1000 * SECOND).at(0.05) == pytest.approx(0.5, rel=0.05)


def test_old_observations_fade_with_the_half_life_and_floats_never_run_out():
    estimator = IntensityEstimator(1.0, 10.0, prior_fills=0.1, bucket=0.01, half_life_s=60.0)
    now = 0
    for rate in (1, 4):
        for _ in range(30_000):
            now += SECOND
            estimator.observe(now, 0.0, 1.0, float(rate))
            estimator.observe(now, 0.1, 1.0, rate * math.exp(-1.0))
    found = estimator.estimate(now)
    assert pytest.approx(4.0, rel=0.02) == found.A
    assert found.k == pytest.approx(10.0, rel=0.02)
    assert found.exposure_s == pytest.approx(2 * 60.0 / math.log(2.0), rel=0.02)
    assert estimator.state(now) is EstimatorState.READY
    assert estimator.state(now + 700 * SECOND) is EstimatorState.WARMING_UP


def test_a_silent_estimator_turns_stale():
    estimator = IntensityEstimator(1.0, 10.0, bucket=0.01, stale_after_s=5.0)
    for i in range(30):
        estimator.observe(i * SECOND, 0.0, 1.0, 1.0)
    assert estimator.state(30 * SECOND) is EstimatorState.READY
    assert estimator.state(35 * SECOND) is EstimatorState.STALE


def test_intensity_refuses_what_it_can_not_use():
    with pytest.raises(SpecError):
        IntensityEstimator(0.0, 1.0, bucket=0.1)
    with pytest.raises(SpecError):
        IntensityEstimator(1.0, 1.0, bucket=0.1, half_life_s=0.0)
    estimator = IntensityEstimator(1.0, 1.0, bucket=0.1)
    for bad in ((math.nan, 1.0, 0.0), (0.1, -1.0, 0.0), (0.1, 1.0, math.inf)):
        with pytest.raises(SpecError):
            estimator.observe(0, *bad)
    with pytest.raises(LimitExceededError):
        for i in range(INTENSITY_BUCKETS_MAX + 1):
            estimator.observe(0, 0.1 * i + 0.05, 1.0, 0.0)


def test_prior_from_trade_sizes_and_depth_finds_the_decay():
    rng = Random(3)
    sizes = [2.0 * (1.0 - rng.random()) ** (-1.0 / 1.5) for _ in range(20_000)]
    alpha = tail_index(sizes, 2.0)
    depths = [0.1 * i for i in range(20)]
    v0, growth = depth_growth(depths, [3.0 * math.exp(1.0 * d) for d in depths])
    A, k = intensity_from_market(5.0, alpha, 2.0, v0, growth)
    assert alpha == pytest.approx(1.5, rel=0.03)
    assert (v0, growth) == pytest.approx((3.0, 1.0))
    assert k == pytest.approx(1.5, rel=0.03)
    assert pytest.approx(5.0 * 1.5**-1.5, rel=0.03) == A
    for bad in (
        lambda: tail_index([2.0, 2.0], 2.0),
        lambda: depth_growth([1.0], [1.0]),
        lambda: depth_growth([1, 2], [0, 1]),
    ):
        with pytest.raises(SpecError):
            bad()


def test_order_flow_counts_each_way_the_touch_can_change():
    before = (10.0, 5.0, 11.0, 7.0)
    assert flow_increment(before, 10.0, 8.0, 11.0, 7.0) == 3.0
    assert flow_increment(before, 10.0, 5.0, 11.0, 9.0) == -2.0
    assert flow_increment(before, 10.5, 2.0, 11.0, 7.0) == 2.0
    assert flow_increment(before, 9.5, 4.0, 11.0, 7.0) == -5.0
    assert flow_increment(before, 10.0, 5.0, 10.5, 3.0) == -3.0
    assert flow_increment(before, 10.0, 5.0, 11.5, 6.0) == 7.0


def test_order_flow_fades_with_its_half_life():
    flow = OrderFlowImbalance(10.0)
    assert flow.update(0, 10.0, 5.0, 11.0, 7.0) == 0.0
    assert flow.update(0, 10.0, 9.0, 11.0, 7.0) == 4.0
    assert flow.update(10 * SECOND, 10.0, 9.0, 11.0, 7.0) == pytest.approx(2.0)
    assert flow.at(20 * SECOND) == pytest.approx(1.0)
    assert flow.at(0) == pytest.approx(2.0)


def test_toxicity_is_the_mean_imbalance_of_the_last_volume_buckets():
    vpin = Vpin(10.0, 2)
    assert vpin.value == 0.0
    vpin.update(5.0, True)
    vpin.update(5.0, False)
    assert (vpin.value, vpin.ready) == (0.0, False)
    vpin.update(10.0, True)
    assert (vpin.value, vpin.ready) == (0.5, True)
    vpin.update(10.0, False)
    assert vpin.value == 1.0
    vpin.update(1e12, True)
    assert vpin.value == 1.0
    with pytest.raises(SpecError):
        Vpin(10.0, VPIN_BUCKETS_MAX + 1)
    with pytest.raises(SpecError):
        Vpin(0.0)


def queue_book(events: int, seed: int) -> pl.DataFrame:
    """A one-tick book whose queues are random walks: the side that empties first gives way."""
    rng = Random(seed)
    price, bid, ask = 1000, 10, 10
    rows = []
    for _ in range(events):
        if rng.random() < 0.5:
            bid += 1 if rng.random() < 0.48 else -1
        else:
            ask += 1 if rng.random() < 0.48 else -1
        if bid == 0 or ask == 0:
            price += 1 if ask == 0 else -1
            bid, ask = 1 + int(rng.expovariate(0.1)), 1 + int(rng.expovariate(0.1))
        rows.append((price / 100.0, float(bid), (price + 1) / 100.0, float(ask)))
    return pl.DataFrame(rows, schema=["bid_price", "bid_size", "ask_price", "ask_size"], orient="row")


def test_micro_price_beats_the_weighted_mid_and_the_mid_out_of_sample():
    micro = fit_microprice(queue_book(60_000, 1), 0.01, provenance={"data": "queue book"})
    row = micro.adjustments[0]
    assert row == pytest.approx([-x for x in reversed(row)], abs=1e-15)
    assert all(a < b for a, b in itertools.pairwise(row))
    assert micro.provenance["data"] == "queue book"
    found = forecast_errors(queue_book(60_000, 2), {"mid": mid, "weighted": weighted_mid, "micro": micro}, 50)
    assert found["micro"]["rmse"] <= found["weighted"]["rmse"] < found["mid"]["rmse"]
    assert abs(found["micro"]["bias_low"]) < abs(found["weighted"]["bias_low"])
    assert found["micro"]["r2"] > 0.03


def test_micro_price_survives_its_artifact_and_interpolates_between_buckets():
    micro = MicroPrice(0.01, ((-0.004, 0.0, 0.004), (-0.006, 0.0, 0.006)), {"data": "sha256:0"})
    assert MicroPrice.from_dict(json.loads(json.dumps(micro.to_dict()))) == micro
    assert micro(10.0, 0.0, 10.01, 5.0) == pytest.approx(10.005 - 0.004)
    assert micro(10.0, 5.0, 10.01, 5.0) == pytest.approx(10.005)
    assert micro(10.0, 2.0, 10.01, 1.0) == pytest.approx(10.005 + 0.002)
    assert micro(10.0, 9.0, 10.07, 0.1) == pytest.approx(10.035 + 0.006)
    assert micro(10.0, 0.0, 10.01, 0.0) == pytest.approx(10.005)


def test_micro_price_refuses_artifacts_and_data_that_are_none():
    for data in ({}, {"kind": "other"}, {"kind": "micro-price", "tick_size": 0.01, "adjustments": 3, "provenance": {}}):
        with pytest.raises(DataError):
            MicroPrice.from_dict(data)
    for table in ((), ((),), ((0.0,), (0.0, 0.0)), ((math.nan,),), ((0.0,) * (MICROPRICE_STATES_MAX + 1),)):
        with pytest.raises(DataError):
            MicroPrice(0.01, table, {})
    book = queue_book(2_000, 1)
    with pytest.raises(DataError):
        fit_microprice(book.drop("bid_size"), 0.01)
    with pytest.raises(DataError):
        fit_microprice(book.head(100), 0.01)
    with pytest.raises(DataError):
        fit_microprice(book.with_columns(bid_price=10.0, ask_price=10.01), 0.01)
    with pytest.raises(SpecError):
        fit_microprice(book, 0.01, imbalances=1)
    with pytest.raises(SpecError):
        forecast_errors(book, {}, 10**6)

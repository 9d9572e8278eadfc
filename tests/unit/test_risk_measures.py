"""Value at risk, shortfall, their tests, factors, stress and snapshots against known answers."""

import math
import random
import time
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import RISK_FACTORS_MAX, RISK_RETURNS_MAX
from ufos_nautilus.risk.factors import exposures
from ufos_nautilus.risk.measures import (
    METHODS,
    beta,
    cornish_fisher,
    cornish_fisher_holds,
    correlation,
    historical,
    moments,
    parametric,
    tail_risk,
)
from ufos_nautilus.risk.snapshot import RiskMonitor
from ufos_nautilus.risk.stress import Shock, Window, replay, stress, worst_windows
from ufos_nautilus.risk.student import quantile, student_sample, student_tail
from ufos_nautilus.risk.var_tests import backtest_var, check_breaches, chi2_tail


def draws(count: int, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(0.0005, 0.01) for _ in range(count)]


def test_the_closed_form_of_t_with_four_degrees_is_exact() -> None:
    for share in (0.001, 0.05, 0.3, 0.5, 0.9, 0.99, 0.9999):
        assert quantile(share) == pytest.approx(stats.t.ppf(share, 4), abs=1e-7)
    for level in (0.95, 0.99):
        found = student_tail(level)
        q = stats.t.ppf(level, 4)
        assert found.var == pytest.approx(q)
        assert found.es == pytest.approx(stats.t.expect(lambda x: x, (4,), lb=q) / (1 - level), rel=1e-6)


def test_shortfall_of_t_returns_is_within_one_percent_of_the_exact_one() -> None:
    count = RISK_RETURNS_MAX
    returns = student_sample(count)
    for level in (0.95, 0.975, 0.99):
        found, exact = historical(returns, level), student_tail(level)
        assert found.es == pytest.approx(exact.es, rel=0.01)
        assert found.var == pytest.approx(exact.var, rel=0.01)


def test_the_historical_tail_is_that_of_the_sample() -> None:
    returns = [float(-n) for n in range(1, 101)]
    found = historical(returns, 0.95)
    assert found.var == 95.0
    assert found.es == pytest.approx(98.0)
    assert historical(returns, 0.955).es == pytest.approx((100 + 99 + 98 + 97 + 0.5 * 96) / 4.5)


def test_the_normal_tail_is_that_of_the_textbook() -> None:
    found = parametric(moments(draws(5_000)), 0.99)
    data = np.array(draws(5_000))
    assert found.var == pytest.approx(-(data.mean() + data.std() * stats.norm.ppf(0.01)))
    assert found.es == pytest.approx(-data.mean() + data.std() * stats.norm.pdf(stats.norm.ppf(0.99)) / 0.01)


def test_moments_are_those_of_scipy() -> None:
    data = [math.exp(x * 40) for x in draws(1_000)]
    found = moments(data)
    assert found.skewness == pytest.approx(stats.skew(data))
    assert found.kurtosis == pytest.approx(stats.kurtosis(data))


def test_cornish_fisher_is_the_normal_without_skewness_and_lies_beyond_it_with_fat_tails() -> None:
    normal = moments([0.0] * 10)._replace(deviation=1.0)
    assert cornish_fisher(normal, 0.99).var == pytest.approx(stats.norm.ppf(0.99))
    assert cornish_fisher(normal, 0.99).es == pytest.approx(parametric(normal, 0.99).es, rel=2e-3)
    fat = normal._replace(kurtosis=2.0, skewness=-0.5)
    assert cornish_fisher(fat, 0.99).var > parametric(fat, 0.99).var
    assert cornish_fisher_holds(fat)
    assert not cornish_fisher_holds(normal._replace(skewness=3.0))


@pytest.mark.parametrize("method", METHODS)
def test_shortfall_is_never_below_value_at_risk_and_both_grow_with_the_level(method: str) -> None:
    tails = [tail_risk(draws(1_000, 3), level, method) for level in (0.9, 0.95, 0.99)]  # type: ignore[arg-type]
    assert all(t.es >= t.var for t in tails)
    assert all(a.var < b.var for a, b in pairwise(tails))


def test_a_series_that_can_not_be_measured_is_refused() -> None:
    for wrong in ([0.1] * 5, [0.1] * 9 + [math.nan], [0.1] * 9 + [math.inf]):
        with pytest.raises(DataError):
            tail_risk(wrong, 0.95, "historical")
    with pytest.raises(LimitExceededError):
        tail_risk([0.0] * (RISK_RETURNS_MAX + 1), 0.95, "historical")
    with pytest.raises(SpecError, match="level"):
        tail_risk(draws(100), 1.0, "historical")


def test_kupiec_is_the_likelihood_ratio_of_the_count() -> None:
    hits = [n % 50 == 0 for n in range(1_000)]
    found = check_breaches(hits, 0.99)
    lr = 2 * (stats.binom.logpmf(20, 1_000, 0.02) - stats.binom.logpmf(20, 1_000, 0.01))
    assert found.kupiec == pytest.approx(lr)
    assert found.kupiec_p == pytest.approx(stats.chi2.sf(lr, 1))
    assert found.breaches == 20
    for value in (0.1, 1.0, 5.0):
        assert chi2_tail(value, 1) == pytest.approx(stats.chi2.sf(value, 1))
        assert chi2_tail(value, 2) == pytest.approx(stats.chi2.sf(value, 2))


def test_breaches_in_a_row_are_told_from_breaches_apart() -> None:
    apart = [n % 20 == 0 for n in range(1_000)]
    clustered = [n < 50 for n in range(1_000)]
    assert check_breaches(apart, 0.95).kupiec_p == pytest.approx(check_breaches(clustered, 0.95).kupiec_p)
    assert check_breaches(clustered, 0.95).independence_p < 1e-6
    assert check_breaches(apart, 0.95).independence_p > 0.01
    assert check_breaches([False] * 500, 0.99).kupiec_p < 0.01


def test_a_right_model_is_kept_and_a_wrong_one_refused() -> None:
    rng = random.Random(5)
    calm = [rng.gauss(0, 0.01) for _ in range(1_500)]
    tests = backtest_var(calm, 250, (0.95,))
    assert all(test.kupiec_p > 0.05 for test in tests.values())
    wild = calm[:700] + [r * 3 for r in calm[700:]]
    assert backtest_var(wild, 500, (0.99,))["parametric", 0.99].coverage_p < 0.001


def test_factor_loadings_are_those_of_least_squares() -> None:
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(3, 400)) * 0.01
    returns = factors.T @ [1.2, -0.4, 0.0] + rng.normal(size=400) * 0.002 + 0.001
    found = exposures(returns.tolist(), {n: f.tolist() for n, f in zip("abc", factors, strict=True)})
    design = np.column_stack([np.ones(400), factors.T])
    wanted, residual, *_ = np.linalg.lstsq(design, returns, rcond=None)
    assert list(found.loadings.values()) == pytest.approx(wanted[1:].tolist())
    assert found.alpha == pytest.approx(wanted[0])
    total = ((returns - returns.mean()) ** 2).sum()
    assert found.r_squared == pytest.approx(1 - residual[0] / total)
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * residual[0] / 396)
    assert list(found.t_values.values()) == pytest.approx((wanted / errors)[1:].tolist())
    assert abs(found.t_values["c"]) < 3 < abs(found.t_values["a"])


def test_factors_that_say_the_same_are_refused() -> None:
    series = draws(100)
    with pytest.raises(DataError, match="made of the others"):
        exposures(draws(100, 2), {"a": series, "b": [2 * x for x in series]})
    with pytest.raises(LimitExceededError):
        exposures(series, {str(n): series for n in range(RISK_FACTORS_MAX + 1)})
    with pytest.raises(DataError, match="periods"):
        exposures(series, {"a": series[:-1]})


def test_beta_and_correlation_are_those_of_numpy() -> None:
    one, two = draws(500, 1), [a + b for a, b in zip(draws(500, 1), draws(500, 2), strict=True)]
    assert beta(two, one) == pytest.approx(np.cov(two, one, ddof=0)[0, 1] / np.var(one))
    assert correlation([one, two])[0][1] == pytest.approx(np.corrcoef(one, two)[0, 1])
    assert beta(one, [0.0] * 500) == 0.0
    assert correlation([one, [1.0] * 500])[0][1] == 0.0


def firm(names: int, days: int, books: int) -> tuple[RiskMonitor, dict[str, list[float]], dict[str, float]]:
    rng = random.Random(2)
    history = {f"S{n}": [rng.gauss(0, 0.01) for _ in range(days)] for n in range(names)}
    values = {name: rng.gauss(0, 100_000) for name in history}
    monitor = RiskMonitor(history, [rng.gauss(0, 0.01) for _ in range(days)], {n: 1e6 for n in history})
    for number, (name, value) in enumerate(values.items()):
        monitor.hold(f"B{number % books}", name, value)
    return monitor, history, values


def test_a_snapshot_is_what_its_positions_would_have_made() -> None:
    monitor, history, values = firm(30, 200, 3)
    profits = [sum(values[n] * history[n][d] for n in values) for d in range(200)]
    whole, *books = monitor.snapshot()
    assert whole.var["historical 0.99"] == pytest.approx(historical(profits, 0.99).var)
    assert whole.gross == pytest.approx(sum(map(abs, values.values())))
    assert [b.book for b in books] == ["B0", "B1", "B2"]
    assert sum(b.net for b in books) == pytest.approx(whole.net)
    without = [p - q for p, q in zip(profits, monitor.profits("B1"), strict=True)]
    wanted = historical(profits, 0.99).var - historical(without, 0.99).var
    assert books[1].incremental_var == pytest.approx(wanted)
    assert whole.largest == max(values, key=lambda n: abs(values[n]))
    assert whole.days_to_exit == pytest.approx(abs(values[whole.largest]) / 1e5)


def test_a_changed_position_gives_the_same_snapshot_as_starting_over() -> None:
    monitor, history, values = firm(20, 100, 2)
    monitor.snapshot()
    monitor.hold("B0", "S0", 5_000.0)
    monitor.hold("B1", "S1", 0.0)
    fresh = RiskMonitor(history, monitor._market, monitor._volumes)
    for number, name in enumerate(values):
        value = {"S0": 5_000.0, "S1": 0.0}.get(name, values[name])
        fresh.hold(f"B{number % 2}", name, value)
    assert monitor.snapshot() == fresh.snapshot()
    assert monitor.correlations()[0] == ["B0", "B1"]


def test_a_position_without_history_is_refused_and_not_left_out() -> None:
    monitor, _, _ = firm(3, 20, 1)
    with pytest.raises(DataError, match="no history"):
        monitor.hold("B0", "X", 1.0)
    with pytest.raises(DataError, match="different or no length"):
        RiskMonitor({"a": [0.0] * 20, "b": [0.0] * 21})


def test_a_snapshot_of_five_hundred_positions_over_a_thousand_days_is_quick() -> None:
    monitor, _, _ = firm(500, 1_000, 10)
    times = []
    for number in range(5):
        monitor.hold(f"B{number}", f"S{number}", 1.0)
        for book in range(10):
            monitor._moved.add(f"B{book}")
        started = time.process_time()
        monitor.snapshot()
        times.append(time.process_time() - started)
    assert min(times) < 0.1


def test_shocks_move_prices_spreads_volumes_and_value_at_risk() -> None:
    values = {"A": 1_000.0, "B": -500.0}
    shock = Shock(name="x", price=-0.1, prices={"B": 0.2}, spread=3, liquidity=0.5, volatility=2)
    [found] = stress(values, [shock], half_spreads={"A": 0.01, "B": 0.02}, volumes={"A": 100.0, "B": 1e9}, var_99=7)
    assert found.profit == pytest.approx(-100 - 100)
    assert found.exit_cost == pytest.approx(-(900 * 0.03 + 600 * 0.06))
    assert (found.var_99, found.days_to_exit) == (14, pytest.approx(900 / 5))


def test_past_days_are_replayed_compounded() -> None:
    history = {"A": [0.1, -0.1, 0.0, -0.5, 0.2]}
    [found] = replay({"A": 100.0}, history, [Window("crash", 3, 4)])
    assert found.profit == pytest.approx(100 * (0.5 * 1.2 - 1))
    assert [w.first for w in worst_windows([1.0, -5.0, 2.0, -3.0, -3.0], 2, 2)] == [3, 0]
    with pytest.raises(DataError, match="no history"):
        replay({"B": 1.0}, history, [])

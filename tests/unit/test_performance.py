"""Returns, drawdowns and regressions against other implementations and known values."""

import gzip
import math
import random
from datetime import date, timedelta
from decimal import Decimal as D
from pathlib import Path

import pytest

from ufos_nautilus.engine.book_statistics import statistics_of
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.portfolio import performance
from ufos_nautilus.portfolio.performance import (
    Sample,
    max_drawdown,
    money_weighted,
    per_year,
    period_returns,
    relative,
    time_weighted,
)
from ufos_nautilus.research import factors as factor_room
from ufos_nautilus.research.factors import fit_factors, read_factors

DAY = 86_400 * 10**9
YEAR = round(365.25 * DAY)
RNG = random.Random(4)
RETURNS = [RNG.gauss(0.0004, 0.01) for _ in range(600)]
BASE = [0.6 * r + RNG.gauss(0.0002, 0.006) for r in RETURNS]


def test_the_engines_statistics_and_ours_equal_empyrical() -> None:
    empyrical = pytest.importorskip("empyrical")
    numpy = pytest.importorskip("numpy")
    own, base = numpy.array(RETURNS), numpy.array(BASE)
    found = statistics_of([i * DAY for i in range(len(RETURNS))], RETURNS)
    expected = {
        "volatility": empyrical.annual_volatility(own),
        "sharpe": empyrical.sharpe_ratio(own),
        "sortino": empyrical.sortino_ratio(own),
        "calmar": empyrical.calmar_ratio(own),
        "max_drawdown": empyrical.max_drawdown(own),
        "var_95": empyrical.value_at_risk(own, 0.05),
        "var_99": empyrical.value_at_risk(own, 0.01),
        "es_95": empyrical.conditional_value_at_risk(own, 0.05),
        "profit_factor": own[own > 0].sum() / -own[own < 0].sum(),
        "win_rate": (own > 0).mean(),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), rel=1e-9), name
    assert time_weighted(RETURNS) == pytest.approx(float(empyrical.cum_returns_final(own)))
    assert max_drawdown(RETURNS).depth == pytest.approx(float(empyrical.max_drawdown(own)))
    against = relative(RETURNS, BASE)
    alpha, beta = empyrical.alpha_beta(own, base)
    assert (against.alpha, against.beta) == pytest.approx((float(alpha), float(beta)))
    assert against.information_ratio == pytest.approx(float(empyrical.excess_sharpe(own, base)) * math.sqrt(252))
    assert against.correlation == pytest.approx(float(numpy.corrcoef(own, base)[0, 1]))
    assert against.tracking_error == pytest.approx(float((own - base).std(ddof=1)) * math.sqrt(252))


def test_flows_change_the_money_weighted_return_and_not_the_time_weighted_one() -> None:
    """Ten percent a year on the first hundred, then as much again just before a year of minus ten percent."""
    samples = [Sample(0, D(100)), Sample(YEAR, D(110)), Sample(2 * YEAR, D("189"), D(100))]
    returns = period_returns(samples)
    assert returns == pytest.approx([0.1, -0.1])
    assert time_weighted(returns) == pytest.approx(-0.01)
    rate = money_weighted(samples)
    assert rate is not None
    assert 100 * (1 + rate) ** 2 + 100 * (1 + rate) == pytest.approx(189)
    assert rate < -0.01
    steady = [Sample(i * YEAR, D(str(round(100 * 1.07**i, 10)))) for i in range(4)]
    assert money_weighted(steady) == pytest.approx(0.07)
    assert per_year(time_weighted(period_returns(steady)), 3 * YEAR) == pytest.approx(0.07)
    assert money_weighted([Sample(0, D(100)), Sample(YEAR, D(0))]) == pytest.approx(-1, abs=1e-5)
    assert money_weighted(steady[:1]) is None


def test_a_drawdown_knows_its_peak_trough_and_recovery() -> None:
    assert max_drawdown([0.1, -0.5, 0.5, 1.0, -0.1]) == pytest.approx((-0.5, 1, 2, 4))
    assert max_drawdown([0.1, -0.5]).recovered is None
    assert max_drawdown([0.1, 0.2]).depth == 0


def test_values_that_make_no_returns_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="back in time"):
        period_returns([Sample(1, D(1)), Sample(1, D(1))])
    with pytest.raises(DataError, match="begins with"):
        period_returns([Sample(0, D(1)), Sample(1, D(1), D(-1))])
    with pytest.raises(DataError, match="too little"):
        relative([0.1, 0.2, 0.3], [0.1, 0.1, 0.1])
    with pytest.raises(DataError, match="against"):
        relative([0.1], [0.1, 0.2])
    monkeypatch.setattr(performance, "PERFORMANCE_POINTS_MAX", 1)
    with pytest.raises(LimitExceededError):
        period_returns([Sample(0, D(1)), Sample(1, D(1))])


def factor_days(count: int) -> dict[date, dict[str, float]]:
    rng, names = random.Random(1), ("market", "size", "value", "momentum")
    start = date(2020, 1, 1)
    return {
        start + timedelta(days=i): {"riskless": 0.0001, **{n: rng.gauss(0, 0.01) for n in names}} for i in range(count)
    }


def test_a_regression_finds_the_slopes_and_equals_numpys() -> None:
    numpy = pytest.importorskip("numpy")
    days = factor_days(400)
    rng = random.Random(2)
    returns = {
        d: f["riskless"] + 0.0002 + 0.9 * f["market"] - 0.3 * f["value"] + 0.5 * f["momentum"] + rng.gauss(0, 0.002)
        for d, f in days.items()
    }
    fit = fit_factors(returns, days)
    x = numpy.array([[1, f["market"], f["size"], f["value"], f["momentum"]] for f in days.values()])
    y = numpy.array([returns[d] - f["riskless"] for d, f in days.items()])
    slopes, left, *_ = numpy.linalg.lstsq(x, y)
    assert [c.value for c in fit.slopes] == pytest.approx(list(slopes[1:]))
    assert fit.alpha.value == pytest.approx((1 + slopes[0]) ** 252 - 1)
    errors = numpy.sqrt(numpy.diag(numpy.linalg.inv(x.T @ x)) * left[0] / (400 - 5))
    assert [c.t for c in fit.slopes] == pytest.approx(list(slopes[1:] / errors[1:]))
    assert fit.r_squared == pytest.approx(1 - left[0] / ((y - y.mean()) ** 2).sum())
    assert abs(fit.slope("size").t) < 3


def test_factor_files_are_read_with_their_text_and_missing_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = (
        "about\n\nDate,Mkt-RF,SMB,HML,RF\n2020-01-02, 1.00,0.5,-0.25,0.01\n2020-01-03,2,-99.99,1,0.01\n\nCopyright\n"
    )
    for name, text in (("ff3_daily.csv.gz", three), ("ff_mom_daily.csv.gz", "Date,Mom\n2020-01-02,-1\n")):
        with gzip.open(tmp_path / name, "wt") as stream:
            stream.write(text)
    found = read_factors(tmp_path)
    assert found[date(2020, 1, 2)] == pytest.approx(
        {"market": 0.01, "size": 0.005, "value": -0.0025, "riskless": 0.0001, "momentum": -0.01}
    )
    assert "size" not in found[date(2020, 1, 3)]
    with pytest.raises(DataError, match="1 days have both"):
        fit_factors({date(2020, 1, 2): 0.1}, found)
    same = {d: {**f, "size": f["market"]} for d, f in factor_days(100).items()}
    with pytest.raises(DataError, match="collinear"):
        fit_factors(dict.fromkeys(same, 0.1), same)
    monkeypatch.setattr(factor_room, "FACTOR_FILE_BYTES_MAX", 10)
    with pytest.raises(DataError, match="larger than"):
        read_factors(tmp_path)
    (tmp_path / "ff_mom_daily.csv.gz").unlink()
    monkeypatch.undo()
    with pytest.raises(SpecError, match="there is no ff_mom"):
        read_factors(tmp_path)

"""Performance of a portfolio from samples of its value: returns, drawdown, and how it did against a benchmark.

Ratios that the engine's statistics have (Sharpe, Sortino, Calmar, value at risk) are taken from there; what is here is
what depends on flows and on a benchmark.
"""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.limits import PERFORMANCE_POINTS_MAX

NS_PER_YEAR = 365.25 * 86_400 * 1e9
RATE_STEPS = 200
"""Halvings of the interval in which a money-weighted return is looked for."""


class Sample(NamedTuple):
    """Value of a portfolio at a time, and what came in (positive) or went out since the sample before."""

    ts_ns: int
    nav: Decimal
    flow: Decimal = Decimal(0)


class Drawdown(NamedTuple):
    """The deepest fall of a series of returns: a fraction below zero, and the indices of peak, trough and recovery."""

    depth: float
    peak: int
    trough: int
    recovered: int | None


@dataclass(frozen=True, slots=True)
class Relative:
    """How a portfolio did against a benchmark; fractions per year but for beta, ratio and correlation.

    Parameters
    ----------
    alpha : float
        Mean return beyond the riskless rate that beta does not explain, compounded over a year.
    beta : float
        Covariance with the benchmark over its variance.
    tracking_error : float
        Deviation of the difference of returns.
    information_ratio : float or None
        Mean difference over its deviation; None where it never varies.
    correlation : float or None
        Of the returns; None where one of them never varies.
    excess : float
        Difference of the total returns, not per year.

    """

    alpha: float
    beta: float
    tracking_error: float
    information_ratio: float | None
    correlation: float | None
    excess: float


def period_returns(samples: Sequence[Sample]) -> list[float]:
    """Return the return of each period between samples; what came in counts from the start of its period.

    Raises
    ------
    DataError
        If time goes back, or a period begins with nothing or less.
    LimitExceededError
        If there are more than `limits.PERFORMANCE_POINTS_MAX` samples.

    """
    if len(samples) > PERFORMANCE_POINTS_MAX:
        raise LimitExceededError(f"{len(samples):,} samples", expected=f"at most {PERFORMANCE_POINTS_MAX:,}")
    out: list[float] = []
    for before, after in itertools.pairwise(samples):
        if after.ts_ns <= before.ts_ns:
            raise DataError("samples of a value go back in time", expected="samples in order of time")
        start = before.nav + after.flow
        if start <= 0:
            raise DataError(f"a period begins with {start:f}", expected="a value above zero")
        out.append(float(after.nav / start - 1))
    return out


def time_weighted(returns: Sequence[float]) -> float:
    """Return the compounded return of a series, a fraction: what a unit put in at the start became, flows left out."""
    return math.expm1(math.fsum(math.log1p(r) for r in returns)) if min(returns, default=0.0) > -1 else -1.0


def per_year(total: float, ns: int) -> float:
    """Return a total return as a rate per year of 365.25 days; below a quarter of a year it is left as it is."""
    years = ns / NS_PER_YEAR
    return total if years < 0.25 or total <= -1 else (1 + total) ** (1 / years) - 1


def money_weighted(samples: Sequence[Sample]) -> float | None:
    """Return the rate per year at which all that was put in and taken out makes the last value; None where none does.

    Flows count from the sample before them, as in `period_returns`.
    """
    if len(samples) < 2:
        return None
    end = samples[-1].ts_ns
    moves = [(samples[0].ts_ns, float(samples[0].nav))]
    moves += [(b.ts_ns, float(a.flow)) for b, a in itertools.pairwise(samples) if a.flow]
    final = float(samples[-1].nav)

    def miss(rate: float) -> float:
        return sum(amount * (1 + rate) ** ((end - at) / NS_PER_YEAR) for at, amount in moves) - final

    if final <= 0:
        return -1.0 if final == 0 else None
    low, high = -0.999999, 1.0
    while miss(high) < 0 and high < 1e9:
        high *= 4
    if miss(low) > 0 or miss(high) < 0:
        return None
    for _ in range(RATE_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if miss(middle) < 0 else (low, middle)
    return (low + high) / 2


def max_drawdown(returns: Sequence[float]) -> Drawdown:
    """Return the deepest fall of the compounded series; index 0 is its start."""
    level = peak = 1.0
    at, worst = 0, Drawdown(0.0, 0, 0, 0)
    for i, r in enumerate(returns, 1):
        level *= 1 + r
        if level >= peak:
            if worst.recovered is None and level >= peak:
                worst = worst._replace(recovered=i)
            peak, at = level, i
        elif level / peak - 1 < worst.depth:
            worst = Drawdown(level / peak - 1, at, i, None)
    return worst


def relative(
    returns: Sequence[float], benchmark: Sequence[float], riskless: Sequence[float] | None = None, periods: float = 252
) -> Relative:
    """Measure returns against a benchmark's.

    Parameters
    ----------
    returns, benchmark : sequence of float
        Of the same periods, fractions.
    riskless : sequence of float, optional
        Riskless return of each period; zero where left out.
    periods : float
        Periods of a year.

    Raises
    ------
    DataError
        If the lengths differ, there are fewer than three periods, or the benchmark never varies.

    """
    free = riskless if riskless is not None else [0.0] * len(returns)
    if not len(returns) == len(benchmark) == len(free):
        raise DataError(f"{len(returns)} returns against {len(benchmark)}", expected="the same periods of both")
    if len(returns) < 3 or len(set(benchmark)) < 2:
        raise DataError("there is too little to measure against", expected="three periods at least, and a benchmark")
    own = [r - f for r, f in zip(returns, free, strict=True)]
    base = [b - f for b, f in zip(benchmark, free, strict=True)]
    beta = statistics.covariance(own, base) / statistics.variance(base)
    mean = statistics.fmean(own) - beta * statistics.fmean(base)
    gaps = [r - b for r, b in zip(returns, benchmark, strict=True)]
    spread = statistics.stdev(gaps)
    vary = len(set(own)) > 1
    return Relative(
        alpha=(1 + mean) ** periods - 1,
        beta=beta,
        tracking_error=spread * math.sqrt(periods),
        information_ratio=statistics.fmean(gaps) / spread * math.sqrt(periods) if spread > 0 else None,
        correlation=statistics.correlation(own, base) if vary else None,
        excess=time_weighted(returns) - time_weighted(benchmark),
    )

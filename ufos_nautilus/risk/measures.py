"""Value at risk and expected shortfall by three methods, and what else is read off series of returns.

Losses are positive. `level` is the probability that a loss stays below the value at risk, for example 0.95.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import exp, fsum, isfinite, pi, sqrt, sumprod
from statistics import NormalDist
from typing import Literal, NamedTuple

from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import RISK_RETURNS_MAX

Method = Literal["historical", "parametric", "cornish_fisher"]
METHODS: tuple[Method, ...] = ("historical", "parametric", "cornish_fisher")
RETURNS_MIN = 10
"""Fewer returns say nothing about a tail."""
NORMAL = NormalDist()
MONOTONE_STEPS = 500
TAIL_STEPS = 400
"""Points of the integral that makes a shortfall of quantiles."""


class Moments(NamedTuple):
    """Mean, standard deviation, skewness and excess kurtosis of a sample, all with divisor n."""

    mean: float
    deviation: float
    skewness: float
    kurtosis: float


class TailRisk(NamedTuple):
    """Value at risk and expected shortfall at one level."""

    level: float
    var: float
    es: float


def require_returns(returns: Sequence[float], name: str = "returns") -> None:
    """Raise where a series is too short, too long or not finite."""
    if len(returns) < RETURNS_MIN:
        raise DataError(f"{len(returns)} {name}", expected=f"at least {RETURNS_MIN}")
    if len(returns) > RISK_RETURNS_MAX:
        raise LimitExceededError(f"{len(returns):,} {name}", expected=f"at most {RISK_RETURNS_MAX:,}")
    if not isfinite(fsum(returns)):
        raise DataError(f"{name} hold something that is no number", expected="finite returns")


def moments(returns: Sequence[float]) -> Moments:
    """Return the first four moments; a series without variation has no skewness and no kurtosis."""
    count = len(returns)
    mean = fsum(returns) / count
    centred = [r - mean for r in returns]
    squares = [c * c for c in centred]
    variance = fsum(squares) / count
    if variance <= 1e-24 * mean * mean or not variance:
        return Moments(mean, 0.0, 0.0, 0.0)
    third, fourth = sumprod(squares, centred) / count, sumprod(squares, squares) / count
    return Moments(mean, sqrt(variance), third / variance**1.5, fourth / variance**2 - 3.0)


def historical(returns: Sequence[float], level: float) -> TailRisk:
    """Return the empirical tail: the loss that a share `level` of the sample does not exceed, and the mean beyond it.

    The shortfall weighs the loss at the quantile so that the tail's share is exactly ``1 - level``
    (Rockafellar and Uryasev 2002); it is coherent and never below the value at risk.
    """
    losses = sorted((-r for r in returns), reverse=True)
    tail = (1.0 - level) * len(losses)
    whole = min(int(tail + 1e-9), len(losses) - 1)
    at_quantile = losses[whole]
    beyond = fsum(losses[:whole]) + max(tail - whole, 0.0) * at_quantile
    return TailRisk(level, at_quantile, beyond / tail if tail else at_quantile)


def parametric(found: Moments, level: float) -> TailRisk:
    """Return the tail of a normal distribution with the sample's mean and deviation."""
    z = NORMAL.inv_cdf(level)
    density = exp(-z * z / 2) / sqrt(2 * pi)
    return TailRisk(level, z * found.deviation - found.mean, density / (1 - level) * found.deviation - found.mean)


def cornish_fisher(found: Moments, level: float) -> TailRisk:
    """Return the tail with quantiles expanded by skewness and kurtosis (Cornish and Fisher 1938).

    The shortfall is the mean of the expanded quantiles beyond `level`. Far from the normal the expansion stops being a
    distribution; see `cornish_fisher_holds`.
    """
    share = 1.0 - level
    beyond = [_expanded(found, level + share * (i + 0.5) / TAIL_STEPS) for i in range(TAIL_STEPS)]
    return TailRisk(level, _expanded(found, level), fsum(beyond) / TAIL_STEPS)


def _expanded(found: Moments, level: float) -> float:
    z, s, k = NORMAL.inv_cdf(1.0 - level), found.skewness, found.kurtosis
    corrected = z + (z * z - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s * s / 36
    return -(found.mean + found.deviation * corrected)


def cornish_fisher_holds(found: Moments) -> bool:
    """Tell whether the expanded quantiles rise with the level everywhere, as those of a distribution do."""
    steps = [_expanded(found, 0.001 + 0.998 * i / MONOTONE_STEPS) for i in range(MONOTONE_STEPS + 1)]
    return all(a <= b for a, b in pairwise(steps))


def tail_risk(returns: Sequence[float], level: float, method: Method) -> TailRisk:
    """Return value at risk and expected shortfall of a series by one method.

    Parameters
    ----------
    returns : sequence of float
        Returns or profits, one a period.
    level : float
        Between 0.5 and 1.
    method : str
        One of `METHODS`.

    """
    if not 0.5 < level < 1.0:
        raise SpecError(f"level {level}", expected="between 0.5 and 1, for example 0.99")
    require_returns(returns)
    if method == "historical":
        return historical(returns, level)
    found = moments(returns)
    return parametric(found, level) if method == "parametric" else cornish_fisher(found, level)


def beta(returns: Sequence[float], market: Sequence[float]) -> float:
    """Return the slope of returns on the market's; 0 where the market does not move."""
    if len(returns) != len(market):
        raise DataError(f"{len(returns)} returns against {len(market)} of the market", expected="the same days")
    count = len(returns)
    mean, mean_market = fsum(returns) / count, fsum(market) / count
    variance = sumprod(market, market) / count - mean_market**2
    return (sumprod(returns, market) / count - mean * mean_market) / variance if variance > 0 else 0.0


def correlation(series: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return the matrix of correlations; a series without variation has none with any other."""
    centred, norms = [], []
    for one in series:
        mean = fsum(one) / len(one)
        moved = [x - mean for x in one]
        centred.append(moved)
        norms.append(sqrt(sumprod(moved, moved)))
    out = [[1.0] * len(series) for _ in series]
    for i in range(len(series)):
        for j in range(i):
            both = norms[i] * norms[j]
            out[i][j] = out[j][i] = max(-1.0, min(1.0, sumprod(centred[i], centred[j]) / both)) if both else 0.0
    return out

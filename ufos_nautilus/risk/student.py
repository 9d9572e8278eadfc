"""The Student t distribution with four degrees of freedom: its quantile and tail have closed forms."""

from math import acos, cos, sqrt
from random import Random

from ufos_nautilus.risk.measures import TailRisk

DEGREES = 4


def quantile(share: float) -> float:
    """Return the quantile (Shaw 2006, equation 37)."""
    alpha = 4 * share * (1 - share)
    size = 2 * sqrt(max(cos(acos(sqrt(alpha)) / 3) / sqrt(alpha) - 1, 0.0))
    return size if share > 0.5 else -size


def student_tail(level: float) -> TailRisk:
    """Return the exact value at risk and expected shortfall of a return so distributed."""
    at = quantile(level)
    density = 3 / 8 * (1 + at * at / DEGREES) ** -2.5
    return TailRisk(level, at, density * (DEGREES + at * at) / ((DEGREES - 1) * (1 - level)))


def student_returns(count: int, rng: Random) -> list[float]:
    """Return independent draws."""
    return [quantile(min(max(rng.random(), 1e-12), 1 - 1e-12)) for _ in range(count)]


def student_sample(count: int) -> list[float]:
    """Return the quantiles at the middles of `count` equal shares: a sample with no luck in it."""
    return [quantile((i + 0.5) / count) for i in range(count)]

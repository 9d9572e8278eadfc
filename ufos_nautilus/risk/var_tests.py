"""Tests of a value at risk: Kupiec's of how often losses went beyond it, Christoffersen's of the order they did."""

import itertools
from collections.abc import Sequence
from math import erfc, exp, log, sqrt
from typing import NamedTuple

from ufos_nautilus.errors import DataError
from ufos_nautilus.risk.measures import METHODS, RETURNS_MIN, Method, tail_risk


class VarTest(NamedTuple):
    """Breaches among periods, and likelihood ratios with their p-values (Kupiec 1995, Christoffersen 1998)."""

    periods: int
    breaches: int
    expected: float
    kupiec: float
    kupiec_p: float
    """Chance of a count this far off if the model is right."""
    independence: float
    independence_p: float
    """Chance of breaches this clustered if each day is on its own."""
    coverage: float
    coverage_p: float
    """Both together."""


def _times_log(count: float, share: float) -> float:
    return count * log(share) if count else 0.0


def chi2_tail(value: float, degrees: int) -> float:
    """Return the chance that a chi-squared variable of 1 or 2 degrees is larger."""
    value = max(value, 0.0)
    return erfc(sqrt(value / 2)) if degrees == 1 else exp(-value / 2)


def check_breaches(hits: Sequence[bool], level: float) -> VarTest:
    """Test a series of breaches.

    Parameters
    ----------
    hits : sequence of bool
        True where the loss was beyond the value at risk of that period.
    level : float
        Of the value at risk.

    """
    count, chance = len(hits), 1.0 - level
    if count < RETURNS_MIN:
        raise DataError(f"{count} periods", expected=f"at least {RETURNS_MIN}")
    breaches = sum(hits)
    share = breaches / count
    right = _times_log(count - breaches, 1 - chance) + _times_log(breaches, chance)
    fitted = _times_log(count - breaches, 1 - share) + _times_log(breaches, share)
    kupiec = max(2 * (fitted - right), 0.0)
    moves = [[0, 0], [0, 0]]
    for before, now in itertools.pairwise(hits):
        moves[bool(before)][bool(now)] += 1
    (n00, n01), (n10, n11) = moves
    after_calm = n01 / (n00 + n01) if n00 + n01 else 0.0
    after_breach = n11 / (n10 + n11) if n10 + n11 else 0.0
    pooled = (n01 + n11) / (count - 1)
    alone = _times_log(n00 + n10, 1 - pooled) + _times_log(n01 + n11, pooled)
    linked = (
        _times_log(n00, 1 - after_calm) + _times_log(n01, after_calm)
        + _times_log(n10, 1 - after_breach) + _times_log(n11, after_breach)
    )  # fmt: skip
    independence = max(2 * (linked - alone), 0.0)
    both = kupiec + independence
    return VarTest(
        count, breaches, chance * count, kupiec, chi2_tail(kupiec, 1), independence, chi2_tail(independence, 1),
        both, chi2_tail(both, 2),
    )  # fmt: skip


def rolling_hits(returns: Sequence[float], window: int, level: float, method: Method) -> list[bool]:
    """Tell for each period after the first `window` whether its loss was beyond what those before it said."""
    if len(returns) < window + RETURNS_MIN:
        raise DataError(f"{len(returns)} returns", expected=f"more than the window of {window} and {RETURNS_MIN}")
    return [
        -returns[at] > tail_risk(returns[at - window : at], level, method).var for at in range(window, len(returns))
    ]


def backtest_var(returns: Sequence[float], window: int, levels: Sequence[float]) -> dict[tuple[Method, float], VarTest]:
    """Test every method at every level on one series."""
    return {
        (method, level): check_breaches(rolling_hits(returns, window, level, method), level)
        for method in METHODS
        for level in levels
    }

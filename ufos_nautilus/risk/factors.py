"""Exposures to factors: a regression of returns on several series at once."""

from collections.abc import Mapping, Sequence
from math import fsum, sqrt, sumprod
from typing import NamedTuple

from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.limits import RISK_FACTORS_MAX

RANK_TOLERANCE = 1e-10
"""Share of a factor's own variation that must be left once the others are taken out of it."""


class Exposures(NamedTuple):
    """Coefficients with their t-values, what no factor explains, and how much all of them explain."""

    loadings: dict[str, float]
    t_values: dict[str, float]
    alpha: float
    r_squared: float


def exposures(returns: Sequence[float], factors: Mapping[str, Sequence[float]]) -> Exposures:
    """Regress returns on factors by least squares.

    Parameters
    ----------
    returns : sequence of float
        One a period.
    factors : mapping
        Name -> series over the same periods.

    Raises
    ------
    DataError
        If series differ in length, are too short, or one factor is made of others.

    """
    names, count = list(factors), len(returns)
    if len(names) > RISK_FACTORS_MAX:
        raise LimitExceededError(f"{len(names)} factors", expected=f"at most {RISK_FACTORS_MAX}")
    if wrong := [n for n in names if len(factors[n]) != count]:
        raise DataError(f"factor {wrong[0]} has {len(factors[wrong[0]])} periods", expected=f"{count}")
    if count <= len(names) + 1:
        raise DataError(f"{count} periods for {len(names)} factors", expected="more periods than factors")
    mean = fsum(returns) / count
    means = [fsum(factors[n]) / count for n in names]
    moved = [[x - m for x in factors[n]] for n, m in zip(names, means, strict=True)]
    wanted = [r - mean for r in returns]
    inverse = _inverse([[sumprod(a, b) for b in moved] for a in moved], names)
    against = [sumprod(a, wanted) for a in moved]
    loadings = [sumprod(row, against) for row in inverse]
    explained = sumprod(loadings, against)
    total = sumprod(wanted, wanted)
    left = max(total - explained, 0.0) / (count - len(names) - 1)
    errors = [sqrt(left * inverse[i][i]) for i in range(len(names))]
    return Exposures(
        dict(zip(names, loadings, strict=True)),
        {n: (b / e if e else float("inf")) for n, b, e in zip(names, loadings, errors, strict=True)},
        mean - sumprod(loadings, means),
        explained / total if total else 0.0,
    )


def _inverse(matrix: list[list[float]], names: Sequence[str]) -> list[list[float]]:
    """Invert a symmetric positive matrix, by Gauss and Jordan with the largest pivot first."""
    size = len(matrix)
    scale = [matrix[i][i] for i in range(size)]
    rows = [[*row, *(float(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        best = max(range(column, size), key=lambda r: abs(rows[r][column]))
        pivot = rows[best][column]
        if abs(pivot) <= RANK_TOLERANCE * max(scale[column], 1e-300):
            raise DataError(f"factor {names[column]} is made of the others", expected="independent factors")
        rows[column], rows[best] = rows[best], rows[column]
        rows[column] = [x / pivot for x in rows[column]]
        for other in range(size):
            share = rows[other][column]
            if other != column and share:
                rows[other] = [a - share * b for a, b in zip(rows[other], rows[column], strict=True)]
    return [row[size:] for row in rows]

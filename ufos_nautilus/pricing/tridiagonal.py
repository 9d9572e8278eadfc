"""Ground states and exponentials of tridiagonal matrices by recurrences that add and divide positive numbers only.

The quoters need logarithms of ratios of neighbouring components of vectors that fall by hundreds of orders of
magnitude; a general eigensolver returns zeros or negative numbers there. Here every step keeps its sign, so that each
ratio is accurate to its own last digits.
"""

import math
from collections.abc import Sequence

from ufos_nautilus.errors import LimitExceededError, RunFailedError
from ufos_nautilus.limits import EXACT_QUOTER_STEPS_MAX

ITERATIONS_MAX = 200
"""Newton or bisection steps before the ground state is given up; about ten are normal."""

TERMS_MAX = 100
"""Terms of a Taylor series whose argument is at most one; about twenty are needed."""


class _TooLarge(Exception):
    """The trial eigenvalue is not below the smallest one."""


def _ratios(
    diag: Sequence[float], down: Sequence[float], up: Sequence[float], middle: int, trial: float
) -> tuple[list[float], float, float]:
    """Return v[q+1]/v[q] (left of `middle`: v[q]/v[q+1]), the residual at `middle`, and its slope in the trial."""
    size = len(diag)
    ratios = [0.0] * (size - 1)
    ratio, slope = 0.0, 0.0
    for i in range(size - 1, middle, -1):
        pivot = diag[i] - trial - up[i] * ratio
        if pivot <= 0.0:
            raise _TooLarge
        ratio = down[i] / pivot
        slope = ratio / pivot * (1.0 + up[i] * slope) if i < size - 1 else ratio / pivot
        ratios[i - 1] = ratio
    right, right_slope = ratio, slope
    ratio, slope = 0.0, 0.0
    for i in range(middle):
        pivot = diag[i] - trial - down[i] * ratio
        if pivot <= 0.0:
            raise _TooLarge
        ratio = up[i] / pivot
        slope = ratio / pivot * (1.0 + down[i] * slope) if i > 0 else ratio / pivot
        ratios[i] = ratio
    residual = diag[middle] - trial - up[middle] * right - down[middle] * ratio
    return ratios, residual, 1.0 + up[middle] * right_slope + down[middle] * slope


def ground_state_log_ratios(diag: Sequence[float], down: Sequence[float], up: Sequence[float]) -> list[float]:
    """Return ln(v[i] / v[i+1]) of the positive eigenvector of the smallest eigenvalue.

    Row i of the matrix is ``-down[i], diag[i], -up[i]``; `down[0]` and ``up[-1]`` are not used. Newton's method on
    the continued fraction of the eigenvalue equation, kept inside a bracket by bisection; each step costs one pass.

    Parameters
    ----------
    diag : sequence of float, length n
        Diagonal.
    down, up : sequence of float, length n
        Minus the entries left and right of the diagonal; above zero where used.

    Returns
    -------
    list of float, length n - 1
        Natural logarithms.

    Raises
    ------
    RunFailedError
        When the iteration does not settle (entries that are not finite).

    """
    size = len(diag)
    middle = min(range(size), key=lambda i: (diag[i], abs(2 * i + 1 - size)))
    high = diag[middle]  # a unit vector's Rayleigh quotient is never below the smallest eigenvalue
    reach = max((down[i] if i else 0.0) + (up[i] if i < size - 1 else 0.0) for i in range(size))
    low = high - reach  # Gershgorin
    trial = low
    best: list[float] | None = None
    for _ in range(ITERATIONS_MAX):
        try:
            ratios, residual, slope = _ratios(diag, down, up, middle, trial)
        except _TooLarge:
            high = trial
            trial = 0.5 * (low + high)
            continue
        best = ratios
        if residual > 0.0:
            low = max(low, trial)
        else:
            high = min(high, trial)
        step = residual / slope
        if abs(step) <= 4e-16 * (abs(trial) + reach):
            break
        following = trial + step
        trial = following if low < following < high else 0.5 * (low + high)
        if trial in (low, high):
            break
    if best is None or not all(0.0 < r < math.inf for r in best):
        raise RunFailedError(
            "the ground state of the quoter's matrix was not found",
            expected="finite parameters whose intensity at zero depth is not vanishing",
            next_step="check k, A, gamma and sigma: are they in the units of the instrument?",
        )
    return [-math.log(r) if i >= middle else math.log(r) for i, r in enumerate(best)]


def decay_log_scale(
    diag: Sequence[float], down: Sequence[float], up: Sequence[float], vector: Sequence[float], duration: float
) -> tuple[list[float], float]:
    """Return exp(-M duration) vector as a vector with a largest component of 1 and the logarithm of its scale.

    The diagonal is shifted so that all terms of the Taylor series are positive (uniformisation): no cancellation,
    so small components keep their relative accuracy.

    Parameters
    ----------
    diag, down, up : sequence of float, length n
        The matrix as in `ground_state_log_ratios`.
    vector : sequence of float, length n
        Positive components.
    duration : float
        Zero or more, in the inverse unit of the matrix.

    Returns
    -------
    tuple of (list of float, length n; float)
        The vector is ``exp(scale) * list``.

    Raises
    ------
    LimitExceededError
        When the steps needed exceed `limits.EXACT_QUOTER_STEPS_MAX`.

    """
    wanted = max(1.0, (max(diag) - min(diag) + max(down) + max(up)) * duration)
    if not wanted <= EXACT_QUOTER_STEPS_MAX:
        raise LimitExceededError(
            f"the exact solution needs {wanted:,.0f} steps",
            expected=f"at most {EXACT_QUOTER_STEPS_MAX:,}",
            next_step="lower the inventory bound or the horizon, or use the stationary quoter",
        )
    steps = math.ceil(wanted)
    h = duration / steps
    top = max(diag)
    stay = [(top - d) * h for d in diag]
    left = [0.0, *(x * h for x in down[1:])]
    right = [*(x * h for x in up[:-1]), 0.0]
    v = [float(x) for x in vector]
    log_scale = 0.0
    for _ in range(steps):
        term, total = v, v
        for n in range(1, TERMS_MAX):
            below, above = [0.0, *term[:-1]], [*term[1:], 0.0]
            term = [
                (a * x + b * y + c * z) / n
                for a, x, b, y, c, z in zip(stay, term, left, below, right, above, strict=True)
            ]
            total = [x + y for x, y in zip(total, term, strict=True)]
            if all(y <= 1e-17 * x for x, y in zip(total, term, strict=True)):
                break
        largest = max(total)
        log_scale += math.log(largest) - top * h
        v = [x / largest for x in total]
        if min(v) <= 0.0:
            raise RunFailedError(
                "the exact solution is smaller than a float can hold at the inventory bound",
                expected="a bound within reach of the maker's risk aversion",
                next_step="lower the inventory bound, or use the stationary quoter",
            )
    return v, log_scale


def decay(
    diag: Sequence[float], down: Sequence[float], up: Sequence[float], vector: Sequence[float], duration: float
) -> list[float]:
    """Return `decay_log_scale` without the scale, for where ratios are all that matters."""
    return decay_log_scale(diag, down, up, vector, duration)[0]

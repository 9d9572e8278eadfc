"""What quoters with a horizon share: tables of skew by time left and inventory."""

import itertools
import math
from collections.abc import Callable
from typing import Final

from ufos_nautilus.errors import SpecError
from ufos_nautilus.pricing.quoter import Depths, bad_arguments
from ufos_nautilus.pricing.sigma_grid import SigmaGrid

INF: Final = math.inf

SkewTable = list[list[float]]
"""Rows by time left, evenly spaced in its square root from 0 to the horizon; a single row is stationary."""


def log_ratios(vector: list[float], scale: float) -> list[float]:
    """Return scale * ln(v[i] / v[i+1]) of a positive vector."""
    logs = [math.log(x) for x in vector]
    return [scale * (a - b) for a, b in itertools.pairwise(logs)]


class HorizonQuoter:
    """Depths from tables of skew, interpolated in volatility, time left and inventory.

    Parameters
    ----------
    owner : str
        Name used in errors.
    build : callable
        Volatility -> table whose rows have 2 * `bound_lots` entries: the bid depth at q is `bid_base` plus entry
        q + Q, the ask depth `ask_base` minus entry q + Q - 1.
    bid_base, ask_base : float
        Price units.
    bound_lots : int
        Largest absolute inventory in lots.
    horizon_s : float
        Time left of the last row, seconds; quotes further away than that are those of the last row.
    sigma_reference, sigma_ratio : float
        See `SigmaGrid`.

    """

    __slots__ = ("_ask_base", "_bid_base", "_grid", "_owner", "bound_lots", "horizon_s")

    def __init__(
        self,
        owner: str,
        build: Callable[[float], SkewTable],
        *,
        bid_base: float,
        ask_base: float,
        bound_lots: int,
        horizon_s: float,
        sigma_reference: float,
        sigma_ratio: float,
    ) -> None:
        self._owner = owner
        self._bid_base = bid_base
        self._ask_base = ask_base
        self.bound_lots = bound_lots
        self.horizon_s = horizon_s
        self._grid = SigmaGrid(build, sigma_reference, sigma_ratio)

    def quote(self, inventory_lots: float, sigma: float, time_left_s: float) -> Depths:
        """Return the depths (see `Quoter.quote`)."""
        if not (0.0 <= sigma < INF and time_left_s >= 0.0 and -INF < inventory_lots < INF):
            raise bad_arguments(self._owner, inventory_lots, sigma, time_left_s)
        grid = self._grid
        if not grid.low <= sigma < grid.high:
            grid.select(sigma)
        weight = min(1.0, (sigma - grid.low) * grid.inverse_width)
        bound = self.bound_lots
        place = max(0.0, min(2.0 * bound, inventory_lots + bound))
        return Depths(
            self._bid_base + self._skew(place, weight, time_left_s) if inventory_lots < bound else None,
            self._ask_base - self._skew(place - 1.0, weight, time_left_s) if inventory_lots > -bound else None,
        )

    def _skew(self, place: float, weight: float, time_left_s: float) -> float:
        lower, upper = self._grid.lower, self._grid.upper
        last = len(lower) - 1
        row = last * math.sqrt(min(1.0, time_left_s / self.horizon_s)) if last else 0.0
        early = min(int(row), max(0, last - 1))
        late = early + 1 if last else early
        part = row - early
        place = max(0.0, min(2.0 * self.bound_lots - 1.0, place))
        left = int(place)
        right = min(left + 1, 2 * self.bound_lots - 1)
        share = place - left

        def at(table: SkewTable, r: int) -> float:
            values = table[r]
            return values[left] + share * (values[right] - values[left])

        low = at(lower, early) + part * (at(lower, late) - at(lower, early))
        high = at(upper, early) + part * (at(upper, late) - at(upper, early))
        return low + weight * (high - low)


def time_grid(horizon_s: float, rows: int) -> list[float]:
    """Return `rows` times from 0 to the horizon, evenly spaced in their square root."""
    if not 2 <= rows <= 10_000:
        raise SpecError(f"horizon quoter: {rows} rows of time", expected="2 to 10,000")
    return [horizon_s * (i / (rows - 1)) ** 2 for i in range(rows)]

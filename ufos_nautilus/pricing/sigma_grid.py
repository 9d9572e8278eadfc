"""Tables by volatility on a geometric grid, built on first use and interpolated in between."""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import QUOTER_TABLES_CACHED_MAX
from ufos_nautilus.pricing.quoter import check_positive

LEVEL_MAX: Final = 1_000
"""Steps of the grid either side of the reference; the lowest stands for no volatility at all."""


class SigmaGrid[T]:
    """The pair of tables around the current volatility.

    While `low` <= sigma < `high` the pair stands and the weight of `upper` is (sigma - low) * inverse_width, held at
    1 beyond the end of the grid; otherwise `select` changes it. What is current depends on sigma alone, never on what
    was asked before.

    Parameters
    ----------
    build : callable
        Volatility -> table.
    reference : float
        A volatility on the grid, price units per square root of a second.
    ratio : float
        Ratio of neighbouring volatilities.

    Raises
    ------
    SpecError
        When the reference is not positive or the ratio not above 1 and at most 2.

    """

    __slots__ = ("_build", "_step", "_tables", "high", "inverse_width", "low", "lower", "reference", "upper")

    lower: T
    upper: T

    def __init__(self, build: Callable[[float], T], reference: float, ratio: float) -> None:
        check_positive("volatility grid", sigma_reference=reference)
        if not 1.0 < ratio <= 2.0:
            raise SpecError(f"volatility grid: sigma ratio is {ratio}", expected="above 1, at most 2")
        self._build = build
        self._step = math.log(ratio)
        self._tables: OrderedDict[int, T] = OrderedDict()
        self.reference = reference
        self.low = self.high = self.inverse_width = 0.0
        self.select(reference)

    def __len__(self) -> int:
        return len(self._tables)

    def sigma_at(self, level: int) -> float:
        """Return the volatility of a grid point."""
        return self.reference * math.exp(level * self._step) if level > -LEVEL_MAX else 0.0

    def _table(self, level: int) -> T:
        table = self._tables.get(level)
        if table is None:
            table = self._tables[level] = self._build(self.sigma_at(level))
            if len(self._tables) > QUOTER_TABLES_CACHED_MAX:
                self._tables.popitem(last=False)
        else:
            self._tables.move_to_end(level)
        return table

    def select(self, sigma: float) -> None:
        """Make the pair of tables around `sigma` (finite, zero or more) the current one."""
        steps = math.log(sigma / self.reference) / self._step if sigma > 0.0 else -math.inf
        level = math.floor(max(-LEVEL_MAX, min(LEVEL_MAX - 1, steps)))
        if sigma >= self.sigma_at(level + 1) and level < LEVEL_MAX - 1:  # the last digit of the logarithm
            level += 1
        self.lower, self.upper = self._table(level), self._table(level + 1)
        self.low, self.high = self.sigma_at(level), self.sigma_at(level + 1)
        self.inverse_width = 1.0 / (self.high - self.low)

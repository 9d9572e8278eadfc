"""The one signature of every quoter: inventory, volatility and time left in, two depths out."""

import math
from typing import NamedTuple, Protocol

from ufos_nautilus.errors import SpecError


class Depths(NamedTuple):
    """Distances from fair value at which to quote, in price units; `None` on a side that is not quoted.

    A depth may be negative: the model then wants to trade beyond its own fair value to shed inventory, and the
    post-only clamp decides what becomes of it.
    """

    bid_depth: float | None
    ask_depth: float | None


class Quoter(Protocol):
    """A market-making model that turns a position into two depths.

    Units shared by all of them: `k` per price unit, `A` per second, `gamma` per (price unit x lot), `sigma` in price
    units per square root of a second, inventory in lots (one lot is one full quote of the desk), time in seconds.
    """

    @property
    def bound_lots(self) -> int:
        """Largest absolute inventory, in lots: no bid at plus the bound, no ask at minus the bound."""
        ...

    def quote(self, inventory_lots: float, sigma: float, time_left_s: float) -> Depths:
        """Return the depths to quote.

        Parameters
        ----------
        inventory_lots : float
            Signed position in lots.
        sigma : float
            Volatility, price units per square root of a second.
        time_left_s : float
            Seconds to the horizon; stationary models ignore it.

        Returns
        -------
        Depths
            Price units from fair value; `None` where the bound forbids the side.

        Raises
        ------
        SpecError
            When an argument is not a finite number, or volatility or time is negative.

        """
        ...


def check_positive(owner: str, **values: float) -> None:
    """Raise `SpecError` unless every value is finite and above zero."""
    for name, value in values.items():
        if not 0.0 < value < math.inf:
            raise SpecError(f"{owner}: {name} is {value}", expected="a finite number above zero")


def check_not_negative(owner: str, **values: float) -> None:
    """Raise `SpecError` unless every value is finite and at least zero."""
    for name, value in values.items():
        if not 0.0 <= value < math.inf:
            raise SpecError(f"{owner}: {name} is {value}", expected="a finite number, zero or more")


def bad_arguments(owner: str, inventory_lots: float, sigma: float, time_left_s: float) -> SpecError:
    """Return the error a quoter raises on arguments that are not numbers it can price with."""
    return SpecError(
        f"{owner}: can't quote at inventory {inventory_lots}, sigma {sigma}, time left {time_left_s}",
        expected="finite inventory; finite sigma and time left, zero or more",
    )


def fill_risk_depth(gamma: float, k: float) -> float:
    """Return (1/gamma) ln(1 + gamma/k), the depth asked for the risk of a single fill, in price units.

    Tends to 1/k, the depth of a risk-neutral maker, as gamma goes to zero.
    """
    return math.log1p(gamma / k) / gamma

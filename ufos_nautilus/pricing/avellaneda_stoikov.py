"""Avellaneda and Stoikov (Quantitative Finance 8(3), 2008), equations (29) and (30), and their symmetric benchmark."""

import math

from ufos_nautilus.errors import SpecError
from ufos_nautilus.pricing.quoter import Depths, bad_arguments, check_positive, fill_risk_depth

INF = math.inf


def reservation_price(
    fair_value: float, inventory_lots: float, gamma: float, sigma: float, time_left_s: float
) -> float:
    """Return s - q gamma sigma^2 (T - t), the price at which the maker is indifferent to one more lot.

    Parameters
    ----------
    fair_value : float
        Price units.
    inventory_lots, gamma, sigma, time_left_s : float
        Lots; per (price unit x lot); price units per square root of a second; seconds.

    Returns
    -------
    float
        Price units; equal to `fair_value` at no inventory and at the horizon.

    """
    return fair_value - inventory_lots * gamma * sigma * sigma * time_left_s


def half_spread(gamma: float, k: float, sigma: float, time_left_s: float) -> float:
    """Return half of the optimal spread around the reservation price, in price units.

    Equation (30) gives the total, gamma sigma^2 (T - t) + (2/gamma) ln(1 + gamma/k); taking it for a half is the
    usual mistake.
    """
    return fill_risk_depth(gamma, k) + 0.5 * gamma * sigma * sigma * time_left_s


def _check(gamma: float, k: float, bound_lots: int) -> None:
    check_positive("avellaneda_stoikov", gamma=gamma, k=k)
    if bound_lots < 1:
        raise SpecError(f"avellaneda_stoikov: inventory bound is {bound_lots}", expected="at least 1 lot")


class AvellanedaStoikov:
    """The 2008 quoter; exact only close to the horizon, elsewhere it skews too much (`glft` does not).

    Parameters
    ----------
    gamma : float
        Risk aversion, per (price unit x lot).
    k : float
        Decay of the fill intensity with depth, per price unit.
    bound_lots : int
        Largest absolute inventory in lots.

    Raises
    ------
    SpecError
        When a parameter is not a positive finite number.

    """

    __slots__ = ("_base", "bound_lots", "gamma", "k")

    def __init__(self, gamma: float, k: float, bound_lots: int) -> None:
        _check(gamma, k, bound_lots)
        self.gamma = gamma
        self.k = k
        self.bound_lots = bound_lots
        self._base = fill_risk_depth(gamma, k)

    def quote(self, inventory_lots: float, sigma: float, time_left_s: float) -> Depths:
        """Return the depths from fair value: base + (1 +- 2q)/2 gamma sigma^2 tau (see `Quoter.quote`)."""
        q = inventory_lots
        risk = self.gamma * sigma * sigma * time_left_s
        if not (0.0 <= sigma < INF and time_left_s >= 0.0 and risk < INF and -INF < q < INF):
            raise bad_arguments("avellaneda_stoikov", q, sigma, time_left_s)
        bound = self.bound_lots
        return Depths(
            self._base + (0.5 + q) * risk if q < bound else None,
            self._base + (0.5 - q) * risk if q > -bound else None,
        )


class SymmetricQuoter:
    """The benchmark of the 2008 paper: the same spread, always centred on fair value whatever the inventory.

    Parameters
    ----------
    gamma, k, bound_lots
        As in `AvellanedaStoikov`.
    average_over_s : float or None
        Length T of the session in seconds: the spread is then the constant average over it, as in the paper's
        tables; `None` follows the time left.

    """

    __slots__ = ("_base", "average_over_s", "bound_lots", "gamma", "k")

    def __init__(self, gamma: float, k: float, bound_lots: int, average_over_s: float | None = None) -> None:
        _check(gamma, k, bound_lots)
        if average_over_s is not None:
            check_positive("avellaneda_stoikov", average_over_s=average_over_s)
        self.gamma = gamma
        self.k = k
        self.bound_lots = bound_lots
        self.average_over_s = average_over_s
        self._base = fill_risk_depth(gamma, k)

    def quote(self, inventory_lots: float, sigma: float, time_left_s: float) -> Depths:
        """Return the same depth on both sides (see `Quoter.quote`)."""
        tau = time_left_s if self.average_over_s is None else 0.5 * self.average_over_s
        depth = self._base + 0.5 * self.gamma * sigma * sigma * tau
        if not (0.0 <= sigma < INF and time_left_s >= 0.0 and depth < INF and -INF < inventory_lots < INF):
            raise bad_arguments("symmetric", inventory_lots, sigma, time_left_s)
        return Depths(
            depth if inventory_lots < self.bound_lots else None,
            depth if inventory_lots > -self.bound_lots else None,
        )

"""Gueant, Lehalle and Fernandez-Tapia (Mathematics and Financial Economics 7, 2013): the stationary quotes."""

import math
from dataclasses import dataclass
from typing import Final

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import QUOTER_BOUND_LOTS_MAX
from ufos_nautilus.pricing.quoter import Depths, bad_arguments, check_not_negative, check_positive, fill_risk_depth
from ufos_nautilus.pricing.sigma_grid import SigmaGrid
from ufos_nautilus.pricing.tridiagonal import ground_state_log_ratios

INF: Final = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class GlftParams:
    """Parameters of the model.

    Parameters
    ----------
    gamma : float
        Risk aversion, per (price unit x lot).
    k : float
        Decay of the fill intensity with depth, per price unit.
    A : float
        Fill intensity at zero depth, per second.
    bound_lots : int
        Largest absolute inventory in lots, at most `limits.QUOTER_BOUND_LOTS_MAX`.
    xi : float
        Permanent move of the price against the maker at each fill, price units.
    drift : float
        Constant drift of the price, price units per second. A signal that fades belongs into the fair value instead:
        taken for a constant drift it costs more than it brings.

    Raises
    ------
    SpecError
        When a parameter is out of range.

    """

    gamma: float
    k: float
    A: float
    bound_lots: int
    xi: float = 0.0
    drift: float = 0.0

    def __post_init__(self) -> None:
        check_positive("glft", gamma=self.gamma, k=self.k, A=self.A)
        check_not_negative("glft", xi=self.xi)
        if not -INF < self.drift < INF:
            raise SpecError(f"glft: drift is {self.drift}", expected="a finite number")
        if not 1 <= self.bound_lots <= QUOTER_BOUND_LOTS_MAX:
            raise SpecError(
                f"glft: inventory bound is {self.bound_lots} lots", expected=f"1 to {QUOTER_BOUND_LOTS_MAX:,}"
            )
        if not 0.0 < self.eta < INF:
            raise SpecError(
                f"glft: gamma/k is {self.gamma / self.k:g}, so nothing would ever fill",
                expected="gamma and k in the units of the instrument (per price unit and lot, per price unit)",
            )

    @property
    def base_depth(self) -> float:
        """Depth apart from inventory: (1/gamma) ln(1 + gamma/k) + xi/2, price units."""
        return fill_risk_depth(self.gamma, self.k) + 0.5 * self.xi

    @property
    def eta(self) -> float:
        """A (1 + gamma/k)^-(1 + k/gamma) exp(-k xi/2), per second."""
        exponent = (1.0 + self.k / self.gamma) * math.log1p(self.gamma / self.k)
        return self.A * math.exp(-exponent - 0.5 * self.k * self.xi)

    def matrix(self, sigma: float) -> tuple[list[float], list[float]]:
        """Return diagonal and minus off-diagonal of M over inventories -Q..Q, per second."""
        alpha = 0.5 * self.k * self.gamma * sigma * sigma
        beta = self.k * self.drift
        inventories = range(-self.bound_lots, self.bound_lots + 1)
        return [alpha * q * q - beta * q for q in inventories], [self.eta] * (2 * self.bound_lots + 1)


def stationary_skew(params: GlftParams, sigma: float) -> list[float]:
    """Return (1/k) ln(f(q) / f(q+1)) for q = -Q..Q-1, with f the ground state of M.

    Parameters
    ----------
    params : GlftParams
        Model.
    sigma : float
        Price units per square root of a second.

    Returns
    -------
    list of float, length 2 Q
        Price units: the bid depth at q is the base depth plus entry q + Q, the ask depth the base depth minus entry
        q + Q - 1.

    """
    diag, off = params.matrix(sigma)
    return [x / params.k for x in ground_state_log_ratios(diag, off, off)]


class GlftClosedForm:
    """The closed-form approximation of the stationary quotes: constant cost per quote whatever sigma does.

    Parameters
    ----------
    params : GlftParams
        Model.

    """

    __slots__ = ("_base", "_drift_over_gamma", "_skew_per_sigma", "bound_lots", "params")

    def __init__(self, params: GlftParams) -> None:
        self.params = params
        self.bound_lots = params.bound_lots
        self._base = params.base_depth
        self._skew_per_sigma = math.sqrt(params.gamma / (2.0 * params.k * params.eta))
        self._drift_over_gamma = params.drift / params.gamma

    def quote(self, inventory_lots: float, sigma: float, time_left_s: float) -> Depths:
        """Return the depths; the time left is ignored (see `Quoter.quote`)."""
        q = inventory_lots
        if not (0.0 <= sigma < INF and -INF < q < INF):
            raise bad_arguments("glft", q, sigma, time_left_s)
        skew = self._skew_per_sigma * sigma
        tilt = q * skew
        if self._drift_over_gamma and sigma > 0.0:
            tilt -= self._drift_over_gamma * self._skew_per_sigma / sigma
        middle = self._base + 0.5 * skew
        bound = self.bound_lots
        return Depths(middle + tilt if q < bound else None, middle - tilt if q > -bound else None)


class Glft:
    """The stationary quotes from the ground state of M, as a table by inventory.

    Tables stand on a grid of volatilities (`SigmaGrid`) and are interpolated in between, so depths are continuous in
    sigma; between whole lots they are interpolated too.

    Parameters
    ----------
    params : GlftParams
        Model.
    sigma_reference : float
        A volatility at which the table is exact, price units per square root of a second.
    sigma_ratio : float
        Ratio of neighbouring volatilities of the grid.

    Raises
    ------
    SpecError
        When the reference is not positive or the ratio not above 1.

    """

    __slots__ = ("_base", "_grid", "bound_lots", "params")

    def __init__(self, params: GlftParams, sigma_reference: float = 1.0, sigma_ratio: float = 1.05) -> None:
        self.params = params
        self.bound_lots = params.bound_lots
        self._base = params.base_depth
        self._grid = SigmaGrid(lambda sigma: stationary_skew(params, sigma), sigma_reference, sigma_ratio)

    def quote(self, inventory_lots: float, sigma: float, time_left_s: float) -> Depths:
        """Return the depths; the time left is ignored (see `Quoter.quote`)."""
        grid = self._grid
        if not grid.low <= sigma < grid.high:
            if not 0.0 <= sigma < INF:
                raise bad_arguments("glft", inventory_lots, sigma, time_left_s)
            grid.select(sigma)
        weight = (sigma - grid.low) * grid.inverse_width
        if weight > 1.0:  # beyond the last volatility of the grid
            weight = 1.0
        bound = self.bound_lots
        lower, upper = grid.lower, grid.upper
        if -bound < inventory_lots < bound:
            place = inventory_lots + bound
            index = int(place)
            part = place - index
            bid = lower[index] + weight * (upper[index] - lower[index])
            before = index - 1 if index else 0
            ask = lower[before] + weight * (upper[before] - lower[before])
            if part:
                after = index + 1 if index + 1 < 2 * bound else index
                following = lower[after] + weight * (upper[after] - lower[after])
                bid, ask = bid + part * (following - bid), ask + part * (bid - ask)
            return Depths(self._base + bid, self._base - ask)
        if bound <= inventory_lots < INF:
            return Depths(None, self._base - (lower[-1] + weight * (upper[-1] - lower[-1])))
        if -INF < inventory_lots <= -bound:
            return Depths(self._base + lower[0] + weight * (upper[0] - lower[0]), None)
        raise bad_arguments("glft", inventory_lots, sigma, time_left_s)

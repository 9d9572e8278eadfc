"""Gueant, Lehalle and Fernandez-Tapia (Mathematics and Financial Economics 7, 2013): the stationary quotes."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import QUOTER_BOUND_LOTS_MAX, QUOTER_TABLES_CACHED_MAX
from ufos_nautilus.pricing.quoter import Depths, bad_arguments, check_not_negative, check_positive, fill_risk_depth
from ufos_nautilus.pricing.tridiagonal import ground_state_log_ratios

INF: Final = math.inf
LEVEL_MAX: Final = 2_000
"""Volatility steps either side of the reference; beyond them the outermost table is used."""


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

    Tables are kept for volatilities on a geometric grid and built on first use; between grid points the table is
    scaled in proportion to sigma, which is exact to first order, so depths move smoothly with sigma. Between whole
    lots the table is interpolated. The result depends on the arguments only, never on what was asked before.

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

    __slots__ = (
        "_base",
        "_high",
        "_inverse_center",
        "_low",
        "_skew",
        "_tables",
        "bound_lots",
        "params",
        "ratio",
        "reference",
    )

    def __init__(self, params: GlftParams, sigma_reference: float = 1.0, sigma_ratio: float = 1.05) -> None:
        check_positive("glft", sigma_reference=sigma_reference)
        if not 1.0 < sigma_ratio <= 2.0:
            raise SpecError(f"glft: sigma ratio is {sigma_ratio}", expected="above 1, at most 2")
        self.params = params
        self.bound_lots = params.bound_lots
        self.reference = sigma_reference
        self.ratio = sigma_ratio
        self._base = params.base_depth
        self._tables: OrderedDict[int, list[float]] = OrderedDict()
        self._inverse_center = self._low = self._high = 0.0
        self._skew: list[float] = []
        self._select(sigma_reference)

    def _select(self, sigma: float) -> None:
        step = math.log(self.ratio)
        level = round(math.log(sigma / self.reference) / step) if sigma > 0.0 else -LEVEL_MAX
        level = max(-LEVEL_MAX, min(LEVEL_MAX, level))
        center = self.reference * math.exp(level * step)
        table = self._tables.get(level)
        if table is None:
            table = stationary_skew(self.params, center)
            self._tables[level] = table
            if len(self._tables) > QUOTER_TABLES_CACHED_MAX:
                self._tables.popitem(last=False)
        else:
            self._tables.move_to_end(level)
        half = math.exp(0.5 * step)
        self._skew = table
        # with a drift the skew is not proportional to sigma: the table is then used as it is
        self._inverse_center = 0.0 if self.params.drift else 1.0 / center
        self._low = 0.0 if level == -LEVEL_MAX else center / half
        self._high = INF if level == LEVEL_MAX else center * half

    def quote(self, inventory_lots: float, sigma: float, time_left_s: float) -> Depths:
        """Return the depths; the time left is ignored (see `Quoter.quote`)."""
        if not self._low <= sigma < self._high:
            if not 0.0 <= sigma < INF:
                raise bad_arguments("glft", inventory_lots, sigma, time_left_s)
            self._select(sigma)
        bound = self.bound_lots
        skew = self._skew
        scale = sigma * self._inverse_center or 1.0
        base = self._base
        if inventory_lots >= bound:
            if inventory_lots == INF:
                raise bad_arguments("glft", inventory_lots, sigma, time_left_s)
            return Depths(None, base - skew[-1] * scale)
        if inventory_lots <= -bound:
            if inventory_lots == -INF:
                raise bad_arguments("glft", inventory_lots, sigma, time_left_s)
            return Depths(base + skew[0] * scale, None)
        if inventory_lots != inventory_lots:
            raise bad_arguments("glft", inventory_lots, sigma, time_left_s)
        place = inventory_lots + bound
        index = int(place)
        bid, ask = skew[index], skew[index - 1 if index else 0]
        part = place - index
        if part:
            bid += part * (skew[min(index + 1, 2 * bound - 1)] - bid)
            ask += part * (skew[index] - ask)
        return Depths(base + bid * scale, base - ask * scale)

"""Cartea, Jaimungal and Penalva (Algorithmic and High-Frequency Trading, 2015, chapter 10): a running penalty."""

import itertools
import math
from dataclasses import dataclass
from typing import Final

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import QUOTER_BOUND_LOTS_MAX
from ufos_nautilus.pricing.horizon_quoter import HorizonQuoter, SkewTable, log_ratios, time_grid
from ufos_nautilus.pricing.quoter import check_not_negative, check_positive
from ufos_nautilus.pricing.tridiagonal import decay, ground_state_log_ratios

INF: Final = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class CarteaJaimungalParams:
    """Parameters: maximise E[cash + q (S - alpha q) at the end - phi * integral of q^2].

    Parameters
    ----------
    buy_rate, sell_rate : float
        Arrivals per second of market buys (they lift our ask) and of market sells (they hit our bid).
    kappa : float
        Decay of the fill probability with depth, per price unit.
    phi : float
        Running penalty, price units per (lot^2 x second).
    phi_per_variance : float
        Part of the penalty in proportion to the variance, gamma / 2: per (price unit x lot). The penalty in force is
        phi + phi_per_variance * sigma^2; with phi = 0 it is the risk aversion of `glft`.
    alpha : float
        Terminal penalty, price units per lot^2.
    buy_impact, sell_impact : float
        Adverse selection: move of the price up after a market buy, down after a market sell, price units.
    bound_lots : int
        Largest absolute inventory in lots.

    Raises
    ------
    SpecError
        When a parameter is out of range.

    """

    buy_rate: float
    sell_rate: float
    kappa: float
    phi: float = 0.0
    phi_per_variance: float = 0.0
    alpha: float = 0.0
    buy_impact: float = 0.0
    sell_impact: float = 0.0
    bound_lots: int = 10

    def __post_init__(self) -> None:
        owner = "cartea_jaimungal"
        check_positive(owner, buy_rate=self.buy_rate, sell_rate=self.sell_rate, kappa=self.kappa)
        check_not_negative(
            owner,
            phi=self.phi,
            phi_per_variance=self.phi_per_variance,
            alpha=self.alpha,
            buy_impact=self.buy_impact,
            sell_impact=self.sell_impact,
        )
        if not 1 <= self.bound_lots <= QUOTER_BOUND_LOTS_MAX:
            raise SpecError(f"{owner}: inventory bound is {self.bound_lots} lots", expected="at least 1")
        if self.kappa * max(self.buy_impact, self.sell_impact) > 500.0:
            raise SpecError(
                f"{owner}: impact {max(self.buy_impact, self.sell_impact)} is far beyond the depth 1/kappa",
                expected="impacts of the order of 1/kappa or less, in price units",
            )

    def matrix(self, sigma: float) -> tuple[list[float], list[float], list[float]]:
        """Return diagonal and minus the entries left and right of it, over inventories -Q..Q, per second."""
        penalty = self.phi + self.phi_per_variance * sigma * sigma
        drift = self.buy_rate * self.buy_impact - self.sell_rate * self.sell_impact
        diag = [self.kappa * (penalty * q * q - drift * q) for q in range(-self.bound_lots, self.bound_lots + 1)]
        down = self.buy_rate * math.exp(-1.0 - self.kappa * self.buy_impact)
        up = self.sell_rate * math.exp(-1.0 - self.kappa * self.sell_impact)
        return diag, [down] * len(diag), [up] * len(diag)


def _skew(params: CarteaJaimungalParams, sigma: float, horizon_s: float, rows: int) -> SkewTable:
    diag, down, up = params.matrix(sigma)
    scale = 1.0 / params.kappa
    if horizon_s == INF:
        return [[x * scale for x in ground_state_log_ratios(diag, down, up)]]
    end = params.alpha * params.kappa
    # shifted by its largest exponent, so that a heavy terminal penalty does not underflow
    heaviest = end * params.bound_lots**2
    if heaviest > 600.0:
        raise SpecError(
            f"cartea_jaimungal: the terminal penalty alpha * kappa * bound^2 is {heaviest:g}", expected="at most 600"
        )
    vector = [math.exp(-end * q * q) for q in range(-params.bound_lots, params.bound_lots + 1)]
    times = time_grid(horizon_s, rows)
    table = [log_ratios(vector, scale)]
    for earlier, later in itertools.pairwise(times):
        vector = decay(diag, down, up, vector, later - earlier)
        table.append(log_ratios(vector, scale))
    return table


class CarteaJaimungal(HorizonQuoter):
    """The quoter with running penalty, terminal penalty and adverse selection.

    Parameters
    ----------
    params : CarteaJaimungalParams
        Model.
    horizon_s : float
        Longest time left that is told apart, seconds; infinite for the stationary quotes.
    sigma_reference, sigma_ratio : float
        See `SigmaGrid`; without `phi_per_variance` the tables do not depend on sigma.
    rows : int
        Rows of the tables by time left.

    """

    __slots__ = ("params",)

    def __init__(
        self,
        params: CarteaJaimungalParams,
        horizon_s: float = INF,
        sigma_reference: float = 1.0,
        sigma_ratio: float = 1.1,
        rows: int = 200,
    ) -> None:
        if not horizon_s > 0.0:
            raise SpecError(f"cartea_jaimungal: horizon is {horizon_s} s", expected="above zero")
        self.params = params
        constant: SkewTable | None = None

        def build(sigma: float) -> SkewTable:
            nonlocal constant
            if params.phi_per_variance > 0.0:
                return _skew(params, sigma, horizon_s, rows)
            if constant is None:
                constant = _skew(params, 0.0, horizon_s, rows)
            return constant

        super().__init__(
            "cartea_jaimungal",
            build,
            bid_base=1.0 / params.kappa + params.sell_impact,
            ask_base=1.0 / params.kappa + params.buy_impact,
            bound_lots=params.bound_lots,
            horizon_s=horizon_s,
            sigma_reference=sigma_reference,
            sigma_ratio=sigma_ratio,
        )

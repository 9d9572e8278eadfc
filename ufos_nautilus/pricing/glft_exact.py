"""Gueant, Lehalle and Fernandez-Tapia: the exact quotes for a finite horizon, v(t) = exp(-M (T-t)) v(T)."""

import itertools
import math

from ufos_nautilus.pricing.glft import GlftParams
from ufos_nautilus.pricing.horizon_quoter import HorizonQuoter, SkewTable, log_ratios, time_grid
from ufos_nautilus.pricing.quoter import check_positive
from ufos_nautilus.pricing.tridiagonal import decay, decay_log_scale


def terminal_vector(params: GlftParams) -> list[float]:
    """Return v(T) over inventories -Q..Q: exp(-k xi q^2 / 2), which is 1 without impact."""
    weight = 0.5 * params.k * params.xi
    return [math.exp(-weight * q * q) for q in range(-params.bound_lots, params.bound_lots + 1)]


def exact_skew(params: GlftParams, sigma: float, horizon_s: float, rows: int) -> SkewTable:
    """Return (1/k) ln(v(q) / v(q+1)) for q = -Q..Q-1, by time left.

    Parameters
    ----------
    params : GlftParams
        Model.
    sigma : float
        Price units per square root of a second.
    horizon_s : float
        Time left of the last row, seconds.
    rows : int
        Rows, evenly spaced in the square root of the time left.

    Returns
    -------
    list of list of float, rows x 2 Q
        Price units.

    Raises
    ------
    LimitExceededError
        When bound, volatility and horizon together ask for too many steps.

    """
    diag, off = params.matrix(sigma)
    vector = terminal_vector(params)
    times = time_grid(horizon_s, rows)
    table = [log_ratios(vector, 1.0 / params.k)]
    for earlier, later in itertools.pairwise(times):
        vector = decay(diag, off, off, vector, later - earlier)
        table.append(log_ratios(vector, 1.0 / params.k))
    return table


def certainty_equivalent(params: GlftParams, sigma: float, time_left_s: float, inventory_lots: int = 0) -> float:
    """Return the theoretical certainty equivalent of quoting optimally, ln v_q(t) / k, in price units.

    Parameters
    ----------
    params : GlftParams
        Model.
    sigma : float
        Price units per square root of a second.
    time_left_s : float
        Seconds.
    inventory_lots : int
        Inventory at the start, held at its mark.

    Returns
    -------
    float
        Price units times lots.

    """
    diag, off = params.matrix(sigma)
    vector, log_scale = decay_log_scale(diag, off, off, terminal_vector(params), time_left_s)
    return (math.log(vector[inventory_lots + params.bound_lots]) + log_scale) / params.k


class GlftExact(HorizonQuoter):
    """The exact finite-horizon quoter; away from the horizon it becomes `Glft`, at the horizon `AvellanedaStoikov`.

    Building a table takes tens of milliseconds at a bound of 20 lots, and two are built when volatility leaves the
    current pair: use it for sessions with a known end and a bound of a few tens of lots.

    Parameters
    ----------
    params : GlftParams
        Model.
    horizon_s : float
        Longest time left that is told apart, seconds.
    sigma_reference, sigma_ratio : float
        See `SigmaGrid`.
    rows : int
        Rows of the tables by time left.

    """

    __slots__ = ("params",)

    def __init__(
        self,
        params: GlftParams,
        horizon_s: float,
        sigma_reference: float = 1.0,
        sigma_ratio: float = 1.1,
        rows: int = 200,
    ) -> None:
        check_positive("glft_exact", horizon_s=horizon_s)
        self.params = params
        super().__init__(
            "glft_exact",
            lambda sigma: exact_skew(params, sigma, horizon_s, rows),
            bid_base=params.base_depth,
            ask_base=params.base_depth,
            bound_lots=params.bound_lots,
            horizon_s=horizon_s,
            sigma_reference=sigma_reference,
            sigma_ratio=sigma_ratio,
        )

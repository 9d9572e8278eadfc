"""Builds the quoting model that a desk's parameters name."""

from typing import Protocol

from ufos_nautilus.pricing.avellaneda_stoikov import AvellanedaStoikov, SymmetricQuoter
from ufos_nautilus.pricing.glft import Glft, GlftClosedForm, GlftParams
from ufos_nautilus.pricing.quoter import Quoter


class QuoterParams(Protocol):
    """What a model needs of a desk's config: per tick, per second, per order."""

    quoter: str
    gamma: float
    k_per_tick: float
    a_per_s: float
    xi_ticks: float
    horizon_s: float


def make_quoter(params: QuoterParams, bound_orders: int) -> Quoter:
    """Return the model, with ticks as price units and orders as lots.

    Parameters
    ----------
    params : QuoterParams
        For example a `MarketMakerConfig`.
    bound_orders : int
        Inventory bound in whole orders.

    """
    gamma, k = params.gamma, params.k_per_tick
    if params.quoter == "avellaneda_stoikov":
        return AvellanedaStoikov(gamma, k, bound_orders)
    if params.quoter == "symmetric":
        return SymmetricQuoter(gamma, k, bound_orders, params.horizon_s)
    glft = GlftParams(gamma=gamma, k=k, A=params.a_per_s, bound_lots=bound_orders, xi=params.xi_ticks)
    return GlftClosedForm(glft) if params.quoter == "glft_closed_form" else Glft(glft)

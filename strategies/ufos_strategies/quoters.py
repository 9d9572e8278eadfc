"""Builds the quoting model that a desk's parameters name."""

from ufos_nautilus.pricing.avellaneda_stoikov import AvellanedaStoikov, SymmetricQuoter
from ufos_nautilus.pricing.glft import Glft, GlftClosedForm, GlftParams
from ufos_nautilus.pricing.quoter import Quoter


def make_quoter(
    name: str, *, gamma: float, k: float, a_per_s: float, xi: float, horizon_s: float, bound_orders: int
) -> Quoter:
    """Return the model `name`, with ticks as price units and orders as lots.

    Parameters
    ----------
    name : str
        ``glft``, ``glft_closed_form``, ``avellaneda_stoikov`` or ``symmetric``.
    gamma : float
        Per (tick x order).
    k : float
        Per tick.
    a_per_s : float
        Per second.
    xi : float
        Ticks.
    horizon_s : float
        Seconds.
    bound_orders : int
        Inventory bound in whole orders.

    """
    if name == "avellaneda_stoikov":
        return AvellanedaStoikov(gamma, k, bound_orders)
    if name == "symmetric":
        return SymmetricQuoter(gamma, k, bound_orders, horizon_s)
    params = GlftParams(gamma=gamma, k=k, A=a_per_s, bound_lots=bound_orders, xi=xi)
    return GlftClosedForm(params) if name == "glft_closed_form" else Glft(params)

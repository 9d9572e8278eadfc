"""Builds the quoting model that a desk's parameters name."""

from ufos_nautilus.pricing.avellaneda_stoikov import AvellanedaStoikov, SymmetricQuoter
from ufos_nautilus.pricing.cartea_jaimungal import CarteaJaimungal, CarteaJaimungalParams
from ufos_nautilus.pricing.glft import Glft, GlftClosedForm, GlftParams
from ufos_nautilus.pricing.glft_exact import GlftExact
from ufos_nautilus.pricing.quoter import Quoter


def make_quoter(
    name: str,
    *,
    gamma: float,
    k: float,
    a_per_s: float,
    xi: float,
    horizon_s: float,
    bound_orders: int,
    sigma_reference: float = 1.0,
) -> Quoter:
    """Return the model `name`, with ticks as price units and orders as lots.

    Parameters
    ----------
    name : str
        ``glft``, ``glft_closed_form``, ``glft_exact``, ``cartea_jaimungal``, ``avellaneda_stoikov`` or ``symmetric``.
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
    sigma_reference : float
        A volatility at which tables are exact, ticks per square root of a second.

    """
    if name == "avellaneda_stoikov":
        return AvellanedaStoikov(gamma, k, bound_orders)
    if name == "symmetric":
        return SymmetricQuoter(gamma, k, bound_orders, horizon_s)
    if name == "cartea_jaimungal":
        running = CarteaJaimungalParams(
            buy_rate=a_per_s,
            sell_rate=a_per_s,
            kappa=k,
            phi_per_variance=0.5 * gamma,
            buy_impact=xi,
            sell_impact=xi,
            bound_lots=bound_orders,
        )
        return CarteaJaimungal(running, sigma_reference=sigma_reference)
    params = GlftParams(gamma=gamma, k=k, A=a_per_s, bound_lots=bound_orders, xi=xi)
    if name == "glft_exact":
        return GlftExact(params, horizon_s, sigma_reference)
    return GlftClosedForm(params) if name == "glft_closed_form" else Glft(params, sigma_reference)

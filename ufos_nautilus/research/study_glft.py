"""Compares quoters by certainty equivalent with what the theory of Gueant, Lehalle and Fernandez-Tapia promises."""

from typing import Any, Final

from ufos_nautilus.pricing.avellaneda_stoikov import AvellanedaStoikov, SymmetricQuoter
from ufos_nautilus.pricing.glft import Glft, GlftClosedForm, GlftParams
from ufos_nautilus.pricing.glft_exact import GlftExact, certainty_equivalent
from ufos_nautilus.pricing.quoter import Quoter
from ufos_nautilus.research.quoting_chain import Market, chain_of, simulate, simulate_tilted, solve
from ufos_nautilus.research.study_avellaneda_stoikov import check_paths

GAMMAS: Final = (0.1, 0.5)
"""Risk aversions compared, per (price unit x lot)."""
BOUND_LOTS: Final = 10
"""Inventory bound of every quoter: without one the certainty equivalent of a symmetric quoter does not exist."""


def quoters(gamma: float, market: Market) -> dict[str, Quoter]:
    """Return the quoters compared, by name, in rising order of what the theory expects of them."""
    params = GlftParams(gamma=gamma, k=market.k, A=market.A, bound_lots=BOUND_LOTS)
    return {
        "symmetric": SymmetricQuoter(gamma, market.k, BOUND_LOTS, market.horizon_s),
        "avellaneda_stoikov": AvellanedaStoikov(gamma, market.k, BOUND_LOTS),
        "glft_closed_form": GlftClosedForm(params),
        "glft": Glft(params, market.sigma),
        "glft_exact": GlftExact(params, market.horizon_s, market.sigma),
    }


def run_study(paths: int = 20_000, seed: int = 1) -> list[dict[str, Any]]:
    """Compare all quoters at all `GAMMAS` in the market of the Avellaneda-Stoikov tables.

    Parameters
    ----------
    paths : int
        Plain and tilted paths per quoter.
    seed : int
        Seed of the simulations.

    Returns
    -------
    list of dict
        Per quoter: ``gamma, quoter, theory`` (ln v0(0) / k), ``ce`` (from the equation), ``ce_simulated`` and
        ``ce_error`` (from tilted paths), ``mean, std, mean_error, inventory_std`` (from plain paths).

    """
    check_paths(paths)
    market = Market()
    rows = []
    for gamma in GAMMAS:
        params = GlftParams(gamma=gamma, k=market.k, A=market.A, bound_lots=BOUND_LOTS)
        theory = certainty_equivalent(params, market.sigma, market.horizon_s)
        for name, quoter in quoters(gamma, market).items():
            chain = chain_of(quoter, market)
            simulated, error = simulate_tilted(chain, gamma, paths, seed)
            row = {"gamma": gamma, "quoter": name, "theory": theory, "ce": solve(chain, gamma)}
            rows.append(row | {"ce_simulated": simulated, "ce_error": error} | simulate(chain, paths, seed))
    return rows

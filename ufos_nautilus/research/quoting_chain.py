"""The controlled chain of a quoter in the Avellaneda-Stoikov market, in continuous time: simulated, and solved.

Fills arrive with intensity A exp(-k depth) on each side while the mid is a Brownian motion of its own. Given the
fills, the final wealth is normal, so that E[exp(-gamma wealth)] = E[exp(-gamma edge + gamma^2 sigma^2/2 * integral of
q^2)], with edge the sum of the depths earned. Two independent ways lead to that number: a linear equation for each
inventory (`solve`), and paths drawn with intensities tilted by exp(-gamma depth), where what is left to average has
little variance (`simulate_tilted`); averaging exp(-gamma wealth) over plain paths would need billions of them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ufos_nautilus.errors import SpecError
from ufos_nautilus.pricing.quoter import Quoter
from ufos_nautilus.research.extra import need

TIME_ROWS: Final = 401
"""Times at which a quoter is asked; depths are linear in between."""
RATE_MAX: Final = 1e3
"""Fills per second are held at this rate: beyond it a fill is immediate for all purposes."""

TAYLOR_TERMS: Final = 24
"""Terms of the exponential series of a matrix whose rows sum to at most 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The market: sigma (price units per square root of a second), A (per second), k (per price unit), horizon (s)."""

    sigma: float = 2.0
    A: float = 140.0
    k: float = 1.5
    horizon_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Chain:
    """Depths and intensities of a quoter by time left and inventory.

    Parameters
    ----------
    market : Market
        Where it quotes.
    bound : int
        Largest absolute inventory, lots.
    depths : ndarray, 2 x rows x (2 bound + 1)
        Bid and ask depth, price units; 0 where not quoted. One row where time does not matter.
    rates : ndarray, same shape
        Fills per second; 0 where not quoted.

    """

    market: Market
    bound: int
    depths: Any
    rates: Any


def chain_of(quoter: Quoter, market: Market) -> Chain:
    """Ask a quoter for its depths at every inventory within its bound and at `TIME_ROWS` times left."""
    np = need("numpy")
    bound = quoter.bound_lots
    taus = [market.horizon_s * i / (TIME_ROWS - 1) for i in range(TIME_ROWS)]
    depths = np.zeros((2, TIME_ROWS, 2 * bound + 1))
    quoted = np.zeros_like(depths, dtype=bool)
    for row, tau in enumerate(taus):
        for column in range(2 * bound + 1):
            for side, depth in enumerate(quoter.quote(column - bound, market.sigma, tau)):
                if depth is not None:
                    depths[side, row, column] = depth
                    quoted[side, row, column] = True
    if (depths == depths[:, :1]).all():
        depths, quoted = depths[:, :1], quoted[:, :1]
    exponent = np.minimum(-market.k * depths, math.log(RATE_MAX / market.A))
    return Chain(market, bound, depths, np.where(quoted, market.A * np.exp(exponent), 0.0))


def _exponentials(np: Any, generators: Any) -> tuple[Any, Any]:
    """Return exp of matrices (n x m x m, off-diagonals not negative) as matrices of largest entry 1 and log scales.

    Shifting the diagonal makes every term of the series positive, so that small entries keep their digits; small
    batched products also stay clear of threaded linear algebra, which is slow on small matrices.
    """
    size = generators.shape[1]
    shift = np.maximum(0.0, -np.diagonal(generators, axis1=1, axis2=2).min(axis=1))
    positive = generators + shift[:, None, None] * np.eye(size)
    halvings = max(0, math.ceil(math.log2(max(1.0, float(positive.sum(axis=2).max())))))
    positive = positive / 2.0**halvings
    term = np.broadcast_to(np.eye(size), positive.shape)
    total = term.copy()
    for n in range(1, TAYLOR_TERMS):
        term = term @ positive / n
        total += term
    logs = -shift / 2.0**halvings
    for _ in range(halvings):
        total = total @ total
        top = total.max(axis=(1, 2))
        total /= top[:, None, None]
        logs = 2.0 * logs + np.log(top)
    return total, logs


def solve(chain: Chain, gamma: float) -> float:
    """Return the certainty equivalent -ln(E[exp(-gamma wealth)]) / gamma from no inventory, in price units x lots.

    The equation for E[exp(-gamma wealth)] by inventory is stepped with matrix exponentials at the middle of each
    interval, exact for quotes that do not depend on time.
    """
    np = need("numpy")
    market, bound = chain.market, chain.bound
    inventory = np.arange(-bound, bound + 1)
    penalty = 0.5 * (gamma * market.sigma * inventory) ** 2
    early = slice(0, max(1, chain.depths.shape[1] - 1))
    late = slice(min(1, chain.depths.shape[1] - 1), None)
    depth = 0.5 * (chain.depths[:, early] + chain.depths[:, late])
    rate = np.sqrt(chain.rates[:, early] * chain.rates[:, late])
    tilted = rate * np.exp(-gamma * depth)
    intervals = depth.shape[1]
    generators = np.zeros((intervals, 2 * bound + 1, 2 * bound + 1))
    here = np.arange(2 * bound + 1)
    generators[:, here, here] = penalty - rate.sum(axis=0)
    generators[:, here[:-1], here[1:]] = tilted[0, :, :-1]
    generators[:, here[1:], here[:-1]] = tilted[1, :, 1:]
    steps, logs = _exponentials(np, generators * (market.horizon_s / intervals))
    value, log_scale = np.ones(2 * bound + 1), float(logs.sum())
    for step in steps:
        value = step @ value
        top = float(value.max())
        value, log_scale = value / top, log_scale + math.log(top)
    return -(math.log(float(value[bound])) + log_scale) / gamma


def _lookup(np: Any, table: Any, place: Any, q: Any) -> Any:
    """Interpolate both sides of a table at row `place` (a float per path) and column `q`."""
    if table.shape[1] == 1:
        return table[:, 0, q]
    row = np.minimum(place.astype(np.int64), table.shape[1] - 2)
    part = place - row
    return table[:, row, q] * (1.0 - part) + table[:, row + 1, q] * part


Step = Callable[[Any, Any, Any, Any, Any], None]
"""(paths, their columns, time spent, places before and after) -> None; called for each stretch without a fill."""


def _walk(np: Any, rng: Any, chain: Chain, log_rates: Any, paths: int, spend: Step, fill: Callable[..., None]) -> Any:
    """Draw fills by thinning from intensities exp(log_rates) and return the final columns."""
    rows = chain.depths.shape[1]
    horizon = chain.market.horizon_s
    bounds = np.maximum.accumulate(np.exp(log_rates), axis=1)  # over all later times, which are earlier rows
    active = np.arange(paths)
    column = np.full(paths, chain.bound)
    left = np.full(paths, horizon)
    while active.size:
        q, tau = column[active], left[active]
        place = tau * ((rows - 1) / horizon)
        ceiling = bounds[:, np.minimum(np.ceil(place).astype(np.int64), rows - 1), q].sum(axis=0)
        wait = rng.standard_exponential(active.size) / ceiling
        draw = rng.random(active.size) * ceiling
        wait = np.minimum(wait, tau)
        after = tau - wait
        later = after * ((rows - 1) / horizon)
        spend(active, q, wait, place, later)
        rate = np.exp(_lookup(np, log_rates, later, q))
        alive = after > 0.0
        bought = alive & (draw < rate[0])
        sold = alive & ~bought & (draw < rate[0] + rate[1])
        fill(active, _lookup(np, chain.depths, later, q), bought, sold)
        column[active] = q + bought - sold.astype(np.int64)
        left[active] = after
        active = active[alive]
    return column


def _log_rates(np: Any, chain: Chain) -> Any:
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(chain.rates), -700.0)


def simulate(chain: Chain, paths: int, seed: int) -> dict[str, float]:
    """Draw plain paths.

    Parameters
    ----------
    chain : Chain
        What is simulated.
    paths, seed : int
        Number of paths; seed of NumPy's PCG64 generator.

    Returns
    -------
    dict
        ``mean, std`` of final wealth, ``mean_error`` of the mean, ``inventory_std``.

    """
    np = need("numpy")
    rng = np.random.default_rng([seed, 0])
    wealth = np.zeros(paths)
    market = chain.market

    def spend(active: Any, q: Any, wait: Any, place: Any, later: Any) -> None:
        move = rng.standard_normal(active.size) * np.sqrt(wait) * market.sigma
        wealth[active] += (q - chain.bound) * move

    def fill(active: Any, depth: Any, bought: Any, sold: Any) -> None:
        wealth[active] += np.where(bought, depth[0], 0.0) + np.where(sold, depth[1], 0.0)

    column = _walk(np, rng, chain, _log_rates(np, chain), paths, spend, fill)
    std = float(wealth.std(ddof=1))
    return {
        "mean": float(wealth.mean()),
        "std": std,
        "mean_error": std / math.sqrt(paths),
        "inventory_std": float((column - chain.bound).std(ddof=1)),
    }


def simulate_tilted(chain: Chain, gamma: float, paths: int, seed: int) -> tuple[float, float]:
    """Return the certainty equivalent and its standard error from paths drawn with tilted intensities.

    Parameters
    ----------
    chain : Chain
        What is simulated.
    gamma : float
        Risk aversion, per (price unit x lot).
    paths, seed : int
        Number of paths; seed of NumPy's PCG64 generator.

    Returns
    -------
    tuple of float
        Price units times lots.

    """
    if not gamma > 0.0:
        raise SpecError(f"study: gamma is {gamma}", expected="above zero")
    np = need("numpy")
    rng = np.random.default_rng([seed, 1])
    weight = np.zeros(paths)
    market = chain.market
    plain = _log_rates(np, chain)
    tilted = plain - gamma * chain.depths

    def gain(q: Any, place: Any) -> Any:
        rates = np.exp(_lookup(np, tilted, place, q)) - np.exp(_lookup(np, plain, place, q))
        return 0.5 * (gamma * market.sigma * (q - chain.bound)) ** 2 + rates.sum(axis=0)

    def spend(active: Any, q: Any, wait: Any, place: Any, later: Any) -> None:
        if chain.depths.shape[1] == 1:
            weight[active] += gain(q, place) * wait
            return
        middle = gain(q, 0.5 * (place + later))
        weight[active] += (gain(q, place) + 4.0 * middle + gain(q, later)) * wait / 6.0  # Simpson

    _walk(np, rng, chain, tilted, paths, spend, lambda *_: None)
    top = float(weight.max())
    likelihood = np.exp(weight - top)
    mean = float(likelihood.mean())
    error = float(likelihood.std(ddof=1)) / math.sqrt(paths) / mean
    return -(math.log(mean) + top) / gamma, error / gamma

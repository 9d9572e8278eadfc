"""Reruns the simulations of Avellaneda and Stoikov (2008) and sets them beside the published tables.

The procedure is copied to the letter, since each shortcut moves the result: a fill in a step is a coin with
probability lambda * dt (not 1 - exp(-lambda dt), which is 12 % lower in profit), held at 1; the price moves by
+-sigma sqrt(dt); quotes come from the state before the step and trades are booked at the price before the move;
negative depths stay; the symmetric strategy quotes the average spread of the inventory strategy.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from ufos_nautilus.errors import LimitExceededError
from ufos_nautilus.limits import STUDY_PATHS_MAX
from ufos_nautilus.pricing.quoter import check_not_negative, check_positive, fill_risk_depth
from ufos_nautilus.research.extra import need

CHUNK_PATHS: Final = 20_000
"""Paths simulated at a time, so that memory does not grow with their number."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One row of the paper's tables.

    Parameters
    ----------
    spread : float
        Average total spread, price units.
    profit, profit_std : float
        Mean and standard deviation of final wealth, price units times lots.
    inventory, inventory_std : float
        Mean and standard deviation of final inventory, lots.

    """

    spread: float
    profit: float
    profit_std: float
    inventory: float
    inventory_std: float


PUBLISHED: Final[dict[tuple[float, str], Figures]] = {
    (0.1, "inventory"): Figures(1.49, 65.0, 6.6, 0.08, 2.9),
    (0.1, "symmetric"): Figures(1.49, 68.4, 12.7, 0.26, 8.4),
    (0.01, "inventory"): Figures(1.35, 68.6, 8.7, 0.12, 5.1),
    (0.01, "symmetric"): Figures(1.35, 68.8, 12.8, 0.09, 8.7),
    (1.0, "inventory"): Figures(3.02, 31.4, 5.0, 0.02, 1.7),
    (1.0, "symmetric"): Figures(3.02, 44.0, 11.0, 0.00, 5.1),
}
"""(gamma, strategy) -> row, from Quantitative Finance 8(3), 217-224; the preprint of 2006 has other numbers, which its
stated procedure does not give."""
PAPER_PATHS: Final = 1_000
"""Simulations behind each published row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The paper's setting: sigma in price units per square root of time, A per time, k per price unit, T and dt."""

    mid: float = 100.0
    sigma: float = 2.0
    A: float = 140.0
    k: float = 1.5
    horizon: float = 1.0
    dt: float = 0.005

    def __post_init__(self) -> None:
        check_positive("study", mid=self.mid, A=self.A, k=self.k, horizon=self.horizon, dt=self.dt)
        check_not_negative("study", sigma=self.sigma)

    @property
    def steps(self) -> int:
        """Number of steps of a path."""
        return round(self.horizon / self.dt)


def _simulate(np: Any, rng: Any, gamma: float, strategy: str, setting: Setting, paths: int) -> tuple[Any, Any, float]:
    """Return final wealth and inventory per path, and the average spread."""
    s = np.full(paths, setting.mid)
    x, q = np.zeros(paths), np.zeros(paths)
    base = fill_risk_depth(gamma, setting.k)
    variance, dt = setting.sigma**2, setting.dt
    average = base + 0.25 * gamma * variance * setting.horizon
    move = setting.sigma * math.sqrt(dt)
    rate = setting.A * dt
    spread = 0.0
    for step in range(setting.steps):
        if strategy == "inventory":
            risk = gamma * variance * (setting.horizon - step * dt)
            bid, ask = base + (0.5 + q) * risk, base + (0.5 - q) * risk
            spread += 2.0 * base + risk
        else:
            bid = ask = np.full(paths, average)
            spread += 2.0 * average
        bought = rng.random(paths) < rate * np.exp(-setting.k * bid)
        sold = rng.random(paths) < rate * np.exp(-setting.k * ask)
        x += np.where(sold, s + ask, 0.0) - np.where(bought, s - bid, 0.0)
        q += bought
        q -= sold
        s += np.where(rng.random(paths) < 0.5, move, -move)
    return x + q * s, q, spread / setting.steps


def simulate(gamma: float, strategy: str, paths: int, seed: int, setting: Setting | None = None) -> Figures:
    """Simulate one strategy and return its row.

    Parameters
    ----------
    gamma : float
        Risk aversion, per (price unit x lot).
    strategy : str
        ``"inventory"`` or ``"symmetric"``.
    paths : int
        Simulated sessions, at most `limits.STUDY_PATHS_MAX`.
    seed : int
        Seed of NumPy's PCG64 generator.
    setting : Setting or None
        The paper's where `None`.

    Returns
    -------
    Figures

    """
    check_positive("study", gamma=gamma)
    check_paths(paths)
    np = need("numpy")
    setting = setting or Setting()
    rng = np.random.default_rng([seed, round(gamma * 1e6), int(strategy == "symmetric")])
    wealth, inventory, spread = [], [], 0.0
    for first in range(0, paths, CHUNK_PATHS):
        w, q, spread = _simulate(np, rng, gamma, strategy, setting, min(CHUNK_PATHS, paths - first))
        wealth.append(w)
        inventory.append(q)
    w, q = np.concatenate(wealth), np.concatenate(inventory)
    return Figures(spread, float(w.mean()), float(w.std(ddof=1)), float(q.mean()), float(q.std(ddof=1)))


def check_paths(paths: int) -> None:
    """Raise `LimitExceededError` unless 2 <= paths <= `limits.STUDY_PATHS_MAX`."""
    if not 2 <= paths <= STUDY_PATHS_MAX:
        raise LimitExceededError(f"{paths:,} paths asked for", expected=f"2 to {STUDY_PATHS_MAX:,}")


def run_study(paths: int = 20_000, seed: int = 1) -> list[dict[str, Any]]:
    """Rerun all published rows.

    Parameters
    ----------
    paths, seed : int
        As in `simulate`.

    Returns
    -------
    list of dict
        Per row: ``gamma, strategy, paper, ours`` (each with the fields of `Figures`), ``profit_z`` and
        ``profit_std_z``: how many standard errors of its own 1000 paths the paper is away from ours.

    """
    rows = []
    for (gamma, strategy), paper in PUBLISHED.items():
        ours = simulate(gamma, strategy, paths, seed)
        error = ours.profit_std / math.sqrt(PAPER_PATHS)
        rows.append(
            {
                "gamma": gamma,
                "strategy": strategy,
                "paper": asdict(paper),
                "ours": asdict(ours),
                "profit_z": (paper.profit - ours.profit) / error,
                "profit_std_z": (paper.profit_std - ours.profit_std) / (error / math.sqrt(2.0)),
            }
        )
    return rows

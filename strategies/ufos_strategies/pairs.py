"""Pairs: two names that move together are traded against each other when their distance is far from its mean.

The hedge ratio is an ordinary least squares slope on log total-return indices over a rolling window; the distance is
the residual over its own standard deviation. Gatev, Goetzmann and Rouwenhorst, Review of Financial Studies 19 (2006).
"""

import math
import statistics
from typing import ClassVar, NamedTuple

from pydantic import Field, model_validator

from ufos_nautilus.engine import BookConfig
from ufos_nautilus.portfolio.schedule import Period
from ufos_strategies.actors.daily_panel import PanelSession
from ufos_strategies.history import HistoryBook, HistoryConfig, deviation


class Distance(NamedTuple):
    """Where a pair stands: hedge ratio, and residual in standard deviations."""

    ratio: float
    z: float


class PairsConfig(HistoryConfig):
    """Parameters."""

    pairs: list[tuple[str, str]] = Field(default_factory=list)
    """Root symbols; where empty the best pairs are found inside sectors, once, by correlation of returns."""
    find: int = Field(default=10, ge=0)
    """How many pairs are looked for where none is named."""
    window_days: int = Field(default=60, ge=10)
    """Days of the rolling regression."""
    formation_days: int = Field(default=250, ge=20)
    """Days over which pairs are found."""
    entry_z: float = Field(default=2.0, gt=0)
    """Distance at which a pair is opened."""
    exit_z: float = Field(default=0.5, ge=0)
    """Distance within which it is closed."""
    stop_z: float = Field(default=4.0, gt=0)
    """Distance at which it is given up."""
    schedule: Period = "daily"
    """How often pairs are looked at."""

    @model_validator(mode="after")
    def _in_order(self) -> "PairsConfig":
        if not self.exit_z < self.entry_z < self.stop_z:
            raise ValueError("exit_z, entry_z and stop_z must rise in this order")
        if not self.pairs and not self.find:
            raise ValueError("name pairs, or say how many to find")
        return self


class Pairs(HistoryBook[PairsConfig]):
    """Holds a pair from entry to exit; each gets the same share of the gross position."""

    Config: ClassVar[type[BookConfig]] = PairsConfig

    def __init__(self, config: PairsConfig) -> None:
        super().__init__(config)
        self.open: dict[tuple[str, str], int] = {}
        """Pair -> 1 long the first, -1 short the first."""
        self.chosen: list[tuple[str, str]] = list(config.pairs)
        self.counts |= {"opened": 0, "closed": 0, "given_up": 0}
        self._sent: dict[str, float] = {}

    def days_needed(self) -> int:
        """Return the window, or the days over which pairs are found."""
        return (
            self.params.window_days if self.params.pairs else max(self.params.window_days, self.params.formation_days)
        )

    def on_session(self, session: PanelSession) -> None:
        """Send tickets only where a pair was opened or closed: hedge ratios in between are left as they are."""
        if not self.names:
            self._choose()
            if not self.names:
                return
        self.counts["decisions"] += 1
        ready = [s for s in self.names if s in session.marks and self.has_history(s)]
        wanted = self.weights(ready, session)
        if wanted.keys() == self._sent.keys():
            return
        kept = {s: self._sent.get(s, w) for s, w in wanted.items()}
        self._sent = kept
        self.send_weights({s: w * self.params.gross for s, w in kept.items()}, session.marks, self.nav(session.marks))

    def weights(self, names: list[str], session: PanelSession) -> dict[str, float]:
        """Return the weights of all open pairs after looking at every pair."""
        able = set(names)
        if not self.chosen:
            self.chosen = self._find(names)
        out: dict[str, float] = {}
        share = 1.0 / max(len(self.chosen), 1)
        for pair in self.chosen:
            if not able.issuperset(pair):
                continue
            distance = self.distance(*pair)
            side = self._side(pair, distance)
            if not side:
                continue
            first = side * share / (1 + abs(distance.ratio))
            for symbol, weight in ((pair[0], first), (pair[1], -first * distance.ratio)):
                out[symbol] = out.get(symbol, 0.0) + weight
        return out

    def distance(self, first: str, second: str) -> Distance:
        """Return hedge ratio and distance of a pair over the window."""
        days = self.params.window_days
        xs, ys = (list(self.index[s])[-days:] for s in (second, first))
        slope, intercept = statistics.linear_regression(xs, ys) if len(set(xs)) > 1 else (0.0, statistics.fmean(ys))
        residuals = [y - intercept - slope * x for x, y in zip(xs, ys, strict=True)]
        spread = deviation(residuals)
        return Distance(slope, residuals[-1] / spread if spread > 0 else 0.0)

    def _side(self, pair: tuple[str, str], distance: Distance) -> int:
        p, side = self.params, self.open.get(pair, 0)
        if side and abs(distance.z) > p.stop_z:
            self.counts["given_up"] += 1
            side = 0
        elif side and -side * distance.z < p.exit_z:
            self.counts["closed"] += 1
            side = 0
        elif not side and p.entry_z < abs(distance.z) <= p.stop_z and distance.ratio > 0:
            self.counts["opened"] += 1
            side = -1 if distance.z > 0 else 1
        if side:
            self.open[pair] = side
        else:
            self.open.pop(pair, None)
        return side

    def _find(self, names: list[str]) -> list[tuple[str, str]]:
        """Return the most correlated pairs inside sectors; no name is in two of them."""
        days = self.params.formation_days
        units: dict[str, list[float]] = {}
        for symbol in names:
            returns = self.daily_returns(symbol, days)
            mean = statistics.fmean(returns)
            norm = math.sqrt(sum((r - mean) ** 2 for r in returns)) or 1.0
            units[symbol] = [(r - mean) / norm for r in returns]
        scored: list[tuple[float, str, str]] = []
        ordered = sorted(names)
        for i, first in enumerate(ordered):
            for second in ordered[i + 1 :]:
                if self.securities[first].sector == self.securities[second].sector:
                    scored.append((-math.sumprod(units[first], units[second]), first, second))
        taken: set[str] = set()
        found: list[tuple[str, str]] = []
        for _, first, second in sorted(scored):
            if len(found) < self.params.find and first not in taken and second not in taken:
                found.append((first, second))
                taken |= {first, second}
        return found

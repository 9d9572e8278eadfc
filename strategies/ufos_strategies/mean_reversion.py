"""Short-term reversal: what fell most against its peers over the last days is bought, what rose most is sold short.

Lehmann, "Fads, martingales and market efficiency", Quarterly Journal of Economics 105 (1990).
"""

import statistics
from typing import ClassVar

from pydantic import Field

from ufos_nautilus.engine import BookConfig
from ufos_nautilus.portfolio.schedule import Period
from ufos_strategies.actors.daily_panel import PanelSession
from ufos_strategies.history import HistoryBook, HistoryConfig, deviation


class MeanReversionConfig(HistoryConfig):
    """Parameters."""

    lookback_days: int = Field(default=5, ge=1)
    """Days over which the move is measured."""
    volatility_days: int = Field(default=60, ge=5)
    """Days over which a name's own volatility is measured."""
    count: int = Field(default=15, ge=1)
    """Names bought, and names sold short."""
    entry_z: float = Field(default=1.0, ge=0)
    """Least distance from the sector's mean move, in the name's own standard deviations."""
    schedule: Period = "weekly"
    """How often positions are decided; what is no longer wanted is closed then."""


class MeanReversion(HistoryBook[MeanReversionConfig]):
    """Buys the sector's laggards and sells its leaders short, in equal parts."""

    Config: ClassVar[type[BookConfig]] = MeanReversionConfig

    def days_needed(self) -> int:
        """Return the longer of the two looks back."""
        return max(self.params.lookback_days, self.params.volatility_days)

    def weights(self, names: list[str], session: PanelSession) -> dict[str, float]:
        """Return equal weights of the lowest scores and minus those of the highest."""
        p = self.params
        moves = {s: self.total_return(s, p.lookback_days) for s in names}
        sectors: dict[str, list[float]] = {}
        for symbol, move in moves.items():
            sectors.setdefault(self.securities[symbol].sector, []).append(move)
        scores: dict[str, float] = {}
        for symbol, move in moves.items():
            peers = sectors[self.securities[symbol].sector]
            spread = deviation(self.daily_returns(symbol, p.volatility_days)) * p.lookback_days**0.5
            if len(peers) > 1 and spread > 0:
                scores[symbol] = (move - statistics.fmean(peers)) / spread
        ranked = sorted(scores, key=lambda s: (scores[s], s))
        low = [s for s in ranked[: p.count] if scores[s] <= -p.entry_z]
        high = [s for s in ranked[-p.count :] if scores[s] >= p.entry_z]
        each = 0.5 / p.count
        return dict.fromkeys(low, each) | dict.fromkeys(high, -each)

"""Momentum on daily total returns: each name against its own past, and names against each other.

Time series: Moskowitz, Ooi and Pedersen, "Time series momentum", Journal of Financial Economics 104 (2012).
Cross section: Jegadeesh and Titman, "Returns to buying winners and selling losers", Journal of Finance 48 (1993); the
last month is skipped, because returns revert over it.
"""

from typing import ClassVar

from pydantic import Field

from ufos_nautilus.engine import BookConfig
from ufos_strategies.actors.daily_panel import PanelSession
from ufos_strategies.history import HistoryBook, HistoryConfig, deviation


class MomentumConfig(HistoryConfig):
    """Parameters of both."""

    lookback_days: int = Field(default=231, ge=2)
    """Days over which past return is measured."""
    skip_days: int = Field(default=21, ge=0)
    """Last days left out of it."""
    long_only: bool = False
    """No short positions."""


class CrossSectionalConfig(MomentumConfig):
    """Parameters of cross-sectional momentum."""

    count: int = Field(default=30, ge=1)
    """Names bought, and names sold short."""


class TimeSeriesConfig(MomentumConfig):
    """Parameters of time-series momentum."""

    volatility_days: int = Field(default=60, ge=5)
    """Days over which volatility is measured."""
    volatility_target: float = Field(default=0.4, gt=0)
    """Volatility a single position is scaled to, per year, before the weights are divided by their number."""
    max_weight: float = Field(default=0.1, gt=0, le=1)
    """Largest absolute weight of one name."""


class CrossSectionalMomentum(HistoryBook[CrossSectionalConfig]):
    """Buys the winners of the past year in equal parts and sells the losers short."""

    Config: ClassVar[type[BookConfig]] = CrossSectionalConfig

    def days_needed(self) -> int:
        """Return look-back and the days left out."""
        return self.params.lookback_days + self.params.skip_days

    def weights(self, names: list[str], session: PanelSession) -> dict[str, float]:
        """Return equal weights of winners, and minus those of losers."""
        p = self.params
        ranked = sorted(names, key=lambda s: (-self.total_return(s, p.lookback_days, p.skip_days), s))
        count = min(p.count, len(ranked) // (1 if p.long_only else 2))
        if not count:
            return {}
        if p.long_only:
            return dict.fromkeys(ranked[:count], 1.0 / count)
        return dict.fromkeys(ranked[:count], 0.5 / count) | dict.fromkeys(ranked[-count:], -0.5 / count)


class TimeSeriesMomentum(HistoryBook[TimeSeriesConfig]):
    """Long what rose over its look-back and short what fell, each scaled to the same volatility."""

    Config: ClassVar[type[BookConfig]] = TimeSeriesConfig

    def days_needed(self) -> int:
        """Return the longer of the two looks back."""
        return max(self.params.lookback_days + self.params.skip_days, self.params.volatility_days)

    def weights(self, names: list[str], session: PanelSession) -> dict[str, float]:
        """Return signed weights, scaled down together where they add up to more than one."""
        p = self.params
        out: dict[str, float] = {}
        for symbol in names:
            past = self.total_return(symbol, p.lookback_days, p.skip_days)
            volatility = deviation(self.daily_returns(symbol, p.volatility_days)) * 252**0.5
            if past < 0 and p.long_only:
                continue
            size = min(p.volatility_target / max(volatility, 0.01) / len(names), p.max_weight)
            out[symbol] = size if past >= 0 else -size
        whole = sum(map(abs, out.values()))
        return {s: w / whole for s, w in out.items()} if whole > 1 else out

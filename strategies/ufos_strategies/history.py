"""Base of strategies that look at past total returns: one index per name, kept as logarithms."""

import itertools
import math
import statistics
from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from ufos_nautilus.engine import BookConfig
from ufos_nautilus.portfolio import Restrictions
from ufos_nautilus.portfolio.schedule import Period, is_due
from ufos_strategies.actors.daily_panel import PanelClose, PanelSession
from ufos_strategies.daily import DailyBook, DailyConfig
from ufos_strategies.targets import UniverseConfig, choose


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation over a population; many times faster than the exact one of the standard library."""
    mean = statistics.fmean(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))


class HistoryConfig(DailyConfig):
    """Parameters of a strategy with memory."""

    universe: UniverseConfig = UniverseConfig()
    """What it trades; chosen once, when there is enough history."""
    gross: float = Field(default=1.0, gt=0, le=10)
    """Gross position as a multiple of its net asset value."""
    schedule: Period = "monthly"
    """How often positions are decided."""


class HistoryBook[C: HistoryConfig](DailyBook[C]):
    """Subclass it, say how many days it needs (`days_needed`) and what it wants (`weights`)."""

    Config: ClassVar[type[BookConfig]] = HistoryConfig

    def __init__(self, config: C) -> None:
        super().__init__(config)
        self.index: dict[str, deque[float]] = {}
        """Root symbol -> log of the total-return index, the last `days_needed` + 1 days."""
        self.names: list[str] = []
        self.counts["decisions"] = 0
        self._traded: dict[str, deque[float]] = {}
        self._last = None
        self._days = 0

    def days_needed(self) -> int:
        """Return the days of history a decision looks at."""
        raise NotImplementedError

    def weights(self, names: list[str], session: PanelSession) -> dict[str, float]:
        """Return root symbol -> signed weight of its net asset value; their absolute values add up to one at most."""
        raise NotImplementedError

    def on_close(self, close: PanelClose) -> None:
        """Extend every name's index by the day's total return."""
        days, index = self.days_needed() + 1, self.index
        if self.names:
            gains = close.gains
            for symbol in self.names:
                if symbol in gains:
                    past = index[symbol]
                    past.append(past[-1] + math.log(gains[symbol]))
            return
        self._days += 1
        for symbol, gain in close.gains.items():
            past = index.get(symbol)
            if past is None:
                index[symbol] = deque((0.0, math.log(gain)), maxlen=days)
            else:
                past.append(past[-1] + math.log(gain))
        for symbol, price in close.closes.items():
            self._traded.setdefault(symbol, deque(maxlen=60)).append(price * close.volumes[symbol])

    def on_session(self, session: PanelSession) -> None:
        """Decide where it is due and there is enough history."""
        if not self.names:
            self._choose()
            if not self.names:
                return
        if is_due(self.params.schedule, session.day.date(), self._last):
            self._last = session.day.date()
            ready = [s for s in self.names if s in session.marks and self.has_history(s)]
            self.counts["decisions"] += 1
            wanted = {s: w * self.params.gross for s, w in self.weights(ready, session).items()}
            self.send_weights(wanted, session.marks, self.nav(session.marks))

    def has_history(self, symbol: str) -> bool:
        """Tell whether a name has all the history that is needed."""
        return len(self.index.get(symbol, ())) > self.days_needed()

    def total_return(self, symbol: str, days: int, skip: int = 0) -> float:
        """Return a name's log total return over `days`, ending `skip` days ago."""
        past = self.index[symbol]
        return past[-1 - skip] - past[-1 - skip - days]

    def daily_returns(self, symbol: str, days: int) -> list[float]:
        """Return a name's last daily log returns."""
        past = self.index[symbol]
        tail = [past[i] for i in range(len(past) - days - 1, len(past))]
        return [b - a for a, b in itertools.pairwise(tail)]

    def _choose(self) -> None:
        if self._days <= self.days_needed():
            return
        ready = {s: sum(v) / len(v) for s, v in self._traded.items() if s in self._names and self.has_history(s)}
        if not ready:
            return
        known = {s: self.securities[s] for s in self._names}
        self.names = choose(self.params.universe, known, ready, Restrictions(), self.params.seed)
        self._traded.clear()
        self.index = {s: self.index[s] for s in self.names}

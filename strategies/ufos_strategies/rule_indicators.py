"""The engine's indicators behind the words of rule strategies, one set for each name that is watched."""

import itertools
import math
import statistics
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from nautilus_trader import indicators as nt

from ufos_nautilus.portfolio.rule_text import Condition, Term

WILDER = nt.MovingAverageType.Wilder


class Row(NamedTuple):
    """A bar as floats."""

    open: float
    high: float
    low: float
    close: float
    volume: float


class Gauge(NamedTuple):
    """An indicator at work: how it takes a bar, whether it is ready, and its outputs."""

    update: Callable[[Row], None]
    ready: Callable[[], bool]
    read: Callable[[str], float]


def _plain(indicator: Any, update: Callable[[Any, Row], None], **outputs: str) -> Gauge:
    """Return a gauge over an indicator of the engine: `outputs` maps an output to an attribute of it."""
    names = {"": "value"} | {("" if k == "main" else k): v for k, v in outputs.items()}

    def ready() -> bool:
        return indicator.initialized

    return Gauge(lambda row: update(indicator, row), ready, lambda output: getattr(indicator, names[output]))


def _on_close(indicator: Any, row: Row) -> None:
    indicator.update_raw(row.close)


def _on_range(indicator: Any, row: Row) -> None:
    indicator.update_raw(row.high, row.low, row.close)


def _donchian(period: int) -> Gauge:
    """Range of the bars before this one, so that a breakout can be stated as a comparison."""
    inner = nt.DonchianChannel(period)
    kept: dict[str, float] = {}

    def update(row: Row) -> None:
        if inner.initialized:
            kept.update({"": inner.middle, "upper": inner.upper, "lower": inner.lower})
        inner.update_raw(row.high, row.low)

    return Gauge(update, lambda: bool(kept), kept.__getitem__)


def _macd(fast: int, slow: int, signal: int) -> Gauge:
    """Take both means from the engine and smooth their difference once both are ready."""
    quick, lazy = nt.ExponentialMovingAverage(fast), nt.ExponentialMovingAverage(slow)
    smooth = nt.ExponentialMovingAverage(signal)

    def update(row: Row) -> None:
        quick.update_raw(row.close)
        lazy.update_raw(row.close)
        if lazy.initialized:
            smooth.update_raw(quick.value - lazy.value)

    def read(output: str) -> float:
        line = quick.value - lazy.value
        return {"": line, "signal": smooth.value, "hist": line - smooth.value}[output]

    return Gauge(update, lambda: smooth.initialized, read)


def _volatility(period: int) -> Gauge:
    """Sample deviation of log returns, percent; the engine has none on closes."""
    logs: deque[float] = deque(maxlen=period + 1)

    def read(_: str) -> float:
        past = list(logs)
        return 100.0 * statistics.stdev(b - a for a, b in itertools.pairwise(past))

    return Gauge(lambda row: logs.append(math.log(row.close)), lambda: len(logs) > period, read)


def _stochastic(period: int, smooth: int) -> Gauge:
    indicator = nt.Stochastics(period, smooth, 1, nt.MovingAverageType.Simple, nt.StochasticsDMethod.MovingAverage)
    return _plain(indicator, _on_range, main="value_k", d="value_d")


def _obv() -> Gauge:
    """On-balance volume by the change of the close."""
    state = {"": 0.0}
    last: list[float] = []

    def update(row: Row) -> None:
        if last:
            state[""] += row.volume * ((row.close > last[0]) - (row.close < last[0]))
        last[:] = [row.close]

    return Gauge(update, lambda: bool(last), state.__getitem__)


MAKERS: dict[str, Callable[..., Gauge]] = {
    "sma": lambda n: _plain(nt.SimpleMovingAverage(n), _on_close),
    "ema": lambda n: _plain(nt.ExponentialMovingAverage(n), _on_close),
    "wma": lambda n: _plain(nt.WeightedMovingAverage(n, [2.0 * (i + 1) / (n * (n + 1)) for i in range(n)]), _on_close),
    "hma": lambda n: _plain(nt.HullMovingAverage(n), _on_close),
    "rsi": lambda n: _plain(nt.RelativeStrengthIndex(n, WILDER), _on_close),
    "macd": _macd,
    "bollinger": lambda n, k: _plain(
        nt.BollingerBands(n, float(k)), _on_close, main="middle", upper="upper", lower="lower"
    ),
    "atr": lambda n: _plain(nt.AverageTrueRange(n, WILDER), _on_range),
    "stochastic": _stochastic,
    "roc": lambda n: _plain(nt.RateOfChange(n), _on_close),
    "zscore": lambda n: _plain(nt.ZScore(n), _on_close),
    "volatility": _volatility,
    "donchian": _donchian,
    "cci": lambda n: _plain(nt.CommodityChannelIndex(n, 0.015), _on_range),
    "aroon": lambda n: _plain(
        nt.AroonOscillator(n), lambda i, row: i.update_raw(row.high, row.low), up="aroon_up", down="aroon_down"
    ),
    "obv": _obv,
}
"""Word -> what makes its gauge."""


class Gauges:
    """All indicators that a strategy looks at, for one name.

    Parameters
    ----------
    terms : iterable of Term
        What is looked at; outputs of one indicator share it.

    """

    def __init__(self, terms: Iterable[Term]) -> None:
        self._terms = list(terms)
        keys = dict.fromkeys((t.name, t.args) for t in self._terms if t.kind == "indicator")
        self._gauges = {key: MAKERS[key[0]](*key[1]) for key in keys}
        self.now: dict[Term, float | None] = {}
        self.before: dict[Term, float | None] = {}

    def update(self, row: Row) -> None:
        """Take a bar."""
        for gauge in self._gauges.values():
            gauge.update(row)
        self.before = self.now
        now: dict[Term, float | None] = {}
        for term in self._terms:
            if term.kind == "column":
                now[term] = getattr(row, term.name)
                continue
            gauge = self._gauges[term.name, term.args]
            value = gauge.read(term.output) if gauge.ready() else math.nan
            now[term] = value if math.isfinite(value) else None
        self.now = now

    def value(self, term: Term) -> float | None:
        """Return a term at the last bar; None where it is not known yet."""
        return term.number if term.kind == "number" else self.now.get(term)

    def holds(self, condition: Condition) -> bool:
        """Tell whether a condition holds at the last bar; what is not known yet does not hold."""
        left, right = self.value(condition.left), self.value(condition.right)
        if left is None or right is None:
            return False
        match condition.operator:
            case "<":
                return left < right
            case "<=":
                return left <= right
            case ">":
                return left > right
            case ">=":
                return left >= right
        was_left, was_right = self._before(condition.left), self._before(condition.right)
        if was_left is None or was_right is None:
            return False
        if condition.operator == "crosses above":
            return left > right and was_left <= was_right
        return left < right and was_left >= was_right

    def _before(self, term: Term) -> float | None:
        return term.number if term.kind == "number" else self.before.get(term)

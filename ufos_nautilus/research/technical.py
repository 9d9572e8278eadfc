"""Indicators and conditions over bars, written as text: ``rsi(14)``, ``close crosses above sma(50)``."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from ufos_nautilus.errors import SpecError

Make = Callable[..., dict[str, pl.Expr]]
COLUMNS: Final = ("open", "high", "low", "close", "volume")
PERIOD_MAX: Final = 5_000
TERM: Final = re.compile(r"^([a-z_]+)(?:\(([0-9., ]*)\))?(?:\.([a-z]+))?$")
CONDITION: Final = re.compile(r"^\s*(.+?)\s*(crosses above|crosses below|<=|>=|<|>)\s*(.+?)\s*$")
NUMBER: Final = re.compile(r"^-?[0-9]+(\.[0-9]+)?$")
CLOSE: Final = pl.col("close")


@dataclass(frozen=True, slots=True)
class Indicator:
    """An indicator: its default parameters and how it is made; several outputs have names."""

    defaults: tuple[float, ...]
    make: Make
    about: str


def _smoothed(value: pl.Expr, period: int, alpha: float) -> pl.Expr:
    """Smooth exponentially as the engine does: the mean of the first `period` values, then the recursion."""
    known = value.is_not_null().cum_sum()
    seeded = pl.when(known > period).then(value).when(known == period).then(value.rolling_mean(period))
    return seeded.ewm_mean(alpha=alpha, adjust=False, ignore_nulls=True)


def _ema(value: pl.Expr, period: int) -> pl.Expr:
    return _smoothed(value, period, 2 / (period + 1))


def _wilder(value: pl.Expr, period: int) -> pl.Expr:
    return _smoothed(value, period, 1 / period)


def _sma(n: int) -> dict[str, pl.Expr]:
    return {"": CLOSE.rolling_mean(n)}


def _ema_of_close(n: int) -> dict[str, pl.Expr]:
    return {"": _ema(CLOSE, n)}


def _rsi(n: int) -> dict[str, pl.Expr]:
    change = CLOSE.diff()
    gain, loss = _wilder(change.clip(lower_bound=0.0), n), _wilder((-change).clip(lower_bound=0.0), n)
    ratio = 100 - 100 / (1 + gain / loss)
    value = pl.when(loss == 0).then(pl.when(gain == 0).then(50.0).otherwise(100.0)).otherwise(ratio)
    return {"": pl.when(loss.is_not_null()).then(value)}


def _macd(fast: int, slow: int, signal: int) -> dict[str, pl.Expr]:
    line = _ema(CLOSE, fast) - _ema(CLOSE, slow)
    smooth = _ema(line, signal)
    return {"": line, "signal": smooth, "hist": line - smooth}


def _bollinger(n: int, width: float) -> dict[str, pl.Expr]:
    middle, deviation = CLOSE.rolling_mean(n), CLOSE.rolling_std(n, ddof=0)
    return {"": middle, "upper": middle + width * deviation, "lower": middle - width * deviation}


def _true_range() -> pl.Expr:
    before = CLOSE.shift(1)
    return pl.max_horizontal(
        pl.col("high") - pl.col("low"), (pl.col("high") - before).abs(), (pl.col("low") - before).abs()
    )


def _atr(n: int) -> dict[str, pl.Expr]:
    return {"": _wilder(_true_range(), n)}


def _stochastic(n: int, smooth: int) -> dict[str, pl.Expr]:
    low, high = pl.col("low").rolling_min(n), pl.col("high").rolling_max(n)
    k = pl.when(high > low).then(100 * (CLOSE - low) / (high - low))
    return {"": k, "d": k.rolling_mean(smooth)}


def _roc(n: int) -> dict[str, pl.Expr]:
    return {"": 100 * (CLOSE / CLOSE.shift(n) - 1)}


def _zscore(n: int) -> dict[str, pl.Expr]:
    deviation = CLOSE.rolling_std(n, ddof=0)
    return {"": pl.when(deviation > 0).then((CLOSE - CLOSE.rolling_mean(n)) / deviation)}


def _volatility(n: int) -> dict[str, pl.Expr]:
    return {"": 100 * CLOSE.log().diff().rolling_std(n)}


def _donchian(n: int) -> dict[str, pl.Expr]:
    # Of the bars before this one, so that a breakout can be stated as a comparison.
    upper, lower = pl.col("high").shift(1).rolling_max(n), pl.col("low").shift(1).rolling_min(n)
    return {"": (upper + lower) / 2, "upper": upper, "lower": lower}


def _vwap(n: int) -> dict[str, pl.Expr]:
    typical = (pl.col("high") + pl.col("low") + CLOSE) / 3
    volume = pl.col("volume").rolling_sum(n)
    return {"": pl.when(volume > 0).then((typical * pl.col("volume")).rolling_sum(n) / volume)}


def _obv() -> dict[str, pl.Expr]:
    return {"": (CLOSE.diff().sign().fill_null(0.0) * pl.col("volume")).cum_sum()}


INDICATORS: Final[dict[str, Indicator]] = {
    "sma": Indicator((20,), _sma, "mean of closes"),
    "ema": Indicator((20,), _ema_of_close, "exponential mean of closes"),
    "rsi": Indicator((14,), _rsi, "relative strength, 0 to 100, Wilder's smoothing"),
    "macd": Indicator((12, 26, 9), _macd, "fast less slow exponential mean; .signal, .hist"),
    "bollinger": Indicator((20, 2), _bollinger, "mean of closes; .upper, .lower"),
    "atr": Indicator((14,), _atr, "average true range, Wilder's smoothing"),
    "stochastic": Indicator((14, 3), _stochastic, "place of the close in the range, 0 to 100; .d"),
    "roc": Indicator((10,), _roc, "change over n bars, percent"),
    "zscore": Indicator((20,), _zscore, "deviations of the close from its mean"),
    "volatility": Indicator((20,), _volatility, "deviation of log returns per bar, percent"),
    "donchian": Indicator((20,), _donchian, "middle of the range of the n bars before; .upper, .lower"),
    "vwap": Indicator((20,), _vwap, "volume-weighted price of n bars"),
    "obv": Indicator((), _obv, "on-balance volume"),
}
"""Name -> indicator."""


def term(text: str) -> pl.Expr:
    """Return the expression of a number, a column or an indicator.

    Raises
    ------
    SpecError
        It is none of them.

    """
    text = text.strip().lower()
    if NUMBER.match(text):
        return pl.lit(float(text))
    if text in COLUMNS:
        return pl.col(text)
    match = TERM.match(text)
    if match is None or match[1] not in INDICATORS:
        raise SpecError(f"{text[:60]!r} is no indicator", expected=f"a number, {', '.join(COLUMNS)}, or {usage()}")
    found = INDICATORS[match[1]]
    outputs = found.make(*_arguments(match[1], found, match[2]))
    if (match[3] or "") not in outputs:
        raise SpecError(f"{match[1]} has no output {match[3]!r}", expected=", ".join(filter(None, outputs)) or "none")
    return outputs[match[3] or ""]


def usage() -> str:
    """Return every indicator with its defaults, as one writes it."""
    return ", ".join(f"{n}({', '.join(f'{d:g}' for d in i.defaults)})" for n, i in INDICATORS.items())


def _arguments(name: str, found: Indicator, text: str | None) -> list[int | float]:
    given = [t for t in (text or "").replace(" ", "").split(",") if t]
    if len(given) > len(found.defaults):
        raise SpecError(f"{name} takes {len(found.defaults)} parameters", expected=f"{name}{found.defaults}")
    values = [*given, *(str(d) for d in found.defaults[len(given) :])]
    numbers: list[int | float] = []
    for position, value in enumerate(values):
        whole = isinstance(found.defaults[position], int) and not (name == "bollinger" and position == 1)
        try:
            number = int(value) if whole else float(value)
        except ValueError:
            raise SpecError(
                f"{name}: {value!r} is no whole number of bars", expected=f"{name}{found.defaults}"
            ) from None
        if not 0 < number <= PERIOD_MAX or (whole and number < 2 and name != "roc"):
            raise SpecError(f"{name}: {value}", expected=f"from 2 to {PERIOD_MAX}")
        numbers.append(number)
    return numbers


def condition(text: str) -> pl.Expr:
    """Return the expression of ``LEFT OPERATOR RIGHT``; null where either side is not known yet.

    Raises
    ------
    SpecError
        It is no condition.

    """
    match = CONDITION.match(text.lower())
    if match is None:
        raise SpecError(
            f"{text[:60]!r} is no condition",
            expected="such as 'rsi(14) < 30', 'close > sma(200)' or 'ema(12) crosses above ema(26)'",
        )
    left, right = term(match[1]), term(match[3])
    compare: dict[str, Callable[[], pl.Expr]] = {
        "<": lambda: left < right,
        "<=": lambda: left <= right,
        ">": lambda: left > right,
        ">=": lambda: left >= right,
        "crosses above": lambda: (left > right) & (left.shift(1) <= right.shift(1)),
        "crosses below": lambda: (left < right) & (left.shift(1) >= right.shift(1)),
    }
    return compare[match[2]]()


def indicators(bars: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return ``ts``, ``close`` and one column for each term."""
    return bars.select("ts", "close", *(term(name).alias(name) for name in names if name != "close"))

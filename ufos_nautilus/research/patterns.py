"""Patterns in bars, and what prices did after them."""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from ufos_nautilus.errors import SpecError
from ufos_nautilus.research.technical import condition

op, hi, lo, cl = (pl.col(name) for name in ("open", "high", "low", "close"))
op1, hi1, lo1, cl1 = (value.shift(1) for value in (op, hi, lo, cl))
cl2, cl3 = cl.shift(2), cl.shift(3)
body = (cl - op).abs()
span = hi - lo
upper = hi - pl.max_horizontal("open", "close")
lower = pl.min_horizontal("open", "close") - lo
SMALL: Final = 0.1
"""Share of the range up to which a body or a shadow counts as none."""

PATTERNS: Final[dict[str, pl.Expr]] = {
    "doji": (span > 0) & (body <= SMALL * span),
    "hammer": (span > 0) & (lower >= 2 * body) & (upper <= SMALL * span) & (body > SMALL * span),
    "shooting_star": (span > 0) & (upper >= 2 * body) & (lower <= SMALL * span) & (body > SMALL * span),
    "bullish_engulfing": (cl > op) & (cl1 < op1) & (cl >= op1) & (op <= cl1),
    "bearish_engulfing": (cl < op) & (cl1 > op1) & (cl <= op1) & (op >= cl1),
    "inside_bar": (hi <= hi1) & (lo >= lo1),
    "gap_up": lo > hi1,
    "gap_down": hi < lo1,
    "three_rising": (cl > cl1) & (cl1 > cl2) & (cl2 > cl3),
    "three_falling": (cl < cl1) & (cl1 < cl2) & (cl2 < cl3),
    "breakout_high": condition("close > donchian(20).upper"),
    "breakout_low": condition("close < donchian(20).lower"),
    "golden_cross": condition("sma(50) crosses above sma(200)"),
    "death_cross": condition("sma(50) crosses below sma(200)"),
}
"""Name -> whether the bar completes the pattern; known at the end of that bar."""
HORIZONS: Final = (1, 5, 20)
"""Bars after a pattern at which prices are looked at."""


def find(text: str) -> pl.Expr:
    """Return the expression of a pattern's name or of a condition.

    Raises
    ------
    SpecError
        It is neither.

    """
    name = text.strip().lower().replace(" ", "_")
    if name in PATTERNS:
        return PATTERNS[name]
    try:
        return condition(text)
    except SpecError as error:
        raise SpecError(
            f"{text[:60]!r} is no pattern and no condition",
            expected=f"{', '.join(PATTERNS)}, or a condition {error.expected}",
        ) from None


def occurrences(bars: pl.DataFrame, names: Sequence[str], last: int) -> list[dict[str, Any]]:
    """Return for each pattern how often it came, when last, and what prices did after it.

    Parameters
    ----------
    bars : polars.DataFrame
        From `ufos_nautilus.research.bars.load_bars`.
    names : sequence of str
        Patterns or conditions.
    last : int
        Times listed for each.

    Returns
    -------
    list of dict
        ``pattern``, ``count``, ``last`` (times), and for each of `HORIZONS` the mean return in percent after it, that
        of any bar, and the share of rises. In-sample figures of many patterns: the best of them is best by chance too.

    """
    later = {h: (cl.shift(-h) / cl - 1) * 100 for h in HORIZONS}
    marked = bars.select(
        "ts",
        *(find(name).fill_null(value=False).alias(f"p{i}") for i, name in enumerate(names)),
        *(value.alias(f"r{h}") for h, value in later.items()),
    )
    out = []
    for i, name in enumerate(names):
        hits = marked.filter(pl.col(f"p{i}"))
        out.append(
            {
                "pattern": name,
                "count": hits.height,
                "last": hits["ts"].tail(last).to_list(),
                "after": [
                    {
                        "bars": h,
                        "mean_pct": _rounded(hits[f"r{h}"].mean()),
                        "any_bar_pct": _rounded(marked[f"r{h}"].mean()),
                        "rose": _rounded((hits[f"r{h}"].drop_nulls() > 0).mean()),
                    }
                    for h in HORIZONS
                ],
            }
        )
    return out


def _rounded(value: Any) -> float | None:
    return round(float(value), 6) if value is not None else None

"""Statistics of every book's daily returns, by the engine's own analysis."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from nautilus_trader import analysis

from ufos_nautilus.errors import BadInputError
from ufos_nautilus.portfolio.performance import Sample, period_returns

DAYS_PER_YEAR = 252
RETURNS_MIN = 20
"""Returns below which a ratio of a year says nothing."""
STATISTICS: dict[str, Any] = {
    "volatility": analysis.ReturnsVolatility(DAYS_PER_YEAR),
    "sharpe": analysis.SharpeRatio(DAYS_PER_YEAR),
    "sortino": analysis.SortinoRatio(DAYS_PER_YEAR),
    "calmar": analysis.CalmarRatio(DAYS_PER_YEAR),
    "max_drawdown": analysis.MaxDrawdown(),
    "var_95": analysis.ValueAtRisk(0.95),
    "var_99": analysis.ValueAtRisk(0.99),
    "es_95": analysis.ExpectedShortfall(0.95),
    "profit_factor": analysis.ProfitFactor(),
    "skewness": analysis.ReturnsSkewness(),
}
"""Name -> what the engine calculates from returns."""


def book_statistics(directory: Path) -> dict[str, dict[str, float | None]]:
    """Return statistics by book from a run's table `navs`; empty where it has none.

    Parameters
    ----------
    directory : Path
        Of the run.

    Returns
    -------
    dict
        Book -> statistic of `STATISTICS` and `win_rate`, None where it is undefined. Books with values in two
        currencies, in nothing, or on fewer than `RETURNS_MIN` days are left out.

    """
    path = directory / "navs.parquet"
    if not path.is_file():
        return {}
    frame = pl.read_parquet(path, columns=["ts", "book", "currency", "nav", "flow"]).sort("book", "ts")
    out: dict[str, dict[str, float | None]] = {}
    for (book,), own in frame.group_by("book", maintain_order=True):
        if own["currency"].n_unique() > 1 or own.height <= RETURNS_MIN:
            continue
        times = own["ts"].cast(pl.Int64).to_list()
        samples = [Sample(*row) for row in zip(times, own["nav"], own["flow"], strict=True)]
        try:
            returns = period_returns(samples)
        except BadInputError:
            continue
        out[str(book)] = statistics_of(times[1:], returns)
    return out


def statistics_of(times_ns: Sequence[int], returns: Sequence[float]) -> dict[str, float | None]:
    """Return the engine's statistics of a series of returns, and the share of days that were won.

    Parameters
    ----------
    times_ns : sequence of int
        End of each period, UNIX nanoseconds.
    returns : sequence of float
        Fractions.

    """
    series = dict(zip(times_ns, returns, strict=True))
    found = {name: _finite(s.calculate_from_returns(series)) for name, s in STATISTICS.items()}
    moved = [r for r in returns if r]
    found["win_rate"] = sum(r > 0 for r in moved) / len(moved) if moved else None
    return found


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) < float("inf") and value == value else None

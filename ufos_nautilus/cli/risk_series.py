"""Reads daily prices and tests value at risk on an equally weighted portfolio of them."""

from pathlib import Path
from typing import Any

import polars as pl

from ufos_nautilus.errors import DataError
from ufos_nautilus.limits import RISK_RETURNS_MAX
from ufos_nautilus.risk.measures import METHODS, tail_risk
from ufos_nautilus.risk.var_tests import backtest_var

LEVELS = (0.95, 0.99)
JUMP = 0.5
"""A day that moves a price by more is taken for an unadjusted split or a bad close; the name is left out."""


def read_returns(path: Path, symbols: list[str]) -> pl.DataFrame:
    """Return one column of daily returns per symbol that has every day and no unbelievable move."""
    try:
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, try_parse_dates=True)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} can't be read: {error}", expected="a Parquet or CSV file of prices") from None
    price = next((name for name in ("adj_close", "close") if name in frame.columns), "")
    if not price or not {"date", "symbol"} <= set(frame.columns):
        raise DataError(f"{path} has columns {', '.join(frame.columns)[:200]}", expected="date, symbol, adj_close")
    if missing := sorted(set(symbols) - set(frame["symbol"].unique())):
        raise DataError(f"{path} has no {missing[0]}", expected="symbols of the file")
    if symbols:
        frame = frame.filter(pl.col("symbol").is_in(symbols))
    wide = frame.pivot("symbol", index="date", values=price, aggregate_function="last").sort("date").drop("date")
    whole = [c for c in wide.columns if wide[c].null_count() == 0]
    returns = wide.select(pl.col(whole).cast(pl.Float64).pct_change()).slice(1)
    believed = [c for c in returns.columns if (returns[c].abs().max() or 0.0) < JUMP]  # type: ignore[operator]
    if not believed or returns.height > RISK_RETURNS_MAX:
        raise DataError(f"{path}: {len(believed)} complete names, {returns.height:,} days", expected="some of both")
    return returns.select(believed)


def backtest_of_file(path: Path, symbols: list[str], window: int) -> dict[str, Any]:
    """Return, per method and level, today's value at risk and the tests of those of every past day."""
    returns = read_returns(path, symbols)
    portfolio = returns.mean_horizontal().to_list()
    tests = backtest_var(portfolio, window, LEVELS)
    rows = []
    for method in METHODS:
        for level in LEVELS:
            tail, test = tail_risk(portfolio[-window:], level, method), tests[method, level]
            rows.append(
                {
                    "method": method, "level": f"{level:g}", "var_pct": tail.var * 100, "es_pct": tail.es * 100,
                    "days": test.periods, "breaches": test.breaches, "expected": test.expected,
                    "kupiec_p": test.kupiec_p, "independence_p": test.independence_p, "coverage_p": test.coverage_p,
                }
            )  # fmt: skip
    return {"symbols": returns.width, "days": returns.height, "window": window, "rows": rows}

"""A run cut into equal periods: what was traded, earned and held in each."""

from datetime import UTC, datetime

import polars as pl

from ufos_nautilus import limits
from ufos_nautilus.report.measures import equity_by_currency, instrument_facts, spread_captured
from ufos_nautilus.report.tables import RunTables

_SECOND = 1_000_000_000
_HOUR = 3600 * _SECOND
_SHORT = tuple(s * _SECOND for s in (1, 5, 10, 30, 60, 120, 300, 600, 900))
_LONG = tuple(h * _HOUR for h in (1, 4, 24, 168, 672, 8064))
_SHORT_ROWS_MAX = 24


def period_length(span_ns: int) -> int:
    """Choose the length of a period, in nanoseconds: an hour, less for a run under two hours, more for a very long one.

    Parameters
    ----------
    span_ns : int
        From the first to the last event.

    """
    if span_ns < 2 * _HOUR:
        return next((n for n in _SHORT if span_ns <= n * _SHORT_ROWS_MAX), _SHORT[-1])
    return next((n for n in _LONG if span_ns < n * (limits.REPORT_TABLE_ROWS_MAX - 1)), _LONG[-1])


def period_name(length_ns: int) -> str:
    """Return the length in words, for example ``"5 minutes"``."""
    seconds = length_ns // _SECOND
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            count = seconds // size
            return unit if count == 1 else f"{count} {unit}s"
    raise AssertionError(length_ns)


def periods(tables: RunTables, length_ns: int) -> pl.DataFrame:
    """Cut the run into periods of one length, aligned to UTC.

    Returns
    -------
    polars.DataFrame
        start (ns, UTC), fills, maker (counts); per currency ``volume X`` (DEC, notional), ``captured X``,
        ``fees X`` and ``pnl X`` (DEC; equity at the end of the period less equity at the end of the one before);
        per instrument ``inventory I`` (float, mean of the absolute position, added over books).
        Periods in which nothing was recorded are left out.

    """
    fills = _stamped(spread_captured(tables.fills, instrument_facts(tables)), length_ns)
    parts = [
        fills.group_by("start").agg(
            pl.len().cast(pl.Int64).alias("fills"),
            (pl.col("liquidity") == "MAKER").sum().cast(pl.Int64).alias("maker"),
        ),
        _wide(fills, "quote", "notional", "volume"),
        _wide(fills, "settlement", "captured", "captured"),
        _wide(fills, "commission_currency", "commission", "fees"),
        *_profits(tables, length_ns),
        _inventory(tables, length_ns),
    ]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.join(part, on="start", how="full", coalesce=True)
    still = pl.col("^(fills|maker|volume .*|captured .*|fees .*|pnl .*)$").fill_null(0)
    return (
        whole.with_columns(still).sort("start").with_columns(pl.from_epoch("start", "ns").dt.replace_time_zone("UTC"))
    )


def _stamped(frame: pl.DataFrame, length_ns: int) -> pl.DataFrame:
    return frame.with_columns((pl.col("ts").cast(pl.Int64) // length_ns * length_ns).alias("start"))


def _wide(frame: pl.DataFrame, key: str, amount: str, prefix: str) -> pl.DataFrame:
    """Sum `amount` per period, a column for each value of `key`."""
    names = frame[key].drop_nulls().unique().sort().to_list()
    sums = [pl.col(amount).filter(pl.col(key) == name).sum().alias(f"{prefix} {name}") for name in names]
    return frame.group_by("start").agg(sums)


def _profits(tables: RunTables, length_ns: int) -> list[pl.DataFrame]:
    parts = []
    for currency, equity in equity_by_currency(tables.equity).items():
        ends = _stamped(equity, length_ns).group_by("start", maintain_order=True).agg(pl.col("equity").last())
        before = pl.col("equity").shift(1).fill_null(equity["equity"][0])
        parts.append(ends.select("start", (pl.col("equity") - before).alias(f"pnl {currency}")))
    return parts


def _inventory(tables: RunTables, length_ns: int) -> pl.DataFrame:
    # Samples come on a timer, so their plain mean is the mean over time.
    per_book = (
        _stamped(tables.inventory, length_ns)
        .group_by("start", "book", "instrument_id")
        .agg(pl.col("quantity").abs().mean().alias("mean"))
        .sort("start", "book", "instrument_id")
    )
    names = per_book["instrument_id"].unique().sort().to_list()
    sums = [pl.col("mean").filter(pl.col("instrument_id") == n).sum().alias(f"inventory {n}") for n in names]
    return per_book.group_by("start", maintain_order=True).agg(sums)


def utc(ns: int) -> str:
    """Return UNIX nanoseconds as a UTC time to the second."""
    return datetime.fromtimestamp(ns // _SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")

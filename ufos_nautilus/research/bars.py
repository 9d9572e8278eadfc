"""Bars of an instrument from whatever a catalog holds: bars, trades or quotes; each stamped with the time it ends."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import polars as pl

from ufos_nautilus.errors import DataError, LimitExceededError, SpecError

if TYPE_CHECKING:
    from ufos_nautilus.market.catalog import Catalog
    from ufos_nautilus.market.manifest import TableEntry

INTERVAL: Final = re.compile(r"^([1-9][0-9]{0,3})([smhd])$")
UNIT_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
BAR_STEPS: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3_600, "DAY": 86_400, "WEEK": 604_800}
BAR_TYPE: Final = re.compile(r"-(\d+)-(SECOND|MINUTE|HOUR|DAY|WEEK)-(LAST|MID|BID|ASK)-")
PRICE_ORDER: Final = ("LAST", "MID", "BID", "ASK")
COLUMNS: Final = ("ts", "open", "high", "low", "close", "volume")


def interval_seconds(text: str) -> int:
    """Return the length of an interval such as ``1m``, ``15m``, ``1h`` or ``1d``.

    Raises
    ------
    SpecError
        It is none.

    """
    match = INTERVAL.match(text)
    if match is None:
        raise SpecError(
            f"interval is {text[:20]!r}", expected="a number with s, m, h or d, for example 1m, 15m, 1h, 1d"
        )
    return int(match[1]) * UNIT_S[match[2]]


def load_bars(
    catalog: "Catalog",
    instrument_id: str,
    interval: str,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    rows_max: int = 1_000_000,
) -> pl.DataFrame:
    """Return bars as floats, for analysis (never for money).

    Parameters
    ----------
    catalog : Catalog
        Where the data is.
    instrument_id : str
        Whose bars.
    interval : str
        Length of a bar, see `interval_seconds`.
    start_ns, end_ns : int, optional
        Span of the ends of bars, UNIX nanoseconds, both inclusive.
    rows_max : int
        Bars at most.

    Returns
    -------
    polars.DataFrame
        ts (end of the bar), open, high, low, close, volume (0 where made of quotes); only bars in which something
        happened.

    Raises
    ------
    DataError
        Nothing there can be made into such bars.
    LimitExceededError
        There would be more than `rows_max`.

    """
    seconds = interval_seconds(interval)
    tables = catalog.tables(instrument_id)
    source = _bars_entry(tables, seconds) or next(
        (t for kind in ("trades", "quotes") for t in tables if t.kind == kind), None
    )
    if source is None:
        raise DataError(
            f"{instrument_id} has nothing that makes bars of {interval}",
            expected="trades, quotes, or bars that are no longer",
        )
    files = [f for f in source.files if end_ns is None or f.first_ns <= end_ns]
    scan = pl.scan_parquet([catalog.root / f.path for f in files]) if files else None
    frame = pl.DataFrame() if scan is None else _collect(scan, source.kind, seconds, start_ns, end_ns, rows_max + 1)
    if frame.is_empty():
        raise DataError(f"{instrument_id} has no {source.kind} in the chosen span", expected="a span with data")
    if frame.height > rows_max:
        raise LimitExceededError(
            f"more than {rows_max:,} bars of {interval}", next_step="a shorter span or a longer interval"
        )
    return frame


def _bars_entry(tables: "Sequence[TableEntry]", seconds: int) -> "TableEntry | None":
    """Return the longest bars that fit into the interval, of traded prices where there are."""
    choices = []
    for table in tables:
        match = BAR_TYPE.search(table.identifier) if table.kind == "bars" else None
        step = int(match[1]) * BAR_STEPS[match[2]] if match else 0
        if match and step and seconds % step == 0:
            choices.append((-step, PRICE_ORDER.index(match[3]), table.identifier, table))
    return min(choices)[3] if choices else None


def _collect(
    scan: pl.LazyFrame, kind: str, seconds: int, start_ns: int | None, end_ns: int | None, rows: int
) -> pl.DataFrame:
    ts = pl.col("ts_event")
    if kind == "bars":
        # A bar is stamped with its end, so it belongs to the interval that ends at or after it.
        fields = [pl.col(name).cast(pl.Float64) for name in COLUMNS[1:]]
        parts, closed = scan.select(ts.alias("ts"), *fields), "right"
    else:
        mid = (pl.col("bid_price").cast(pl.Float64) + pl.col("ask_price").cast(pl.Float64)) / 2
        price = pl.col("price").cast(pl.Float64) if kind == "trades" else mid
        size = pl.col("size").cast(pl.Float64) if kind == "trades" else pl.lit(0.0)
        same = [price.alias(name) for name in ("open", "high", "low", "close")]
        parts, closed = scan.select(ts.alias("ts"), *same, size.alias("volume")), "left"
    bars = (
        parts.sort("ts", maintain_order=True)
        .group_by_dynamic("ts", every=f"{seconds}s", closed=closed, label="right")
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
    )
    if start_ns is not None:
        bars = bars.filter(pl.col("ts").dt.epoch("ns") >= start_ns)
    if end_ns is not None:
        bars = bars.filter(pl.col("ts").dt.epoch("ns") <= end_ns)
    return bars.head(rows).collect()

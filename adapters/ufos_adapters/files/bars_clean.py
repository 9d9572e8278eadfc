"""Sorts out what is wrong in bars and quotes, and counts it."""

from collections.abc import Sequence

import polars as pl

from ufos_adapters.files.bars_plan import PRICES, SIDES
from ufos_adapters.files.sources import DefectLog
from ufos_nautilus.limits import DEFECT_EXAMPLES_MAX


class Cleaner:
    """Drops what is no bar or quote and counts it.

    Parameters
    ----------
    defects : DefectLog
        Where it is counted.
    where : str
        The file or symbol, for examples.

    """

    def __init__(self, defects: DefectLog, where: str) -> None:
        self.defects = defects
        self.where = where

    def count(self, rows: pl.DataFrame, code: str, action: str) -> None:
        """Count `rows` as `code`, with their lines and times as examples."""
        shown = rows.head(DEFECT_EXAMPLES_MAX).select("line", pl.col("ts").dt.strftime("%Y-%m-%d %H:%M:%S"))
        places = [f"{self.where} line {line} ({time} UTC)" for line, time in shown.iter_rows()]
        self.defects.add(code, rows.height, action, places)

    def drop(self, rows: pl.DataFrame, bad: pl.Expr, code: str) -> pl.DataFrame:
        """Drop rows where `bad` is true and count them as `code`."""
        found = rows.filter(bad)
        self.count(found, code, "dropped")
        return rows.filter(~bad) if found.height else rows

    def bars(self, rows: pl.DataFrame, prefix: str = "") -> pl.DataFrame:
        """Keep whole bars; their prices are named `prefix` + open, high, low, close."""
        op, hi, lo, cl = (pl.col(f"{prefix}{price}") for price in PRICES)
        rows = self.drop(rows, pl.any_horizontal(c.is_null() for c in (op, hi, lo, cl)), "missing_price")
        return self.drop(rows, (lo <= 0) | (lo > op) | (lo > cl) | (hi < op) | (hi < cl), "broken_bar")

    def ordered(self, rows: pl.DataFrame, *, unique: bool) -> pl.DataFrame:
        """Sort by time; with `unique` keep the first of several rows of the same time."""
        backwards = rows.filter(pl.col("ts") < pl.col("ts").shift(1))
        self.count(backwards, "time_backwards", "repaired: sorted by time")
        rows = rows.sort("ts", maintain_order=True) if backwards.height else rows
        return self.drop(rows, ~pl.col("ts").is_first_distinct(), "duplicate_time") if unique else rows

    def both_sides(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Keep rows whose bid and ask are both whole bars."""
        empty = [pl.all_horizontal(pl.col(f"{side}_{price}").is_null() for price in PRICES) for side in SIDES]
        rows = self.drop(rows, empty[0] != empty[1], "one_sided_bar")
        return self.bars(self.bars(rows, "bid_"), "ask_")

    def uncrossed(self, rows: pl.DataFrame, columns: Sequence[str], code: str, *, keep: bool) -> pl.DataFrame:
        """Count rows with an ask below its bid, drop them unless `keep`; `columns` follow ``bid`` and ``ask``."""
        is_crossed = pl.any_horizontal(pl.col(f"ask{name}") < pl.col(f"bid{name}") for name in columns)
        if not keep:
            return self.drop(rows, is_crossed, code)
        self.count(rows.filter(is_crossed), code, "kept")
        return rows


def join_sides(bid: pl.DataFrame, ask: pl.DataFrame) -> pl.DataFrame:
    """Put bars of two files side by side by time, null where one has no bar.

    Parameters
    ----------
    bid, ask : pl.DataFrame
        ``line, ts, open, high, low, close[, volume]``, one row a time.

    Returns
    -------
    pl.DataFrame
        ``line, ts, bid_open ... bid_close[, bid_size], ask_open ...``; `line` is the bid's where there is one.

    """

    def named(rows: pl.DataFrame, side: str) -> pl.DataFrame:
        new = {name: f"{side}_{name}" for name in PRICES}
        return rows.rename({**new, "volume": f"{side}_size", "line": f"{side}_line"}, strict=False)

    both = named(bid, "bid").join(named(ask, "ask"), on="ts", how="full", coalesce=True, maintain_order="left_right")
    both = both.with_columns(pl.coalesce("bid_line", "ask_line").alias("line")).drop("bid_line", "ask_line")
    return both.select("line", "ts", pl.exclude("line", "ts")).sort("ts")

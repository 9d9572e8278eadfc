"""Where the market was some time after every fill: what adverse selection is measured by.

Computed from the stored market data after the run and never by timers inside it, because every timer is a moment at
which the simulated venue works off its delayed commands, so that measuring would change what is measured.
"""

from pathlib import Path
from typing import Literal

import polars as pl

from ufos_nautilus.engine.sources import Sources
from ufos_nautilus.run_schemas import DEC, MARKOUTS_MS, SCHEMAS, TS, markout_column

NS_PER_MS = 1_000_000
Kind = Literal["quotes", "trades", "bars"]


def write_markouts(directory: Path, sources: Sources) -> None:
    """Write table `markouts` of a run: the mid at each fill and at each horizon after it.

    The market of a fill inside the house is that of the lit instrument. A horizon beyond the last market data stays
    empty, and so does every horizon of an instrument without any.

    Parameters
    ----------
    directory : Path
        The run's, with table `fills` finished.
    sources : Sources
        The run's market data.

    """
    fills = pl.read_parquet(directory / "fills.parquet").with_row_index("row")
    lit = {spec.symbol: name for name, spec in sources.instruments.items()}
    base = fills.select(
        "row",
        "ts",
        "trade_id",
        "client_order_id",
        "book",
        "instrument_id",
        ((pl.col("bid") + pl.col("ask")) / 2).cast(DEC).alias("mid"),
        pl.col("instrument_id")
        .str.replace(r"\.[^.]*$", "")
        .replace_strict(lit, default=None, return_dtype=pl.String)
        .alias("lit"),
    )
    parts = []
    for (name,), own in base.partition_by("lit", as_dict=True, maintain_order=True).items():
        mids = market_mids(sources, str(name)) if name is not None else None
        parts.append(own if mids is None or mids.is_empty() else _looked_up(own, mids))
    table = pl.concat(parts, how="diagonal").sort("row") if parts else base
    missing = [pl.lit(None, DEC).alias(c) for c in SCHEMAS["markouts"] if c not in table.columns]
    table = table.with_columns(missing).select(pl.col(c).cast(dtype) for c, dtype in SCHEMAS["markouts"].items())
    table.write_parquet(directory / "markouts.parquet", compression="zstd")


def market_mids(sources: Sources, instrument_id: str) -> pl.DataFrame | None:
    """Return the mid of an instrument over time (ts, mid): from quotes, else trades, else closes of bars."""
    sides = pl.col("bid_price").cast(DEC) + pl.col("ask_price").cast(DEC)
    prices: dict[Kind, pl.Expr] = {"quotes": sides / 2, "trades": pl.col("price"), "bars": pl.col("close")}
    for kind, mid in prices.items():
        files = sources.files(instrument_id, kind)
        if files:
            times = pl.col("ts_init").cast(TS).alias("at")
            return pl.scan_parquet(files).select(times, mid.cast(DEC).alias("found")).sort("at").collect()
    return None


def _looked_up(fills: pl.DataFrame, mids: pl.DataFrame) -> pl.DataFrame:
    last = mids["at"].max()
    for milliseconds in MARKOUTS_MS:
        later = (pl.col("ts") + pl.duration(nanoseconds=milliseconds * NS_PER_MS, time_unit="ns")).alias("at")
        keyed = fills.with_columns(later).sort("at")
        found = keyed.join_asof(mids, on="at", strategy="backward")
        inside = pl.when(pl.col("at") <= last).then(pl.col("found")).alias(markout_column(milliseconds))
        fills = found.with_columns(inside).drop("at", "found")
    return fills

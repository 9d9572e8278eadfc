"""Where the market was some time after every fill: what adverse selection is measured by.

Computed from the stored market data after the run and never by timers inside it, because every timer is a moment at
which the simulated venue works off its delayed commands, so that measuring would change what is measured.
"""

from collections.abc import Iterable, Iterator
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
        parts.append(_looked_up(own, market_mids(sources, str(name))) if name is not None else own)
    table = pl.concat(parts, how="diagonal").sort("row") if parts else base
    missing = [pl.lit(None, DEC).alias(c) for c in SCHEMAS["markouts"] if c not in table.columns]
    table = table.with_columns(missing).select(pl.col(c).cast(dtype) for c, dtype in SCHEMAS["markouts"].items())
    table.write_parquet(directory / "markouts.parquet", compression="zstd")


def market_mids(sources: Sources, instrument_id: str) -> Iterator[pl.DataFrame]:
    """Yield the mid of an instrument over time (at, found), a file at a time: from quotes, trades or closes of bars."""
    sides = pl.col("bid_price").cast(DEC) + pl.col("ask_price").cast(DEC)
    prices: dict[Kind, pl.Expr] = {"quotes": sides / 2, "trades": pl.col("price"), "bars": pl.col("close")}
    for kind, mid in prices.items():
        files = sources.files(instrument_id, kind)
        if files:
            times = pl.col("ts_init").cast(TS).alias("at")
            for file in files:
                yield pl.scan_parquet(file).select(times, mid.cast(DEC).alias("found")).collect()
            return


def _looked_up(fills: pl.DataFrame, mids: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return fills with the last mid at or before each horizon, reading the market once from its start."""
    wanted = pl.concat(
        [
            fills.select(
                "row",
                pl.lit(column).alias("column"),
                (pl.col("ts") + pl.duration(nanoseconds=ms * NS_PER_MS, time_unit="ns")).alias("at"),
            )
            for ms, column in ((ms, markout_column(ms)) for ms in MARKOUTS_MS)
        ]
    ).sort("at")
    found, before = [], None
    for part in mids:
        if wanted.is_empty() or part.is_empty():
            continue
        due = wanted.filter(pl.col("at") <= part["at"][-1])
        known = part if before is None else pl.concat([before, part])
        found.append(due.join_asof(known, on="at", strategy="backward"))
        wanted, before = wanted[due.height :], part[-1:].rechunk()
    looked_up = pl.concat(found) if found else wanted.with_columns(pl.lit(None, DEC).alias("found")).clear()
    for column in map(markout_column, MARKOUTS_MS):
        own = looked_up.filter(pl.col("column") == column).select("row", pl.col("found").alias(column))
        fills = fills.join(own, on="row", how="left")
    return fills

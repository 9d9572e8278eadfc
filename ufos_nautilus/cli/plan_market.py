"""Prices and securities for planning, out of a catalog of daily bars or quotes."""

from decimal import Decimal
from pathlib import Path

import polars as pl

from ufos_nautilus.errors import DataError
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.portfolio import Market, Price, Security

STATISTICS_BARS = 60
"""Bars that daily volume and volatility are taken from."""


def catalog_market(path: Path, at_ns: int = 0) -> Market:
    """Return the last price of every instrument of a catalog, and what is known of it.

    Parameters
    ----------
    path : Path
        The catalog.
    at_ns : int
        Nothing after this time is seen, UNIX nanoseconds; 0 sees everything.

    Raises
    ------
    DataError
        If the catalog holds neither bars nor quotes before that time.

    """
    catalog = Catalog.open(path)
    specs = catalog.instruments()
    facts = [d.facts for d in catalog.manifest.datasets]
    finer = {s: name for f in facts for s, name in f.get("sub_industries", {}).items()}
    securities = {
        spec.symbol: Security(
            symbol=spec.symbol,
            instrument_id=name,
            sector=spec.sector,
            sub_industry=finer.get(spec.symbol, ""),
            lot=spec.lot_size,
        )
        for name, spec in specs.items()
    }
    prices: dict[str, Price] = {}
    for kind, read in (("quotes", _quotes), ("bars", _bars)):
        files = {
            str(catalog.root / file.path): specs[table.instrument_id].symbol
            for table in catalog.tables()
            if table.kind == kind and table.instrument_id in specs
            for file in table.files
        }
        if files:
            prices |= read(files, at_ns)
    if not prices:
        raise DataError(f"{path} holds no bars or quotes at that time", next_step=f"`ufos data list {path}`")
    return Market(securities, prices)


def _scan(files: dict[str, str], at_ns: int, columns: list[str]) -> pl.LazyFrame:
    table = pl.scan_parquet(list(files), include_file_paths="path").select("path", "ts_init", *columns)
    if at_ns:
        table = table.filter(pl.col("ts_init").cast(pl.Int64) <= at_ns)
    symbols = pl.LazyFrame({"path": list(files), "symbol": list(files.values())})
    return table.join(symbols, on="path").sort("symbol", "ts_init")


def _bars(files: dict[str, str], at_ns: int) -> dict[str, Price]:
    recent = _scan(files, at_ns, ["close", "volume"]).group_by("symbol", maintain_order=True).tail(STATISTICS_BARS)
    close = pl.col("close").cast(pl.Float64)
    rows = (
        recent.group_by("symbol", maintain_order=True)
        .agg(
            pl.col("close").last(),
            pl.col("ts_init").last().cast(pl.Int64),
            pl.col("volume").cast(pl.Float64).mean().round(0).alias("volume"),
            (close / close.shift(1)).log().std().round(6).alias("volatility"),
        )
        .collect()
    )
    return {
        symbol: Price(
            price=price.normalize(),
            ts_ns=ts,
            daily_volume=Decimal(str(volume)) if volume else None,
            daily_volatility=Decimal(str(volatility)) if volatility else None,
        )
        for symbol, price, ts, volume, volatility in rows.iter_rows()
    }


def _quotes(files: dict[str, str], at_ns: int) -> dict[str, Price]:
    rows = (
        _scan(files, at_ns, ["bid_price", "ask_price"])
        .group_by("symbol", maintain_order=True)
        .agg(pl.col("bid_price", "ask_price").last(), pl.col("ts_init").last().cast(pl.Int64))
        .collect()
    )
    return {
        symbol: Price(price=((bid + ask) / 2).normalize(), ts_ns=ts, half_spread=((ask - bid) / 2).normalize())
        for symbol, bid, ask, ts in rows.iter_rows()
    }

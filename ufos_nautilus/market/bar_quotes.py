"""Quotes made from bars, where none were recorded: one at each bar's open and one at its close, with a stated spread.

They say what a bar says and nothing more: the price at two moments. The spread and the size shown are assumptions of
whoever asks for them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.manifest import TableEntry
from ufos_nautilus.market.recording import Batch, Recording
from ufos_nautilus.market.tables import DECIMAL, SCHEMAS

SESSION_S = 23_400.0
"""Length of the regular session of US equities: a daily bar's open is that long before its close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarQuoteTerms:
    """What is assumed.

    Parameters
    ----------
    half_spread_bps : Decimal
        Half the spread in basis points of price, rounded up to whole ticks; at least one tick each side, so that the
        midpoint is the bar's price wherever that is on the grid, and half a tick away at most elsewhere.
    size_share : Decimal
        Share of the bar's volume shown on each side, at least one lot.
    open_before_s : float
        How long before a bar's end its open was; 0 leaves the open out.

    """

    half_spread_bps: Decimal = Decimal(2)
    size_share: Decimal = Decimal("0.01")
    open_before_s: float = SESSION_S

    def __post_init__(self) -> None:
        if not 0 <= self.half_spread_bps <= 1_000:
            raise SpecError(f"half_spread_bps is {self.half_spread_bps}", expected="0 to 1000 basis points")
        if not 0 < self.size_share <= 1:
            raise SpecError(f"size_share is {self.size_share}", expected="a fraction above 0 and at most 1")
        if not 0 <= self.open_before_s <= 31 * 86_400:
            raise SpecError(f"open_before_s is {self.open_before_s}", expected="0 to 31 days")


def quotes_from_bars(catalog: Catalog, names: Sequence[str], terms: BarQuoteTerms) -> Recording:
    """Return quotes of instruments of a catalog as a recording, one batch each.

    Parameters
    ----------
    catalog : Catalog
        Holds the bars; of several tables of an instrument the finest counts.
    names : sequence of str
        Instrument ids.
    terms : BarQuoteTerms
        What is assumed.

    Raises
    ------
    DataError
        If an instrument has no bars.

    """
    tables: dict[str, TableEntry] = {}
    for table in catalog.tables():
        if table.kind == "bars" and table.rows > getattr(tables.get(table.instrument_id), "rows", 0):
            tables[table.instrument_id] = table
    missing = [name for name in names if name not in tables]
    if missing:
        raise DataError(
            f"{missing[0]} has no bars to make quotes from",
            expected="bars of every instrument",
            next_step=f"`ufos data list {catalog.root}`",
        )
    specs = catalog.instruments()
    facts = {
        "made_from": "bars",
        "half_spread_bps": str(terms.half_spread_bps),
        "size_share": str(terms.size_share),
        "open_before_s": terms.open_before_s,
    }
    return Recording(
        instruments=[specs[name] for name in names],
        batches=_batches(catalog, {name: (tables[name], specs[name]) for name in names}, terms),
        facts=facts,
    )


def _batches(
    catalog: Catalog, tables: dict[str, tuple[TableEntry, InstrumentSpec]], terms: BarQuoteTerms
) -> Iterator[Batch]:
    for name, (table, spec) in tables.items():
        files = [catalog.root / file.path for file in table.files]
        bars = pl.read_parquet(files, columns=["open", "close", "volume", "ts_event", "ts_init"])
        yield Batch("quotes", name, name, quotes_of(bars, spec, terms))


def quotes_of(bars: pl.DataFrame, spec: InstrumentSpec, terms: BarQuoteTerms) -> pl.DataFrame:
    """Return the quotes of one instrument's bars, in order of time; at equal times a close comes before an open."""
    before = pl.duration(nanoseconds=round(terms.open_before_s * 1e9), time_unit="ns")
    times = [pl.col("ts_event"), pl.col("ts_init")]
    close = bars.select(pl.col("close").alias("price"), "volume", *times, pl.lit(0).alias("order"))
    parts = [close]
    if terms.open_before_s:
        opened = [t - before for t in times]
        parts.append(bars.select(pl.col("open").alias("price"), "volume", *opened, pl.lit(1).alias("order")))
    rows = pl.concat(parts).sort("ts_init", "order")
    scale = 10**spec.price_precision
    tick = int(spec.tick_size * scale)
    lots = int(1 / spec.lot_size) if spec.lot_size < 1 else 1
    lot = spec.lot_size
    units = (pl.col("price") * scale).round(0).cast(pl.Int64)
    half_ticks = pl.max_horizontal(
        (pl.col("units").cast(pl.Float64) * float(terms.half_spread_bps) / 10_000 / tick).ceil().cast(pl.Int64), 1
    )
    off = (pl.col("units") % tick != 0).cast(pl.Int64)
    below = pl.col("units") // tick
    size = (pl.col("volume").cast(pl.Float64) * float(terms.size_share) * lots / (1 if lot < 1 else float(lot))).floor()
    step = pl.lit(Decimal(1).scaleb(-spec.price_precision), DECIMAL)
    shown = (pl.max_horizontal(size.cast(pl.Int64), 1).cast(DECIMAL) * pl.lit(lot, DECIMAL)).cast(DECIMAL)
    return (
        rows.with_columns(units.alias("units"))
        .with_columns(half_ticks.alias("half"), below.alias("below"), off.alias("off"))
        .with_columns(
            # Off the grid the ticks below and above stand for the price, so one tick of the half spread is used up.
            bid=pl.max_horizontal(pl.col("below") - pl.col("half") + pl.col("off"), 1) * tick,
            ask=(pl.col("below") + pl.col("half")) * tick,
        )
        .select(
            (pl.col("bid").cast(DECIMAL) * step).cast(DECIMAL).alias("bid_price"),
            (pl.col("ask").cast(DECIMAL) * step).cast(DECIMAL).alias("ask_price"),
            shown.alias("bid_size"),
            shown.alias("ask_size"),
            "ts_event",
            "ts_init",
        )
        .select(SCHEMAS["quotes"].keys())
    )

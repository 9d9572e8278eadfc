"""What benchmarks run on: two recordings as catalogs, kept in a cache outside the checkout."""

import gzip
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ufos_adapters.files import bars, binance_raw
from ufos_nautilus.engine.instruments import write_instruments
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.importing import ImportReport, import_recording
from ufos_nautilus.market.recording import Batch, ReadOptions, Recording

CHECKOUT = Path(__file__).resolve().parents[1]
L2_FILE = "crypto_l2/usdm_btcusdt_20240808.gz"
BARS_FILE = "crypto_bars/btc_perp_1m_2021-12-31_2022-02-01.csv.gz"
L2_INSTRUMENT = "BTCUSDT-PERP.BINANCE"
BARS_INSTRUMENT = "BTC-PERP.FTX"
NS_PER_S = 1_000_000_000


def shared_data() -> Path:
    """Return the folder of recordings: UFOS_SHARED_DATA, or shared/data next to the checkout."""
    return Path(os.environ.get("UFOS_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))


def cache_root() -> Path:
    """Return the folder of catalogs and environments: UFOS_BENCH_CACHE, or one below the user's cache."""
    return Path(os.environ.get("UFOS_BENCH_CACHE", Path.home() / ".cache" / "ufos-nautilus" / "benchmarks"))


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where everything lies."""

    root: Path
    raw_l2: Path
    raw_bars: Path
    l2: Path
    """Catalog of the perpetual: book, quotes, trades."""
    bars: Path
    """Catalog of the minute bars."""
    bars_csv: Path
    """The same bars as plain CSV, for those who read it."""


def import_l2(raw: Path, catalog: Path) -> ImportReport:
    """Import the perpetual's recording."""
    return import_recording(
        catalog,
        lambda: binance_raw.read([raw], ReadOptions()),
        sources=[raw],
        fmt="binance-raw",
        instrument_writer=write_instruments,
    )


def import_bars(raw: Path, catalog: Path) -> ImportReport:
    """Import the minute bars."""
    options = ReadOptions(BARS_INSTRUMENT, extra={"kind": "crypto_perpetual", "base": "BTC", "quote": "USD"})
    return import_recording(
        catalog,
        lambda: bars.read([raw], options),
        sources=[raw],
        fmt="bars",
        options=options.extra,
        instrument_writer=write_instruments,
    )


def prepare(root: Path) -> Inputs:
    """Make what is missing below `root` and return where everything lies."""
    data = shared_data()
    root.mkdir(parents=True, exist_ok=True)
    found = Inputs(root, data / L2_FILE, data / BARS_FILE, root / "btcusdt_perp", root / "btc_bars", root / "bars.csv")
    import_l2(found.raw_l2, found.l2)
    import_bars(found.raw_bars, found.bars)
    if not found.bars_csv.exists():
        with gzip.open(found.raw_bars, "rb") as packed, found.bars_csv.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    return found


def repeated(catalog: Path, times: int, into: Path) -> Path:
    """Return a catalog with the recording of `catalog` `times` over, one after the other; made where it is missing."""
    source = Catalog.open(catalog)
    tables = source.tables()
    first, last = min(t.first_ns for t in tables), max(t.last_ns for t in tables)
    step = -(-(last - first + 1) // NS_PER_S) * NS_PER_S

    def batches() -> Iterator[Batch]:
        for number in range(times):
            shift = pl.duration(nanoseconds=number * step)
            later = [(pl.col(name) + shift).cast(pl.Datetime("ns", "UTC")) for name in ("ts_event", "ts_init")]
            for table in tables:
                for file in source.files(table.kind, table.identifier):
                    frame = pl.read_parquet(file).with_columns(later)
                    yield Batch(table.kind, table.identifier, table.instrument_id, frame)

    import_recording(
        into,
        lambda: Recording(list(source.instruments().values()), batches()),
        sources=(),
        fmt="repeated",
        options={"of": source.digest(source.instruments()), "times": str(times)},
        instrument_writer=write_instruments,
    )
    return into

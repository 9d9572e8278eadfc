"""Real recordings through `ufos data import`: counts as documented, books without a gap, the second import a no-op."""

import itertools
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ufos_adapters.files.binance_lines import Ticker, lines
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.tables import F_LAST

RECORDINGS = {
    # name: instrument, trades, quotes, tick, lot
    "spot_btcusdt": ("BTCUSDT.BINANCE", 19_904, 73_174, "0.01", "0.00001"),
    "spot_ethusdt": ("ETHUSDT.BINANCE", 14_515, 58_758, "0.01", "0.0001"),
    "usdm_btcusdt": ("BTCUSDT-PERP.BINANCE", 21_313, 66_089, "0.1", "0.001"),
    "usdm_ethusdt": ("ETHUSDT-PERP.BINANCE", 14_076, 53_992, "0.01", "0.001"),
    "cm_btcusd_perp": ("BTCUSD-PERP.BINANCE", 5_235, 48_355, "0.1", "1"),
}


def snapshot_of(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_imports_as_documented_and_only_once(
    name: str, shared_data: Path, tmp_path: Path, cli: Any
) -> None:
    instrument, trades, quotes, tick, lot = RECORDINGS[name]
    files = sorted((shared_data / "crypto_l2").glob(f"{name}_*.gz"))
    catalog = tmp_path / "catalog"
    first = cli("data", "import", "binance-raw", *files, "--catalog", catalog, "--json")
    assert first.returncode == 0, first.stderr
    report = first.json
    assert (report["instrument_id"], report["trades"], report["quotes"]) == (instrument, trades, quotes)
    assert (report["gaps"], report["crossed"], report["unchanged"]) == (0, 0, False)
    assert 1_270 <= report["clock_shift_ms"] <= 1_280
    assert report["deltas"] > 200_000
    spec = Catalog.open(catalog).instrument(instrument)
    assert (spec.tick_size, spec.lot_size) == (Decimal(tick), Decimal(lot))

    before = snapshot_of(catalog)
    again = cli("data", "import", "binance-raw", *reversed(files), "--catalog", catalog, "--json")
    assert again.returncode == 0
    assert again.json["unchanged"] is True
    assert snapshot_of(catalog) == before

    checked = cli("data", "check", catalog, "--json")
    assert (checked.returncode, checked.json["errors"]) == (0, 0), checked.stdout


def tops(catalog: Catalog, instrument: str) -> Iterator[tuple[int, tuple[Decimal, Decimal, Decimal, Decimal]]]:
    """Update id and best bid, its size, best ask, its size after every event, rebuilt in the plainest way."""
    rows = catalog.scan("order_book_deltas", instrument).collect()
    book: dict[str, dict[Decimal, Decimal]] = {"BUY": {}, "SELL": {}}
    for row in rows.iter_rows(named=True):
        if row["action"] == "CLEAR":
            book = {"BUY": {}, "SELL": {}}
        elif row["action"] == "DELETE":
            del book[row["side"]][row["price"]]
        else:
            assert (row["price"] in book[row["side"]]) == (row["action"] == "UPDATE")
            book[row["side"]][row["price"]] = row["size"]
        if row["flags"] & F_LAST:
            bid, ask = max(book["BUY"]), min(book["SELL"])
            assert bid < ask
            yield row["sequence"], (bid, book["BUY"][bid], ask, book["SELL"][ask])


@pytest.mark.timeout(120)
def test_the_rebuilt_book_equals_the_best_bid_and_ask_at_equal_update_ids(
    shared_data: Path, tmp_path: Path, cli: Any
) -> None:
    source = shared_data / "crypto_l2" / "usdm_btcusdt_20240808.gz"
    assert cli("data", "import", "binance-raw", source, "--catalog", tmp_path / "c").returncode == 0
    quoted = {
        m.u: tuple(Decimal(text) for text in (m.b, m.B, m.a, m.A)) for _, _, m in lines(source) if isinstance(m, Ticker)
    }
    rebuilt = dict(itertools.islice(tops(Catalog.open(tmp_path / "c"), "BTCUSDT-PERP.BINANCE"), 1_500))
    shared = rebuilt.keys() & quoted.keys()
    assert len(shared) > 20
    assert all(rebuilt[u] == quoted[u] for u in shared)


@pytest.mark.timeout(120)
def test_imported_times_are_ordered_and_every_event_ends_with_its_flag(
    shared_data: Path, tmp_path: Path, cli: Any
) -> None:
    files = sorted((shared_data / "crypto_l2").glob("spot_ethusdt_*.gz"))
    assert cli("data", "import", "binance-raw", *files, "--catalog", tmp_path / "c").returncode == 0
    catalog = Catalog.open(tmp_path / "c")
    for table in catalog.tables():
        rows = catalog.scan(table.kind, table.identifier).collect()
        assert rows["ts_init"].is_sorted()
        assert (rows["ts_event"] <= rows["ts_init"]).all()
    deltas = catalog.scan("order_book_deltas", "ETHUSDT.BINANCE").collect()
    ends = deltas.select(pl.col("sequence") != pl.col("sequence").shift(-1)).to_series().fill_null(True)
    assert (ends == (deltas["flags"] & F_LAST > 0)).all()


@pytest.mark.timeout(120)
def test_the_engine_reads_the_catalog_with_its_own_class(shared_data: Path, tmp_path: Path, cli: Any) -> None:
    from nautilus_trader.model import NautilusDataType
    from nautilus_trader.persistence import ParquetDataCatalog

    files = sorted((shared_data / "crypto_l2").glob("cm_btcusd_perp_*.gz"))
    assert cli("data", "import", "binance-raw", *files, "--catalog", tmp_path / "c").returncode == 0
    engine_catalog = ParquetDataCatalog(str(tmp_path / "c"))
    (instrument,) = engine_catalog.instruments()
    assert str(instrument.id) == "BTCUSD-PERP.BINANCE"
    assert instrument.is_inverse
    assert len(engine_catalog.query(NautilusDataType.TradeTick, ["BTCUSD-PERP.BINANCE"])) == 5_235

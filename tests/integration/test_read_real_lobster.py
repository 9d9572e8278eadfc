"""lobster on an hour of AAPL, against its recorded best prices and against the engine's own book."""

from pathlib import Path

import polars as pl
import pytest
from nautilus_trader.model import BookType, InstrumentId, OrderBook
from nautilus_trader.persistence import ParquetDataCatalog

from ufos_adapters.files.lobster import read
from ufos_nautilus.market.importing import import_recording
from ufos_nautilus.market.recording import ReadOptions
from ufos_nautilus.market.tables import validate

MESSAGES = 91_997


@pytest.fixture(scope="module")
def files(shared_data: Path) -> list[Path]:
    return sorted((shared_data / "us_equity_l3").glob("AAPL_*.csv.gz"))


def test_the_seeded_book_agrees_with_the_truth_in_999_of_1000_rows(files: list[Path]) -> None:
    recording = read(files, ReadOptions())
    (spec,) = recording.instruments
    rows = {}
    for batch in recording.batches:
        validate(batch.frame, batch.kind, spec)
        rows[batch.kind] = batch.frame
    facts = recording.facts
    assert facts["bbo_rows"] == facts["messages"] == MESSAGES
    assert facts["bbo_equal"] / MESSAGES >= 0.999
    assert facts["bbo_agreement"] == "0.99902"
    assert rows["trades"].height == 4_067 + 2_201
    quotes = rows["quotes"]
    assert quotes.filter(pl.col("bid_price") >= pl.col("ask_price")).height == 0
    assert {d.code: d.count for d in recording.defects} == {"unknown_order": 45, "size_mismatch": 1}


def test_without_the_book_file_the_agreement_is_lower(files: list[Path]) -> None:
    recording = read([path for path in files if "orderbook" not in path.name], ReadOptions())
    for _ in recording.batches:
        pass
    assert recording.facts["bbo_agreement"] == "0.99677"
    assert {d.code: d.count for d in recording.defects} == {"unknown_order": 84}


def test_the_engines_book_ends_where_the_truth_does(files: list[Path], tmp_path: Path) -> None:
    root = tmp_path / "catalog"
    import_recording(root, lambda: read(files, ReadOptions()), sources=files, fmt="lobster")
    deltas = ParquetDataCatalog(str(root)).query_order_book_deltas(["AAPL.XNAS"])
    book = OrderBook(InstrumentId.from_str("AAPL.XNAS"), BookType.L3_MBO)
    for delta in deltas:
        book.apply_delta(delta)
    truth = next(path for path in files if "bbo" in path.name)
    ask, ask_size, bid, bid_size = pl.read_csv(truth, has_header=False).row(-1)
    best = (book.best_ask_price(), book.best_ask_size(), book.best_bid_price(), book.best_bid_size())
    assert [float(str(value)) for value in best] == [ask / 10_000, ask_size, bid / 10_000, bid_size]

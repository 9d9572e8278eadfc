"""daily on five years of 505 stocks and on four funds."""

from pathlib import Path

import polars as pl
import pytest

from ufos_adapters.files.daily import read
from ufos_nautilus.market.recording import ReadOptions
from ufos_nautilus.market.tables import validate


def test_five_hundred_stocks_with_sectors_dividends_and_known_defects(shared_data: Path) -> None:
    folder = shared_data / "us_daily"
    recording = read([*sorted(folder.glob("*.parquet")), folder / "sectors.csv"], ReadOptions())
    specs = {spec.instrument_id: spec for spec in recording.instruments}
    rows = 0
    for batch in recording.batches:
        validate(batch.frame, batch.kind, specs[batch.instrument_id])
        rows += batch.frame.height
    counts = {d.code: d.count for d in recording.defects}
    assert (recording.facts["rows"], len(specs)) == (619_040, 505)
    assert (counts["missing_price"], counts["broken_bar"], counts["empty_adjustment"]) == (11, 12, 538)
    assert rows == 619_040 - 11 - 12
    suspected = {text for d in recording.defects if d.code in ("unadjusted_move", "large_move") for text in d.examples}
    assert {"BAX 2015-07-01", "DISCA 2014-08-07", "DISCK 2014-08-07", "EBAY 2015-07-20", "NWL 2017-09-15"} <= suspected
    # AMD and VRTX really moved that much: the adjusted closes say the same.
    assert not any(text.startswith(("AMD", "VRTX")) for text in suspected)
    assert recording.facts["without_sector"] == 0
    assert specs["MO.XNAS"].sector == "Consumer Staples"
    dividends = recording.facts["dividends"]
    assert dividends["KO"][:2] == [["2013-03-13", "0.28"], ["2013-06-12", "0.28"]]
    assert len(dividends["AAPL"]) == 19


@pytest.fixture(scope="module")
def funds(shared_data: Path) -> list[Path]:
    folder = shared_data / "etf_daily"
    return [*sorted(folder.glob("*.zip")), *sorted((folder / "factor_files").glob("*.csv"))]


def test_four_funds_with_their_splits(funds: list[Path]) -> None:
    recording = read(funds, ReadOptions())
    assert recording.facts["rows"] == 20_302
    assert recording.facts["splits"] == {
        "EEM": [["2005-06-09", "3"], ["2008-07-24", "3"]],
        "IWM": [["2005-06-09", "2"]],
        "QQQ": [["2000-03-20", "2"]],
    }
    counts = {d.code: d.count for d in recording.defects}
    assert counts == {"before_listing": 722, "large_move": 5}
    first = {batch.instrument_id: batch.frame["ts_init"].dt.date()[0].isoformat() for batch in recording.batches}
    assert first["EEM.XNAS"] == "2003-04-11"


def test_split_adjusted_funds_move_by_a_third_only_across_the_hole(funds: list[Path]) -> None:
    recording = read(funds, ReadOptions(extra={"adjust": "splits"}))
    large = [d.examples for d in recording.defects if d.code == "large_move"]
    assert large == [("QQQ 2011-03-23",)]
    total = read(funds, ReadOptions(extra={"adjust": "all"}))
    spy = next(b.frame for b in total.batches if b.instrument_id == "SPY.XNAS")
    raw = next(b.frame for b in recording.batches if b.instrument_id == "SPY.XNAS")
    growth = [f["close"].cast(pl.Float64)[-1] / f["close"].cast(pl.Float64)[0] for f in (spy, raw)]
    assert growth[0] > 1.4 * growth[1]

"""lean-ticks on three days of BAC and IBM."""

from pathlib import Path

import polars as pl
import pytest

from ufos_adapters.files.lean_ticks import read
from ufos_nautilus.market.recording import ReadOptions
from ufos_nautilus.market.tables import validate

ROWS = {
    "bac": ({"20131007": 476_855, "20131008": 576_096, "20131009": 644_880}, (88_172, 125_872, 122_832)),
    "ibm": ({"20131007": 109_067, "20131008": 125_750, "20131009": 135_492}, (24_293, 33_381, 27_042)),
}


@pytest.mark.parametrize(("symbol", "crossed_percent"), [("bac", "0.00"), ("ibm", "0.08")])
def test_every_row_is_read_and_the_nbbo_hardly_ever_crossed(
    shared_data: Path, symbol: str, crossed_percent: str
) -> None:
    recording = read(sorted((shared_data / "us_equity_ticks" / symbol).glob("*.zip")), ReadOptions())
    (spec,) = recording.instruments
    assert (spec.instrument_id, str(spec.tick_size)) == (f"{symbol.upper()}.XNAS", "0.01")
    trades, off_touch = [], 0
    for batch in recording.batches:
        validate(batch.frame, batch.kind, spec)
        if batch.kind == "trades":
            trades.append(batch.frame.height)
            off_touch += batch.frame.filter(pl.col("aggressor_side") == "NO_AGGRESSOR").height
    quote_rows, trade_rows = ROWS[symbol]
    assert tuple(trades) == trade_rows
    facts = recording.facts
    assert facts["rows"] == sum(quote_rows.values()) + sum(trade_rows)
    # A bid row and an ask row of the same time are one quote.
    assert facts["quotes"] == sum(quote_rows.values()) // 2
    assert f"{100 * facts['crossed'] / facts['quotes']:.2f}" == crossed_percent
    assert off_touch == facts.get("aggressor_unknown", 0) <= 1


def test_bac_trades_at_the_touch_and_ibm_often_inside(shared_data: Path) -> None:
    shares = {}
    for symbol in ROWS:
        files = sorted((shared_data / "us_equity_ticks" / symbol).glob("20131008*.zip"))
        recording = read(files, ReadOptions())
        for _ in recording.batches:
            pass
        facts = recording.facts
        shares[symbol] = facts.get("aggressor_inside", 0) / facts["trades"]
    assert shares["bac"] < 0.01
    assert 0.15 < shares["ibm"] < 0.45

"""bars on the currency and crypto samples."""

from pathlib import Path

import polars as pl
import pytest

from ufos_adapters.files.bars import read
from ufos_nautilus.market.recording import Batch, ReadOptions, Recording
from ufos_nautilus.market.tables import validate


def everything(recording: Recording) -> dict[str, Batch]:
    specs = {spec.instrument_id: spec for spec in recording.instruments}
    batches = list(recording.batches)
    for batch in batches:
        validate(batch.frame, batch.kind, specs[batch.instrument_id])
    return {batch.identifier: batch for batch in batches}


def test_a_month_of_bitcoin_minutes_has_no_gap(shared_data: Path) -> None:
    files = sorted((shared_data / "crypto_bars").glob("*.csv.gz"))
    recording = read(files, ReadOptions("BTCUSD-PERP.FTX", extra={"volume_unit": "quote"}))
    frame = everything(recording)["BTCUSD-PERP.FTX-1-MINUTE-LAST-EXTERNAL"].frame
    assert frame.height == 45_031
    assert set(frame["ts_init"].diff().drop_nulls().dt.total_seconds()) == {60}
    assert frame["ts_init"].dt.strftime("%Y-%m-%d %H:%M").to_list()[0] == "2021-12-31 23:02"
    assert not recording.defects


def test_bid_and_ask_minutes_that_cross_are_dropped(shared_data: Path) -> None:
    files = sorted((shared_data / "fx").glob("fxcm_*.csv.gz"))
    recording = read(files, ReadOptions(extra={"preset": "fxcm"}))
    found = everything(recording)
    bid, ask = (found[f"GBPUSD.FXCM-1-MINUTE-{kind}-EXTERNAL"].frame for kind in ("BID", "ASK"))
    assert recording.facts == {"rows": 2 * 30_117, "crossed_close": 347}
    dropped = next(d for d in recording.defects if d.code == "crossed_bar")
    assert bid.height == ask.height == 30_117 - dropped.count
    assert (bid["ts_init"] == ask["ts_init"]).all()
    for price in ("open", "high", "low", "close"):
        assert (bid[price] <= ask[price]).all()


def test_four_pairs_of_daily_bars(shared_data: Path) -> None:
    files = sorted((shared_data / "fx").glob("oanda_daily_*.zip"))
    found = everything(read(files, ReadOptions(extra={"preset": "oanda-daily"})))
    assert len(found) == 8
    assert {batch.frame.height for batch in found.values()} == {3_738}
    first = found["EURUSD.OANDA-1-DAY-BID-EXTERNAL"].frame
    assert first.select(pl.col("open", "close").cast(pl.Float64)).row(0) == (1.31927, 1.32095)


@pytest.mark.parametrize("day", ["2020-01-01"])
def test_ticks_in_fixed_eastern_time(shared_data: Path, day: str) -> None:
    files = sorted((shared_data / "fx").glob(f"histdata_*_{day}.csv.gz"))
    frame = everything(read(files, ReadOptions(extra={"preset": "histdata-ticks"})))["EURUSD.HISTDATA"].frame
    assert frame.height == 9_500
    assert frame["ts_init"].dt.strftime("%Y-%m-%d %H:%M:%S%.3f").to_list()[0] == "2020-01-01 22:00:00.065"
    assert frame.filter(pl.col("bid_price") > pl.col("ask_price")).height == 0

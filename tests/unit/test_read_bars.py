"""The bars reader on small files."""

import datetime as dt
import gzip
import zipfile
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from ufos_adapters.files.bars import read
from ufos_nautilus import limits
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.market.recording import Batch, ReadOptions, Recording
from ufos_nautilus.market.tables import validate

HEADER = "timestamp,open,high,low,close,volume"
ROWS = [
    "2022-01-01 00:00:00,100.5,101,100,100.5,1.25",
    "2022-01-01 00:01:00,100.5,102,100.5,101.5,2",
    "2022-01-01 00:02:00,101.5,101.5,101,101,0",
]
PERP = "BTCUSDT-PERP.BINANCE"


def csv_file(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def everything(recording: Recording) -> list[Batch]:
    specs = {spec.instrument_id: spec for spec in recording.instruments}
    batches = list(recording.batches)
    for batch in batches:
        validate(batch.frame, batch.kind, specs[batch.instrument_id])
    return batches


def counts(recording: Recording) -> dict[str, tuple[int, str]]:
    return {d.code: (d.count, d.action) for d in recording.defects}


def values(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    return frame.select(
        pl.col("open", "high", "low", "close", "volume").cast(pl.Float64),
        pl.col("ts_init").dt.strftime("%Y-%m-%d %H:%M:%S"),
    ).rows()


def test_bars_are_stamped_at_their_close(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "btc.csv.gz", HEADER, *ROWS)
    recording = read([path], ReadOptions(instrument_id=PERP))
    (batch,) = everything(recording)
    assert batch.identifier == f"{PERP}-1-MINUTE-LAST-EXTERNAL"
    assert values(batch.frame)[0] == (100.5, 101, 100, 100.5, 1.25, "2022-01-01 00:01:00")
    assert not recording.defects
    (same,) = everything(read([path], ReadOptions(instrument_id=PERP, extra={"stamp": "close"})))
    assert values(same.frame)[0][-1] == "2022-01-01 00:00:00"


def test_grid_and_currencies_come_from_values_and_symbol(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "btc.csv", HEADER, *ROWS)
    (spec,) = read([path], ReadOptions(instrument_id=PERP)).instruments
    assert (spec.kind, spec.base, spec.quote) == ("crypto_perpetual", "BTC", "USDT")
    assert (spec.tick_size, spec.lot_size) == (Decimal("0.5"), Decimal("0.25"))
    (spec,) = read([path], ReadOptions("GBPUSD.SIM", "0.1", "0.01")).instruments
    assert (spec.kind, spec.base, spec.quote) == ("currency_pair", "GBP", "USD")
    assert (spec.tick_size, spec.lot_size) == (Decimal("0.1"), Decimal("0.01"))
    whole = csv_file(tmp_path, "x.csv", HEADER, "2022-01-01 00:00,1,1,1,1,5", "2022-01-01 00:01,1,1,1,1,5")
    (spec,) = read([whole], ReadOptions("ABC.XNAS")).instruments
    assert (spec.kind, spec.base, spec.quote, spec.lot_size) == ("equity", "ABC", "USD", 1)
    extra = {"kind": "crypto_perpetual", "base": "XYZ", "quote": "ABC"}
    (spec,) = read([path], ReadOptions("ODD.VENUE", extra=extra)).instruments
    assert (spec.kind, spec.base, spec.quote) == ("crypto_perpetual", "XYZ", "ABC")


def test_columns_are_mapped_by_name_or_by_number(tmp_path: Path) -> None:
    named = csv_file(tmp_path, "a.csv", "T;L;H;O;C", "1640995200000;1;3;2;2", "1640995260000;2;4;3;3")
    columns = {"time": "t", "open": "O", "high": "H", "low": "L", "close": "C"}
    extra = {**columns, "separator": ";", "time_format": "ms"}
    (batch,) = everything(read([named], ReadOptions("ABC.X", extra=extra)))
    assert values(batch.frame)[0] == (2, 3, 1, 2, 0, "2022-01-01 00:01:00")
    bare = csv_file(tmp_path, "b.csv", "01/02/2022 09:30,1,3,2,2", "01/02/2022 09:31,2,4,3,3")
    numbers = {"time": "1", "low": "2", "high": "3", "open": "4", "close": "5"}
    extra = {**numbers, "header": "no", "time_format": "%d/%m/%Y %H:%M", "tz": "America/New_York"}
    (batch,) = everything(read([bare], ReadOptions("ABC.X", extra=extra)))
    assert values(batch.frame)[0] == (2, 3, 1, 2, 0, "2022-02-01 14:31:00")


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2022-07-01T12:00:00Z", "UTC", "12:00:00"),
        ("2022-07-01T12:00:00.000+02:00", "America/New_York", "10:00:00"),
        ("2022-07-01 12:00", "America/New_York", "16:00:00"),
        ("20220701 12:00", "UTC-5", "17:00:00"),
        ("2022-07-01 12:00:00", "UTC+2", "10:00:00"),
        ("2022-07-01 12:00:00", "UTC+0", "12:00:00"),
    ],
)
def test_times_are_read_with_their_offset_or_in_the_given_zone(tmp_path: Path, text: str, zone: str, utc: str) -> None:
    path = csv_file(tmp_path, "a.csv", HEADER, f"{text},1,1,1,1,1")
    extra = {"stamp": "close", "bar_spec": "5-MINUTE", "tz": zone}
    (batch,) = everything(read([path], ReadOptions("ABC.X", extra=extra)))
    assert values(batch.frame)[0][-1] == f"2022-07-01 {utc}"


def test_parquet_gives_the_same_bars_as_text(tmp_path: Path) -> None:
    text = csv_file(tmp_path, "a.csv", HEADER, *ROWS)
    table = pl.read_csv(text, try_parse_dates=True)
    table.write_parquet(tmp_path / "a.parquet")
    found = [everything(read([p], ReadOptions(PERP)))[0].frame for p in (text, tmp_path / "a.parquet")]
    assert found[0].equals(found[1])


def test_missing_broken_and_repeated_bars_are_dropped_and_counted(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "a.csv",
        HEADER,
        ROWS[1],
        ROWS[0],
        "2022-01-01 00:02:00,101,100,99,100,1",  # high below open
        "2022-01-01 00:03:00,101,102,100.5,100,1",  # low above close
        "2022-01-01 00:04:00,,102,100,100,1",
        "2022-01-01 00:05:00,101,102,100,101,-1",
        "2022-01-01 00:06:00,0,102,0,101,1",
        "2022-01-01 00:07:00,101,102,100,101,",
        "2022-01-01 00:07:00,101,103,100,101,5",
    )
    recording = read([path], ReadOptions(PERP, extra={"bar_spec": "1-MINUTE"}))
    (batch,) = everything(recording)
    assert [row[-1][-5:] for row in values(batch.frame)] == ["01:00", "02:00", "08:00"]
    assert counts(recording) == {
        "negative_size": (1, "dropped"),
        "missing_size": (1, "repaired: 0"),
        "missing_price": (1, "dropped"),
        "broken_bar": (3, "dropped"),
        "time_backwards": (1, "repaired: sorted by time"),
        "duplicate_time": (1, "dropped"),
    }
    assert recording.defects[0].examples == ("a.csv line 7 (2022-01-01 00:05:00 UTC)",)


def test_a_bid_and_an_ask_file_are_two_bar_types_without_crossed_bars(tmp_path: Path) -> None:
    head = "timestamp,open,high,low,close"
    bid = csv_file(
        tmp_path,
        "fxcm_gbpusd_m1_bid_2012.csv",
        head,
        "2012-02-01 00:00:00+00:00,1.1,1.2,1.0,1.1",
        "2012-02-01 00:01:00+00:00,1.1,1.2,1.0,1.15",
        "2012-02-01 00:02:00+00:00,1.1,1.2,1.0,1.1",
        "2012-02-01 00:03:00+00:00,1.1,1.2,1.0,1.1",
    )
    ask = csv_file(
        tmp_path,
        "fxcm_gbpusd_m1_ask_2012.csv",
        head,
        "2012-02-01 00:00:00+00:00,1.1,1.2,1.0,1.1",
        "2012-02-01 00:01:00+00:00,1.1,1.2,1.0,1.12",
        "2012-02-01 00:02:00+00:00,1.1,1.19,1.0,1.1",
    )
    recording = read([ask, bid], ReadOptions(extra={"preset": "fxcm"}))
    bars = {b.identifier: b.frame for b in everything(recording)}
    kinds = ("BID", "ASK")
    assert list(bars) == [f"GBPUSD.FXCM-1-MINUTE-{kind}-EXTERNAL" for kind in kinds]
    assert [frame.height for frame in bars.values()] == [1, 1]
    assert counts(recording) == {
        "one_sided_bar": (1, "dropped"),
        "crossed_bar": (2, "dropped"),
        "no_sizes": (1, "repaired: 1000000 assumed"),
    }
    assert recording.facts["crossed_close"] == 1
    assert bars["GBPUSD.FXCM-1-MINUTE-BID-EXTERNAL"]["volume"][0] == 1_000_000
    kept = read([ask, bid], ReadOptions(extra={"preset": "fxcm", "crossed": "keep", "default_size": "2.5"}))
    assert [(b.frame.height, b.frame["volume"][0]) for b in everything(kept)] == [(3, Decimal("2.5"))] * 2
    assert counts(kept)["crossed_bar"] == (2, "kept")


def test_the_oanda_preset_reads_both_sides_of_several_pairs(tmp_path: Path) -> None:
    for pair in ("eurusd", "gbpusd"):
        with zipfile.ZipFile(tmp_path / f"oanda_daily_{pair}.zip", "w") as archive:
            archive.writestr(f"{pair}.csv", "20070101 00:00,1.1,1.3,1.0,1.2,0,1.2,1.4,1.1,1.3,0\n")
    recording = read(sorted(tmp_path.glob("*.zip")), ReadOptions(extra={"preset": "oanda-daily"}))
    batches = everything(recording)
    assert [b.identifier for b in batches] == [
        f"{pair}.OANDA-1-DAY-{kind}-EXTERNAL" for pair in ("EURUSD", "GBPUSD") for kind in ("BID", "ASK")
    ]
    assert values(batches[1].frame) == [(1.2, 1.4, 1.1, 1.3, 1_000_000, "2007-01-02 00:00:00")]
    with pytest.raises(SpecError, match="does not go with the others"):
        read(sorted(tmp_path.glob("*.zip")), ReadOptions(extra={"preset": "oanda-daily", "bid": "2"}))


def test_the_histdata_preset_reads_ticks_as_quotes_of_fixed_eastern_time(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "histdata_eurusd_ticks.csv",
        "20200701 170000065,1.1212,1.12172,0",
        "20200701 170000065,1.1212,1.12171,0",
        "20200701 170001000,1.1218,1.12171,0",
    )
    recording = read([path], ReadOptions(extra={"preset": "histdata-ticks"}))
    (batch,) = everything(recording)
    assert (batch.kind, batch.identifier, batch.frame.height) == ("quotes", "EURUSD.HISTDATA", 2)
    assert batch.frame["ts_init"][0] == dt.datetime(2020, 7, 1, 22, 0, 0, 65_000, tzinfo=dt.UTC)
    assert batch.frame["bid_size"][0] == 1_000_000
    assert counts(recording)["crossed_quote"] == (1, "dropped")


def test_volume_in_quote_currency_is_divided_by_the_close(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.csv", HEADER, "2022-01-01 00:00,3,3,3,3,10")
    extra = {"volume_unit": "quote", "bar_spec": "1-MINUTE"}
    (batch,) = everything(read([path], ReadOptions(PERP, extra=extra)))
    assert batch.frame["volume"][0] == Decimal("3.33333333")
    (batch,) = everything(read([path], ReadOptions(PERP, lot_size="0.1", extra=extra)))
    assert batch.frame["volume"][0] == Decimal("3.3")


def test_files_of_one_instrument_are_joined_in_order_of_time(tmp_path: Path) -> None:
    files = [csv_file(tmp_path, "b.csv", HEADER, *ROWS[1:]), csv_file(tmp_path, "a.csv", HEADER, *ROWS[:2])]
    recording = read(files, ReadOptions(PERP))
    assert everything(recording)[0].frame.height == 3
    assert counts(recording) == {"duplicate_time": (1, "dropped")}


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([HEADER, ROWS[0], "2022-01-01 00:01:00,abc,1,1,1,1"], "a.csv line 3: open is 'abc'"),
        ([HEADER, ROWS[0], "yesterday,1,1,1,1,1"], "a.csv line 3: time is 'yesterday'"),
        ([HEADER, ROWS[0], "2022-01-01 00:01:00,1,1,1,1,1,1"], "a.csv line 3 has 7 fields"),
        ([HEADER, "noon,1,1,1,1,1"], "the time 'noon' is in no known format"),
        (["timestamp,open,high,low,last", "2022-01-01 00:00,1,1,1,1"], "a.csv has no column for close (close)"),
        ([HEADER], "a.csv holds no rows"),
        ([HEADER, "2022-01-01 00:00,,,,,"], "no usable row is left"),
        ([""], "a.csv is empty"),
    ],
)
def test_bad_files_are_refused_with_file_and_line(tmp_path: Path, lines: list[str], problem: str) -> None:
    path = csv_file(tmp_path, "a.csv", *lines)
    with pytest.raises(DataError) as caught:
        read([path], ReadOptions(PERP, extra={"bar_spec": "1-MINUTE"}))
    assert problem in caught.value.problem


def test_a_price_off_the_given_tick_is_refused_with_its_line(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.csv", HEADER, *ROWS)
    with pytest.raises(DataError, match=r"a\.csv line 2: open 100\.5 is off the tick grid \(3 rows\)"):
        read([path], ReadOptions(PERP, tick_size="1"))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    packed = csv_file(tmp_path, "a.csv.gz", HEADER, *ROWS)
    packed.write_bytes(packed.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"a\.csv\.gz is truncated"):
        read([packed], ReadOptions(PERP))
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(DataError, match=r"a\.parquet can't be read as Parquet"):
        read([tmp_path / "a.parquet"], ReadOptions(PERP))


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({"preset": "none"}, "no preset 'none'"),
        ({"stamp": "middle"}, "option stamp is 'middle'"),
        ({"bar_spec": "7-FORTNIGHT"}, "bar_spec is '7-FORTNIGHT'"),
        ({"bar_spec": "90-MINUTE"}, "bar_spec '90-MINUTE'"),
        ({"tz": "Mars/Base"}, "no time zone 'Mars/Base'"),
        ({"separator": "ab"}, "option separator"),
        ({"default_size": "-1"}, "default_size"),
        ({"header": "no"}, "no column given for time, open, high, low, close"),
        ({"header": "no", "time": "t", "open": "1", "high": "2", "low": "3", "close": "4"}, "by number"),
        ({"bid_open": "1"}, "no column given for time, bid_high"),
        ({"bid": "1", "open": "2"}, "column 'open' does not go with the others"),
        ({"colour": "red"}, "bars has no option 'colour'"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, extra: dict[str, str], problem: str) -> None:
    path = csv_file(tmp_path, "a.csv", HEADER, *ROWS)
    with pytest.raises(SpecError) as caught:
        read([path], ReadOptions(PERP, extra=extra))
    assert problem in caught.value.problem


def test_what_can_not_be_told_has_to_be_given(tmp_path: Path) -> None:
    one = csv_file(tmp_path, "a.csv", HEADER, ROWS[0])
    with pytest.raises(SpecError, match=r"the instrument of a\.csv is not known"):
        read([one], ReadOptions())
    with pytest.raises(SpecError, match="the length of the bars is not known"):
        read([one], ReadOptions(PERP))
    with pytest.raises(SpecError, match="the currencies of ODD-PERP are not known"):
        read([one], ReadOptions("ODD-PERP.X"))
    other = csv_file(tmp_path, "a_bid.csv", HEADER, *ROWS)
    with pytest.raises(SpecError, match="files of BID and LAST"):
        read([one, other], ReadOptions(PERP))


def test_one_import_of_bars_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BARS_IMPORT_ROWS_MAX", 2)
    with pytest.raises(LimitExceededError, match="more than 2 rows"):
        read([csv_file(tmp_path, "a.csv", HEADER, *ROWS)], ReadOptions(PERP))

"""The daily reader on small tables."""

import datetime as dt
import zipfile
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from ufos_adapters.files.daily import read
from ufos_nautilus import limits
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.market.recording import Batch, ReadOptions, Recording
from ufos_nautilus.market.tables import validate

DAYS = [dt.date(2014, 3, day) for day in (6, 7, 10, 11)]  # the clock was set forward on the 9th


def long_table(folder: Path, closes: dict[str, list[float | None]], **columns: list[object]) -> Path:
    frame = pl.concat(
        pl.DataFrame({"date": DAYS[: len(values)], "symbol": symbol, "close": values})
        for symbol, values in closes.items()
    ).with_columns(open="close", high="close", low="close", volume=pl.lit(1000))
    frame = frame.with_columns(pl.Series(name, values) for name, values in columns.items())
    path = folder / "bars.parquet"
    frame.select("date", "symbol", "open", "high", "low", "close", "volume").write_parquet(path)
    return path


def adjusted_table(folder: Path, rows: list[tuple[dt.date, str, float | None, float | None]]) -> Path:
    path = folder / "adjusted.parquet"
    pl.DataFrame(rows, schema=["date", "symbol", "close", "adj_close"], orient="row").write_parquet(path)
    return path


def lean(folder: Path, symbol: str, bars: list[str], factors: list[str] | None = None) -> list[Path]:
    path = folder / f"{symbol}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{symbol}.csv", "\n".join(bars) + "\n")
    if factors is None:
        return [path]
    (folder / f"{symbol}.csv").write_text("\n".join(factors) + "\n")
    return [path, folder / f"{symbol}.csv"]


def everything(recording: Recording) -> dict[str, Batch]:
    specs = {spec.instrument_id: spec for spec in recording.instruments}
    batches = list(recording.batches)
    for batch in batches:
        validate(batch.frame, batch.kind, specs[batch.instrument_id])
    return {batch.instrument_id: batch for batch in batches}


def counts(recording: Recording) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {d.code: (d.count, d.examples) for d in recording.defects}


def test_each_symbol_is_one_bar_type_stamped_at_the_new_york_close(tmp_path: Path) -> None:
    recording = read([long_table(tmp_path, {"BRK.B": [100.0, 101.25, 102.0], "A": [10.0]})], ReadOptions())
    batches = everything(recording)
    assert list(batches) == ["A.XNAS", "BRK.B.XNAS"]
    bars = batches["BRK.B.XNAS"]
    assert bars.identifier == "BRK.B.XNAS-1-DAY-LAST-EXTERNAL"
    stamps = bars.frame["ts_init"].dt.strftime("%d %H:%M").to_list()
    assert stamps == ["06 21:00", "07 21:00", "10 20:00"]
    assert bars.frame["close"].to_list() == [Decimal(100), Decimal("101.25"), Decimal(102)]
    later = read([long_table(tmp_path, {"A": [10.0]})], ReadOptions(extra={"close_time": "17:30", "tz": "UTC"}))
    assert everything(later)["A.XNAS"].frame["ts_init"].dt.strftime("%H:%M").to_list() == ["17:30"]


def test_sectors_are_joined_and_the_precision_fits_every_price(tmp_path: Path) -> None:
    (tmp_path / "sectors.csv").write_text("Symbol,Name,GICS Sector\nA,Agilent,Health Care\nZ,,\n")
    files = [long_table(tmp_path, {"A": [10.5], "B": [10.125]}), tmp_path / "sectors.csv"]
    recording = read(files, ReadOptions(extra={"venue": "US"}))
    shown = {s.instrument_id: (s.sector, s.tick_size, s.price_precision) for s in recording.instruments}
    assert shown == {"A.US": ("Health Care", Decimal("0.01"), 2), "B.US": ("", Decimal("0.01"), 4)}
    assert recording.facts["without_sector"] == 1


def test_known_defects_are_dropped_or_kept_as_stated(tmp_path: Path) -> None:
    path = long_table(
        tmp_path,
        {"A": [10.0, 10.0, 10.0, 10.0], "B": [10.0, 20.0, 10.00004, 10.0]},
        open=[10.0, None, 10.0, 10.0, 10.0, 20.0, 10.00004, 10.0],
        low=[10.0, 10.0, 11.0, 10.0, 10.0, 20.0, 10.0, 10.0],
        volume=[0, 5, 5, 5, 5, 5, 5, None],
    )
    recording = read([path], ReadOptions())
    assert [b.frame.height for b in everything(recording).values()] == [2, 4]
    assert counts(recording) == {
        "missing_price": (1, ("A 2014-03-07",)),
        "broken_bar": (1, ("A 2014-03-10",)),
        "missing_volume": (1, ("B 2014-03-11",)),
        "zero_volume": (2, ("A 2014-03-06", "B 2014-03-11")),
        "large_move": (2, ("B 2014-03-07", "B 2014-03-10")),
        "finer_than_tick": (1, ("B 2014-03-10",)),
    }


def test_dividends_come_from_the_adjusted_close_in_units_of_the_bars(tmp_path: Path) -> None:
    # 0.5 on a close of 50 in the source's units, whose prices are half of those of the bars.
    adjusted = [
        (DAYS[0], "A", 50.0, 49.005),
        (DAYS[1], "A", 50.0, 49.005),
        (DAYS[2], "A", 49.5, 49.005),
        (DAYS[3], "A", 49.0, 48.51),
    ]
    files = [
        long_table(tmp_path, {"A": [100.0, 100.0, 99.0, 98.0]}),
        adjusted_table(tmp_path, [*adjusted, (DAYS[0], "B", None, None)]),
    ]
    recording = read(files, ReadOptions())
    assert recording.facts["dividends"] == {"A": [["2014-03-10", "1"]]}
    assert recording.facts["splits"] == {}
    assert counts(recording) == {"empty_adjustment": (1, ("B 2014-03-06",))}


def test_a_large_move_is_suspected_only_where_the_adjusted_close_does_not_confirm_it(tmp_path: Path) -> None:
    closes = {"REAL": [10.0, 16.0, 16.0], "SPLIT": [10.0, 5.0, 5.0], "NEW": [10.0, 5.0, 5.0]}
    known = [
        *((day, "REAL", close, close) for day, close in zip(DAYS, closes["REAL"], strict=False)),
        *((day, "SPLIT", 5.0, 5.0) for day in DAYS),
    ]
    recording = read([long_table(tmp_path, closes), adjusted_table(tmp_path, known)], ReadOptions())
    assert counts(recording) == {
        "unadjusted_move": (1, ("SPLIT 2014-03-07",)),
        "large_move": (1, ("NEW 2014-03-07",)),
    }


FACTORS = ["20140306,0.5,0.25,1", "20140307,0.5,0.25,80", "20140310,0.98,0.5,50", "20501231,1,1,0"]
BARS = [
    "20140305 00:00,10000,10000,10000,10000,7",
    "20140306 00:00,800000,800000,800000,800000,100",
    "20140307 00:00,800000,810000,800000,800000,100",
    "20140310 00:00,400000,400000,400000,400000,200",
    "20140311 00:00,200000,200000,200000,200000,400",
]


@pytest.mark.parametrize(
    ("adjust", "closes", "volumes"),
    [
        ("none", [80, 80, 40, 20], [100, 100, 200, 400]),
        ("splits", [20, 20, 20, 20], [400, 400, 400, 400]),
        ("all", [10, 10, 19.6, 20], [400, 400, 400, 400]),
    ],
)
def test_lean_bars_are_raw_or_adjusted_by_their_factors(
    tmp_path: Path, adjust: str, closes: list[float], volumes: list[int]
) -> None:
    recording = read(lean(tmp_path, "spy", BARS, FACTORS), ReadOptions(extra={"adjust": adjust}))
    frame = everything(recording)["SPY.XNAS"].frame
    assert frame["close"].cast(pl.Float64).to_list() == closes
    assert frame["volume"].cast(pl.Float64).to_list() == volumes
    assert recording.facts["splits"] == {"SPY": [["2014-03-10", "2"], ["2014-03-11", "2"]]}
    assert recording.facts["dividends"] == {"SPY": [["2014-03-10", "39.1837"], ["2014-03-11", "1"]]}
    assert counts(recording)["before_listing"] == (1, ("SPY 2014-03-05",))


def test_actions_in_a_hole_of_the_bars_are_left_out(tmp_path: Path) -> None:
    factors = ["20140306,0.5,1,1", "20140601,0.5,1,80", "20501231,1,1,0"]
    bars = [*BARS[1:], "20150310 00:00,200000,200000,200000,200000,400"]
    recording = read(lean(tmp_path, "spy", bars, factors), ReadOptions())
    assert recording.facts["dividends"] == {}


def test_factor_files_and_bars_have_to_match(tmp_path: Path) -> None:
    spy = lean(tmp_path, "spy", BARS, FACTORS)
    with pytest.raises(SpecError, match="QQQ has no factor file"):
        read([*spy, *lean(tmp_path, "qqq", BARS)], ReadOptions(extra={"adjust": "splits"}))
    (tmp_path / "iwm.csv").write_text("\n".join(FACTORS))
    with pytest.raises(SpecError, match="a factor file for IWM, but no bars"):
        read([*spy, tmp_path / "iwm.csv"], ReadOptions())
    with pytest.raises(DataError, match="the files hold no bars"):
        read([tmp_path / "iwm.csv"], ReadOptions())


def test_text_tables_are_read_like_parquet(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("Date,Symbol,Open,High,Low,Close,Volume\n2014-03-06,A,1.5,2,1,1.75,10\n2014-03-07,A,,2,1,1.75,10\n")
    recording = read([path], ReadOptions(instrument_id="A.NYSE"))
    assert everything(recording)["A.NYSE"].frame["open"].to_list() == [Decimal("1.5")]
    assert counts(recording) == {"missing_price": (1, ("A 2014-03-07",))}


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.csv", "date,symbol,open,high,low,close,volume\n2014-03-06,A,x,2,1,1.75,10\n", "a.csv line 2: open is 'x'"),
        ("a.csv", "date,symbol,open,high,low,close,volume\n06/03/2014,A,1,2,1,1.75,10\n", "a.csv row 1: date is"),
        ("a.csv", "date,symbol,open,high,low,close,volume\n2014-03-06, ,1,2,1,1.75,10\n", "a.csv row 1: symbol is ''"),
        ("a.csv", "date,symbol,open,high,low,close,volume\n", "a.csv holds no rows"),
        ("a.csv", "time,price\n1,2\n", "a.csv has columns time, price"),
        ("a.csv", "20140306 00:00,1,2,1,1,1\n20140399 00:00,1,2,1,1,1\n", "a.csv line 2: date is"),
        ("a.csv", "20140306 00:00,1,2,1,1,1\n20140307 00:00,1,2,1,1\n", "a.csv line 2 has 5 fields"),
        ("a.csv", "20140306,1,0,1\n", "a.csv line 1 is no factor line"),
        ("a.csv", "date,symbol,open,high,low,close,volume\n2014-03-06,A,1,2,1,1.75,10,11\n", "a.csv can't be read"),
        ("a.csv", "\n", "a.csv is empty"),
        ("a.parquet", "PAR1", "a.parquet can't be read as Parquet"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path: Path, name: str, text: str, problem: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        read([tmp_path / name], ReadOptions())
    assert problem in caught.value.problem


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    path = long_table(tmp_path, {"A": [10.125], "B": [10.0]})
    for options, problem in (
        (ReadOptions(extra={"adjust": "some"}), "option adjust"),
        (ReadOptions(extra={"close_time": "4 pm"}), "close_time is '4 pm'"),
        (ReadOptions(extra={"bar_spec": "1-DAY"}), "no option 'bar_spec'"),
        (ReadOptions(instrument_id="A.X"), "one instrument id for 2 symbols"),
    ):
        with pytest.raises(SpecError, match=problem):
            read([path], options)
    with pytest.raises(DataError, match=r"A 2014-03-06: 10\.125, .* are off the tick grid of 0\.01 \(1 bars\)"):
        read([path], ReadOptions(tick_size="0.01"))


def test_one_import_of_daily_bars_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BARS_IMPORT_ROWS_MAX", 3)
    with pytest.raises(LimitExceededError, match="4 rows"):
        read([long_table(tmp_path, {"A": [1.0, 1.0, 1.0, 1.0]})], ReadOptions())

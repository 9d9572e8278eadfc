"""The lean-ticks reader on small days."""

import zipfile
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from ufos_adapters.files.lean_ticks import read
from ufos_adapters.files.nbbo import carry_forward, infer_aggressors
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.market.recording import Batch, ReadOptions, Recording
from ufos_nautilus.market.tables import validate

OPEN = 34_200_000
QUOTES = [
    f"{OPEN},100000,500,0,0,P,1,0",
    f"{OPEN + 5},0,0,100200,300,Q,1,0",
    f"{OPEN + 10},100100,200,0,0,P,1,0",
    f"{OPEN + 10},0,0,100300,100,N,1,0",
    f"{OPEN + 10},100200,400,0,0,P,1,0",
    f"{OPEN + 10},0,0,100200,700,N,1,0",
    f"{OPEN + 20},100400,400,0,0,P,1,1",
    f"{OPEN + 30},100300,400,0,0,P,1,0",
]
TRADES = [
    f"{OPEN + 3},100100,100,P,1,0",
    f"{OPEN + 10},100200,100,P,,0",
    f"{OPEN + 11},100200,50,P,1,0",
    f"{OPEN + 12},100000,50,P,1,1",
    f"{OPEN + 40},100300,10,P,20,0",
]


def day_file(folder: Path, kind: str, lines: list[str], *, symbol: str = "bac", day: str = "20131008") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{day}_{kind}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{day}_{symbol}_{kind.title()}_Tick.csv", "\n".join(lines) + "\n")
    return path


def everything(recording: Recording) -> list[Batch]:
    specs = {spec.instrument_id: spec for spec in recording.instruments}
    batches = list(recording.batches)
    for batch in batches:
        validate(batch.frame, batch.kind, specs[batch.instrument_id])
    return batches


def test_sides_are_carried_forward_and_pairs_of_equal_time_are_one_quote(tmp_path: Path) -> None:
    recording = read([day_file(tmp_path, "quote", QUOTES)], ReadOptions())
    (batch,) = everything(recording)
    shown = batch.frame.select(
        pl.col("ts_init").dt.strftime("%H:%M:%S%.3f"),
        *(pl.col(c).cast(pl.Float64) for c in ("bid_price", "bid_size", "ask_price", "ask_size")),
    )
    assert shown.rows() == [
        ("13:30:00.005", 10.0, 500, 10.02, 300),
        ("13:30:00.010", 10.01, 200, 10.03, 100),
        ("13:30:00.010", 10.02, 400, 10.02, 700),
        ("13:30:00.030", 10.03, 400, 10.02, 700),
    ]
    counts = {d.code: (d.count, d.action) for d in recording.defects}
    assert counts == {"suspicious": (1, "dropped"), "locked_nbbo": (1, "kept"), "crossed_nbbo": (1, "kept")}
    assert recording.defects[0].examples == (f"{tmp_path.name}/20131008_quote.zip line 7",)
    assert recording.facts["rows"] == 8
    assert recording.facts["crossed"] == recording.facts["locked"] == 1


def test_times_follow_daylight_saving_by_the_day_in_the_file_name(tmp_path: Path) -> None:
    winter = day_file(tmp_path, "quote", QUOTES[:2], day="20131204")
    (batch,) = everything(read([winter], ReadOptions()))
    assert batch.frame["ts_init"].dt.strftime("%d %H:%M:%S%.3f")[0] == "04 14:30:00.005"


def test_aggressors_come_from_the_quote_strictly_before_the_trade(tmp_path: Path) -> None:
    files = [day_file(tmp_path, "trade", TRADES), day_file(tmp_path, "quote", QUOTES)]
    recording = read(files, ReadOptions())
    quotes, trades = everything(recording)
    assert (quotes.kind, trades.kind) == ("quotes", "trades")
    # No quote yet; at the ask of 13:30:00.005; locked market at its price after an uptick; crossed after an uptick.
    assert trades.frame["aggressor_side"].to_list() == ["NO_AGGRESSOR", "BUY", "BUY", "BUY"]
    assert trades.frame["trade_id"].to_list() == ["20131008-1", "20131008-2", "20131008-3", "20131008-5"]
    assert {k: v for k, v in recording.facts.items() if k.startswith("aggressor")} == {
        "aggressor_unknown": 1,
        "aggressor_at_nbbo": 1,
        "aggressor_tick_rule": 2,
    }


@pytest.mark.parametrize(
    ("price", "side", "rule"),
    [
        (105, "BUY", "at_nbbo"),
        (106, "BUY", "at_nbbo"),
        (104, "BUY", "inside"),
        (102, "SELL", "inside"),
        (101, "SELL", "at_nbbo"),
        (99, "SELL", "at_nbbo"),
        (103, "NO_AGGRESSOR", "unknown"),
    ],
)
def test_a_trade_is_the_buyers_above_the_midpoint_and_the_sellers_below(price: int, side: str, rule: str) -> None:
    nbbo = pl.DataFrame({"time": [1], "bid": [101], "ask": [105]})
    found = infer_aggressors(pl.DataFrame({"time": [2], "price": [price]}), nbbo)
    assert found.select("aggressor_side", "rule").row(0) == (side, rule)


def test_the_tick_rule_looks_past_trades_at_the_same_price() -> None:
    trades = pl.DataFrame({"time": [1, 2, 3, 4, 5], "price": [10, 10, 9, 9, 11]})
    sides = infer_aggressors(trades, None)["aggressor_side"].to_list()
    assert sides == ["NO_AGGRESSOR", "NO_AGGRESSOR", "SELL", "SELL", "BUY"]


def test_a_bid_and_an_ask_of_different_times_are_two_quotes() -> None:
    updates = pl.DataFrame(
        {
            "line": [1, 2, 3],
            "time": [1, 1, 2],
            "bid": [5, 0, 0],
            "bid_size": [1, 0, 0],
            "ask": [0, 7, 8],
            "ask_size": [0, 1, 2],
        }
    )
    assert carry_forward(updates).select("line", "bid", "ask").rows() == [(2, 5, 7), (3, 5, 8)]


def test_trades_between_ticks_need_precision_but_do_not_change_the_tick(tmp_path: Path) -> None:
    quote = day_file(tmp_path, "quote", QUOTES)
    assert read([quote], ReadOptions()).instruments[0].tick_size == Decimal("0.01")
    trade = day_file(tmp_path, "trade", [f"{OPEN},100150,100,D,1,0"])
    (spec,) = read([quote, trade], ReadOptions()).instruments
    assert (spec.tick_size, spec.price_precision, spec.size_precision) == (Decimal("0.01"), 4, 0)
    assert (spec.instrument_id, spec.kind, spec.quote) == ("BAC.XNAS", "equity", "USD")


def test_a_price_off_the_given_tick_is_refused_with_its_line(tmp_path: Path) -> None:
    trade = day_file(tmp_path, "trade", [*TRADES, f"{OPEN + 50},100150,100,D,1,0"])
    with pytest.raises(DataError, match=r"20131008_bac_Trade_Tick.csv line 6: price 100150 is off the tick") as caught:
        read([trade], ReadOptions(tick_size="0.01"))
    assert "tick size" in caught.value.next_step
    with pytest.raises(SpecError, match=r"tick size 0\.00003"):
        read([trade], ReadOptions(tick_size="0.00003"))


def test_days_come_in_order_and_symbols_apart(tmp_path: Path) -> None:
    files = [
        day_file(tmp_path / "bac", "quote", QUOTES, day="20131009"),
        day_file(tmp_path / "ibm", "quote", QUOTES, symbol="ibm"),
        day_file(tmp_path / "bac", "quote", QUOTES),
    ]
    recording = read(files, ReadOptions(extra={"venue": "ALL"}))
    assert [s.instrument_id for s in recording.instruments] == ["BAC.ALL", "IBM.ALL"]
    shown = [(b.identifier, b.frame["ts_init"].dt.day()[0]) for b in everything(recording)]
    assert shown == [("BAC.ALL", 8), ("BAC.ALL", 9), ("IBM.ALL", 8)]
    with pytest.raises(SpecError, match="one instrument id for 2 symbols"):
        read(files, ReadOptions(instrument_id="X.Y"))


def test_times_that_go_back_are_sorted_and_counted(tmp_path: Path) -> None:
    recording = read([day_file(tmp_path, "trade", [TRADES[1], TRADES[0]])], ReadOptions())
    (batch,) = everything(recording)
    assert batch.frame["trade_id"].to_list() == ["20131008-2", "20131008-1"]
    assert [(d.code, d.count) for d in recording.defects] == [("time_backwards", 1)]


def test_rows_without_price_or_size_are_dropped_and_counted(tmp_path: Path) -> None:
    quote = day_file(tmp_path, "quote", [f"{OPEN},0,0,0,0,P,1,0", *QUOTES[:2], f"{OPEN + 9},-1,5,0,0,P,1,0"])
    trade = day_file(tmp_path, "trade", [TRADES[0], f"{OPEN + 9},0,5,P,1,0"])
    recording = read([quote, trade], ReadOptions())
    assert [b.frame.height for b in everything(recording)] == [1, 1]
    assert {d.code: d.count for d in recording.defects} == {
        "negative": 1,
        "quote_without_price": 1,
        "trade_without_price_or_size": 1,
    }


@pytest.mark.parametrize(
    ("kind", "lines", "problem"),
    [
        ("quote", TRADES, "line 1 has 6 fields"),
        ("trade", QUOTES, "line 1 has 8 fields"),
        ("quote", [*QUOTES[:2], "what,is,this,and,that,too,or,so"], "line 3: time is 'what'"),
        ("trade", ["90000000,100100,100,P,1,0"], "line 1: time is 90000000"),
        ("quote", [""], "is empty"),
    ],
)
def test_bad_files_are_refused_with_file_and_line(tmp_path: Path, kind: str, lines: list[str], problem: str) -> None:
    path = day_file(tmp_path, kind, lines)
    with pytest.raises(DataError) as caught:
        list(read([path], ReadOptions()).batches)
    assert path.name in caught.value.problem
    assert problem in caught.value.problem


def test_files_of_another_format_truncated_or_given_twice_are_refused(tmp_path: Path) -> None:
    quote = day_file(tmp_path, "quote", QUOTES)
    other = tmp_path / "AAPL_message.csv"
    other.write_text("1,2,3")
    with pytest.raises(DataError, match="neither quotes nor trades"):
        read([other], ReadOptions())
    twin = day_file(tmp_path / "again", "quote", QUOTES)
    with pytest.raises(DataError, match="a second quote file of BAC"):
        read([quote, twin], ReadOptions())
    quote.write_bytes(quote.read_bytes()[:-40])
    with pytest.raises(DataError, match="truncated"):
        read([quote], ReadOptions())
    with pytest.raises(SpecError, match="no option 'preset'"):
        read([twin], ReadOptions(extra={"preset": "x"}))


def test_a_long_day_is_handed_over_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = day_file(tmp_path, "quote", QUOTES)
    (whole,) = everything(read([path], ReadOptions()))
    monkeypatch.setattr("ufos_adapters.files.lean_ticks.SOURCE_BATCH_ROWS", 3)
    parts = everything(read([path], ReadOptions()))
    assert [part.frame.height for part in parts] == [3, 1]
    assert pl.concat([part.frame for part in parts]).equals(whole.frame)

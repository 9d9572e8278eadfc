"""The lobster reader on short days."""

import gzip
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from ufos_adapters.files.lobster import compare_with_bbo, read
from ufos_adapters.files.order_flow import FIRST_SEED_ID
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.market.recording import Batch, ReadOptions, Recording
from ufos_nautilus.market.tables import F_LAST, F_SNAPSHOT, validate

EMPTY_ASK, EMPTY_BID = "9999999999,0", "-9999999999,0"
MESSAGES = [
    "34200.000000001,1,11,100,1000000,1",  # joins the bid of 50 from before
    "34200.5,1,12,30,1000200,-1",
    "34200.5,4,11,40,1000000,1",  # 60 left, sold into
    "34201,2,12,10,1000200,-1",  # 20 left
    "34201.25,5,0,7,1000100,-1",  # hidden
    "34202,3,99,50,1000000,1",  # an order from before
    "34203,3,12,20,1000200,-1",
    "34204,4,98,5,1000300,-1",  # another one from before
    "34205,3,97,5,990000,1",  # not in the book
    "34206,7,0,0,-1,-1",  # halt
    "34207,6,0,500,1000150,-1",  # auction
]
# ask, ask size, bid, bid size
BOOK = f"1000300,25,1000000,150,{EMPTY_ASK},{EMPTY_BID}"
BBO = [
    "1000300,25,1000000,150",
    "1000200,30,1000000,150",
    "1000200,30,1000000,110",
    "1000200,20,1000000,110",
    "1000200,20,1000000,110",
    "1000200,20,1000000,60",
    "1000300,25,1000000,60",
    "1000300,20,1000000,60",
    "1000300,20,1000000,60",
    "1000300,20,1000000,60",
    "1000300,20,1000000,60",
]


def lobster_file(folder: Path, kind: str, lines: list[str], *, symbol: str = "AAPL", day: str = "2012-06-21") -> Path:
    path = folder / f"{symbol}_{day}_34200000_37800000_{kind}.csv.gz"
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return path


@pytest.fixture
def day(tmp_path: Path) -> list[Path]:
    return [
        lobster_file(tmp_path, "message_2", MESSAGES),
        lobster_file(tmp_path, "orderbook_2", [BOOK]),
        lobster_file(tmp_path, "bbo", BBO),
    ]


def tables(recording: Recording) -> dict[str, Batch]:
    specs = {spec.instrument_id: spec for spec in recording.instruments}
    batches = {batch.kind: batch for batch in recording.batches}
    for batch in batches.values():
        validate(batch.frame, batch.kind, specs[batch.instrument_id])
    return batches


def test_messages_become_an_order_by_order_book(day: list[Path]) -> None:
    recording = read(day, ReadOptions())
    rows = tables(recording)["order_book_deltas"].frame.select(
        "action", "side", pl.col("price", "size").cast(pl.Float64), "order_id", "flags", "sequence"
    )
    seed_bid, seed_ask = FIRST_SEED_ID + 1, FIRST_SEED_ID
    assert rows.rows() == [
        ("CLEAR", "NO_ORDER_SIDE", 0, 0, 0, F_SNAPSHOT, 0),
        ("ADD", "SELL", 100.03, 25, seed_ask, F_SNAPSHOT, 0),
        ("ADD", "BUY", 100.0, 50, seed_bid, F_SNAPSHOT | F_LAST, 0),
        ("ADD", "BUY", 100.0, 100, 11, F_LAST, 1),
        ("ADD", "SELL", 100.02, 30, 12, F_LAST, 2),
        ("UPDATE", "BUY", 100.0, 60, 11, F_LAST, 3),
        ("UPDATE", "SELL", 100.02, 20, 12, F_LAST, 4),
        ("DELETE", "BUY", 100.0, 0, seed_bid, F_LAST, 6),
        ("DELETE", "SELL", 100.02, 0, 12, F_LAST, 7),
        ("UPDATE", "SELL", 100.03, 20, seed_ask, F_LAST, 8),
    ]
    assert [(d.code, d.count) for d in recording.defects] == [("unknown_order", 1)]
    assert "line 9" in recording.defects[0].examples[0]


def test_the_rebuilt_book_is_compared_with_the_recorded_one(day: list[Path]) -> None:
    recording = read(day, ReadOptions())
    tables(recording)
    assert recording.facts["bbo_rows"] == recording.facts["bbo_equal"] == len(MESSAGES)
    assert recording.facts["bbo_agreement"] == "1.00000"


def test_without_a_book_file_the_book_fills_up_from_empty(day: list[Path]) -> None:
    recording = read([day[0], day[2]], ReadOptions())
    frame = tables(recording)["order_book_deltas"].frame
    assert frame.select("action", "flags").row(0) == ("CLEAR", F_SNAPSHOT | F_LAST)
    assert {d.code: d.count for d in recording.defects} == {"unknown_order": 3}
    # Only once the unknown order has gone are the known ones all there are at the touch.
    assert recording.facts["bbo_equal"] == 1
    assert recording.facts["one_sided_rows"] == 1 + 5


def test_quotes_are_the_changes_of_the_best_prices_and_sizes(day: list[Path]) -> None:
    frame = tables(read(day, ReadOptions()))["quotes"].frame
    shown = frame.select(pl.col("bid_price", "bid_size", "ask_price", "ask_size").cast(pl.Float64), "ts_init")
    assert shown.drop("ts_init").rows() == [
        (100.0, 150, 100.03, 25),
        (100.0, 150, 100.02, 30),
        (100.0, 110, 100.02, 30),
        (100.0, 110, 100.02, 20),
        (100.0, 60, 100.02, 20),
        (100.0, 60, 100.03, 25),
        (100.0, 60, 100.03, 20),
    ]
    assert shown["ts_init"].to_physical()[0] == 1340285400000000001


def test_trades_are_visible_and_hidden_executions_with_the_opposite_aggressor(day: list[Path]) -> None:
    frame = tables(read(day, ReadOptions()))["trades"].frame
    assert frame.select("aggressor_side", "trade_id", pl.col("price", "size").cast(pl.Float64)).rows() == [
        ("SELL", "20120621-3", 100.0, 40),
        ("BUY", "20120621-5", 100.01, 7),
        ("BUY", "20120621-8", 100.03, 5),
        ("NO_AGGRESSOR", "20120621-11", 100.015, 500),
    ]


def test_hidden_executions_need_precision_but_do_not_change_the_tick(tmp_path: Path) -> None:
    path = lobster_file(tmp_path, "message_1", MESSAGES[:-1])
    assert read([path], ReadOptions()).instruments[0].tick_size == Decimal("0.01")
    lobster_file(tmp_path, "message_1", MESSAGES)
    spec = read([path], ReadOptions()).instruments[0]
    assert (spec.tick_size, spec.price_precision) == (Decimal("0.01"), 4)
    with pytest.raises(DataError, match=r"line 11: price 1000150 is off the tick grid"):
        read([path], ReadOptions(tick_size="0.01"))


def test_a_message_that_takes_more_than_is_left_takes_what_is_left(tmp_path: Path) -> None:
    path = lobster_file(tmp_path, "message_1", [*MESSAGES[:2], "34203,4,11,150,1000000,1", "34204,3,12,5,1000200,-1"])
    recording = read([path], ReadOptions())
    frame = tables(recording)["order_book_deltas"].frame
    assert frame["action"].to_list()[-2:] == ["DELETE", "DELETE"]
    assert {d.code: d.count for d in recording.defects} == {"size_mismatch": 2}


def test_an_order_added_twice_or_used_after_its_end_is_counted(tmp_path: Path) -> None:
    again = [*MESSAGES[:2], "34203,1,11,5,1000000,1", "34204,3,11,100,1000000,1", "34205,4,11,1,1000000,1"]
    recording = read([lobster_file(tmp_path, "message_1", again)], ReadOptions())
    assert tables(recording)["order_book_deltas"].frame.height == 1 + 3
    assert {d.code: d.count for d in recording.defects} == {"duplicate_order": 1, "unknown_order": 1}


def test_a_time_that_goes_back_is_held(tmp_path: Path) -> None:
    recording = read([lobster_file(tmp_path, "message_1", [MESSAGES[1], MESSAGES[0]])], ReadOptions())
    frame = tables(recording)["order_book_deltas"].frame
    assert frame["ts_init"].n_unique() == 1
    assert [(d.code, d.count) for d in recording.defects] == [("time_backwards", 1)]


def test_a_book_file_of_other_messages_is_refused(tmp_path: Path, day: list[Path]) -> None:
    lobster_file(tmp_path, "orderbook_2", [f"1000300,25,1000100,150,{EMPTY_ASK},{EMPTY_BID}"])
    with pytest.raises(DataError, match="lacks the order that the first message added"):
        list(read(day, ReadOptions()).batches)


@pytest.mark.parametrize("line", ["1,2,3", "a,b,c,d"])
def test_a_book_file_that_is_none_is_refused(tmp_path: Path, day: list[Path], line: str) -> None:
    lobster_file(tmp_path, "orderbook_2", [line])
    with pytest.raises(DataError, match="line 1 is no book"):
        list(read(day, ReadOptions()).batches)


def test_a_truth_longer_than_the_messages_is_refused(tmp_path: Path, day: list[Path]) -> None:
    lobster_file(tmp_path, "bbo", [*BBO, BBO[-1]])
    with pytest.raises(DataError, match="has 12 rows for 11 messages"):
        list(read(day, ReadOptions()).batches)


def test_empty_levels_of_the_truth_agree_with_an_empty_side() -> None:
    names = ("ask", "ask_size", "bid", "bid_size")
    best = pl.DataFrame([(None, None, 5, 1), (7, 1, 5, 1)], schema=dict.fromkeys(names, pl.Int64), orient="row")
    truth = pl.DataFrame([(9_999_999_999, 0, 5, 1), (7, 2, 5, 1)], schema=dict.fromkeys(names, pl.Int64), orient="row")
    found = compare_with_bbo(best, truth)
    assert (found.rows, found.equal, found.share) == (2, 1, 0.5)


def test_days_come_in_order_each_with_a_cleared_book(tmp_path: Path) -> None:
    files = [lobster_file(tmp_path, "message_1", MESSAGES[:2], day=day) for day in ("2012-06-22", "2012-06-21")]
    recording = read(files, ReadOptions(extra={"venue": "ITCH"}))
    deltas = [b.frame for b in recording.batches if b.kind == "order_book_deltas"]
    assert [f["ts_init"].dt.day()[0] for f in deltas] == [21, 22]
    assert [f["action"][0] for f in deltas] == ["CLEAR", "CLEAR"]
    assert recording.instruments[0].instrument_id == "AAPL.ITCH"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([*MESSAGES[:2], "34203,4,11,150,1000000"], "line 3 has 5 fields"),
        ([*MESSAGES[:2], "noon,4,11,150,1000000,1"], "line 3: time is 'noon'"),
        (["34203,8,11,150,1000000,1"], "line 1: type is 8"),
        (["34203,1,11,150,1000000,0"], "line 1: direction is 0"),
        (["34203,1,11,0,1000000,1"], "line 1: size is 0"),
        (["34203,1,11,10,-5,1"], "line 1: price is -5"),
        (["86400,1,11,10,5,1"], "line 1: time is 86400"),
        ([""], "is empty"),
    ],
)
def test_bad_messages_are_refused_with_file_and_line(tmp_path: Path, lines: list[str], problem: str) -> None:
    path = lobster_file(tmp_path, "message_1", lines)
    with pytest.raises(DataError) as caught:
        read([path], ReadOptions())
    assert path.name in caught.value.problem
    assert problem in caught.value.problem


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path, day: list[Path]) -> None:
    with pytest.raises(DataError, match="comes without its message file"):
        read([day[1]], ReadOptions())
    with pytest.raises(SpecError, match="a second symbol"):
        read([*day, lobster_file(tmp_path, "message_2", MESSAGES, symbol="MSFT")], ReadOptions())
    with pytest.raises(DataError, match="no LOBSTER file by its name"):
        read([tmp_path / "20131008_quote.zip"], ReadOptions())
    day[0].write_bytes(day[0].read_bytes()[:-10])
    with pytest.raises(DataError, match="truncated"):
        read(day, ReadOptions())

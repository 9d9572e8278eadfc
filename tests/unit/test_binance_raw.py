"""Raw Binance recordings: the join of snapshot and updates, times, grids and instruments of all three markets."""

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.raw_recording import START_MS, RawRecording, good
from ufos_adapters.files.binance_market import clock_shift_ns
from ufos_adapters.files.binance_raw import read
from ufos_adapters.files.binance_rows import Store
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import ReadOptions, Recording
from ufos_nautilus.market.tables import F_LAST, F_SNAPSHOT, SCHEMAS, validate


def load(path: Path | list[Path], **options: object) -> tuple[InstrumentSpec, dict[str, pl.DataFrame], Recording]:
    recording = read(path if isinstance(path, list) else [path], ReadOptions(**options))  # type: ignore[arg-type]
    (spec,) = recording.instruments
    frames: dict[str, list[pl.DataFrame]] = {kind: [] for kind in SCHEMAS}
    for batch in recording.batches:
        validate(batch.frame, batch.kind, spec)
        frames[batch.kind].append(batch.frame)
    return spec, {kind: pl.concat(parts) for kind, parts in frames.items() if parts}, recording


def defects(recording: Recording) -> dict[str, int]:
    return {d.code: d.count for d in recording.defects}


def rows(deltas: pl.DataFrame) -> list[tuple[str, str, str, str, int]]:
    columns = deltas.select("action", "side", "price", "size", "flags").rows()
    return [(a, s, f"{p.normalize():f}", f"{q.normalize():f}", f) for a, s, p, q, f in columns]


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_snapshot_and_updates_join_into_one_book(market, tmp_path):
    _, tables, recording = load(good(market).write(tmp_path / "a.gz"))
    last = F_SNAPSHOT | F_LAST
    assert rows(tables["order_book_deltas"]) == [
        ("CLEAR", "NO_ORDER_SIDE", "0", "0", F_SNAPSHOT),
        ("ADD", "BUY", "99.9", "5", F_SNAPSHOT),
        ("ADD", "BUY", "99.8", "4", F_SNAPSHOT),
        ("ADD", "BUY", "99.7", "1", F_SNAPSHOT),
        ("ADD", "SELL", "100.1", "6", F_SNAPSHOT),
        ("ADD", "SELL", "100.2", "2", last),
        ("DELETE", "BUY", "99.9", "0", 0),
        ("ADD", "SELL", "100", "7", F_LAST),
        ("UPDATE", "SELL", "100.1", "6.5", F_LAST),
    ]
    assert defects(recording) == {"clock_shift": 9, "unknown_level_delete": 1}
    assert (recording.facts["gaps"], recording.facts["crossed"]) == (0, 0)


def test_the_book_starts_when_the_snapshot_has_come(tmp_path):
    raw = good()
    _, tables, recording = load(raw.write(tmp_path / "a.gz"))
    received = int(raw.lines[2].split()[0]) + recording.facts["clock_shift_ms"] * 1_000_000
    assert tables["order_book_deltas"]["ts_init"].to_physical()[0] == received


def test_one_constant_moves_all_receive_times_so_that_the_least_latency_is_positive(tmp_path):
    raw = good()
    raw.stream("bookTicker", {"u": 1, "b": "99.80", "B": "1.000", "a": "100.00", "A": "1.000"})
    second = RawRecording()
    second.ms = raw.ms
    second.ticker("99.80", "100.00")
    files = [raw.write(tmp_path / "a.gz"), second.write(tmp_path / "b.gz")]
    _, tables, recording = load(files)
    assert recording.facts["clock_shift_ms"] == 1_270
    quotes = tables["quotes"]
    shift = 1_270_000_000
    wanted = [int(line.split()[0]) + shift for line in (*raw.lines, *second.lines) if "bookTicker" in line]
    assert quotes["ts_init"].to_physical().to_list() == wanted
    least = (quotes["ts_init"] - quotes["ts_event"]).min()
    assert least.total_seconds() > 0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("least", "shift"), [(None, 0), (1, 0), (0, 1_000_000), (-1, 1_000_000), (-1_500_000, 2_000_000)]
)
def test_the_clock_shift_is_the_least_whole_millisecond_that_helps(least, shift):
    assert clock_shift_ns(least) == shift
    assert least is None or least + shift > 0


def test_event_times_are_the_exchanges_where_it_gives_any(tmp_path):
    _, spot, recording = load(good("spot").write(tmp_path / "spot.gz"))
    assert (spot["quotes"]["ts_event"] == spot["quotes"]["ts_init"]).all()
    updates = spot["order_book_deltas"].filter(pl.col("flags") & F_SNAPSHOT == 0)
    assert updates["ts_event"].to_physical()[0] == (START_MS + 400) * 1_000_000
    _, usdm, recording = load(good("usdm").write(tmp_path / "usdm.gz"))
    assert usdm["trades"]["ts_event"].to_physical().to_list() == [
        (START_MS + n) * 1_000_000 - 1_000_000 for n in (500, 600)
    ]
    assert recording.facts["market"] == "usdm"


def test_trades_carry_the_aggressor_and_exact_decimals(tmp_path):
    _, tables, _ = load(good().write(tmp_path / "a.gz"))
    trades = tables["trades"]
    assert trades["aggressor_side"].to_list() == ["BUY", "SELL"]
    assert trades["price"].to_list() == [Decimal("100.00"), Decimal("99.80")]
    assert trades["size"].to_list() == [Decimal("0.01"), Decimal("0.023")]
    assert trades["trade_id"].to_list() == ["1", "2"]


@pytest.mark.parametrize(
    ("market", "symbol", "instrument_id", "currencies", "multiplier"),
    [
        ("spot", "ETHBTC", "ETHBTC.BINANCE", ("ETH", "BTC", "BTC"), 1),
        ("usdm", "1000PEPEUSDC", "1000PEPEUSDC-PERP.BINANCE", ("1000PEPE", "USDC", "USDC"), 1),
        ("cm", "BTCUSD_PERP", "BTCUSD-PERP.BINANCE", ("BTC", "USD", "BTC"), 100),
        ("cm", "ETHUSD_PERP", "ETHUSD-PERP.BINANCE", ("ETH", "USD", "ETH"), 10),
    ],
)
def test_the_instrument_follows_from_the_messages(market, symbol, instrument_id, currencies, multiplier, tmp_path):
    spec, _, recording = load(good(market, symbol).write(tmp_path / "any_name.gz"))
    assert spec.instrument_id == instrument_id
    assert (spec.base, spec.quote, spec.settlement) == currencies
    assert spec.multiplier == multiplier
    assert spec.inverse == (market == "cm")
    assert recording.facts["market"] == market


def test_the_grid_is_found_and_options_override_it(tmp_path):
    path = good().write(tmp_path / "a.gz")
    spec, _, _ = load(path)
    assert (spec.tick_size, spec.price_precision) == (Decimal("0.1"), 1)
    assert (spec.lot_size, spec.size_precision) == (Decimal("0.001"), 3)
    spec, _, _ = load(path, tick_size="0.01", lot_size="0.0001", instrument_id="XBT.TEST")
    assert (spec.tick_size, spec.lot_size, spec.instrument_id) == (Decimal("0.01"), Decimal("0.0001"), "XBT.TEST")


def test_resting_sizes_off_the_lot_widen_the_precision_and_not_the_lot(tmp_path):
    raw = good()
    raw.depth([("99.60", "0.0000125")])
    spec, _, _ = load(raw.write(tmp_path / "a.gz"))
    assert (spec.lot_size, spec.size_precision) == (Decimal("0.001"), 7)


def test_files_are_read_in_the_order_of_their_times(tmp_path):
    raw = good()
    late, early = raw.write(tmp_path / "a.gz", raw.lines[5:]), raw.write(tmp_path / "b.gz", raw.lines[:5])
    _, split, _ = load([late, early])
    _, whole, _ = load(raw.write(tmp_path / "c.gz"))
    assert all(split[kind].equals(whole[kind]) for kind in whole)


def test_plain_files_and_blank_lines_are_read_too(tmp_path):
    raw = good()
    _, plain, _ = load(raw.write(tmp_path / "a.txt", [*raw.lines, ""]))
    _, packed, _ = load(raw.write(tmp_path / "a.gz"))
    assert all(plain[kind].equals(packed[kind]) for kind in packed)


def test_repeated_trades_void_trades_and_other_streams_are_left_out_and_counted(tmp_path):
    raw = good()
    raw.trade(2, "99.80")
    raw.trade(3, "0", "0")
    raw.trade(7, "99.80")
    raw.stream("markPrice", {"p": "1"})
    raw.add({"result": None, "id": 1})
    _, tables, recording = load(raw.write(tmp_path / "a.gz"))
    assert tables["trades"]["trade_id"].to_list() == ["1", "2", "7"]
    found = defects(recording)
    assert (found["duplicate_trade"], found["void_trade"], found["trade_id_gap"], found["other_stream"]) == (1, 1, 1, 2)
    assert recording.defects[-1].examples == () or "a.gz line" in recording.defects[-1].examples[0]


def test_repeated_depth_updates_and_later_snapshots_are_left_out(tmp_path):
    raw = good()
    raw.lines.append(raw.lines[-2])  # the last depth update once more, received in time order
    raw.lines[-1] = f"{raw.lines[-2].split()[0]} {raw.lines[-1].split(' ', 1)[1]}"
    raw.snapshot([("99.80", "4.000")], [("100.00", "7.000")])
    _, tables, recording = load(raw.write(tmp_path / "a.gz"))
    assert defects(recording)["duplicate_depth"] == 1
    assert defects(recording)["extra_snapshot"] == 1
    assert len(tables["order_book_deltas"]) == 9


def test_a_small_step_back_of_the_clock_is_levelled_and_counted(tmp_path):
    raw = good()
    raw.ms -= 150
    raw.ticker("99.80", "100.00")
    _, tables, recording = load(raw.write(tmp_path / "a.gz"))
    assert defects(recording)["time_backwards"] == 1
    assert tables["quotes"]["ts_init"].is_sorted()


def test_a_crossed_book_is_counted(tmp_path):
    raw = good()
    raw.depth([("100.20", "1.000")])
    raw.depth([("100.20", "0.000"), ("100.00", "1.000")])
    _, _, recording = load(raw.write(tmp_path / "a.gz"))
    assert recording.facts["crossed"] == defects(recording)["crossed_book"] == 2


def test_a_gap_may_empty_the_book_until_the_next_snapshot(tmp_path):
    raw = good()
    raw.depth([("99.00", "1.000")], skip=5)
    raw.snapshot([("98.00", "1.000")], [("99.00", "2.000")])
    raw.depth([("98.10", "1.000")])
    _, tables, recording = load(raw.write(tmp_path / "a.gz"), extra={"gaps": "resync"})
    assert recording.facts["gaps"] == defects(recording)["sequence_gap"] == 1
    assert rows(tables["order_book_deltas"])[9:] == [
        ("CLEAR", "NO_ORDER_SIDE", "0", "0", F_LAST),
        ("CLEAR", "NO_ORDER_SIDE", "0", "0", F_SNAPSHOT),
        ("ADD", "BUY", "99", "1", F_SNAPSHOT),
        ("ADD", "BUY", "98", "1", F_SNAPSHOT),
        ("ADD", "SELL", "99", "2", F_SNAPSHOT | F_LAST),
        ("ADD", "BUY", "98.1", "1", F_LAST),
    ]


def test_updates_after_the_last_gap_without_a_snapshot_are_counted(tmp_path):
    raw = good()
    raw.depth([("99.00", "1.000")], skip=5)
    raw.depth([("99.00", "1.500")])
    _, _, recording = load(raw.write(tmp_path / "a.gz"), extra={"gaps": "resync"})
    assert defects(recording)["unsynchronised_depth"] == 2


def test_progress_counts_every_line(tmp_path):
    seen: list[int] = []
    load(good().write(tmp_path / "a.gz"), progress=seen.append)
    assert sum(seen) == 9


def test_frames_beyond_the_memory_limit_wait_on_disk_and_come_back_equal(tmp_path):
    _, tables, _ = load(good().write(tmp_path / "a.gz"))
    quotes = tables["quotes"]
    store = Store(rows_in_memory_max=quotes.height)
    for _ in range(3):
        store.add("quotes", quotes)
    folder = store._folder
    assert folder is not None
    assert len(list(folder.iterdir())) == 2
    assert [frame.equals(quotes) for _, frame in store.drain(0)] == [True] * 3
    assert not list(folder.iterdir())
    del store
    assert not folder.exists()

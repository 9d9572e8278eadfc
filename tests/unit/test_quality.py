"""Quality checks: each rule finds what it is for, and clean data has no findings."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from tests.catalog_factory import put, trades
from ufos_nautilus.market import quality, quality_rows
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.quality import RULES, check_catalog, check_table
from ufos_nautilus.market.quality_rows import Finding
from ufos_nautilus.market.tables import F_LAST, F_SNAPSHOT, decimal_column, utc_ns

S = 1_000_000_000
START = 1_700_000_000 * S


def times(count: int, step: int = S) -> list[int]:
    return [START + i * step for i in range(count)]


def with_times(columns: dict[str, Any], ns: Sequence[int]) -> pl.DataFrame:
    return pl.DataFrame({**columns, "ts_event": utc_ns(ns), "ts_init": utc_ns(ns)})


def quotes(rows: Sequence[tuple[str, str, str, str]], ns: Sequence[int] | None = None) -> pl.DataFrame:
    names = ("bid_price", "ask_price", "bid_size", "ask_size")
    columns = {name: decimal_column([row[i] for row in rows]) for i, name in enumerate(names)}
    return with_times(columns, ns or times(len(rows)))


def bars(rows: Sequence[tuple[str, str, str, str, str]], ns: Sequence[int] | None = None) -> pl.DataFrame:
    names = ("open", "high", "low", "close", "volume")
    columns = {name: decimal_column([row[i] for row in rows]) for i, name in enumerate(names)}
    return with_times(columns, ns or times(len(rows), 60 * S))


def deltas(rows: Sequence[tuple[str, str, str, int, int]]) -> pl.DataFrame:
    """Action, side, price, order id and flags."""
    columns: dict[str, Any] = {
        "action": [r[0] for r in rows],
        "side": [r[1] for r in rows],
        "price": decimal_column([r[2] for r in rows]),
        "size": decimal_column(["1"] * len(rows)),
        "order_id": pl.Series([r[3] for r in rows], dtype=pl.UInt64),
        "flags": pl.Series([r[4] for r in rows], dtype=pl.UInt8),
        "sequence": pl.Series(range(len(rows)), dtype=pl.UInt64),
    }
    return with_times(columns, times(len(rows)))


def found(findings: list[Finding]) -> dict[str, tuple[str, int]]:
    assert {f.code for f in findings} <= RULES.keys()
    return {f.code: (f.severity, f.count) for f in findings}


GOOD_QUOTE = ("10.00", "10.02", "5", "5")
GOOD_BAR = ("10", "11", "9", "10", "5")
BOOK = [
    ("CLEAR", "NO_ORDER_SIDE", "0", 0, F_SNAPSHOT),
    ("ADD", "BUY", "10", 0, F_SNAPSHOT),
    ("ADD", "SELL", "12", 0, F_SNAPSHOT | F_LAST),
]


def test_clean_tables_have_no_findings():
    assert check_table("quotes", quotes([GOOD_QUOTE, ("10.00", "10.02", "5", "6")])) == []
    assert check_table("trades", trades(times(50))) == []
    assert check_table("bars", bars([GOOD_BAR] * 50)) == []
    assert check_table("order_book_deltas", deltas([*BOOK, ("UPDATE", "BUY", "10", 0, F_LAST)])) == []


def test_an_empty_table_has_no_findings():
    assert check_table("trades", trades([])) == []


def test_time_that_goes_back_and_events_after_their_receipt_are_errors():
    frame = trades([START, START + 3 * S, START + 2 * S, START + 4 * S])
    assert found(check_table("trades", frame)) == {"time_backwards": ("error", 1)}
    late = frame.sort("ts_init").with_columns(ts_event=pl.col("ts_event") + pl.duration(milliseconds=1))
    assert found(check_table("trades", late)) == {"clock_shift": ("error", 4)}


def test_silence_is_a_gap_only_where_it_is_unusual():
    lively = [*times(200), START + 200 * S + 300 * S]
    (finding,) = check_table("trades", trades(lively))
    assert (finding.code, finding.severity, finding.count) == ("gap", "warning", 1)
    assert finding.examples == ("2023-11-14T22:16:39.000000000Z + 301.0 s",)
    assert check_table("trades", trades(times(200, 300 * S))) == []


def test_the_longest_silences_are_kept_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(quality_rows, "CHECK_GAPS_KEPT_MAX", 2)
    busy = [START + i for i in range(3000)]
    quiet = [START + k * 1000 * S for k in (1, 2, 4, 7)]
    assert found(check_table("trades", trades([*busy, *quiet]))) == {"gap": ("warning", 2)}


def test_trades_repeated_or_without_price_or_size_are_errors():
    frame = trades(times(4)).with_columns(trade_id=pl.Series(["1", "2", "2", "3"]))
    assert found(check_table("trades", frame)) == {"duplicate": ("error", 1)}
    zero = trades(times(4)).with_columns(size=decimal_column(["1", "0", "1", "1"]))
    assert found(check_table("trades", zero)) == {"non_positive": ("error", 1)}


def test_outliers_stand_out_from_the_prices_around_them():
    prices = [f"{100 + (i % 7) * 0.01:.2f}" for i in range(400)]
    prices[200], prices[399] = "150.00", "60.00"
    (finding,) = check_table("trades", trades(times(400)).with_columns(price=decimal_column(prices)))
    assert (finding.code, finding.severity, finding.count) == ("outlier", "warning", 2)
    assert "150" in finding.examples[0]
    level_shift = [*prices[:190], *["120.00"] * 200]
    assert check_table("trades", trades(times(390)).with_columns(price=decimal_column(level_shift))) == []


def test_quotes_one_sided_locked_crossed_and_repeated_are_told_apart():
    ns = [START, START + S, START + 2 * S, START + 3 * S, START + 3 * S]
    frame = quotes([GOOD_QUOTE, ("10.00", "0", "5", "0"), ("10.00", "10.00", "1", "1"), GOOD_QUOTE, GOOD_QUOTE], ns)
    assert found(check_table("quotes", frame)) == {
        "one_sided": ("warning", 1),
        "locked": ("info", 1),
        "duplicate": ("warning", 1),
    }


@pytest.mark.parametrize(("count", "severity"), [(100, "error"), (2_000, "warning")])
def test_crossed_quotes_are_an_error_unless_they_are_rare(count, severity):
    rows: list[tuple[str, str, str, str]] = [GOOD_QUOTE] * count
    rows[50] = ("10.03", "10.02", "1", "1")
    assert found(check_table("quotes", quotes(rows)))["crossed"] == (severity, 1)


def test_bad_bars_are_found():
    rows: list[tuple[str, str, str, str, str]] = [GOOD_BAR] * 9
    rows[1] = ("10", "11", "10.5", "10", "5")
    rows[3] = ("10", "9.5", "9", "10", "5")
    rows[5] = ("10", "11", "0", "10", "5")
    rows[7] = ("10", "11", "9", "10", "0")
    assert found(check_table("bars", bars(rows))) == {
        "bad_bar": ("error", 2),
        "non_positive": ("error", 1),
        "zero_volume": ("warning", 1),
    }


def test_bars_missing_repeated_or_with_a_jump_are_found():
    ns = [START + i * 60 * S for i in (0, 1, 2, 2, 3, 6, 7)]
    rows = [GOOD_BAR] * 6 + [("20", "21", "19", "20", "5")]
    assert found(check_table("bars", bars(rows, ns))) == {
        "duplicate": ("error", 1),
        "missing_bar": ("warning", 1),
        "jump": ("warning", 1),
    }


def test_weekends_are_no_missing_daily_bars_but_a_week_is():
    days = [d for d in range(60) if d % 7 < 5 and not 30 <= d < 37]
    ns = [START + d * 86_400 * S for d in days]
    assert found(check_table("bars", bars([GOOD_BAR] * len(days), ns))) == {"missing_bar": ("warning", 1)}


def test_a_crossed_locked_or_one_sided_book_is_found_after_each_event():
    rows = [
        *BOOK,
        ("ADD", "BUY", "13", 0, F_LAST),
        ("DELETE", "BUY", "13", 0, 0),
        ("ADD", "BUY", "12", 0, F_LAST),
        ("DELETE", "BUY", "12", 0, 0),
        ("DELETE", "SELL", "12", 0, F_LAST),
    ]
    assert found(check_table("order_book_deltas", deltas(rows))) == {
        "crossed_book": ("error", 1),
        "locked_book": ("info", 1),
        "one_sided_book": ("warning", 1),
    }


def test_books_by_order_keep_a_level_until_its_last_order_leaves():
    rows = [
        ("ADD", "BUY", "10", 1, F_LAST),
        ("ADD", "BUY", "10", 2, F_LAST),
        ("ADD", "SELL", "11", 3, F_LAST),
        ("DELETE", "BUY", "10", 1, F_LAST),
        ("UPDATE", "SELL", "10", 3, F_LAST),  # the order moves onto the remaining bid
        ("DELETE", "BUY", "10", 2, F_LAST),
    ]
    assert found(check_table("order_book_deltas", deltas(rows))) == {
        "locked_book": ("info", 1),
        "one_sided_book": ("warning", 1),
    }


def test_changes_of_what_is_not_there_and_an_unfinished_event_are_found():
    rows = [*BOOK, ("DELETE", "BUY", "9", 0, 0), ("UPDATE", "SELL", "15", 0, 0)]
    assert found(check_table("order_book_deltas", deltas(rows))) == {
        "unknown_order": ("warning", 2),
        "unfinished_event": ("error", 1),
    }


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_findings_do_not_depend_on_the_size_of_the_chunks(monkeypatch, rows):
    prices = [f"{100 + (i % 5) * 0.01:.2f}" for i in range(300)]
    prices[63], prices[64], prices[130] = "150.00", "151.00", "50.00"
    frame = trades([*times(299), START + 900 * S]).with_columns(price=decimal_column(prices))
    made = quotes([GOOD_QUOTE, GOOD_QUOTE, ("10.03", "10.02", "1", "1")] * 30, [START] * 2 + times(88))
    barred = bars([GOOD_BAR, ("10", "9", "9", "10", "5"), ("20", "21", "19", "20", "5")] * 30)
    booked = deltas([*BOOK, ("ADD", "BUY", "13", 0, F_LAST), ("DELETE", "SELL", "1", 0, F_LAST)] * 20)
    tables = {"trades": frame, "quotes": made, "bars": barred, "order_book_deltas": booked}
    whole = {kind: check_table(kind, table) for kind, table in tables.items()}  # type: ignore[arg-type]
    monkeypatch.setattr(quality, "CHECK_CHUNK_ROWS", rows)
    for kind, table in tables.items():
        assert whole[kind]
        assert check_table(kind, table) == whole[kind]  # type: ignore[arg-type]


def test_progress_counts_every_row():
    seen: list[int] = []
    check_table("trades", trades(times(250)), seen.append)
    assert sum(seen) == 250


def test_a_changed_or_missing_file_is_an_error(tmp_path):
    put(tmp_path / "c", trades([1, 2, 3]))
    catalog = Catalog.open(tmp_path / "c")
    assert check_catalog(catalog) == []
    (path,) = catalog.files("trades", "ABC.TEST")
    path.write_bytes(path.read_bytes() + b" ")
    assert [f.code for _, f in check_catalog(catalog)] == ["file_changed"]
    path.unlink()
    assert [(f.code, f.severity) for _, f in check_catalog(catalog)] == [("file_missing", "error")]


def test_examples_are_few():
    (finding,) = check_table(
        "trades", trades(list(reversed(times(100)))).with_columns(trade_id=pl.Series(map(str, range(100))))
    )
    assert finding.count == 99
    assert len(finding.examples) == 5

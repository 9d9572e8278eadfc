"""Spread captured, drawdown, equity and periods on hand-made numbers."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from tests.run_factory import INSTRUMENT, INSTRUMENT_DATA, make_run, write_run
from ufos_nautilus import limits
from ufos_nautilus.report.measures import (
    common_step,
    drawdown,
    equity_by_currency,
    instrument_facts,
    max_drawdown,
    money_by,
    spread_captured,
)
from ufos_nautilus.report.periods import period_length, period_name, periods
from ufos_nautilus.report.sections.quote_figures import quote_figures, reasons
from ufos_nautilus.report.tables import RunTables
from ufos_nautilus.run_schemas import DEC, SCHEMAS

T0 = datetime(2024, 1, 15, 9, 0, tzinfo=UTC)
SECOND, HOUR = 10**9, 3600 * 10**9


def fill(side, price, quantity, bid, ask, *, after_s=0, liquidity="MAKER", fee="0", instrument=INSTRUMENT):
    amounts = [None if v is None else Decimal(v) for v in (price, quantity, fee, bid, ask)]
    price, quantity, fee, bid, ask = amounts
    ts = T0 + timedelta(seconds=after_s)
    return (ts, "T", "O", "V", "desk", instrument, side, price, quantity, liquidity, fee, "USDT", bid, ask)


def load(tmp_path, rows, **result) -> RunTables:
    write_run(tmp_path / "r", rows, **result)
    return RunTables.load(tmp_path / "r")


def captured(tmp_path, *fills, **result) -> pl.DataFrame:
    tables = load(tmp_path, {"fills": list(fills)}, **result)
    return spread_captured(tables.fills, instrument_facts(tables))


def test_a_buy_below_and_a_sell_above_the_mid_capture_spread(tmp_path):
    frame = captured(
        tmp_path,
        fill("BUY", "99.0", "2", "99.0", "101.0"),
        fill("SELL", "101.5", "3", "99.0", "101.0"),
        fill("BUY", "101.0", "1", "99.0", "101.0", liquidity="TAKER"),
        instruments=[INSTRUMENT_DATA],
    )
    assert frame["mid"].to_list() == [100, 100, 100]
    assert frame["distance"].to_list() == [Decimal(1), Decimal("1.5"), Decimal(-1)]
    assert frame["captured"].to_list() == [Decimal(2), Decimal("4.5"), Decimal(-1)]
    assert frame["bps"].to_list() == [100.0, 150.0, -100.0]
    assert frame["ticks"].to_list() == pytest.approx([10, 15, -10])
    assert money_by(frame, "settlement", "captured") == {"USDT": Decimal("5.5")}


def test_a_fill_without_a_known_market_captures_nothing_known(tmp_path):
    frame = captured(tmp_path, fill("BUY", "99", "1", None, "101"), fill("BUY", "99", "1", "99", "101"))
    assert frame["captured"].to_list() == [None, Decimal(1)]
    assert money_by(frame, "settlement", "captured") == {"USDT": Decimal(1)}


def test_an_inverse_contract_captures_in_its_base_currency(tmp_path):
    inverse = INSTRUMENT_DATA | {"inverse": True, "multiplier": "100", "quote": "USD", "settlement": "BTC"}
    frame = captured(tmp_path, fill("BUY", "40000", "50", "49990", "50010"), instruments=[inverse])
    # 50 contracts of 100 USD: 5000 / 40000 - 5000 / 50000 = 0.125 - 0.1
    assert money_by(frame, "settlement", "captured") == {"BTC": Decimal("0.025")}
    assert money_by(frame, "quote", "notional") == {"USD": Decimal(5000)}


def test_a_multiplier_scales_capture_and_notional(tmp_path):
    future = INSTRUMENT_DATA | {"multiplier": "50"}
    frame = captured(tmp_path, fill("SELL", "101", "2", "99", "101"), instruments=[future])
    assert frame["captured"].to_list() == [100]
    assert frame["notional"].to_list() == [10100]


def test_an_unknown_instrument_takes_its_tick_from_its_prices(tmp_path):
    tables = load(
        tmp_path, {"fills": [fill("BUY", "100.25", "1", "100.25", "100.75"), fill("SELL", "101", "1", "100", "101")]}
    )
    (facts,) = instrument_facts(tables).iter_rows(named=True)
    assert (facts["tick"], facts["tick_known"], facts["settlement"]) == (Decimal("0.25"), False, "USDT")


def test_the_common_step_of_no_price_is_unknown():
    assert common_step(pl.Series([], dtype=DEC)) is None
    assert common_step(pl.Series([Decimal("0.00000003"), Decimal("0.00000009")], dtype=DEC)) == Decimal("0.00000003")


def test_a_sum_of_cents_is_exact(tmp_path):
    frame = captured(tmp_path, *[fill("BUY", "99.9", "1", "99.9", "100.1", fee="0.1")] * 1000)
    assert money_by(frame, "commission_currency", "commission") == {"USDT": Decimal(100)}


def equity_rows(*rows):
    frame = [(T0 + timedelta(seconds=s), account, c, Decimal(e), Decimal(e), Decimal(0)) for s, account, c, e in rows]
    return pl.DataFrame(frame, schema=SCHEMAS["equity"], orient="row")


def test_accounts_of_a_currency_are_added_with_their_last_known_equity():
    totals = equity_by_currency(
        equity_rows((0, "A", "USD", "10"), (1, "B", "USD", "5"), (2, "A", "USD", "11.5"), (2, "A", "BTC", "1"))
    )
    assert totals["USD"]["equity"].to_list() == [15, 15, Decimal("16.5")]
    assert totals["BTC"]["equity"].to_list() == [1]


def test_the_deepest_drawdown_is_found_with_its_share_and_time():
    equity = equity_by_currency(
        equity_rows(*[(s, "A", "USD", e) for s, e in enumerate(("100", "120", "90", "130", "110"))])
    )["USD"]
    assert drawdown(equity)["drawdown"].to_list() == [0, 0, -30, 0, -20]
    deepest = max_drawdown(equity)
    assert deepest is not None
    assert (deepest.amount, deepest.share) == (Decimal(-30), -0.25)
    assert deepest.ts_ns == int(T0.timestamp() + 2) * SECOND


def test_the_share_of_a_drawdown_is_unknown_under_a_peak_of_zero():
    deepest = max_drawdown(equity_by_currency(equity_rows((0, "A", "USD", "0"), (1, "A", "USD", "-5")))["USD"])
    assert deepest is not None
    assert (deepest.amount, deepest.share) == (Decimal(-5), None)


def test_without_equity_there_is_no_drawdown():
    assert max_drawdown(pl.DataFrame(schema={"ts": SCHEMAS["equity"]["ts"], "equity": DEC})) is None


@pytest.mark.parametrize(
    ("span_s", "name"),
    [(0, "second"), (20, "second"), (600, "30 seconds"), (1800, "2 minutes"), (7199, "5 minutes"), (7200, "hour"),
     (86_400, "hour"), (30 * 86_400, "4 hours"), (365 * 86_400, "day"), (5000 * 86_400, "28 days")],
)  # fmt: skip
def test_a_period_is_an_hour_and_shorter_for_short_and_longer_for_very_long_runs(span_s, name):
    length = period_length(span_s * SECOND)
    assert period_name(length) == name
    assert span_s * SECOND / length < limits.REPORT_TABLE_ROWS_MAX


def test_periods_add_up_to_the_whole_run(tmp_path):
    tables = RunTables.load(make_run(tmp_path, minutes=150))
    frame = periods(tables, HOUR)
    spread = spread_captured(tables.fills, instrument_facts(tables))
    assert frame["start"].to_list() == [T0 + timedelta(hours=h) for h in range(3)]
    assert frame["fills"].sum() == tables.fills.height
    assert {"USDT": frame["captured USDT"].sum()} == money_by(spread, "settlement", "captured")
    assert {"USDT": frame["fees USDT"].sum()} == money_by(tables.fills, "commission_currency", "commission")
    assert frame["pnl USDT"].sum() == Decimal(tables.result["net_pnl"]["USDT"])
    assert frame["volume USDT"].sum() == spread["notional"].sum()


def test_mean_inventory_is_that_of_absolute_positions_added_over_books(tmp_path):
    rows = [(T0 + timedelta(seconds=s), book, INSTRUMENT, Decimal(q), None, None)
            for s, book, q in ((0, "a", 2), (0, "b", -1), (1, "a", -4), (1, "b", -1), (3700, "a", 5))]  # fmt: skip
    frame = periods(load(tmp_path, {"inventory": rows}), HOUR)
    assert frame[f"inventory {INSTRUMENT}"].to_list() == [4.0, 5.0]
    assert frame["fills"].to_list() == [0, 0]


def quote(after_s, bid, ask, reason="moved", book="desk"):
    bid, ask = (None if v is None else Decimal(v) for v in (bid, ask))
    ts = T0 + timedelta(seconds=after_s)
    return (ts, book, INSTRUMENT, bid, bid, ask, ask, 100.0, Decimal(0), Decimal("99.5"), Decimal("100.5"), reason)


def test_quotes_are_weighted_by_the_time_they_stood(tmp_path):
    rows = [quote(0, "99", "101"), quote(3, "99.5", None), quote(4, "99.5", "100.5")]
    (figures,) = quote_figures(load(tmp_path, {"quotes": rows}).quotes).iter_rows(named=True)
    assert figures["decisions"] == 3
    assert figures["spread_bps"] == pytest.approx(200)
    assert figures["market_bps"] == pytest.approx(100)
    assert (figures["two_sided"], figures["at_best_bid"], figures["at_best_ask"]) == (0.75, 0.25, 0.0)


def test_a_single_quote_has_no_weight_and_no_shares(tmp_path):
    (figures,) = quote_figures(load(tmp_path, {"quotes": [quote(0, "99", "101")]}).quotes).iter_rows(named=True)
    assert figures["spread_bps"] is None
    assert figures["two_sided"] is None


def test_reasons_are_counted_the_commonest_first(tmp_path):
    rows = [quote(0, "99", "101", "fill"), quote(1, "99", "101"), quote(2, "99", "101"), quote(3, "99", "101", None)]
    frame = reasons(load(tmp_path, {"quotes": rows}).quotes)
    assert frame["reason"].to_list() == ["moved", "fill", "none given"]
    assert frame["share"].to_list() == [0.5, 0.25, 0.25]

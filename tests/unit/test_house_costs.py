"""Costs of tickets, routes and desk markouts, against sums made by hand."""

from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

import polars as pl

from ufos_nautilus.crossing.savings import internalization_rate
from ufos_nautilus.engine.tickets import routed_tickets
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.research.house_costs import costs_by, desk_markouts, route_values, ticket_costs
from ufos_nautilus.run_schemas import SCHEMAS

AT = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)


def instrument(name: str, **terms: Any) -> InstrumentSpec:
    data = {
        "instrument_id": name, "kind": "equity", "base": "", "quote": "USD", "settlement": "USD",
        "tick_size": "0.01", "lot_size": "1", "price_precision": 2, "size_precision": 0,
    }  # fmt: skip
    return InstrumentSpec.from_dict(data | terms)


SPECS = {"AAPL.XNAS": instrument("AAPL.XNAS"), "ES.XCME": instrument("ES.XCME", kind="future", multiplier="50")}
MARKS = {"AAPL.XNAS": D("191.00"), "ES.XCME": D("5200")}


def table(name: str, *rows: dict[str, Any]) -> pl.DataFrame:
    schema = SCHEMAS[name]
    return pl.DataFrame([{c: r.get(c) for c in schema} for r in rows], schema=schema)


def ticket(order_id: str, **values: Any) -> dict[str, Any]:
    base = {
        "ts": AT, "order_id": order_id, "parent_id": "", "book": "WM-ALICE", "beneficiary": "WM-ALICE",
        "client_id": "WM-ALICE", "desk_id": "", "strategy_tag": "", "instrument_id": "AAPL.XNAS", "side": "SELL",
        "quantity": D(1000), "internalize": True, "algorithm": "TWAP", "arrival_bid": D("190.13"),
        "arrival_ask": D("190.15"),
    }  # fmt: skip
    return base | values


def order(order_id: str, tags: str) -> dict[str, Any]:
    return {"client_order_id": order_id, "tags": tags}


def fill(order_id: str, side: str, quantity: int, price: str, **values: Any) -> dict[str, Any]:
    base = {
        "ts": AT, "trade_id": f"T-{order_id}", "client_order_id": order_id, "book": "WM-ALICE",
        "instrument_id": "AAPL.XNAS", "side": side, "quantity": D(quantity), "price": D(price), "commission": D(0),
        "commission_currency": "USD",
    }  # fmt: skip
    return base | values


def worked_example() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """500 crossed at 190.14, 300 with the desk at 190.13, 150 on the market at 190.12, 50 left; an id with a comma."""
    tickets = table("tickets", ticket("A,1"), ticket("B-1", book="AM-CORE", beneficiary="AM-CORE", side="BUY"))
    orders = table(
        "orders",
        order("O1", "cross:X-1,ticket:A,1"),
        order("O2", "cross:D-1,ticket:A,1"),
        order("O3", "ticket:A,1"),
        order("O4", "cross:X-1,ticket:B-1"),
        order("O5", "cross:D-1"),
        order("O6", ""),
    )
    fills = table(
        "fills",
        fill("O1", "SELL", 500, "190.14", instrument_id="AAPL.DARK"),
        fill("O2", "SELL", 300, "190.13", instrument_id="AAPL.DARK"),
        fill("O3", "SELL", 100, "190.12", commission=D("0.40")),
        fill("O3", "SELL", 50, "190.12", commission=D("0.20")),
        fill("O4", "BUY", 500, "190.14", instrument_id="AAPL.DARK", book="AM-CORE"),
        fill("O5", "BUY", 300, "190.13", instrument_id="AAPL.DARK", book="IB-DESK"),
        fill("O6", "BUY", 10, "190.13", book="IB-DESK"),
    )
    return tickets, orders, fills


LEGS = [("O1", "cross", "0.95"), ("O4", "cross", "0.95"), ("O2", "desk", "0"), ("O5", "desk", "0")]


def test_a_ticket_knows_where_its_pieces_went():
    first, second = routed_tickets(*worked_example(), LEGS).iter_rows(named=True)
    assert {k: first[k] for k in ("crossed", "desk", "market", "unfilled", "commission", "transfer_fee")} == {
        "crossed": 500, "desk": 300, "market": 150, "unfilled": 50, "commission": D("0.60"), "transfer_fee": D("0.95"),
    }  # fmt: skip
    assert first["crossed_value"] == 500 * D("190.14")
    assert first["desk_value"] == 300 * D("190.13")
    assert first["market_value"] == 150 * D("190.12")
    assert (second["crossed"], second["unfilled"], second["transfer_fee"]) == (500, 500, D("0.95"))


def test_a_ticket_without_a_piece_is_unfilled():
    tickets, orders, fills = worked_example()
    (lone,) = routed_tickets(table("tickets", ticket("C-1")), orders, fills, LEGS).iter_rows(named=True)
    assert (lone["unfilled"], lone["crossed"], lone["commission"], lone["ts_filled"]) == (1000, 0, 0, None)
    assert routed_tickets(tickets, orders.clear(), fills.clear(), []).get_column("unfilled").to_list() == [1000, 1000]


def test_costs_are_against_the_midpoint_on_arrival():
    costs = ticket_costs(routed_tickets(*worked_example(), LEGS), SPECS, MARKS)
    sold, bought = costs.iter_rows(named=True)
    assert sold["arrival_mid"] == D("190.14")
    assert sold["notional"] == 1000 * D("190.14")
    assert sold["slippage"] == 300 * D("0.01") + 150 * D("0.02")
    assert sold["fees"] == D("1.55")
    assert sold["missed"] == -50 * D("0.86"), "the price rose, so a seller gained by what was not sold"
    assert sold["cost"] == sold["slippage"] + sold["fees"] + sold["missed"]
    assert (bought["slippage"], bought["fees"], bought["missed"]) == (0, D("0.95"), 500 * D("0.86"))


def test_contracts_count_with_their_multiplier():
    filled = ticket("F-1", instrument_id="ES.XCME", quantity=D(2), arrival_bid=D(5100), arrival_ask=D("5100.50"))
    filled |= {"market": D(2), "market_value": 2 * D(5100), "crossed": D(0), "crossed_value": D(0), "desk": D(0)}
    filled |= {"desk_value": D(0), "unfilled": D(0), "commission": D(5), "commission_currency": "EUR"}
    filled |= {"transfer_fee": D(0)}
    (cost,) = ticket_costs(table("tickets", filled), SPECS, MARKS).iter_rows(named=True)
    assert cost["slippage"] == 2 * 50 * D("0.25")
    assert cost["fees"] == 0, "a commission in another currency does not add to this one"


def test_a_ticket_without_a_market_has_no_cost():
    tickets = table("tickets", ticket("G-1", arrival_bid=None), ticket("H-1", instrument_id="BTC-COIN.X"))
    tickets = routed_tickets(tickets, worked_example()[1], worked_example()[2], LEGS)
    inverse = instrument("BTC-COIN.X", kind="crypto_perpetual", inverse=True, base="BTC", settlement="BTC")
    costs = ticket_costs(tickets, SPECS | {"BTC-COIN.X": inverse}, MARKS)
    assert costs["cost"].to_list() == [None, None]
    summed = costs_by(costs)
    assert summed["unmeasured"].sum() == 2
    assert summed["cost_bps"].to_list() == [None, None]


def test_costs_add_up_by_owner():
    summed = costs_by(ticket_costs(routed_tickets(*worked_example(), LEGS), SPECS, MARKS))
    assert summed["beneficiary"].to_list() == ["AM-CORE", "WM-ALICE"]
    assert summed["cost"].to_list() == [D("430.95"), D("6") + D("1.55") - D("43")]
    assert abs(summed["cost_bps"][1] - float(D("-35.45") / D("190140")) * 10_000) < 1e-12


def test_the_share_that_stayed_inside_is_by_value():
    rates = internalization_rate(route_values(ticket_costs(routed_tickets(*worked_example(), LEGS), SPECS, MARKS)))
    inside = 2 * 500 * D("190.14") + 300 * D("190.13")
    assert abs(rates["internal_rate"][0] - float(inside / (inside + 150 * D("190.12")))) < 1e-12


def test_desks_are_measured_on_their_legs_alone():
    _, orders, fills = worked_example()
    marks = {"mid": D("190.14"), "mid_100ms": D("190.14"), "mid_1000ms": D("190.15"), "mid_10000ms": D("190.10")}
    markouts = table("markouts", *({**row, **marks} for row in fills.iter_rows(named=True)))
    (desk,) = desk_markouts(fills, orders, markouts, SPECS).iter_rows(named=True)
    assert (desk["book"], desk["trades"], desk["quantity"]) == ("IB-DESK", 1, 300)
    assert (desk["edge"], desk["net_1000ms"], desk["net_10000ms"]) == (D(3), D(6), D(-9))
    assert (desk["net_60000ms"], desk["known_60000ms"], desk["known_10000ms"]) == (0, 0, 1)

"""Fills and crosses: what they post, by hand-calculated figures."""

from decimal import Decimal as D

import pytest

from ufos_nautilus.errors import DataError, LimitExceededError, ReconciliationError
from ufos_nautilus.ledger import (
    Account,
    Asset,
    Contract,
    Ledger,
    Leg,
    cash_by_venue,
    cross,
    definitions,
    deposit,
    fill,
    inventory,
    nav,
    positions_by_venue,
    results,
    trial_balance,
)
from ufos_nautilus.ledger.accounts import root_and_venue

USD, USDT, BTC = Asset("USD", 2), Asset("USDT", 8), Asset("BTC", 8)
AAPL = Contract(item="AAPL", asset=Asset("AAPL", 0), currency=USD)
PERP = Contract(item="BTCUSDT-PERP", asset=Asset("BTCUSDT-PERP", 3), currency=USDT)
FUTURE = Contract(item="ESZ4", asset=Asset("ESZ4", 0), currency=USD, multiplier=D(50))
INVERSE = Contract(item="BTCUSD-PERP", asset=Asset("BTCUSD-PERP", 0), currency=BTC, multiplier=D(100), inverse=True)
PAIR = Contract(item="BTCUSDT", asset=BTC, currency=USDT)


class Desk:
    """One book that trades, with a new reference for every fill."""

    def __init__(self, contract: Contract, venue: str = "V", *, margined: bool = False) -> None:
        self.ledger = Ledger()
        self.contract, self.venue, self.margined = contract, venue, margined
        self.ledger.define(contract)
        self.number = 0

    def trade(self, side: str, quantity: str, price: str, venue: str = "", **leg: D | str | bool) -> None:
        self.number += 1
        settings = {"book": "B", "margined": self.margined, **leg}
        draft = fill(
            self.ledger.state,
            Leg(**settings),  # pyright: ignore[reportArgumentType]
            ts_ns=self.number,
            ref=str(self.number),
            instrument_id=f"{self.contract.item}.{venue or self.venue}",
            side=side,
            quantity=D(quantity),
            price=D(price),
        )
        self.ledger.post(draft)

    def balance(self, role: str, venue: str = "", item: str | None = None) -> D:
        item = self.contract.item if item is None else item
        return self.ledger.state.amount(Account("B", self.contract.currency.code, role, venue, item))

    @property
    def cash(self) -> D:
        return sum(
            (v for (_, code), v in cash_by_venue(self.ledger.state).items() if code == self.contract.currency.code),
            D(0),
        )


def test_shares_paid_in_full_move_cash_by_the_whole_value():
    desk = Desk(AAPL)
    desk.trade("BUY", "100", "150.00", commission=D("0.35"))
    desk.trade("BUY", "50", "153.00")
    assert desk.cash == D("-22650.35")
    (row,) = inventory(desk.ledger.state, {"AAPL": D("152.00")})
    assert (row.net_position, row.cost, row.vwap_cost) == (150, D("22650.00"), D(151))
    assert row.unrealized_pnl == D("150.00")
    desk.trade("SELL", "60", "155.00")
    assert -desk.balance("realised_pnl") == D("240.00")
    assert desk.balance("fees", "V") == D("0.35")
    (row,) = inventory(desk.ledger.state, {"AAPL": D("152.00")})
    assert (row.net_position, row.cost, row.vwap_cost) == (90, D("13590.00"), D(151))
    assert desk.balance("financing", "V") == 0


def test_a_rebate_is_money_received():
    desk = Desk(PERP, margined=True)
    desk.trade("BUY", "0.500", "60000.0", commission=D("-0.60"))
    assert desk.cash == D("0.6")
    assert results(desk.ledger.state, "B", {"BTCUSDT-PERP": D(60000)})[0].fees == D("0.6")


def test_a_margined_position_moves_cash_only_by_its_result():
    desk = Desk(PERP, margined=True)
    desk.trade("SELL", "2.000", "60000.0")
    assert desk.cash == 0
    assert desk.balance("financing", "V") == D(120000)
    desk.trade("BUY", "0.500", "59000.0")
    assert desk.cash == D(500)
    assert desk.balance("financing", "V") == -desk.balance("cost") == D(90000)
    assert nav(desk.ledger.state, "B", {"BTCUSDT-PERP": D(58000)}) == {"USDT": D(3500)}


def test_one_fill_through_zero_closes_and_opens():
    desk = Desk(FUTURE, margined=True)
    desk.trade("BUY", "3", "5000.25")
    desk.trade("SELL", "5", "5002.25")
    assert desk.cash == D("300.00")
    (row,) = inventory(desk.ledger.state)
    assert (row.net_position, row.vwap_cost) == (-2, D("5002.25"))
    assert desk.balance("financing", "V") == D("500225.00")


def test_an_inverse_contract_makes_profit_in_the_coin():
    desk = Desk(INVERSE, margined=True)
    desk.trade("BUY", "1000", "50000.0")  # 100,000 USD of notional
    desk.trade("SELL", "1000", "62500.0")
    assert desk.cash == D("0.4")  # 100,000 / 50,000 - 100,000 / 62,500
    assert -desk.balance("realised_pnl") == D("0.4")
    desk.trade("SELL", "500", "50000.0")
    desk.trade("BUY", "500", "40000.0")
    assert desk.cash == D("0.65")


@pytest.mark.parametrize(("average", "expected"), [("price", D(55000)), ("cost", 6000000 / D(110))])
def test_an_inverse_average_is_kept_as_the_contract_says(average, expected):
    terms = {**INVERSE.to_dict(), "average": average}
    desk = Desk(Contract.from_dict(terms), margined=True)
    desk.trade("BUY", "600", "50000.0")
    desk.trade("BUY", "600", "60000.0")
    (row,) = inventory(desk.ledger.state)
    assert row.vwap_cost is not None
    assert abs(row.vwap_cost - expected) < D("0.001")


def test_a_pair_held_in_a_cash_account_is_counted_in_its_base_currency():
    desk = Desk(PAIR)
    desk.trade("BUY", "0.25", "60000.00")
    assert cash_by_venue(desk.ledger.state) == {("V", "BTC"): D("0.25"), ("V", "USDT"): D(-15000)}
    assert positions_by_venue(desk.ledger.state) == {("B", "BTCUSDT.V"): D("0.25")}


def test_each_venue_settles_on_its_own_position_and_the_book_counts_both():
    desk = Desk(AAPL, margined=True)
    desk.trade("BUY", "1000", "150.00", venue="XNAS")
    desk.trade("SELL", "500", "151.00", venue="DARK")
    assert desk.cash == 0  # to the venues one position is long and one is short
    assert -desk.balance("realised_pnl") == D("500.00")
    (row,) = inventory(desk.ledger.state, {"AAPL": D("152.00")})
    assert (row.net_position, row.vwap_cost, row.unrealized_pnl) == (500, D(150), D("1000.00"))
    assert positions_by_venue(desk.ledger.state) == {("B", "AAPL.XNAS"): D(1000), ("B", "AAPL.DARK"): D(-500)}
    assert nav(desk.ledger.state, "B", {"AAPL": D("152.00")}) == {"USD": D("1500.00")}
    desk.trade("SELL", "1000", "152.00", venue="XNAS")
    assert desk.ledger.state.amount(Account("B", "USD", "cash", "XNAS")) == D("2000.00")


def test_what_the_venue_settled_is_booked_and_its_rounding_is_kept_apart():
    desk = Desk(AAPL, margined=True)
    desk.trade("BUY", "3", "100.00")
    desk.trade("SELL", "3", "101.00", settled=D("3.01"))
    assert desk.cash == D("3.01")
    assert -desk.balance("realised_pnl") == D("3.00")
    assert desk.balance("venue_difference", "V") == D("-0.01")
    assert desk.balance("financing", "V") == 0


def test_a_settlement_that_rounding_cannot_explain_is_refused():
    desk = Desk(AAPL, margined=True)
    desk.trade("BUY", "3", "100.00")
    before = desk.ledger.state.snapshot()
    with pytest.raises(ReconciliationError, match=r"V settled 3.10 USD .* expects 3.00"):
        desk.trade("SELL", "3", "101.00", settled=D("3.10"))
    assert desk.ledger.state.snapshot() == before


def test_a_cross_moves_units_and_money_between_books_in_one_entry():
    ledger = Ledger()
    ledger.define(AAPL)
    for book in ("WM-ALICE", "AM-CORE"):
        ledger.post(deposit(ledger.state, ts_ns=0, ref=book, book=book, currency="USD", amount=D(100000), venue="DARK"))
    buy = Leg(book="WM-ALICE")
    ledger.post(
        fill(ledger.state, buy, ts_ns=1, ref="T", instrument_id="AAPL.XNAS", side="BUY", quantity=D(1000), price=D(90))
    )
    draft = cross(
        ledger.state,
        Leg(book="AM-CORE"),
        Leg(book="WM-ALICE", commission=D("0.10")),
        ts_ns=2,
        ref="X-1",
        instrument_id="AAPL.DARK",
        quantity=D(500),
        price=D("100.005"),
    )
    ledger.post(draft)
    assert not any(account.role == "market" for account, _ in draft.postings)
    state = ledger.state
    assert state.amount(Account("AM-CORE", "USD", "cash", "DARK")) == D("49997.50")
    assert state.amount(Account("WM-ALICE", "USD", "cash", "DARK")) == D("150002.40")
    assert -state.amount(Account("WM-ALICE", "USD", "realised_pnl", "", "AAPL")) == D("5002.50")
    assert positions_by_venue(state) == {
        ("AM-CORE", "AAPL.DARK"): D(500),
        ("WM-ALICE", "AAPL.DARK"): D(-500),
        ("WM-ALICE", "AAPL.XNAS"): D(1000),
    }
    assert not any(trial_balance(state).values())


def test_a_cross_may_be_margined_on_one_side():
    ledger = Ledger()
    ledger.define(AAPL)
    draft = cross(
        ledger.state,
        Leg(book="A", margined=True),
        Leg(book="B"),
        ts_ns=1,
        ref="X",
        instrument_id="AAPL.DARK",
        quantity=D(10),
        price=D(7),
    )
    ledger.post(draft)
    assert cash_by_venue(ledger.state) == {("DARK", "AAPL"): D(0), ("DARK", "USD"): D(70)}
    assert [nav(ledger.state, book, {"AAPL": D(8)})["USD"] for book in "AB"] == [D(10), D(-10)]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"side": "LONG"}, DataError, "side is 'LONG'"),
        ({"quantity": D(0)}, DataError, "quantity is 0"),
        ({"quantity": D("0.5")}, DataError, "more decimals"),
        ({"quantity": D("NaN")}, DataError, "finite"),
        ({"quantity": D(10) ** 30}, LimitExceededError, "63 bits"),
        ({"price": D("Infinity")}, DataError, "price is Infinity"),
        ({"instrument_id": "AAPL"}, DataError, "names no venue"),
        ({"instrument_id": "MSFT.XNAS"}, DataError, "has no terms"),
    ],
)
def test_a_fill_that_cannot_be_is_refused_and_changes_nothing(change, error, message):
    ledger = Ledger()
    ledger.define(AAPL)
    good = {"instrument_id": "AAPL.XNAS", "side": "BUY", "quantity": D(1), "price": D(1)}
    with pytest.raises(error) as caught:
        fill(ledger.state, Leg(book="B"), ts_ns=1, ref="T", **{**good, **change})
    assert message in str(caught.value)
    assert not ledger.state.balances


def test_what_makes_no_sense_together_is_refused():
    desk = Desk(INVERSE)
    with pytest.raises(DataError, match="cannot be paid in full"):
        desk.trade("BUY", "1", "50000")
    with pytest.raises(DataError, match="positive price"):
        Desk(INVERSE, margined=True).trade("BUY", "1", "-1")
    with pytest.raises(DataError, match="settled amount was given"):
        Desk(AAPL).trade("BUY", "1", "50", settled=D(1))
    with pytest.raises(DataError, match="cross with itself"):
        terms = {"ts_ns": 1, "ref": "X", "instrument_id": "AAPL.DARK", "quantity": D(1), "price": D(1)}
        cross(Desk(AAPL).ledger.state, Leg(book="A"), Leg(book="A"), **terms)  # pyright: ignore[reportArgumentType]


def test_a_commission_in_another_currency_is_paid_from_that_currency():
    desk = Desk(AAPL)
    desk.ledger.define(Asset("EUR", 2))
    desk.trade("BUY", "1", "50", commission=D("1.20"), commission_currency="EUR")
    assert cash_by_venue(desk.ledger.state)["V", "EUR"] == D("-1.20")
    with pytest.raises(DataError, match="'JPY' was not defined"):
        desk.trade("BUY", "1", "50", commission=D(1), commission_currency="JPY")


def test_terms_are_for_life():
    ledger = Ledger()
    ledger.define(AAPL)
    assert definitions(ledger.state, AAPL, USD) == []
    with pytest.raises(DataError, match="has other terms"):
        ledger.define(Contract(item="AAPL", asset=Asset("AAPL", 0), currency=USD, multiplier=D(2)))
    with pytest.raises(DataError, match="USD has 2 decimals"):
        ledger.define(Asset("USD", 4))


@pytest.mark.parametrize("text", ["AAPL", ".XNAS", "AAPL.", ""])
def test_an_instrument_id_needs_root_and_venue(text):
    with pytest.raises(DataError, match="names no venue"):
        root_and_venue(text)

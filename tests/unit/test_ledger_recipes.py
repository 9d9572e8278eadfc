"""Everything that is no trade: deposits, transfers, fees, funding, dividends, splits, exchange, corrections."""

from decimal import Decimal as D

import pytest

from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger import (
    Account,
    Asset,
    Contract,
    Ledger,
    Leg,
    capital,
    deposit,
    deposit_in_kind,
    dividend,
    exchange,
    fee,
    fill,
    funding,
    inventory,
    lots_of,
    nav,
    nav_in,
    results,
    reversal,
    split,
    transfer,
    transfer_fee,
    trial_balance,
    withdrawal,
)
from ufos_nautilus.ledger.views import unrealised

USD, EUR = Asset("USD", 2), Asset("EUR", 2)
AAPL = Contract(item="AAPL", asset=Asset("AAPL", 0), currency=USD)
PERP = Contract(item="BTCUSDT-PERP", asset=Asset("BTCUSDT-PERP", 3), currency=Asset("USDT", 8))
AT = {"ts_ns": 1}


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    made.define(AAPL, PERP, EUR)
    return made


def hold(ledger: Ledger, quantity: int, price: str = "100.00", venue: str = "XNAS", margined: bool = False) -> None:
    draft = fill(
        ledger.state,
        Leg(book="B", margined=margined),
        ts_ns=1,
        ref=f"{ledger.state.entries}",
        instrument_id=f"AAPL.{venue}",
        side="BUY" if quantity > 0 else "SELL",
        quantity=D(abs(quantity)),
        price=D(price),
    )
    ledger.post(draft)


def cash(ledger: Ledger, book: str = "B", currency: str = "USD", venue: str = "") -> D:
    return ledger.state.amount(Account(book, currency, "cash", venue))


def test_deposits_and_withdrawals_are_capital(ledger):
    ledger.post(deposit(ledger.state, **AT, ref="1", book="B", currency="USD", amount=D("100.50")))
    ledger.post(withdrawal(ledger.state, **AT, ref="2", book="B", currency="USD", amount=D("0.25")))
    assert capital(ledger.state, "B") == {"USD": D("100.25")}
    assert nav(ledger.state, "B", {}) == {"USD": D("100.25")}
    for amount in (D(0), D(-1), D("0.001")):
        with pytest.raises(DataError):
            deposit(ledger.state, **AT, ref="3", book="B", currency="USD", amount=amount)
    with pytest.raises(DataError, match="'CHF' was not defined"):
        deposit(ledger.state, **AT, ref="4", book="B", currency="CHF", amount=D(1))


def test_holdings_brought_along_count_at_their_price(ledger):
    ledger.post(
        deposit_in_kind(
            ledger.state, **AT, ref="1", book="B", instrument_id="AAPL.XNAS", quantity=D(40), price=D("95.50")
        )
    )
    assert capital(ledger.state, "B") == {"AAPL": D(40), "USD": D("3820.00")}
    (row,) = inventory(ledger.state, {"AAPL": D(100)})
    assert (row.vwap_cost, row.unrealized_pnl) == (D("95.5"), D("180.00"))


def test_a_transfer_moves_capital_between_books_and_money_between_venues(ledger):
    ledger.post(deposit(ledger.state, **AT, ref="1", book="HOUSE", currency="USD", amount=D(100), venue="XNAS"))
    ledger.post(
        transfer(ledger.state, **AT, ref="2", payer="HOUSE", payee="MM", currency="USD", amount=D(30), venue="XNAS")
    )
    ledger.post(
        transfer(
            ledger.state,
            **AT,
            ref="3",
            payer="MM",
            payee="MM",
            currency="USD",
            amount=D(10),
            venue="XNAS",
            payee_venue="DARK",
        )
    )
    assert (cash(ledger, "HOUSE", venue="XNAS"), cash(ledger, "MM", venue="XNAS")) == (D(70), D(20))
    assert cash(ledger, "MM", venue="DARK") == D(10)
    assert capital(ledger.state, "MM") == {"USD": D(30)}
    with pytest.raises(DataError, match="would pay itself"):
        transfer(ledger.state, **AT, ref="4", payer="MM", payee="MM", currency="USD", amount=D(1))


def test_fees_funding_and_transfer_fees_are_results(ledger):
    ledger.post(fee(ledger.state, **AT, ref="1", book="B", currency="USD", amount=D("2.00"), venue="XNAS"))
    ledger.post(fee(ledger.state, **AT, ref="2", book="B", currency="USD", amount=D("-0.50"), venue="XNAS"))
    ledger.post(funding(ledger.state, **AT, ref="3", book="B", instrument_id="BTCUSDT-PERP.X", amount=D("-1.25")))
    ledger.post(
        transfer_fee(ledger.state, **AT, ref="4", payer="B", payee="HOUSE", instrument_id="AAPL.DARK", amount=D("0.75"))
    )
    usd, usdt = results(ledger.state, "B", {})
    assert (usd.fees, usd.transfer_fee, usd.total) == (D("-1.50"), D("-0.75"), D("-2.25"))
    assert (usdt.currency, usdt.funding) == ("USDT", D("1.25"))
    assert results(ledger.state, "HOUSE", {})[0].total == cash(ledger, "HOUSE") == D("0.75")
    with pytest.raises(DataError, match="is zero"):
        fee(ledger.state, **AT, ref="5", book="B", currency="USD", amount=D(0))
    with pytest.raises(DataError, match="to itself"):
        transfer_fee(ledger.state, **AT, ref="6", payer="B", payee="B", instrument_id="AAPL.DARK", amount=D(1))


def test_a_dividend_is_paid_on_the_whole_position_and_rounded_half_to_even(ledger):
    hold(ledger, 100)
    hold(ledger, -50, venue="DARK")
    ledger.post(dividend(ledger.state, **AT, ref="1", book="B", item="AAPL", per_unit=D("0.2305"), venue="XNAS"))
    assert results(ledger.state, "B", {"AAPL": D(100)})[0].dividends == D("11.52")  # 50 x 0.2305 = 11.525
    paid = dividend(ledger.state, **AT, ref="2", book="B", item="AAPL", per_unit=D("0.1"), venue="XNAS", quantity=D(-7))
    assert paid is not None and paid.postings[0].amount == -70
    assert dividend(ledger.state, **AT, ref="3", book="C", item="AAPL", per_unit=D(1), venue="XNAS") is None
    with pytest.raises(DataError, match="per unit"):
        dividend(ledger.state, **AT, ref="4", book="B", item="AAPL", per_unit=D(0), venue="XNAS")


def test_a_split_keeps_the_cost_and_spreads_it(ledger):
    hold(ledger, 100)
    hold(ledger, -40, "102.50", venue="DARK", margined=True)
    before = unrealised(ledger.state, "B", {"AAPL": D(110)})
    ledger.post(split(ledger.state, **AT, ref="S", book="B", item="AAPL", new=4, old=1))
    (row,) = inventory(ledger.state)
    assert (row.net_position, row.vwap_cost) == (D(240), D(25))
    assert unrealised(ledger.state, "B", {"AAPL": D("27.5")}) == before
    assert not any(trial_balance(ledger.state).values())
    assert split(ledger.state, **AT, ref="N", book="NONE", item="AAPL", new=2, old=1) is None


def test_a_split_pays_out_what_is_no_whole_unit(ledger):
    hold(ledger, 103)
    with pytest.raises(DataError, match="leaves a fraction"):
        split(ledger.state, **AT, ref="S", book="B", item="AAPL", new=1, old=10)
    before = cash(ledger, venue="XNAS")
    ledger.post(split(ledger.state, **AT, ref="S", book="B", item="AAPL", new=1, old=10, cash_in_lieu=D("1010.00")))
    assert cash(ledger, venue="XNAS") - before == D("303.00")
    (row,) = inventory(ledger.state)
    assert (row.net_position, row.cost) == (D(10), D("10000.00"))
    (result,) = results(ledger.state, "B", {"AAPL": D(1010)})
    assert (result.realised, result.unrealised) == (D("3.00"), D("100.00"))
    ledger.flush()
    lots, closed = lots_of(ledger.journal.entries, AAPL, "B")  # pyright: ignore[reportAttributeAccessIssue]
    assert (lots.position, lots.cost, [d.gain for d in closed]) == (10, 1_000_000, [300])


@pytest.mark.parametrize(("new", "old"), [(0, 1), (1, 0), (-2, 1)])
def test_a_split_needs_whole_positive_numbers(ledger, new, old):
    with pytest.raises(DataError, match="split of"):
        split(ledger.state, **AT, ref="S", book="B", item="AAPL", new=new, old=old)


def test_an_exchange_has_a_side_in_each_currency(ledger):
    ledger.post(deposit(ledger.state, **AT, ref="1", book="B", currency="USD", amount=D(200)))
    ledger.post(
        exchange(
            ledger.state, **AT, ref="2", book="B", sold="USD", sold_amount=D(110), bought="EUR", bought_amount=D(100)
        )
    )
    assert nav(ledger.state, "B", {}) == {"EUR": D(100), "USD": D(90)}
    assert nav_in(ledger.state, "B", {}, "USD", {"EUR": D("1.125")}) == D("202.50")
    assert nav_in(ledger.state, "B", {}, "EUR", {"USD": D("0.8885")}) == D("179.96")  # 179.965 rounds to even
    with pytest.raises(DataError, match="no rate of EUR in USD"):
        nav_in(ledger.state, "B", {}, "USD", {})


def test_a_correction_takes_an_entry_back_once(ledger):
    hold(ledger, 100)
    before = {account: units for account, units in ledger.state.balances.items() if units}
    hold(ledger, 30, "120.00")
    wrong = ledger.flush()[-1]
    taken_back = reversal(wrong, ts_ns=9, ref="R", reason="price was 102")
    ledger.post(taken_back)
    assert {account: units for account, units in ledger.state.balances.items() if units} == before
    (kept,) = ledger.flush()
    assert (kept.reverses, kept.meta["reason"]) == (wrong.seq, "price was 102")
    with pytest.raises(DataError, match="a second time"):
        ledger.journal.append([reversal(wrong, ts_ns=9, ref="R2", reason="again")])
    with pytest.raises(DataError, match="a reversal of entry"):
        reversal(kept, ts_ns=9, ref="R3", reason="no")


def test_lots_forget_what_was_taken_back(ledger):
    hold(ledger, 100, "100.00")
    hold(ledger, 100, "900.00")
    wrong = ledger.flush()[-1]
    hold(ledger, -100, "110.00")
    ledger.post(reversal(wrong, ts_ns=9, ref="R", reason="never happened"))
    ledger.flush()
    entries = ledger.journal.entries  # pyright: ignore[reportAttributeAccessIssue]
    lots, closed = lots_of(entries, AAPL, "B", "lifo")
    assert lots.position == ledger.state.holding("B", "AAPL").quantity == 0
    assert [d.gain for d in closed] == [100_000]


def test_a_price_is_needed_for_every_open_position(ledger):
    hold(ledger, 1)
    for view in (lambda: nav(ledger.state, "B", {}), lambda: results(ledger.state, "B", {})):
        with pytest.raises(DataError, match="no price of AAPL"):
            view()

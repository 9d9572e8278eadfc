"""A cross with its transfer fee is one entry: both sides pay, a third book receives, nothing is lost."""

from decimal import Decimal as D

import pytest

from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger import Account, Asset, Contract, Ledger, Leg, cross, deposit, trial_balance
from ufos_nautilus.ledger.trades import TransferFee
from ufos_nautilus.ledger.views import results

AAPL = Contract(item="AAPL", asset=Asset("AAPL", 0), currency=Asset("USD", 2))
BOOKS = ("WM-ALICE", "AM-CORE", "HOUSE-1")


def crossed(fee: TransferFee | None, **sides: str) -> Ledger:
    ledger = Ledger()
    ledger.define(AAPL)
    for book in BOOKS:
        ledger.post(deposit(ledger.state, ts_ns=0, ref=book, book=book, currency="USD", amount=D(10**6), venue="DARK"))
    buyer, seller = Leg(book=sides.get("buyer", "AM-CORE")), Leg(book=sides.get("seller", "WM-ALICE"))
    ledger.post(
        cross(
            ledger.state, buyer, seller, ts_ns=1, ref="X-1", instrument_id="AAPL.DARK", quantity=D(500),
            price=D("190.14"), fee=fee,
        )
    )  # fmt: skip
    return ledger


def test_both_sides_pay_and_a_third_book_receives():
    ledger = crossed(TransferFee(amount=D("0.95"), payee="HOUSE-1", payee_venue="DARK"))
    assert ledger.waiting == ledger.state.entries
    assert set(trial_balance(ledger.state).values()) == {0}
    paid = {b: results(ledger.state, b, {"AAPL": D("190.14")})[0].transfer_fee for b in BOOKS}
    assert paid == {"WM-ALICE": D("-0.95"), "AM-CORE": D("-0.95"), "HOUSE-1": D("1.90")}
    till = Account("HOUSE-1", "USD", "cash", "DARK")
    assert ledger.state.amount(till) == D("1000001.90")


def test_the_fee_is_part_of_the_entry_of_the_cross():
    with_fee = crossed(TransferFee(amount=D("0.95"), payee="HOUSE-1")).flush()
    without = crossed(None).flush()
    assert len(with_fee) == len(without)
    assert len(with_fee[-1].postings) == len(without[-1].postings) + 4


@pytest.mark.parametrize(
    ("fee", "message"),
    [
        (TransferFee(amount=D("0.95"), payee="AM-CORE"), "to itself"),
        (TransferFee(amount=D("0.95"), payee="WM-ALICE"), "to itself"),
        (TransferFee(amount=D("0"), payee="HOUSE-1"), "transfer fee is 0"),
        (TransferFee(amount=D("-1"), payee="HOUSE-1"), "transfer fee is -1"),
        (TransferFee(amount=D("0.001"), payee="HOUSE-1"), "more decimals"),
    ],
)
def test_a_fee_that_cannot_be_is_refused(fee: TransferFee, message: str):
    with pytest.raises(DataError, match=message):
        crossed(fee)

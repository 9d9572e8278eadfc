"""Entries that are posted when somebody looks: the same journal, and nothing after an error."""

from decimal import Decimal
from functools import partial

import pytest

from ufos_nautilus.errors import DataError, RunFailedError
from ufos_nautilus.ledger import trades
from ufos_nautilus.ledger.accounts import Asset
from ufos_nautilus.ledger.contracts import Contract
from ufos_nautilus.ledger.ledger import Ledger, MemoryJournal
from ufos_nautilus.ledger.trades import Leg

CONTRACT = Contract(
    item="AAAA", asset=Asset("AAAA", 0), currency=Asset("USD", 2), multiplier=Decimal(1), inverse=False, average="price"
)


def opened(batch: int = 1_000) -> Ledger:
    ledger = Ledger(batch=batch)
    ledger.define(Asset("AAAA", 0), Asset("USD", 2), CONTRACT)
    return ledger


def fill_of(n: int, quantity: str = "100") -> partial:
    return partial(
        trades.fill,
        leg=Leg(book=f"B-{n % 3}", margined=True),
        ts_ns=n + 1,
        ref=f"t{n}",
        instrument_id="AAAA.XSIM",
        side="SELL" if n % 4 == 3 else "BUY",
        quantity=Decimal(quantity),
        price=Decimal("10.00") + Decimal(n) / 100,
    )


def entries(ledger: Ledger) -> list:
    assert isinstance(ledger.journal, MemoryJournal)
    return ledger.journal.entries


def test_the_journal_is_the_same_whenever_somebody_looks() -> None:
    at_once, later, looked_at = opened(), opened(), opened(batch=5)
    for n in range(40):
        at_once.post(fill_of(n)(at_once.state))
        later.post_later(fill_of(n))
        looked_at.post_later(fill_of(n))
        if n % 7 == 0:
            assert looked_at.state.snapshot() == at_once.state.snapshot()
    for ledger in (at_once, later, looked_at):
        ledger.flush()
    assert entries(at_once) == entries(later) == entries(looked_at)


def test_what_was_put_off_comes_before_what_is_posted_now() -> None:
    ledger = opened()
    ledger.post_later(fill_of(0))
    draft = fill_of(1)(opened().state)
    ledger.post(draft)
    ledger.flush()
    assert [e.ref for e in entries(ledger)[-2:]] == ["t0", "t1"]


def test_no_more_than_a_batch_waits() -> None:
    ledger = opened(batch=4)
    ledger.flush()
    for n in range(4):
        assert len(entries(ledger)) == 3
        ledger.post_later(fill_of(n))
    assert len(entries(ledger)) == 7


def test_after_an_error_nothing_is_posted_any_more() -> None:
    ledger = opened()
    ledger.post_later(fill_of(0))
    ledger.post_later(fill_of(1, "0"))
    ledger.post_later(fill_of(2))
    with pytest.raises(DataError, match="quantity is 0"):
        ledger.flush()
    with pytest.raises(RunFailedError):
        ledger.post(fill_of(3)(ledger.state))

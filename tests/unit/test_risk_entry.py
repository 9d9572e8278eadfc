"""The one entry for plans and other callers: orders are judged as if those before them that passed were open."""

from decimal import Decimal

import pytest

from ufos_nautilus.errors import DataError
from ufos_nautilus.risk.compiled import Limits
from ufos_nautilus.risk.entry import Holding, Proposal, firm_of_book, judge
from ufos_nautilus.risk.rules_file import parse_rules

NOW = 1_700_000_000_000_000_000
LIMITS = Limits(parse_rules({"currency": "USD", "instruments": {"A.X": {"max_position": "10"}}}))


def firm(held: str = "0", currency: str = "USD"):
    known = [Holding("A.X", Decimal(held), Decimal(100), currency)]
    return firm_of_book(LIMITS, "B-1", "client", Decimal(1_000_000), known, "USD", NOW)


def codes(*orders: Proposal, **more: str) -> list[list[str]]:
    return [[v.code for v in verdict.violations] for verdict in judge(orders, firm(**more), LIMITS, NOW)]


def buy(units: int, **more: bool) -> Proposal:
    return Proposal("B-1", "A.X", "BUY", Decimal(units), **more)  # type: ignore[arg-type]


def sell(units: int, **more: bool) -> Proposal:
    return buy(units, **more)._replace(side="SELL")


def test_what_passed_counts_and_what_was_denied_does_not():
    assert codes(buy(6), buy(6), buy(4)) == [[], ["POSITION"], []]


def test_reducing_passes_and_going_beyond_zero_counts():
    assert codes(sell(12), held="12") == [[]]
    assert codes(sell(23), held="12") == [["POSITION"]]
    assert codes(sell(12, reduce_only=True), held="12") == [[]]


def test_what_is_not_known_is_denied():
    assert codes(buy(1)._replace(book="B-2")) == [["UNKNOWN_BOOK"]]
    assert codes(buy(1)._replace(instrument="C.X")) == [["UNKNOWN_INSTRUMENT"]]
    assert codes(buy(1), currency="XYZ") == [["UNKNOWN_INSTRUMENT"]]


def test_an_order_of_nothing_is_refused():
    with pytest.raises(DataError, match="quantity"):
        codes(buy(0))

"""What the gate counts of an order while modifications are on their way."""

import pytest

from ufos_nautilus.engine.risk_orders import Followed
from ufos_nautilus.risk.state import Firm, Slot


@pytest.fixture
def slot() -> Slot:
    firm = Firm()
    firm.add_book("AM-A", "strategy", None)
    firm.add_instrument("AAAA.XSIM", currency="USD")
    found = firm.slot("AM-A", "AAAA.XSIM")
    assert found is not None
    return found


def order(slot: Slot, total: int) -> Followed:
    followed = Followed("O-1", slot, None, 1, total)
    followed.recount()
    return followed


def ask(followed: Followed, *totals: int | None) -> None:
    followed.asked += totals
    followed.recount()


def answer(followed: Followed, *totals: int) -> None:
    for total in totals:
        followed.answer(total)
        followed.recount()


def test_the_largest_of_what_was_asked_counts_until_the_venue_answers(slot: Slot) -> None:
    followed = order(slot, 10)
    ask(followed, 50, 20)
    assert slot.buys == 50
    answer(followed, 50)
    assert (slot.buys, followed.asked) == (50, (20,))
    answer(followed, 20)
    assert (slot.buys, followed.asked) == (20, ())


def test_a_change_of_the_price_behind_one_of_the_quantity_is_answered_by_the_new_quantity(slot: Slot) -> None:
    followed = order(slot, 77)
    ask(followed, None, 1, None, None)
    assert slot.buys == 77
    answer(followed, 77, 1, 1, 1)
    assert (slot.buys, followed.asked) == (1, ())


def test_a_quantity_the_venue_chose_itself_answers_nothing(slot: Slot) -> None:
    followed = order(slot, 10)
    ask(followed, None, 50)
    answer(followed, 8)
    assert (slot.buys, followed.asked) == (50, (None, 50))
    answer(followed, 8, 50)
    assert (slot.buys, followed.asked) == (50, ())

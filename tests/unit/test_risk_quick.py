"""The quick way notices everything that takes room away after the room was measured."""

from typing import Any

import pytest

from tests.risk_market import NOW_NS, account, firm, hold, limits, rest
from ufos_nautilus.risk.fixed import SCALE, to_fixed
from ufos_nautilus.risk.levels import HALTED, REDUCING
from ufos_nautilus.risk.quick import Bounds
from ufos_nautilus.risk.state import Firm, Slot, mark


def measured(state: Firm, **rules: Any) -> tuple[Bounds, Slot]:
    """Bounds of MM-1 in AAA that have just let one unit pass."""
    slot = state.slot("MM-1", "AAA.XSIM")
    assert slot is not None
    bounds = Bounds(slot, limits(**rules).slot("MM-1", "desk", "AAA.XSIM"))
    assert bounds.allows(slot, 1, SCALE, None, NOW_NS)
    return bounds, slot


GROSS: dict[str, Any] = {"firm": {"max_gross_notional": "10000 USD"}}


def test_a_rising_price_takes_room():
    state = firm()
    hold(state, "90")
    bounds, slot = measured(state, **GROSS)
    mark(state.instruments["AAA.XSIM"], to_fixed("110"), NOW_NS)
    assert not bounds.allows(slot, 1, SCALE, None, NOW_NS)


def test_fills_that_nobody_asked_for_take_room():
    state = firm()
    bounds, slot = measured(state, **GROSS)
    hold(state, "99.5", "WM-1")
    assert not bounds.allows(slot, 1, SCALE, None, NOW_NS)


def test_orders_of_other_books_take_room():
    state = firm()
    bounds, slot = measured(state, **GROSS)
    rest(state, "99.5", "SELL", "AM-1")
    assert not bounds.allows(slot, 1, SCALE, None, NOW_NS)


def test_a_bad_fill_uses_up_the_loss_of_the_day():
    state = firm()
    bounds, slot = measured(state, firm={"max_daily_loss": "400 USD"})
    hold(state, "50", price="109")
    assert not bounds.allows(slot, 1, SCALE, None, NOW_NS)


def test_a_falling_price_uses_up_the_loss_of_the_day():
    state = firm()
    hold(state, "50")
    bounds, slot = measured(state, books={"MM-1": {"max_daily_loss": "400 USD"}})
    mark(state.instruments["AAA.XSIM"], to_fixed("91"), NOW_NS)
    assert not bounds.allows(slot, 1, SCALE, None, NOW_NS)


def test_a_new_day_starts_the_loss_anew_from_where_profit_is():
    state = firm()
    hold(state, "-50", price="150")
    bounds, slot = measured(state, firm={"max_daily_loss": "400 USD"})
    state.look(new_day=True)
    mark(state.instruments["AAA.XSIM"], to_fixed("109"), NOW_NS)
    assert not bounds.allows(slot, 1, SCALE, None, NOW_NS)


def test_values_are_taken_at_the_valuation_price_where_that_is_higher_than_the_last():
    state = firm()
    bounds, slot = measured(state, firm={"max_gross_notional": "101 USD"})
    mark(state.instruments["AAA.XSIM"], to_fixed("99.95"), NOW_NS)
    assert state.instruments["AAA.XSIM"].valued == to_fixed("100")
    assert not bounds.allows(slot, 1, to_fixed("1.0102"), None, NOW_NS)


def test_less_money_at_the_venue_takes_room():
    state = firm()
    bounds, slot = measured(state, firm={"max_margin_use_pct": "100"})
    state.set_account("XSIM", account("5"))
    assert not bounds.allows(slot, 1, SCALE, None, NOW_NS)


@pytest.mark.parametrize("what", ["firm", "book", "stale", "account lost", "account stale", "no price", "price stale"])
def test_nothing_goes_the_quick_way_that_the_whole_check_denies(what: str):
    state = firm()
    bounds, slot = measured(state, firm={"max_price_age_s": 100.0})
    now = NOW_NS
    match what:
        case "firm":
            state.state = HALTED
        case "book":
            state.books["MM-1"].state = REDUCING
        case "stale":
            state.stale = "positions differ"
        case "account lost":
            state.set_account("XSIM", None)
        case "account stale":
            now += 11 * 10**9
        case "no price":
            state.instruments["AAA.XSIM"].price = None
        case _:
            state.set_account("XSIM", account(seen_ns=NOW_NS + 10**12))
            now += 101 * 10**9
    assert not bounds.allows(slot, 1, SCALE, None, now)


def test_an_account_that_is_read_again_is_fresh_again():
    state = firm()
    bounds, slot = measured(state)
    later = NOW_NS + 11 * 10**9
    state.set_account("XSIM", account(seen_ns=later))
    assert bounds.allows(slot, 1, SCALE, None, later)

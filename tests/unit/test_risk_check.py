"""The check bites at each limit, names it, and lets pass what only reduces."""

from typing import Any, ClassVar

import pytest

from tests.risk_market import NOW_NS, account, firm, hold, limits, order, rest
from ufos_nautilus.risk.checks import CODES, check
from ufos_nautilus.risk.fixed import to_fixed
from ufos_nautilus.risk.levels import HALTED, REDUCING
from ufos_nautilus.risk.state import Firm, mark

SECOND = 1_000_000_000


def codes(view: Any, state: Firm | None = None, **rules: Any) -> list[str]:
    return [v.code for v in check(view, state or firm(), limits(**rules))]


def test_an_order_within_all_limits_passes():
    assert codes(order(), firm={"max_gross_notional": "1000 USD"}) == []


@pytest.mark.parametrize(
    ("code", "view", "rules"),
    [
        ("NOT_IN_UNIVERSE", order(), {"firm": {"universe": ["BBB.XSIM"]}}),
        ("NOT_IN_UNIVERSE", order(), {"firm": {"universe": ["*.XSIM"]}, "books": {"MM-1": {"universe": ["BBB.XSIM"]}}}),
        ("UNSUPPORTED", order(problem="its quantity is in the quote currency"), {}),
        ("LEVERAGE", order("1001"), {"books": {"MM-1": {"max_leverage": "1"}}}),
        ("MARGIN", order("51"), {"firm": {"max_margin_use_pct": "0.05"}}),
        ("RESTRICTED", order(), {"restrictions": [{"id": "r", "book": "MM-1", "names": ["AAA"]}]}),
        ("RESTRICTED", order(), {"restrictions": [{"id": "r", "book": "*", "names": ["AAA"]}]}),
        ("POSITION", order("11"), {"instruments": {"AAA.XSIM": {"max_position": "10"}}}),
        ("POSITION", order("11", "SELL"), {"instruments": {"AAA.XSIM": {"max_position": "10"}}}),
        ("POSITION", order("11"), {"kinds": {"desk": {"instruments": {"AAA.XSIM": {"max_position": "10"}}}}}),
        ("CONCENTRATION", order("101"), {"kinds": {"desk": {"max_concentration_pct": "10"}}}),
        ("GROSS_NOTIONAL", order("11"), {"firm": {"max_gross_notional": "1000 USD"}}),
        ("GROSS_NOTIONAL", order("11", "SELL"), {"kinds": {"desk": {"max_gross_notional": "1000 USD"}}}),
        ("GROSS_NOTIONAL", order("11"), {"books": {"MM-1": {"max_gross_notional": "1000 USD"}}}),
        ("NET_NOTIONAL", order("11", "SELL"), {"firm": {"max_net_notional": "1000 USD"}}),
        ("NET_POSITION", order("11"), {"instruments": {"AAA.XSIM": {"max_net_position": "10"}}}),
        ("ORDER_QUANTITY", order("11"), {"instruments": {"AAA.XSIM": {"max_order_quantity": "10"}}}),
        ("ORDER_NOTIONAL", order("11"), {"books": {"MM-1": {"max_order_notional": "1000 USD"}}}),
        ("ORDER_NOTIONAL", order("10", "SELL", "101"), {"firm": {"max_order_notional": "1000 USD"}}),
        ("FAT_FINGER", order(price="110.01"), {}),
        ("FAT_FINGER", order(side="SELL", price="89.99"), {}),
        ("FAT_FINGER", order(price="101.01"), {"instruments": {"AAA.XSIM": {"fat_finger_pct": "1"}}}),
        ("STALE_PRICE", order(ts_ns=NOW_NS + 2 * SECOND), {"firm": {"max_price_age_s": 1.5}}),
        ("STALE_ACCOUNT", order(ts_ns=NOW_NS + 11 * SECOND), {}),
    ],
)
def test_each_limit_bites_alone_and_not_one_step_before(code: str, view: Any, rules: dict[str, Any]):
    found = check(view, firm(), limits(**rules))
    assert [v.code for v in found] == [code]
    assert (found[0].book, found[0].instrument) == ("MM-1", "AAA.XSIM")
    assert found[0].limit
    assert found[0].value
    smaller = view._replace(quantity=to_fixed("1"), price=None, ts_ns=NOW_NS, problem="")
    if code not in ("NOT_IN_UNIVERSE", "RESTRICTED"):
        assert check(smaller, firm(), limits(**rules)) == ()


def test_a_limit_is_kept_when_it_is_met_exactly():
    assert codes(order("10"), firm={"max_gross_notional": "1000 USD", "max_net_notional": "1000 USD"}) == []
    assert codes(order(price="110"), firm={}) == []
    assert codes(order("1000"), books={"MM-1": {"max_leverage": "1"}}) == []


def test_every_other_order_counts_as_filled_in_the_worst_way():
    state = firm()
    hold(state, "5")
    rest(state, "3", "BUY")
    rest(state, "100", "SELL")
    rules = {"instruments": {"AAA.XSIM": {"max_position": "10"}}}
    assert codes(order("2"), state, **rules) == []
    assert codes(order("3"), state, **rules) == ["POSITION"]


def test_levels_are_measured_over_all_that_belongs_to_them():
    state = firm()
    hold(state, "50", "WM-1")
    hold(state, "-30", "AM-1", "BBB.XSIM")
    rules = {"firm": {"max_gross_notional": "6000 USD", "max_net_notional": "4800 USD"}}
    assert codes(order("4"), state, **rules) == []
    assert codes(order("5"), state, **rules) == ["GROSS_NOTIONAL", "NET_NOTIONAL"]
    assert codes(order("5", "SELL"), state, **rules) == ["GROSS_NOTIONAL"]


def test_a_lower_level_can_tighten_and_never_loosen():
    rules = {
        "firm": {"max_order_notional": "500 USD"},
        "books": {"MM-1": {"max_order_notional": "900 USD"}, "WM-1": {"max_order_notional": "100 USD"}},
    }
    assert codes(order("6"), **rules) == ["ORDER_NOTIONAL"]
    assert codes(order("5"), **rules) == []
    assert codes(order("5", book="WM-1"), **rules) == ["ORDER_NOTIONAL"]


def test_what_is_not_known_is_denied():
    assert codes(order(book="XX-1")) == ["UNKNOWN_BOOK"]
    assert codes(order(instrument="ZZZ.XSIM")) == ["UNKNOWN_INSTRUMENT"]
    state = firm()
    state.set_account("XSIM", None)
    assert codes(order(), state) == ["NO_ACCOUNT"]
    state = firm(capital=None)
    assert codes(order(), state, firm={"max_leverage": "5", "max_concentration_pct": "50"}) == ["NO_CAPITAL"]
    state = firm()
    state.add_instrument("CCC.XSIM", currency="USD")
    assert codes(order(instrument="CCC.XSIM"), state) == ["NO_PRICE"]
    state = firm()
    state.stale = "a fill was voided"
    assert codes(order(), state) == ["STALE_STATE"]


def test_a_cash_account_pays_for_all_open_buys_in_its_own_currency():
    state = firm()
    state.set_account("XSIM", account("2000", cash=True, leverage=1))
    rest(state, "10", "BUY")
    assert codes(order("10"), state) == []
    assert codes(order("11"), state) == ["CASH"]
    assert codes(order("11", "SELL"), state) == []
    state.accounts["XSIM"].funds.clear()
    assert codes(order("1"), state) == ["CASH"]


def test_violations_come_in_the_order_of_the_check():
    state = firm()
    state.state = HALTED
    found = codes(
        order("200", price="150", problem="x", ts_ns=NOW_NS + 100 * SECOND),
        state,
        firm={
            "universe": [], "max_leverage": "0.1", "max_gross_notional": "1 USD", "max_net_notional": "1 USD",
            "max_order_notional": "1 USD", "max_concentration_pct": "1", "max_price_age_s": 1.0,
            "max_margin_use_pct": "0.001",
        },
        instruments={"AAA.XSIM": {"max_position": "1", "max_net_position": "1", "max_order_quantity": "1"}},
        restrictions=[{"id": "r", "book": "MM-1", "names": ["AAA"]}],
    )  # fmt: skip
    assert len(found) == len(set(found)) == 16
    stages = ["HALTED", "NOT_IN_UNIVERSE", "LEVERAGE", "RESTRICTED", "POSITION", "NET_NOTIONAL", "FAT_FINGER"]
    assert [code for code in found if code in stages] == stages
    assert set(found) <= set(CODES)


class TestReducing:
    """Orders that only bring a position nearer to zero."""

    TIGHT: ClassVar[dict[str, Any]] = {
        "firm": {"max_gross_notional": "1 USD", "max_net_notional": "1 USD", "max_leverage": "0.001", "universe": []},
        "instruments": {"AAA.XSIM": {"max_position": "1", "max_net_position": "1"}},
    }  # fmt: skip

    def test_it_passes_every_limit_of_what_is_held(self):
        state = firm()
        hold(state, "50")
        assert codes(order("50", "SELL"), state, **self.TIGHT) == []
        assert codes(order("51", "SELL"), state, **self.TIGHT) != []

    def test_it_passes_without_account_and_price(self):
        state = firm()
        hold(state, "-50")
        state.set_account("XSIM", None)
        state.instruments["AAA.XSIM"].price = None
        assert codes(order("50"), state, **self.TIGHT) == []
        assert codes(order("50", price="100"), state, **self.TIGHT) == ["NO_PRICE"]

    def test_two_that_reduce_alone_and_not_together_do_not_both_pass(self):
        state = firm()
        hold(state, "50")
        rest(state, "30", "SELL")
        assert codes(order("20", "SELL"), state, **self.TIGHT) == []
        assert "NOT_IN_UNIVERSE" in codes(order("21", "SELL"), state, **self.TIGHT)

    def test_the_venue_holds_flagged_exits_to_reducing_so_they_may_overlap(self):
        state = firm()
        hold(state, "50")
        slot = state.slot("MM-1", "AAA.XSIM")
        assert slot is not None
        slot.open(-1, to_fixed("50"), exits=True)
        assert codes(order("50", "SELL", flagged=True), state, **self.TIGHT) == []
        assert "NOT_IN_UNIVERSE" in codes(order("50", "SELL"), state, **self.TIGHT)

    def test_a_flagged_exit_may_close_what_an_open_order_will_make(self):
        state = firm()
        rest(state, "50", "BUY")
        assert codes(order("50", "SELL", flagged=True), state, **self.TIGHT) == []
        assert "POSITION" in codes(order("51", "SELL", flagged=True), state, **self.TIGHT)

    def test_it_is_denied_while_halted_and_passes_while_reducing(self):
        state = firm()
        hold(state, "50")
        state.state = HALTED
        assert codes(order("50", "SELL"), state) == ["HALTED"]
        state.state = REDUCING
        assert codes(order("50", "SELL"), state) == []
        assert codes(order("1"), state) == ["HALTED"]

    def test_a_stopped_book_reduces_while_others_trade(self):
        state = firm()
        hold(state, "50")
        state.books["MM-1"].state = REDUCING
        assert codes(order("50", "SELL"), state) == []
        assert codes(order("1"), state) == ["HALTED"]
        assert codes(order("1", book="WM-1"), state) == []

    def test_a_restriction_lets_it_pass_unless_it_allows_nothing(self):
        state = firm()
        hold(state, "50")
        rule = {"id": "r", "book": "MM-1", "names": ["AAA"]}
        assert codes(order("50", "SELL"), state, restrictions=[rule]) == []
        assert codes(order("50", "SELL"), state, restrictions=[rule | {"allows": "nothing"}]) == ["RESTRICTED"]

    def test_the_distance_of_its_price_still_counts(self):
        state = firm()
        hold(state, "50")
        assert codes(order("50", "SELL", "80"), state) == ["FAT_FINGER"]


class TestModifications:
    """Orders as they would be after a change."""

    RULES: ClassVar[dict[str, Any]] = {"instruments": {"AAA.XSIM": {"max_position": "10"}}}

    def test_only_what_is_added_counts(self):
        state = firm()
        rest(state, "8", "BUY")
        assert codes(order("10", replaced="8", modifies=True), state, **self.RULES) == []
        assert codes(order("11", replaced="8", modifies=True), state, **self.RULES) == ["POSITION"]

    def test_a_smaller_order_passes_even_beyond_a_limit(self):
        state = firm()
        rest(state, "20", "BUY")
        assert codes(order("15", replaced="20", modifies=True), state, **self.RULES) == []

    def test_a_new_price_is_measured_by_the_last(self):
        state = firm()
        rest(state, "5", "BUY")
        moved = order("5", price="120", replaced="5", modifies=True)
        assert codes(moved, state, **self.RULES) == ["FAT_FINGER"]

    def test_a_restricted_name_is_not_repriced(self):
        state = firm()
        rest(state, "5", "BUY")
        rule = {"id": "r", "book": "MM-1", "names": ["AAA"]}
        assert codes(order("5", price="101", replaced="5", modifies=True), state, restrictions=[rule]) == ["RESTRICTED"]


def test_losses_of_the_day_and_falls_from_the_peak_stop_what_adds():
    state = firm()
    hold(state, "100", price="110")
    state.look(new_day=False)
    assert codes(order("1"), state, books={"MM-1": {"max_daily_loss": "1000 USD"}}) == []
    assert codes(order("1"), state, books={"MM-1": {"max_daily_loss": "999.99 USD"}}) == ["DAILY_LOSS"]
    assert codes(order("1", book="WM-1"), state, firm={"max_daily_loss": "999.99 USD"}) == ["DAILY_LOSS"]
    assert codes(order("1"), state, books={"MM-1": {"max_drawdown_pct": "0.99"}}) == ["DRAWDOWN"]
    assert codes(order("1", "SELL"), state, books={"MM-1": {"max_drawdown_pct": "0.99"}}) == []
    state.look(new_day=True)
    assert codes(order("1"), state, books={"MM-1": {"max_daily_loss": "1 USD"}}) == []


def test_a_side_of_a_trade_inside_the_house_leaves_the_firms_net_position_alone():
    state = firm()
    state.set_account("DARK", account())
    hold(state, "10", "AM-1")
    rules = {
        "firm": {"max_net_notional": "1000 USD"},
        "instruments": {"AAA.XSIM": {"max_net_position": "10"}},
        "kinds": {"desk": {"max_net_notional": "500 USD"}},
    }
    assert codes(order("1"), state, **rules) == ["NET_NOTIONAL", "NET_POSITION"]
    assert codes(order("5", internal=True, venue="DARK"), state, **rules) == []
    assert codes(order("6", internal=True, venue="DARK"), state, **rules) == ["NET_NOTIONAL"]


def test_a_moving_price_moves_what_is_held():
    state = firm()
    hold(state, "9")
    rules = {"firm": {"max_gross_notional": "1000 USD"}}
    assert codes(order("1"), state, **rules) == []
    mark(state.instruments["AAA.XSIM"], to_fixed("105"), NOW_NS)
    assert codes(order("1"), state, **rules) == ["GROSS_NOTIONAL"]


def test_an_inverse_contract_is_worth_the_same_at_any_price_and_earns_in_its_base():
    state = Firm()
    state.add_book("MM-1", "desk", to_fixed("1000000"))
    made = state.add_instrument(
        "XBT.XSIM", multiplier=to_fixed("100"), settle_rate=to_fixed("50000"), inverse=True, currency="BTC"
    )
    mark(made, to_fixed("50000"), NOW_NS, exact=True)
    state.set_account("XSIM", account())
    hold(state, "10", instrument="XBT.XSIM", price="40000")
    assert state.gross == to_fixed("1000")
    assert abs(state.profit - to_fixed("250")) < to_fixed("0.000001")


def test_all_codes_are_explained():
    assert all(text[0].islower() and not text.endswith(".") for text in CODES.values())

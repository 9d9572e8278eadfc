"""Sums follow every event, the quick way never disagrees with the whole check, nor the check with a naive one."""

from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.risk_market import BOOKS, NOW_NS, PRICES, account, firm, limits
from ufos_nautilus.risk.checks import OrderView, check, count
from ufos_nautilus.risk.compiled import Limits
from ufos_nautilus.risk.fixed import SCALE, from_fixed, text, to_fixed
from ufos_nautilus.risk.levels import ACTIVE, REDUCING
from ufos_nautilus.risk.quick import Bounds
from ufos_nautilus.risk.restrictions import Facts, Restriction, Restrictions
from ufos_nautilus.risk.state import Firm, mark
from ufos_nautilus.risk.windows import FallWindow, RateWindow, ShareWindow

NAMES = sorted(PRICES)


def recomputed(state: Firm) -> dict[str, tuple[int, int, int, int]]:
    """Gross, net, high and low of every level, from nothing but positions and open orders."""
    out: dict[str, list[int]] = {}
    for slot in state.held():
        value, price = slot.instrument.value, slot.instrument.valued
        high = (max(slot.position, 0) if slot.exit_buys else slot.position) + slot.buys
        low = (min(slot.position, 0) if slot.exit_sells else slot.position) - slot.sells
        assert (slot.high, slot.low) == (high, low)
        high, low = value(high, price), value(low, price)
        row = (max(abs(high), abs(low)), value(slot.position, price), high, low)
        for name in ("firm", f"kind {slot.book.kind}", f"book {slot.book.id}", slot.instrument.purse.name):
            sums = out.setdefault(name, [0, 0, 0, 0])
            for at, part in enumerate(row):
                sums[at] += part
    return {name: (r[0], r[1], r[2], r[3]) for name, r in out.items()}


def shake(state: Firm, rng: Random, steps: int) -> None:
    """Random orders, cancels, fills and prices."""
    for _ in range(steps):
        slot = state.slot(rng.choice(sorted(BOOKS)), rng.choice(NAMES))
        assert slot is not None
        sign, units = rng.choice((1, -1)), rng.randrange(1, 50) * SCALE
        opened = slot.buys if sign > 0 else slot.sells
        match rng.randrange(6):
            case 0 | 1:
                slot.open(sign, units)
            case 5:
                exits = slot.exit_buys if sign > 0 else slot.exit_sells
                slot.open(sign, -exits if exits else units, exits=True)
            case 2:
                slot.open(sign, -min(units, opened))
            case 3:
                price = slot.instrument.valued * rng.randrange(990, 1011) // 1000
                slot.fill(sign, units, price, rng.randrange(-5, 50) * SCALE // 100, counted=min(units, opened))
            case _:
                factor = rng.randrange(9700, 10301)
                mark(slot.instrument, slot.instrument.valued * factor // 10_000, NOW_NS)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=60)
def test_sums_of_every_level_are_those_of_the_slots(seed: int):
    state = firm()
    rng = Random(seed)
    for _ in range(5):
        shake(state, rng, 20)
        wanted = recomputed(state)
        purses = [p for group in state.venues.values() for p in group.values()]
        for level in (state, *state.kinds.values(), *state.books.values(), *purses):
            assert (level.gross, level.net, level.net_high, level.net_low) == wanted.get(level.name, (0, 0, 0, 0))
        for instrument in state.instruments.values():
            assert instrument.high == sum(s.high for s in instrument.slots)
            assert instrument.low == sum(s.low for s in instrument.slots)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=60)
def test_profit_is_what_trades_and_prices_made_of_it(seed: int):
    rng, state = Random(seed), firm()
    cash, held = Decimal(0), dict.fromkeys(NAMES, Decimal(0))
    for _ in range(40):
        name = rng.choice(NAMES)
        slot = state.slot(rng.choice(sorted(BOOKS)), name)
        assert slot is not None
        sign, units, cents = rng.choice((1, -1)), rng.randrange(1, 50), rng.randrange(9000, 11000)
        slot.fill(sign, units * SCALE, cents * SCALE // 100, SCALE // 100)
        cash -= Decimal(sign * units * cents) / 100 + Decimal("0.01")
        held[name] += sign * units
        mark(slot.instrument, cents * SCALE // 100, NOW_NS, exact=True)
    worth = sum(held[n] * from_fixed(state.instruments[n].valued) for n in NAMES)
    assert from_fixed(state.profit) == cash + worth


def random_rules(rng: Random, share: float = 0.4) -> dict[str, Any]:
    """Limits near what random orders make, at every level, each set with this probability."""

    def some(**values: Any) -> dict[str, Any]:
        return {k: v for k, v in values.items() if rng.random() < share}

    def level() -> dict[str, Any]:
        return some(
            max_order_notional=f"{rng.randrange(1, 10) * 1000} USD",
            max_gross_notional=f"{rng.randrange(1, 40) * 1000} USD",
            max_net_notional=f"{rng.randrange(1, 30) * 1000} USD",
            max_daily_loss=f"{rng.randrange(1, 400)} USD",
            max_drawdown_pct=str(rng.randrange(1, 100) / 100),
            max_concentration_pct=str(rng.randrange(1, 20)),
            max_leverage=str(rng.randrange(1, 20) / 20),
            max_orders_per_s=rng.randrange(1, 4),
            fat_finger_pct=str(rng.randrange(1, 10) / 2),
            max_price_age_s=rng.randrange(1, 4) / 2,
        )

    return {
        "firm": level() | some(max_margin_use_pct="0.2", universe=rng.choice([["*.XSIM"], ["AAA.XSIM"]])),
        "kinds": {kind: level() for kind in BOOKS.values()},
        "books": {book: level() for book in BOOKS},
        "instruments": {
            name: some(
                max_position=str(rng.randrange(1, 200)),
                max_net_position=str(rng.randrange(1, 300)),
                max_order_quantity=str(rng.randrange(1, 60)),
            )
            for name in NAMES
        },
        "restrictions": [{"id": "r", "book": "WM-1", "names": ["BBB"]}] if rng.random() < 0.3 else [],
    }


def random_order(rng: Random, state: Firm) -> OrderView:
    name = rng.choice(NAMES)
    last = state.instruments[name].price or 0
    price = None if rng.random() < 0.4 else last * rng.randrange(940, 1061) // 1000
    at = NOW_NS + rng.randrange(0, 12_000_000_000)
    return OrderView(
        rng.choice(sorted(BOOKS)), name, rng.choice((1, -1)), rng.randrange(1, 80) * SCALE, price, at
    )  # fmt: skip


@given(seed=st.integers(0, 10**6))
@settings(max_examples=250)
def test_what_the_quick_way_lets_pass_the_whole_check_lets_pass(seed: int):
    rng = Random(seed)
    # Few limits at a time, so that each is the one that binds somewhere.
    state, rules = firm(), limits(**random_rules(rng, rng.choice((0.02, 0.05, 0.3))))
    bounds: dict[tuple[str, str], Bounds] = {}
    quick = 0
    for _ in range(120):
        shake(state, rng, rng.randrange(2))
        if rng.random() < 0.1:
            state.set_account("XSIM", account(str(rng.randrange(1, 20) * 1000), seen_ns=NOW_NS + rng.randrange(10**10)))
        if rng.random() < 0.05:
            state.books["MM-1"].state = rng.choice((ACTIVE, REDUCING))
        if rng.random() < 0.2:
            state.look(new_day=rng.random() < 0.2)
        view = random_order(rng, state)
        slot = state.slot(view.book, view.instrument)
        assert slot is not None
        found = rules.slot(view.book, slot.book.kind, view.instrument)
        one = bounds.setdefault((view.book, view.instrument), Bounds(slot, found))
        if not one.allows(slot, view.sign, view.quantity, view.price, view.ts_ns):
            continue
        quick += 1
        assert check(view, state, rules) == ()
        slot.open(view.sign, view.quantity)
        one.count(view.ts_ns)


def test_most_orders_far_from_every_limit_go_the_quick_way():
    rng, state, rules = Random(1), firm(), limits(firm={"max_gross_notional": "1000000000 USD"})
    slot = state.slot("MM-1", "AAA.XSIM")
    assert slot is not None
    bounds = Bounds(slot, rules.slot("MM-1", "desk", "AAA.XSIM"))
    passed = 0
    for _ in range(200):
        value = bounds.allows(slot, rng.choice((1, -1)), SCALE, None, NOW_NS)
        passed += value > 0
        slot.open(1, SCALE, value)
    assert passed == 200


def naive(view: OrderView, state: Firm, rules: Limits) -> set[str]:
    """The position limits once more, from decimals and plain sums over all slots with the order added to them."""
    slot = state.slot(view.book, view.instrument)
    assert slot is not None
    found, book = set[str](), slot.book
    compiled = rules.slot(view.book, book.kind, view.instrument)
    held = [s for s in state.held()] if slot in state.held() else [*state.held(), slot]

    def worst(s: Any, sign: int) -> Decimal:
        extra = view.quantity if s is slot and sign == view.sign else 0
        units = s.high + extra if sign > 0 else s.low - extra
        return from_fixed(units) * from_fixed(s.instrument.valued)

    def gross(slots: list[Any]) -> Decimal:
        return sum((max(abs(worst(s, 1)), abs(worst(s, -1))) for s in slots), Decimal(0))

    groups = {
        "firm": (compiled.firm, held),
        "kind": (compiled.kind, [s for s in held if s.book.kind == book.kind]),
        "book": (compiled.book, [s for s in held if s.book is book]),
    }
    before = {name: from_fixed(sum(s.gross for s in slots)) for name, (_, slots) in groups.items()}
    for name, (level, slots) in groups.items():
        if level.gross is not None and gross(slots) > from_fixed(level.gross) and gross(slots) > before[name]:
            found.add("GROSS_NOTIONAL")
        net = sum((worst(s, view.sign) for s in slots), Decimal(0)) * view.sign
        if level.net is not None and net > from_fixed(level.net):
            found.add("NET_NOTIONAL")
    units = slot.high if view.sign > 0 else -slot.low
    if compiled.position is not None and units + view.quantity > compiled.position:
        found.add("POSITION")
    return found


@given(seed=st.integers(0, 10**6))
@settings(max_examples=150)
def test_the_check_agrees_with_a_naive_one(seed: int):
    rng = Random(seed)
    state, rules = firm(), limits(**random_rules(rng))
    for _ in range(20):
        shake(state, rng, rng.randrange(4))
        view = random_order(rng, state)
        slot = state.slot(view.book, view.instrument)
        assert slot is not None
        found = {v.code for v in check(view, state, rules)} & {"GROSS_NOTIONAL", "NET_NOTIONAL", "POSITION"}
        if slot.only_reduces(view.sign, view.quantity, 0, flagged=False):
            assert not found
        else:
            assert found == naive(view, state, rules)


@given(times=st.lists(st.integers(0, 3_000_000_000), max_size=60).map(sorted), size=st.integers(1, 5))
def test_no_second_holds_more_than_the_rate(times: list[int], size: int):
    window = RateWindow(size)
    kept: list[int] = []
    for at in times:
        wanted = sum(at - k < 1_000_000_000 for k in kept) >= size
        assert window.full(at) == wanted
        if not wanted:
            window.add(at)
            kept.append(at)


def test_a_window_of_another_size_remembers_the_same_events():
    window = RateWindow(3)
    for at in (10, 20, 30):
        window.add(at)
    assert not RateWindow.of(window, 4).full(40)
    assert RateWindow.of(window, 2).full(40)
    assert RateWindow.of(window, 3) is window


@given(marks=st.lists(st.booleans(), max_size=50), size=st.integers(1, 10))
def test_the_share_is_that_of_the_last_events(marks: list[bool], size: int):
    window = ShareWindow(size)
    for at, marked in enumerate(marks):
        window.add(marked)
        last = marks[max(0, at + 1 - size) : at + 1]
        assert window.ppm == (sum(last) * 1_000_000 // size if len(last) == size else 0)


@given(values=st.lists(st.tuples(st.integers(0, 20), st.integers(-100, 100)), max_size=50), span=st.integers(1, 50))
def test_the_fall_is_measured_from_the_highest_of_the_span(values: list[tuple[int, int]], span: int):
    window, now, seen = FallWindow(span), 0, list[tuple[int, int]]()
    for step, value in values:
        now += step
        seen.append((now, value))
        assert window.add(now, value) == max(v for at, v in seen if now - at <= span) - value


@given(whole=st.integers(-(10**30), 10**30))
def test_fixed_numbers_and_their_texts_are_exact(whole: int):
    assert to_fixed(from_fixed(whole)) == whole
    assert Decimal(text(whole)) == from_fixed(whole)


@given(
    names=st.lists(st.sampled_from("ABCDEF"), max_size=4),
    subs=st.lists(st.sampled_from(["Tobacco", "Arms"]), max_size=2),
    tags=st.lists(st.sampled_from(["oil", "coal"]), max_size=2),
    root=st.sampled_from("ABCDEFG"),
    sub=st.sampled_from(["", "Tobacco", "Steel"]),
    tag=st.sampled_from(["", "oil", "gas"]),
)
def test_restrictions_find_exactly_what_a_rule_names(names: Any, subs: Any, tags: Any, root: str, sub: str, tag: str):
    rule = Restriction(id="r", book="WM-1", names=tuple(names), sub_industries=tuple(subs), tags=tuple(tags))
    facts = Facts(root, sub, frozenset((tag,) if tag else ()))
    wanted = root in names or sub in subs or tag in tags
    assert (Restrictions([rule]).of("WM-1", facts) is not None) == wanted
    assert Restrictions([rule]).of("AM-1", facts) is None


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_rates_of_every_level_count_what_passed(limit: int):
    state, rules = firm(), limits(books={"MM-1": {"max_orders_per_s": limit}}, firm={"max_orders_per_s": limit + 1})
    slot = state.slot("MM-1", "AAA.XSIM")
    assert slot is not None
    found = rules.slot("MM-1", "desk", "AAA.XSIM")
    view = OrderView("MM-1", "AAA.XSIM", 1, SCALE, None, NOW_NS)
    for _ in range(limit):
        assert check(view, state, rules) == ()
        count(view, slot, found)
    assert [v.code for v in check(view, state, rules)] == ["ORDER_RATE"]
    assert check(view._replace(book="WM-1"), state, rules) == ()
    assert check(view._replace(ts_ns=NOW_NS + 1_000_000_000), state, rules) == ()

"""Pure parts of crossing for any input: the consolidated best, the grid, tickets as JSON, schedules."""

import json
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from ufos_nautilus.crossing.grid import Grid
from ufos_nautilus.crossing.nbbo import NbboBook
from ufos_nautilus.crossing.schedule import pov_due, vwap_schedule
from ufos_nautilus.crossing.ticket import Ticket

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)
AMOUNTS = st.decimals(min_value=1, max_value=10**9, places=4, allow_nan=False, allow_infinity=False)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ABCD"),
            st.none() | st.integers(95, 105),
            st.integers(0, 3),
            st.none() | st.integers(95, 105),
            st.integers(0, 3),
            st.integers(0, 5),
        ),
        max_size=30,
    )
)
def test_the_best_is_what_a_search_over_all_venues_finds(updates):
    book, last, now = NbboBook(10), {}, 0
    for venue, bid, bid_size, ask, ask_size, wait in updates:
        now += wait
        book.update(venue, bid, bid_size, ask, ask_size, now)
        last[venue] = (bid if bid_size else None, bid_size, ask if ask_size else None, ask_size, now)
        found = book.at(now)
        bids = [(b, t, v) for v, (b, _, _, _, t) in last.items() if b is not None]
        asks = [(-a, t, v) for v, (_, _, a, _, t) in last.items() if a is not None]
        best_bid, best_ask = max(bids, default=(None, 0, "")), max(asks, default=(None, 0, ""))
        assert (found.bid, found.bid_ts_ns, found.bid_venue) == best_bid
        assert (found.ask, found.ask_ts_ns, found.ask_venue) == (
            None if best_ask[0] is None else -best_ask[0],
            *best_ask[1:],
        )
        assert found.bid_size == sum(s for b, s, _, _, _ in last.values() if b is not None and b == found.bid)


@given(st.integers(-(10**18), 10**18), st.integers(1, 10**18), st.integers(0, 9), st.integers(0, 9))
def test_prices_sizes_and_money_go_there_and_back_without_rounding(half, size, price_precision, size_precision):
    grid = Grid(price_precision=price_precision, size_precision=size_precision, multiplier=Decimal("0.001"))
    assert grid.half_units(grid.price(half)) == half
    assert grid.size_units(grid.size(size)) == size
    # value = half/2 * 10^-p * size * 10^-s / 1000, as integers
    scale = 10 ** (price_precision + size_precision + 3)
    numerator, denominator = grid.money(half, size).as_integer_ratio()
    assert numerator * 2 * scale == half * size * denominator


@given(
    NAMES,
    NAMES,
    st.sampled_from(("BUY", "SELL")),
    AMOUNTS,
    st.none() | AMOUNTS,
    st.dictionaries(NAMES, JSON, max_size=4),
    st.booleans(),
)
def test_any_ticket_is_the_same_after_a_trip_through_json(order_id, client, side, quantity, limit, instruction, flag):
    made = Ticket(
        order_id=order_id,
        instrument="AAPL.XNAS",
        intent_side=side,
        quantity=quantity,
        limit=limit,
        ts_ns=1,
        client_id=client,
        exec_instruction=instruction,
        internalization_flag=flag,
    )
    text = made.to_json()
    again = Ticket.from_json(text)
    assert again == made
    assert again.to_json() == text
    assert json.loads(text)["order_id"] == order_id


@given(
    st.integers(1, 10**7),
    st.lists(st.integers(0, 1000), min_size=1, max_size=50).filter(any),
    st.integers(1, 500),
)
def test_slices_add_up_exactly_and_follow_the_profile(lots, profile, lot):
    slices = vwap_schedule(lots * lot, profile, 0, 1_000 * len(profile), lot=lot)
    assert sum(s.size for s in slices) == lots * lot
    assert [s.ts_ns for s in slices] == sorted({s.ts_ns for s in slices})
    sizes = {s.ts_ns // 1_000: s.size for s in slices}
    for i, volume in enumerate(profile):
        ideal = Fraction(lots * volume, sum(profile))
        assert abs(Fraction(sizes.get(i, 0), lot) - ideal) < 1


@given(
    st.integers(1, 1_000),
    st.lists(st.integers(0, 500), max_size=30),
    st.fractions(Fraction(1, 100), Fraction(99, 100)),
    st.integers(1, 10),
)
def test_a_share_of_the_volume_is_never_exceeded_and_reached_within_a_lot(lots, prints, rate, lot):
    size, sent, others = lots * lot, 0, 0
    for volume in prints:
        others += volume
        due = pov_due(size, sent, others, rate, lot=lot)
        assert due % lot == 0
        sent += due
        assert sent <= size
        if sent:
            assert Fraction(sent, sent + others) <= rate
        assert sent == size or Fraction(sent + lot, sent + lot + others) > rate

"""The crossing house by example: what crosses, what does not, and what every way of ending a ticket leaves behind."""

from decimal import Decimal

import pytest

from ufos_nautilus.crossing import crosser as crosser_module
from ufos_nautilus.crossing import match as match_module
from ufos_nautilus.crossing.crosser import Crosser
from ufos_nautilus.crossing.grid import Grid
from ufos_nautilus.crossing.states import TicketState
from ufos_nautilus.crossing.terms import NOTHING, CrossingRules
from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError

GRID = Grid(price_precision=2, size_precision=0)


def ticket(order_id: str, side: str, quantity: int, owner: str, ts_ns: int = 10, **more) -> Ticket:
    return Ticket(
        order_id=order_id,
        instrument=more.pop("instrument", "AAPL.XNAS"),
        intent_side="BUY" if side == "BUY" else "SELL",
        quantity=Decimal(quantity),
        ts_ns=ts_ns,
        client_id=owner,
        **more,
    )


def house(bid: int | None = 19013, ask: int | None = 19015, **rules) -> Crosser:
    made = Crosser(CrossingRules(**rules))
    made.add_symbol("AAPL", GRID)
    made.on_nbbo("AAPL", "XNAS", bid, 100, ask, 100, 1)
    return made


def pairs(step) -> list[tuple[str, str, int]]:
    return [(x.buy.order_id, x.sell.order_id, x.size) for x in step.crosses]


def test_a_client_and_a_strategy_cross_at_the_midpoint_and_the_rest_waits():
    made = house()
    assert made.on_ticket(ticket("C-1", "SELL", 1000, "CLIENT")) is NOTHING
    (cross,) = made.on_ticket(ticket("S-1", "BUY", 500, "STRATEGY", 20)).crosses
    assert (cross.price, cross.quantity, cross.ts_ns) == (Decimal("190.14"), 500, 20)
    assert (cross.nbbo.bid, cross.nbbo.ask, cross.nbbo.age_ns) == (19013, 19015, 19)
    buyer, seller = made.commit(cross.cross_id)
    assert (buyer.state, buyer.filled, buyer.open) == (TicketState.FILLED, 500, 0)
    assert (seller.state, seller.filled, seller.open) == (TicketState.WORKING, 500, 500)
    assert made.pending == ()


def test_an_odd_spread_gives_a_price_between_two_ticks():
    made = house(19013, 19014)
    made.on_ticket(ticket("B", "BUY", 5, "A"))
    (cross,) = made.on_ticket(ticket("S", "SELL", 5, "B")).crosses
    assert cross.price == Decimal("190.135")
    assert cross.improvement_half_units == 1


def test_venues_of_one_name_share_a_pool():
    made = house()
    made.on_ticket(ticket("B", "BUY", 5, "A", instrument="AAPL.ARCX"))
    assert pairs(made.on_ticket(ticket("S", "SELL", 5, "B"))) == [("B", "S", 5)]


@pytest.mark.parametrize(("bid", "ask"), [(None, 19015), (19013, None), (19015, 19015), (19016, 19015)])
def test_nothing_crosses_without_a_two_sided_open_market(bid, ask):
    made = house(bid, ask)
    made.on_ticket(ticket("B", "BUY", 5, "A"))
    assert made.on_ticket(ticket("S", "SELL", 5, "B")) is NOTHING
    assert pairs(made.on_nbbo("AAPL", "XNAS", 19013, 1, 19015, 1, 20)) == [("B", "S", 5)]


def test_nothing_crosses_on_a_stale_market():
    made = house(age_limit_ns=100)
    made.on_ticket(ticket("B", "BUY", 5, "A", 101))
    assert made.on_ticket(ticket("S", "SELL", 5, "B", 102)) is NOTHING
    assert made.propose("AAPL", 102) is NOTHING
    assert len(made.on_nbbo("AAPL", "XNAS", 19013, 1, 19015, 1, 103).crosses) == 1


def test_nothing_crosses_beyond_a_limit():
    made = house()
    made.on_ticket(ticket("B1", "BUY", 5, "A", limit=Decimal("190.135")))
    made.on_ticket(ticket("B2", "BUY", 5, "A", limit=Decimal("190.14")))
    assert pairs(made.on_ticket(ticket("S", "SELL", 10, "B", limit=Decimal("190.14")))) == [("B2", "S", 5)]
    assert made.on_nbbo("AAPL", "XNAS", 19012, 1, 19014, 1, 20) is NOTHING  # the seller's turn to refuse


def test_one_owner_never_meets_itself():
    made = house()
    made.on_ticket(ticket("B", "BUY", 5, "A", book="A1"))
    assert made.on_ticket(ticket("S", "SELL", 5, "A", book="A2")) is NOTHING
    assert pairs(made.on_ticket(ticket("S2", "SELL", 5, "B"))) == [("B", "S2", 5)]


def test_a_restricted_name_never_crosses_and_a_lifted_restriction_does_on_the_next_event():
    restricted = {"A"}
    made = Crosser(restricted=lambda t: t.beneficiary in restricted)
    made.add_symbol("AAPL", GRID)
    made.on_nbbo("AAPL", "XNAS", 19013, 1, 19015, 1, 1)
    made.on_ticket(ticket("B", "BUY", 5, "A"))
    made.on_ticket(ticket("B2", "BUY", 2, "C"))
    step = made.on_ticket(ticket("S", "SELL", 5, "B"))
    assert pairs(step) == [("B2", "S", 2)]
    restricted.clear()
    assert pairs(made.on_nbbo("AAPL", "XNAS", 19013, 1, 19015, 1, 20)) == [("B", "S", 3)]


def test_price_goes_before_time_and_no_limit_before_any():
    made = house()
    made.on_ticket(ticket("B1", "BUY", 1, "A", limit=Decimal("190.14")))
    made.on_ticket(ticket("B2", "BUY", 1, "A", limit=Decimal("190.20")))
    made.on_ticket(ticket("B3", "BUY", 1, "A"))
    made.on_ticket(ticket("B4", "BUY", 1, "A", limit=Decimal("190.20")))
    step = made.on_ticket(ticket("S", "SELL", 4, "B"))
    assert [x.buy.order_id for x in step.crosses] == ["B3", "B2", "B4", "B1"]


def test_a_minimum_keeps_small_pieces_away_until_less_than_it_is_left():
    made = house()
    made.on_ticket(ticket("S", "SELL", 10, "A", min_quantity=Decimal(6)))
    assert made.on_ticket(ticket("B1", "BUY", 4, "B")) is NOTHING
    step = made.on_ticket(ticket("B2", "BUY", 8, "C"))
    # After 8 of 10 the minimum is the 2 that are left, so the earlier B1 has a claim again.
    assert pairs(step) == [("B2", "S", 8), ("B1", "S", 2)]


def test_a_pool_minimum_binds_even_for_what_is_left():
    made = house(min_cross_quantity=Decimal(5))
    made.on_ticket(ticket("S", "SELL", 8, "A"))
    assert pairs(made.on_ticket(ticket("B1", "BUY", 5, "B"))) == [("B1", "S", 5)]
    assert made.on_ticket(ticket("B2", "BUY", 5, "C")) is NOTHING


def test_minimum_improvement_and_fee_must_fit_into_half_the_spread():
    for rules, spread, count in (
        ({"min_improvement": Decimal("0.01")}, 2, 1),
        ({"min_improvement": Decimal("0.01")}, 1, 0),
        ({"fee_bps": Decimal("0.5")}, 2, 1),  # half the spread is 0.526 bps
        ({"fee_bps": Decimal("0.53")}, 2, 0),
    ):
        made = house(19013, 19013 + spread, **rules)
        made.on_ticket(ticket("B", "BUY", 5, "A"))
        assert len(made.on_ticket(ticket("S", "SELL", 5, "B")).crosses) == count


def test_an_abort_gives_back_quantity_and_place_and_parts_the_pair():
    made = house()
    made.on_ticket(ticket("B1", "BUY", 5, "A"))
    made.on_ticket(ticket("B2", "BUY", 5, "C"))
    before = [made.standing(x) for x in ("B1", "B2")]
    (cross,) = made.on_ticket(ticket("S", "SELL", 5, "B")).crosses
    assert made.standing("B1").reserved == 5
    made.abort(cross.cross_id)
    assert [made.standing(x) for x in ("B1", "B2")] == before
    assert pairs(made.on_nbbo("AAPL", "XNAS", 19013, 1, 19015, 1, 20)) == [("B2", "S", 5)]
    assert pairs(made.on_ticket(ticket("S2", "SELL", 5, "D", 30))) == [("B1", "S2", 5)]


def test_an_aborted_pair_may_meet_again_where_the_caller_says_so():
    made = house()
    made.on_ticket(ticket("B", "BUY", 5, "A"))
    (cross,) = made.on_ticket(ticket("S", "SELL", 5, "B")).crosses
    made.abort(cross.cross_id, again=True)
    assert pairs(made.on_nbbo("AAPL", "XNAS", 19013, 1, 19015, 1, 20)) == [("B", "S", 5)]


def test_a_proposal_ends_once():
    made = house()
    made.on_ticket(ticket("B", "BUY", 5, "A"))
    (cross,) = made.on_ticket(ticket("S", "SELL", 5, "B")).crosses
    made.commit(cross.cross_id)
    for end in (made.commit, made.abort):
        with pytest.raises(SpecError):
            end(cross.cross_id)


def test_what_is_cancelled_while_reserved_ends_with_its_proposal():
    made = house()
    made.on_ticket(ticket("B", "BUY", 8, "A"))
    (cross,) = made.on_ticket(ticket("S", "SELL", 5, "B")).crosses
    assert made.cancel("B", 20).state is TicketState.WORKING
    buyer, seller = made.abort(cross.cross_id, again=True)
    assert (buyer.state, buyer.closed, buyer.open) == (TicketState.CANCELLED, 8, 0)
    assert (seller.state, seller.open) == (TicketState.WORKING, 5)
    with pytest.raises(SpecError):
        made.standing("B")


def test_how_a_ticket_closed_first_is_how_it_ends():
    made = house()
    made.on_ticket(ticket("B", "BUY", 8, "A", expiry_ns=15))
    (cross,) = made.on_ticket(ticket("S", "SELL", 5, "B")).crosses
    (gone,) = made.on_time(15).expired
    assert (gone.state, gone.closed, gone.reserved) == (TicketState.WORKING, 3, 5)
    made.cancel("B", 16)
    buyer, _ = made.commit(cross.cross_id)
    assert (buyer.state, buyer.filled, buyer.closed) == (TicketState.EXPIRED, 5, 3)


def test_a_ticket_expires_at_its_time_and_not_before():
    made = house()
    made.on_ticket(ticket("B", "BUY", 5, "A", expiry_ns=20))
    assert made.on_time(19) is NOTHING
    (gone,) = made.on_nbbo("AAPL", "XNAS", 19013, 1, 19015, 1, 20).expired
    assert (gone.order_id, gone.state, gone.closed) == ("B", TicketState.EXPIRED, 5)
    assert made.on_ticket(ticket("S", "SELL", 5, "B", 21)) is NOTHING


def test_a_ticket_that_comes_too_late_expires_at_once():
    made = house()
    made.on_ticket(ticket("S", "SELL", 5, "B"))
    (gone,) = made.on_ticket(ticket("B", "BUY", 5, "A", expiry_ns=20), 25).expired
    assert gone.state is TicketState.EXPIRED
    assert pairs(made.on_ticket(ticket("B2", "BUY", 5, "A", 26))) == [("B2", "S", 5)]


@pytest.mark.parametrize(
    ("quantity", "limit", "first"),
    [(3, "190.20", "B1"), (9, "190.20", "B2"), (5, "190.19", "B2"), (5, "190.30", "B1")],
)
def test_only_a_smaller_quantity_or_a_better_limit_keeps_a_ticket_in_front(quantity, limit, first):
    made = house()
    for order_id in ("B1", "B2"):
        made.on_ticket(ticket(order_id, "BUY", 5, "A", limit=Decimal("190.20")))
    made.replace("B1", 12, quantity=Decimal(quantity), limit=Decimal(limit))
    step = made.on_ticket(ticket("S", "SELL", 1, "B", 13))
    assert [x.buy.order_id for x in step.crosses] == [first]


def test_a_replacement_can_cross_at_once_and_never_goes_below_what_is_used():
    made = house()
    made.on_ticket(ticket("B", "BUY", 5, "A", limit=Decimal("190.00")))
    made.on_ticket(ticket("S", "SELL", 3, "B"))
    (cross,) = made.replace("B", 12, limit=None).crosses
    for quantity in (3, 2):
        with pytest.raises(SpecError):
            made.replace("B", 13, quantity=Decimal(quantity))
    made.replace("B", 13, quantity=Decimal(4))
    assert made.commit(cross.cross_id)[0].open == 1


def test_what_does_not_belong_in_the_pool_is_refused_and_leaves_no_trace():
    made = house(max_ticket_quantity=Decimal(100), max_resting=1)
    for bad in (
        ticket("T", "BUY", 5, "A", internalization_flag=False),
        ticket("T", "BUY", 101, "A"),
        ticket("T", "BUY", 5, "A", instrument="MSFT.XNAS"),
    ):
        with pytest.raises(SpecError):
            made.on_ticket(bad)
    with pytest.raises(DataError):
        made.on_ticket(ticket("T", "BUY", 5, "A", limit=Decimal("190.1325")))
    made.on_ticket(ticket("T", "BUY", 5, "A"))
    with pytest.raises(LimitExceededError):
        made.on_ticket(ticket("T2", "BUY", 5, "A"))
    with pytest.raises(SpecError):
        made.on_ticket(ticket("T", "BUY", 5, "A"))
    made.cancel("T", 11)
    with pytest.raises(SpecError):  # not even after its end
        made.on_ticket(ticket("T", "BUY", 5, "A", 12))
    for call in (made.standing, lambda x: made.cancel(x, 12), lambda x: made.replace(x, 12)):
        with pytest.raises(SpecError):
            call("T")


def test_time_never_goes_back():
    made = house()
    made.on_ticket(ticket("B", "BUY", 5, "A", 50))
    for call in (
        lambda: made.on_ticket(ticket("S", "SELL", 5, "B", 49)),
        lambda: made.on_nbbo("AAPL", "XNAS", 19013, 1, 19015, 1, 49),
        lambda: made.on_time(49),
        lambda: made.cancel("B", 49),
        lambda: made.replace("B", 49, quantity=Decimal(2)),
        lambda: made.propose("AAPL", 49),
    ):
        with pytest.raises(DataError):
            call()
    assert made.standing("B").open == 5
    assert made.now_ns == 50


def test_a_symbol_has_one_grid_and_rules_that_fit_it():
    made = house()
    made.add_symbol("AAPL", GRID)
    with pytest.raises(SpecError):
        made.add_symbol("AAPL", Grid(price_precision=3, size_precision=0))
    with pytest.raises(DataError):
        Crosser(CrossingRules(min_improvement=Decimal("0.0001"))).add_symbol("AAPL", GRID)
    with pytest.raises(SpecError):
        made.on_nbbo("MSFT", "XNAS", 1, 1, 2, 1, 60)


@pytest.mark.parametrize(
    "rules",
    [
        {"min_improvement": Decimal(-1)},
        {"min_improvement": 0.01},
        {"fee_bps": Decimal("0.0000001")},
        {"fee_bps": Decimal(10_001)},
        {"max_ticket_quantity": Decimal(0)},
        {"min_cross_quantity": Decimal("NaN")},
        {"age_limit_ns": 0},
        {"max_resting": 0},
    ],
)
def test_rules_that_make_no_sense_are_refused(rules):
    with pytest.raises(SpecError):
        CrossingRules(**rules)


def test_proposals_that_nobody_ends_stop_the_house(monkeypatch):
    monkeypatch.setattr(crosser_module, "CROSSES_PENDING_MAX", 3)
    made = house()
    for n in range(5):
        made.on_ticket(ticket(f"B{n}", "BUY", 1, "A"))
    step = made.on_ticket(ticket("S", "SELL", 5, "B"))
    assert len(step.crosses) == 3
    for call in (
        lambda: made.on_ticket(ticket("S2", "SELL", 5, "B")),
        lambda: made.on_nbbo("AAPL", "XNAS", 19013, 1, 19015, 1, 20),
        lambda: made.propose("AAPL", 20),
    ):
        with pytest.raises(LimitExceededError):
            call()
    for cross in step.crosses:
        made.commit(cross.cross_id)
    assert pairs(made.on_nbbo("AAPL", "XNAS", 19013, 1, 19015, 1, 20)) == [("B3", "S", 1), ("B4", "S", 1)]


def test_a_search_that_takes_too_long_goes_on_with_the_next_event(monkeypatch):
    monkeypatch.setattr(match_module, "CROSS_PAIRS_PER_SCAN_MAX", 10)
    made = house(19015, 19015)
    for n in range(20):
        made.on_ticket(ticket(f"S{n}", "SELL", 1, "A"))
        made.on_ticket(ticket(f"B{n}", "BUY", 1, "B"))
    first = made.on_nbbo("AAPL", "XNAS", 19013, 1, 19015, 1, 20)
    assert 0 < len(first.crosses) < 20
    found = pairs(first)
    while len(found) < 20:
        found += pairs(made.on_nbbo("AAPL", "XNAS", 19013, 1, 19015, 1, 20))
    assert found == [(f"B{n}", f"S{n}", 1) for n in range(20)]


def test_there_is_a_limit_on_ids_and_symbols(monkeypatch):
    monkeypatch.setattr(crosser_module, "POOL_IDS_MAX", 1)
    monkeypatch.setattr(crosser_module, "POOL_SYMBOLS_MAX", 1)
    made = house()
    made.on_ticket(ticket("B", "BUY", 1, "A"))
    with pytest.raises(LimitExceededError):
        made.on_ticket(ticket("B2", "BUY", 1, "A"))
    with pytest.raises(LimitExceededError):
        made.add_symbol("MSFT", GRID)


def test_expiries_of_tickets_long_gone_take_no_room():
    made = house()
    for n in range(1_000):
        made.on_ticket(ticket(f"B{n}", "BUY", 1, "A", expiry_ns=10**9))
        made.cancel(f"B{n}", 10)
    pool = made._pools["AAPL"]
    assert len(pool.expiries) < 100
    assert len(pool) == 0


def test_arrival_midpoints_are_kept_where_the_market_could_be_trusted():
    made = house(19013, 19015, age_limit_ns=100)
    made.on_ticket(ticket("B", "BUY", 5, "A", 10))
    made.on_nbbo("AAPL", "XNAS", 19017, 1, 19017, 1, 20)  # locked: a price, but none to cross at
    made.on_ticket(ticket("S", "SELL", 2, "B", 20))
    made.on_ticket(ticket("S2", "SELL", 3, "B", 200))  # stale by now
    crosses = made.on_nbbo("AAPL", "XNAS", 19013, 1, 19015, 1, 201).crosses
    assert [(x.buy_arrival, x.sell_arrival) for x in crosses] == [(38028, 38034), (38028, None)]

"""The residual: when the desk gets it, when the market does, what the desk hedges, and the worked example."""

from decimal import Decimal

import pytest

from ufos_nautilus.crossing.example import worked_example
from ufos_nautilus.crossing.grid import Grid
from ufos_nautilus.crossing.nbbo import NbboBook
from ufos_nautilus.crossing.residual import DeskQuote, Reason, decide, hedge_size, market_instruction, request_quote
from ufos_nautilus.crossing.states import TicketState
from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.errors import SpecError

GRID = Grid(price_precision=2, size_precision=0)


def ticket(side="SELL", **more) -> Ticket:
    return Ticket(
        order_id="C-1",
        instrument="AAPL.XNAS",
        intent_side=side,
        quantity=Decimal(1000),
        ts_ns=10,
        client_id="CLIENT",
        **more,
    )


def decision(quote_price, *, side="SELL", size=500, quoted=500, bid=19013, ask=19015, now=10, owner="DESK", **more):
    book = NbboBook(age_limit_ns=100)
    book.update("XNAS", bid, 1, ask, 1, 5)
    made = ticket(side, **more)
    quote = None if quote_price is None else DeskQuote(GRID.half_units(Decimal(quote_price)), quoted, owner)
    return decide(request_quote(made, size, book.at(now)), quote, GRID)


@pytest.mark.parametrize(
    ("side", "price", "reason"),
    [
        ("SELL", "190.13", Reason.ACCEPTED),  # at the touch
        ("SELL", "190.135", Reason.ACCEPTED),
        ("SELL", "190.15", Reason.ACCEPTED),
        ("SELL", "190.125", Reason.WORSE_THAN_TOUCH),
        ("SELL", "190.155", Reason.THROUGH_THE_MARKET),
        ("BUY", "190.15", Reason.ACCEPTED),
        ("BUY", "190.13", Reason.ACCEPTED),
        ("BUY", "190.155", Reason.WORSE_THAN_TOUCH),
        ("BUY", "190.125", Reason.THROUGH_THE_MARKET),
        ("SELL", None, Reason.NO_QUOTE),
    ],
)
def test_the_desk_gets_the_residual_only_if_it_is_no_worse_than_the_touch(side, price, reason):
    found = decision(price, side=side)
    assert found.reason is reason
    assert (found.desk, found.market) == ((500, 0) if reason is Reason.ACCEPTED else (0, 500))
    assert (found.half_units is None) == (reason is not Reason.ACCEPTED)


def test_no_quote_is_accepted_without_a_market_to_judge_it_by():
    for market in ({"now": 200}, {"bid": None}, {"bid": 19015}, {"bid": 19016}):
        assert decision("190.14", **market).reason is Reason.NO_MARKET


def test_a_quote_beyond_the_clients_limit_or_from_its_own_desk_is_refused():
    assert decision("190.13", limit=Decimal("190.135")).reason is Reason.BEYOND_LIMIT
    assert decision("190.135", limit=Decimal("190.135")).reason is Reason.ACCEPTED
    assert decision("190.15", side="BUY", limit=Decimal("190.145")).reason is Reason.BEYOND_LIMIT
    assert decision("190.13", owner="CLIENT").reason is Reason.SAME_OWNER


def test_what_the_desk_does_not_want_goes_to_the_market_by_the_named_algorithm():
    found = decision("190.13", quoted=200, exec_instruction={"algorithm": "pov", "participation_rate": 0.1})
    assert (found.desk, found.market) == (200, 300)
    assert (found.algorithm, found.parameters) == ("POV", {"participation_rate": 0.1})
    assert decision("190.13", quoted=0).reason is Reason.NO_QUOTE
    assert decision("190.13", quoted=10_000).desk == 500


def test_the_default_algorithm_is_twap_and_an_unknown_one_is_refused():
    assert market_instruction(ticket()) == ("TWAP", {})
    with pytest.raises(SpecError):
        market_instruction(ticket(exec_instruction={"algorithm": "MAGIC"}))
    with pytest.raises(SpecError):
        decision("190.13", size=0)


@pytest.mark.parametrize(
    ("inventory", "limit", "trade"),
    [(500, 500, 0), (501, 500, -1), (-700, 500, 200), (300, 0, -300), (0, 0, 0)],
)
def test_the_desk_hedges_back_to_what_it_may_hold(inventory, limit, trade):
    assert hedge_size(Decimal(inventory), Decimal(limit)) == trade
    with pytest.raises(SpecError):
        hedge_size(Decimal(1), Decimal(-1))


def test_the_worked_example_gives_its_figures():
    example = worked_example()
    found = example.to_dict()
    cross, rest = found["cross"], found["residual"]
    assert (cross["price"], cross["quantity"], cross["value"]) == ("190.14", "500", "95070")
    assert (cross["sell"]["saved"], cross["sell"]["saved_bps"]) == ("5", "0.526")
    assert (cross["buy"]["saved"], cross["buy"]["saved_bps"]) == ("5", "0.5259")
    assert (rest["desk"], rest["desk_price"], rest["market"]) == ("500", "190.13", "0")
    assert example.buyer.state is TicketState.FILLED
    assert (example.seller.filled, example.seller.open) == (500, 500)


def test_a_desk_below_the_bid_leaves_the_residual_to_the_market():
    for price in (Decimal("190.12"), None):
        rest = worked_example(price).to_dict()["residual"]
        assert (rest["desk"], rest["market"], rest["algorithm"]) == ("0", "500", "TWAP")

"""The consolidated best bid and offer, and the grid of whole-number prices."""

from dataclasses import replace
from decimal import Decimal

import pytest

from ufos_nautilus.crossing.grid import Grid, root_symbol
from ufos_nautilus.crossing.nbbo import NbboBook, NbboStatus
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import NBBO_VENUES_MAX
from ufos_nautilus.market.instruments import InstrumentSpec

AAPL = InstrumentSpec(
    instrument_id="AAPL.XNAS",
    kind="equity",
    base="AAPL",
    quote="USD",
    settlement="USD",
    tick_size=Decimal("0.01"),
    lot_size=Decimal(1),
    price_precision=2,
    size_precision=0,
)


@pytest.fixture
def book() -> NbboBook:
    return NbboBook(age_limit_ns=100)


def test_the_best_of_all_venues_is_named_with_source_size_and_age(book):
    book.update("XNAS", 1000, 5, 1004, 6, 10)
    book.update("ARCX", 1001, 7, 1005, 8, 30)
    book.update("BATS", 999, 1, 1003, 2, 40)
    found = book.at(50)
    assert (found.bid, found.bid_size, found.bid_venue, found.bid_age_ns) == (1001, 7, "ARCX", 20)
    assert (found.ask, found.ask_size, found.ask_venue, found.ask_age_ns) == (1003, 2, "BATS", 10)
    assert (found.status, found.age_ns, found.ts_ns) == (NbboStatus.OK, 20, 50)


def test_at_equal_prices_sizes_add_up_and_the_freshest_venue_is_the_source(book):
    book.update("XNAS", 1000, 5, 1001, 5, 10)
    book.update("ARCX", 1000, 7, 1002, 9, 30)
    assert (book.at(40).bid_venue, book.at(40).bid_size) == ("ARCX", 12)
    book.update("XNAS", 1000, 4, 1001, 5, 30)
    assert (book.at(40).bid_venue, book.at(40).bid_size) == ("XNAS", 11)  # same time: the later name


def test_a_venue_that_gets_worse_leaves_the_best_to_another(book):
    book.update("XNAS", 1000, 5, 1001, 5, 10)
    book.update("ARCX", 999, 7, 1002, 9, 10)
    book.update("XNAS", 998, 5, 1003, 5, 20)
    assert (book.at(20).bid, book.at(20).ask, book.at(20).bid_venue) == (999, 1002, "ARCX")


def test_each_status_has_its_cause(book):
    assert book.status(0) is NbboStatus.MISSING
    book.update("XNAS", 1000, 5, None, 0, 10)
    assert book.status(10) is NbboStatus.ONE_SIDED
    book.update("XNAS", None, 0, 1001, 5, 11)
    assert book.status(11) is NbboStatus.ONE_SIDED
    book.update("XNAS", 1000, 5, 1001, 5, 12)
    assert book.status(112) is NbboStatus.OK
    assert book.status(113) is NbboStatus.STALE
    assert book.status(11) is NbboStatus.STALE  # a quote from the future proves a broken clock
    book.update("XNAS", 1001, 5, 1001, 5, 13)
    assert book.status(13) is NbboStatus.LOCKED
    book.update("XNAS", 1002, 5, 1001, 5, 14)
    assert book.status(14) is NbboStatus.CROSSED
    assert book.status(1_000) is NbboStatus.STALE
    book.withdraw("XNAS", 15)
    assert book.status(15) is NbboStatus.MISSING
    assert (book.at(15).bid_venue, book.at(15).ask_size) == ("", 0)


def test_a_size_of_zero_is_no_quote(book):
    book.update("XNAS", 1000, 0, 1001, 5, 10)
    assert (book.bid, book.at(10).status) == (None, NbboStatus.ONE_SIDED)
    book.update("XNAS", None, 9, 1001, 5, 10)
    assert book.at(10).bid_size == 0


def test_only_the_venues_at_the_touch_can_make_it_stale(book):
    book.update("ARCX", 900, 5, 1100, 5, 10)
    book.update("XNAS", 1000, 5, 1001, 5, 500)
    assert book.status(550) is NbboStatus.OK
    book.update("XNAS", 1000, 5, 1200, 5, 560)
    assert book.status(560) is NbboStatus.STALE  # the offer is ARCX's now


def test_bad_quotes_are_refused_and_change_nothing(book):
    book.update("XNAS", 1000, 5, 1001, 5, 10)
    before = book.at(10)
    for venue, bid_size, ts in (("XNAS", 5, 9), ("XNAS", -1, 11), ("", 5, 11)):
        with pytest.raises(DataError):
            book.update(venue, 1002, bid_size, 1003, 5, ts)
    assert book.at(10) == before
    with pytest.raises(SpecError):
        NbboBook(0)


def test_there_is_a_limit_on_venues(book):
    for n in range(NBBO_VENUES_MAX):
        book.update(f"V{n}", 1000, 1, 1001, 1, 1)
    with pytest.raises(LimitExceededError):
        book.update("ONE-MORE", 1000, 1, 1001, 1, 1)


def test_the_grid_holds_half_ticks_exactly():
    grid = Grid.from_instrument(AAPL)
    assert (grid.price_units(Decimal("190.13")), grid.half_units(Decimal("190.135"))) == (19013, 38027)
    assert (grid.price(38027), grid.price(38028)) == (Decimal("190.135"), Decimal("190.14"))
    assert grid.money(38027, 3) == Decimal("570.405")
    assert (grid.size_units(Decimal("7.0")), grid.size(7)) == (7, 7)


def test_the_grid_refuses_what_lies_off_it():
    grid = replace(Grid.from_instrument(AAPL), lot=100)
    for bad in (
        lambda: grid.price_units(Decimal("190.135")),
        lambda: grid.half_units(Decimal("190.1325")),
        lambda: grid.size_units(Decimal(150)),
        lambda: grid.size_units(Decimal("1.5")),
        lambda: grid.half_units(Decimal("NaN")),
        lambda: grid.half_units(Decimal("Infinity")),
        lambda: grid.size_units(Decimal("1E-2000")),
        lambda: grid.size_units(Decimal("1E+2000")),
        lambda: grid.size_units(Decimal("100." + "0" * 200 + "1")),
    ):
        with pytest.raises(DataError):
            bad()
    with pytest.raises(SpecError):
        Grid(price_precision=-1, size_precision=0)
    with pytest.raises(SpecError):
        Grid.from_instrument(replace(AAPL, inverse=True))
    with pytest.raises(SpecError):
        root_symbol("AAPL")
    assert root_symbol("BRK.B.XNYS") == "BRK.B"

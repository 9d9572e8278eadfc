"""A run on shortened data must repeat the full one up to the cut."""

from pathlib import Path

import pytest

from tests.sandbox_results import STEP_NS, change, honest, market, seal
from ufos_sandbox.samples import INSTRUMENT, START_NS
from ufos_sandbox.slices import Slice
from ufos_sandbox.truncation import choose_cuts, compare, opening_orders

CUT = START_NS + 60 * STEP_NS


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Slice:
    return market(tmp_path_factory.mktemp("market"))


def first(part: Slice, count: int):
    whole = honest(part)
    return seal(whole.orders[:count], whole.fills[:count])


def test_the_same_behaviour_up_to_the_cut_passes(part):
    assert compare(honest(part), first(part, 3), CUT) == ""


def test_an_order_that_needed_the_future_is_missing(part):
    assert "missing without the future" in compare(honest(part), first(part, 2), CUT)


def test_another_side_another_price_or_another_size_is_found(part):
    early = first(part, 3)
    turned = seal([change(o, side="SELL") for o in early.orders], early.fills)
    assert "order 1 is" in compare(honest(part), turned, CUT)
    dearer = seal(early.orders, [early.fills[0], change(early.fills[1], price="1.00"), early.fills[2]])
    assert "fill 2 is" in compare(honest(part), dearer, CUT)


def test_a_trade_that_was_left_out_of_the_full_result_is_found(part):
    whole = honest(part)
    hidden = seal(whole.orders[2:], whole.fills[2:])
    assert compare(hidden, first(part, 3), CUT) != ""


def test_what_a_book_does_when_it_stops_is_no_evidence(part):
    early = first(part, 3)
    goodbye = change(early.fills[2], trade_id="T-last", client_order_id="X-99", side="SELL", ts=CUT)
    order = change(early.orders[2], client_order_id="X-99", side="SELL", ts_init=CUT, ts_last=CUT)
    assert compare(honest(part), seal([*early.orders, order], [*early.fills, goodbye]), CUT) == ""


def test_an_order_that_ended_before_the_cut_must_have_ended_the_same_way(part):
    early = first(part, 3)
    cancelled = seal([change(early.orders[0], status="CANCELED"), *early.orders[1:]], early.fills)
    assert "differently" in compare(honest(part), cancelled, CUT)


def test_cuts_lie_where_positions_are_opened_and_anywhere_and_can_be_repeated(part):
    result = honest(part)
    cuts = choose_cuts(result, part, "code", 4)
    assert cuts == choose_cuts(result, part, "code", 4)
    assert cuts != choose_cuts(result, part, "other code", 4)
    opened = {o.ts_init for o in result.orders if o.client_order_id in opening_orders(result)}
    assert {c.ns for c in cuts[::2]} <= opened
    assert all(part.first_ns < c.ns < part.last_ns for c in cuts)
    assert len(choose_cuts(seal([], []), part, "code", 3)) == 3


def test_a_slice_ends_at_its_cut_and_keeps_its_rows(part):
    piece = part.until(CUT)
    assert (piece.rows, piece.last_ns, piece.first_ns) == (61, CUT, START_NS)
    assert piece.frame("quotes", INSTRUMENT).equals(part.frame("quotes", INSTRUMENT).head(61))
    assert piece.digest != part.digest


def test_cutting_writes_nothing(part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    part.until(CUT)
    assert list(tmp_path.iterdir()) == []

"""Parts of the desk on their own: first belief about fills, rooms by mode, defences, time at the best."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import BookOrder, BookType, InstrumentId, OrderBook, OrderSide, Price, Quantity

from ufos_strategies.desk.config import MarketMakerConfig
from ufos_strategies.desk.defences import Defences
from ufos_strategies.desk.estimation import IntensityLearner
from ufos_strategies.desk.ladder import NEVER
from ufos_strategies.desk.model import DeskModel
from ufos_strategies.desk.modes import Mode, rooms
from ufos_strategies.desk.presence import Presence

S = 1_000_000_000


def config(**changes):
    base = {"instrument_id": "X.SIM", "order_size": Decimal(1), "max_inventory": Decimal(10)}
    return MarketMakerConfig(**(base | changes))


def learner(**part):
    params = config(intensity=part, k_per_tick=0.5, a_per_s=1.0)
    model = DeskModel(params, 10)
    assert params.intensity is not None
    return IntensityLearner(model, params.intensity, ("B-1", "X.SIM"), None), model


def exponential_book(growth: float) -> OrderBook:
    """Cumulative size 10 exp(growth d) at depth d ticks (of 0.01) from 100.005."""
    book = OrderBook(InstrumentId.from_str("X.SIM"), BookType.L2_MBP)
    before = 0.0
    for i in range(20):
        total = 10.0 * 2.718281828 ** (growth * (i + 0.5))
        size = Quantity.from_str(f"{total - before:.4f}")
        before = total
        for side, price in ((OrderSide.BUY, f"{100.00 - i / 100:.2f}"), (OrderSide.SELL, f"{100.01 + i / 100:.2f}")):
            book.add(BookOrder(side, Price.from_str(price), size, i), 0, i, i)
    return book


def test_the_first_belief_is_the_tail_of_sizes_times_the_growth_of_depth():
    one, model = learner()
    rng = Random(1)
    for i in range(2_000):
        one.on_trade(i * S, rng.paretovariate(1.5))
    assert one.believe_market(3_000 * S, exponential_book(0.2), 100.0)
    assert one.source == "market"
    assert model.k_per_tick == pytest.approx(1.5 * 0.2, rel=0.1)
    assert 0.01 < model.a_per_s < 1.0


def test_without_enough_trades_or_a_book_the_belief_stays_what_it_was():
    for book in (None, exponential_book(0.2)):
        one, model = learner()
        for i in range(10):
            one.on_trade(i * S, 1.0 + i)
        assert not one.believe_market(100 * S, book, 100.0)
        assert (one.source, model.k_per_tick, model.a_per_s) == ("config", 0.5, 1.0)
    one, model = learner()
    for i in range(100):
        one.on_trade(i * S, 1.0)  # sizes that say nothing about a tail
    assert not one.believe_market(100 * S, exponential_book(0.2), 100.0)


def test_prints_at_one_instant_count_as_one_order():
    one, _ = learner()
    for ts in (S, S, 2 * S):
        one.on_trade(ts, 1.0)
    assert one._sizes == [2.0, 1.0]


def test_an_estimate_far_from_every_belief_is_not_used():
    one, model = learner(refresh_s=1.0, prior_fills=0.01)
    for i in range(200):
        one.estimator.observe(i * S, 0.0, 1e-6, 1.0)  # a million fills a second
    one.refresh(200 * S)
    assert one.rejected == 1
    assert (model.a_per_s, model.k_per_tick) == (1.0, 0.5)


@given(st.sampled_from(list(Mode)), st.integers(-50, 50), st.integers(1, 30))
def test_no_mode_allows_more_than_the_bound_or_through_zero_where_it_only_reduces(mode, position, bound):
    buy, sell = rooms(mode, position, bound)
    assert buy >= 0 and sell >= 0
    if buy:
        assert position + buy <= bound
    if sell:
        assert position - sell >= -bound
    if mode is Mode.REDUCE_ONLY:
        assert not buy or position + buy <= 0
        assert not sell or position - sell >= 0
    if mode in (Mode.HALT, Mode.LIQUIDATE):
        assert (buy, sell) == (0, 0)


def test_a_rising_leader_is_a_danger_to_asks_only_and_signals_add_up():
    fade = {"hold_ms": 500.0, "widen_ticks": 7.0}
    defences = Defences(config(fade=fade))
    assert defences.extra_ticks(0) == (0.0, 0.0)
    assert defences.on_leader(10 * S, 6.0) == (False, True)
    assert defences.extra_ticks(10 * S) == (0.0, 7.0)
    assert defences.on_leader(10 * S + S // 10, -6.0) == (True, True)
    assert defences.wake_ns(10 * S + S // 10) == 10 * S + S // 10 + S // 2
    assert defences.extra_ticks(11 * S) == (0.0, 0.0)
    assert defences.wake_ns(11 * S) == NEVER
    both = Defences(config(fade=fade | {"sides": "both"}))
    assert both.on_leader(S, 6.0) == (True, True)
    assert Defences(config()).on_leader(S, 6.0) == (False, False)


def test_time_at_the_best_is_weighted_by_time():
    presence = Presence()
    presence.update(0, 100, 102, 100, 101)
    presence.update(3 * S, 99, None, 100, 101)
    presence.update(4 * S, None, None, 100, 101)
    presence.update(10 * S, 100, 101, 100, 101)
    figures = presence.figures()
    assert figures == {
        "seconds": 10.0, "quoted": 0.4, "two_sided": 0.3, "at_best_bid": 0.3, "at_best_ask": 0.0,
    }  # fmt: skip

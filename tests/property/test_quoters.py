"""What every quoter must hold whatever its parameters."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ufos_nautilus.pricing.avellaneda_stoikov import AvellanedaStoikov, SymmetricQuoter, reservation_price
from ufos_nautilus.pricing.glft import Glft, GlftClosedForm, GlftParams
from ufos_nautilus.pricing.quoter import Quoter, fill_risk_depth

log_uniform = lambda low, high: st.floats(math.log(low), math.log(high)).map(math.exp)


@st.composite
def quoters(draw: st.DrawFn, drift: bool = False) -> Quoter:
    gamma, k = draw(log_uniform(1e-4, 10.0)), draw(log_uniform(1e-2, 100.0))
    bound = draw(st.integers(1, 40))
    kind = draw(st.sampled_from(["as", "symmetric", "closed", "exact"]))
    if kind == "as":
        return AvellanedaStoikov(gamma, k, bound)
    if kind == "symmetric":
        return SymmetricQuoter(gamma, k, bound)
    params = GlftParams(
        gamma=gamma,
        k=k,
        A=draw(log_uniform(1e-3, 1e3)),
        bound_lots=bound,
        xi=draw(st.floats(0.0, 1.0)) / k,
        drift=draw(st.floats(-1.0, 1.0)) if drift else 0.0,
    )
    return GlftClosedForm(params) if kind == "closed" else Glft(params)


sigmas = st.one_of(st.just(0.0), log_uniform(1e-4, 100.0))
times = st.floats(0.0, 1e4)
inventories = st.floats(-50.0, 50.0)


@given(quoters(drift=True), inventories, sigmas, times)
def test_depths_are_finite_numbers_or_absent_exactly_at_the_bound(quoter, q, sigma, time_left):
    depths = quoter.quote(q, sigma, time_left)
    assert (depths.bid_depth is None) == (q >= quoter.bound_lots)
    assert (depths.ask_depth is None) == (q <= -quoter.bound_lots)
    assert all(math.isfinite(d) for d in depths if d is not None)


@given(quoters(), inventories, inventories, sigmas, times)
def test_a_longer_position_never_bids_closer_nor_offers_further_away(quoter, a, b, sigma, time_left):
    low, high = quoter.quote(min(a, b), sigma, time_left), quoter.quote(max(a, b), sigma, time_left)
    slack = 1e-9 * (1.0 + abs(low.bid_depth or 0.0) + abs(high.ask_depth or 0.0))
    if low.bid_depth is not None and high.bid_depth is not None:
        assert high.bid_depth >= low.bid_depth - slack
    if low.ask_depth is not None and high.ask_depth is not None:
        assert high.ask_depth <= low.ask_depth + slack


@given(quoters(), inventories, sigmas, times)
def test_bid_at_a_position_mirrors_the_ask_at_its_negative(quoter, q, sigma, time_left):
    here, there = quoter.quote(q, sigma, time_left), quoter.quote(-q, sigma, time_left)
    assert here.bid_depth == (None if there.ask_depth is None else pytest.approx(there.ask_depth, rel=1e-6, abs=1e-6))


@given(quoters(), sigmas, times)
def test_without_inventory_both_depths_are_equal_and_positive(quoter, sigma, time_left):
    depths = quoter.quote(0, sigma, time_left)
    assert depths.bid_depth is not None
    assert depths.bid_depth == pytest.approx(depths.ask_depth, rel=1e-6, abs=1e-6)
    assert depths.bid_depth > 0.0


@given(inventories, log_uniform(1e-4, 10.0), sigmas, times, st.floats(1.0, 1e5))
def test_reservation_price_is_fair_value_without_inventory_and_at_the_horizon(q, gamma, sigma, time_left, price):
    assert reservation_price(price, 0.0, gamma, sigma, time_left) == price
    assert reservation_price(price, q, gamma, sigma, 0.0) == price
    moved = reservation_price(price, q, gamma, sigma, time_left) - price
    assert moved * q <= 0.0


@given(log_uniform(1e-4, 10.0), log_uniform(1e-2, 100.0), st.integers(-9, 9), sigmas)
def test_avellaneda_stoikov_at_the_horizon_asks_for_fill_risk_alone(gamma, k, q, sigma):
    depths = AvellanedaStoikov(gamma, k, 10).quote(q, sigma, 0.0)
    assert depths.bid_depth == depths.ask_depth == fill_risk_depth(gamma, k)
    assert depths.bid_depth <= 1.0 / k


@given(log_uniform(0.1, 10.0), log_uniform(0.1, 10.0), log_uniform(1e-3, 1.0), st.integers(-5, 5))
def test_closed_form_meets_the_table_when_risk_is_small_and_the_bound_is_far(k, A, sigma, q):
    params = GlftParams(gamma=0.001 * k, k=k, A=A, bound_lots=200)
    exact, closed = Glft(params, sigma).quote(q, sigma, 0.0), GlftClosedForm(params).quote(q, sigma, 0.0)
    alpha_over_eta = 0.5 * k * params.gamma * sigma * sigma / params.eta
    if 1e-6 < alpha_over_eta < 1e-2:
        assert closed.bid_depth == pytest.approx(exact.bid_depth, rel=0.01)
        assert closed.ask_depth == pytest.approx(exact.ask_depth, rel=0.01)

"""Quoters with a horizon: exact GLFT and Cartea-Jaimungal."""

import math

import numpy as np
import pytest
from scipy.linalg import expm

from ufos_nautilus.errors import LimitExceededError, RunFailedError, SpecError
from ufos_nautilus.limits import EXACT_QUOTER_STEPS_MAX
from ufos_nautilus.pricing.avellaneda_stoikov import AvellanedaStoikov
from ufos_nautilus.pricing.cartea_jaimungal import CarteaJaimungal, CarteaJaimungalParams
from ufos_nautilus.pricing.glft import Glft, GlftParams
from ufos_nautilus.pricing.glft_exact import GlftExact, certainty_equivalent
from ufos_nautilus.pricing.tridiagonal import decay_log_scale, ground_state_log_ratios


@pytest.mark.parametrize(("gamma", "bound", "expected"), [(0.01, 20, 67.844), (0.1, 10, 64.128), (0.5, 10, 53.925)])
def test_certainty_equivalent_is_the_published_one(gamma, bound, expected):
    params = GlftParams(gamma=gamma, k=1.5, A=140.0, bound_lots=bound)
    assert certainty_equivalent(params, 2.0, 1.0) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(("gamma", "bound", "expected"), [(0.01, 20, 0.6724), (0.1, 10, 0.6716), (1.0, 10, 0.6084)])
def test_exact_half_spread_without_inventory_is_the_published_one(gamma, bound, expected):
    quoter = GlftExact(GlftParams(gamma=gamma, k=1.5, A=140.0, bound_lots=bound), 1.0, 2.0)
    assert quoter.quote(0, 2.0, 1.0).bid_depth == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("xi", [0.0, 0.2])
def test_exact_skew_is_that_of_the_matrix_exponential(xi):
    params = GlftParams(gamma=0.1, k=1.5, A=140.0, bound_lots=6, xi=xi, drift=0.3)
    quoter = GlftExact(params, 1.0, 2.0)
    diag, off = params.matrix(2.0)
    matrix = np.diag(diag) - np.diag(off[:-1], 1) - np.diag(off[:-1], -1)
    end = np.exp(-0.5 * params.k * xi * np.arange(-6, 7) ** 2)
    for tau in (0.0, 0.003, 0.02, 0.1, 1.0):
        v = expm(-matrix * tau) @ end
        for q in range(-6, 6):
            expected = params.base_depth + math.log(v[q + 6] / v[q + 7]) / params.k
            assert quoter.quote(q, 2.0, tau).bid_depth == pytest.approx(expected, abs=1e-4)


def test_exact_quotes_are_stationary_far_from_the_horizon_and_avellaneda_stoikov_near_it():
    params = GlftParams(gamma=0.1, k=1.5, A=140.0, bound_lots=10)
    far, near = GlftExact(params, 1.0, 2.0), GlftExact(params, 1e-4, 2.0)
    stationary, reference = Glft(params, 2.0), AvellanedaStoikov(0.1, 1.5, 10)
    for q in (-4, 0, 3):
        assert far.quote(q, 2.0, 1.0) == pytest.approx(tuple(stationary.quote(q, 2.0, 1.0)), abs=1e-6)
        assert far.quote(q, 2.0, 50.0) == far.quote(q, 2.0, 1.0)
        for tau in (0.0, 5e-5, 1e-4):
            assert near.quote(q, 2.0, tau) == pytest.approx(tuple(reference.quote(q, 2.0, tau)), abs=1e-6)


def test_exact_quotes_mirror_and_hold_the_bound():
    quoter = GlftExact(GlftParams(gamma=0.1, k=1.5, A=140.0, bound_lots=4), 1.0, 2.0)
    for q in (-3.5, -1, 0, 0.25, 2):
        for tau in (0.0, 0.3, 1.0):
            assert quoter.quote(q, 1.7, tau).bid_depth == pytest.approx(quoter.quote(-q, 1.7, tau).ask_depth)
    assert quoter.quote(4, 2.0, 0.5).bid_depth is None
    assert quoter.quote(-4.5, 2.0, 0.5).ask_depth is None
    for q, sigma, tau in ((math.nan, 1, 1), (0, math.nan, 1), (0, 1, -1), (0, 1, math.nan), (math.inf, 1, 1)):
        with pytest.raises(SpecError):
            quoter.quote(q, sigma, tau)


def test_exact_quotes_that_would_take_too_long_are_refused():
    with pytest.raises(LimitExceededError):
        GlftExact(GlftParams(gamma=0.1, k=1.5, A=140.0, bound_lots=1000), 10.0 * EXACT_QUOTER_STEPS_MAX, 2.0)
    with pytest.raises(SpecError):
        GlftExact(GlftParams(gamma=0.1, k=1.5, A=140.0, bound_lots=3), 0.0)


def symmetric(impact: float = 0.0, **changed: float) -> CarteaJaimungalParams:
    values = {"buy_rate": 50.0, "sell_rate": 50.0, "kappa": 1.5, "phi": 0.1, "alpha": 0.01} | changed
    return CarteaJaimungalParams(**values, buy_impact=impact, sell_impact=impact)


def test_cartea_jaimungal_reproduces_its_reference_depths():
    quoter = CarteaJaimungal(symmetric(), 1.0)
    bids = [quoter.quote(q, 0.0, 1.0).bid_depth for q in range(-2, 3)]
    assert bids == pytest.approx([0.5750, 0.6361, 0.6973, 0.7584, 0.8193], abs=5e-5)
    assert [quoter.quote(-q, 0.0, 1.0).ask_depth for q in range(-2, 3)] == pytest.approx(bids)
    moved = CarteaJaimungal(symmetric(0.02), 1.0).quote(0, 0.0, 1.0).ask_depth
    assert moved - quoter.quote(0, 0.0, 1.0).ask_depth == pytest.approx(0.0205, abs=5e-5)


def test_cartea_jaimungal_at_the_horizon_pays_the_terminal_penalty_alone():
    quoter = CarteaJaimungal(symmetric(), 1.0)
    for q in (-2, 0, 5):  # h(q) = -alpha q^2
        assert quoter.quote(q, 0.0, 0.0).bid_depth == pytest.approx(1 / 1.5 + 0.01 * (2 * q + 1))


def test_cartea_jaimungal_without_horizon_is_the_limit_of_a_long_one():
    long, stationary = CarteaJaimungal(symmetric(0.02), 5.0), CarteaJaimungal(symmetric(0.02))
    for q in range(-9, 10):
        now, then = stationary.quote(q, 0.0, 0.0), long.quote(q, 0.0, 5.0)
        assert tuple(now) == pytest.approx(tuple(then), abs=1e-9)


def test_cartea_jaimungal_leans_towards_the_side_the_flow_pushes():
    up = CarteaJaimungal(
        CarteaJaimungalParams(buy_rate=60.0, sell_rate=40.0, kappa=1.5, phi=0.1, buy_impact=0.05, sell_impact=0.05)
    ).quote(0, 0.0, 0.0)
    assert up.bid_depth < up.ask_depth


def test_cartea_jaimungal_penalty_in_proportion_to_variance_is_the_risk_aversion_of_glft():
    gamma, k, A = 1e-4, 1.5, 140.0
    risk = CarteaJaimungal(
        CarteaJaimungalParams(buy_rate=A, sell_rate=A, kappa=k, phi_per_variance=0.5 * gamma, bound_lots=30),
        sigma_reference=2.0,
    )
    glft = Glft(GlftParams(gamma=gamma, k=k, A=A, bound_lots=30), 2.0)
    for q in (-5, 0, 7):
        assert risk.quote(q, 2.0, 0.0).bid_depth == pytest.approx(glft.quote(q, 2.0, 0.0).bid_depth, rel=1e-3)


@pytest.mark.parametrize("changed", [{"kappa": 0.0}, {"phi": -1.0}, {"buy_rate": math.inf}, {"impact": 1e4}])
def test_cartea_jaimungal_refuses_parameters_out_of_range(changed):
    with pytest.raises(SpecError):
        symmetric(**changed)


def test_cartea_jaimungal_refuses_a_terminal_penalty_no_float_can_hold():
    with pytest.raises(SpecError):
        CarteaJaimungal(symmetric(alpha=100.0), 1.0)
    with pytest.raises(SpecError):
        CarteaJaimungal(symmetric(), 0.0)


def test_decay_keeps_its_scale_and_refuses_what_underflows():
    diag, off = [0.0, 1.0, 3.0], [0.5, 0.5, 0.5]
    matrix = np.diag(diag) - np.diag(off[:-1], 1) - np.diag(off[:-1], -1)
    vector, log_scale = decay_log_scale(diag, off, off, [1.0, 1.0, 1.0], 40.0)
    assert np.array(vector) * math.exp(log_scale) == pytest.approx(expm(-matrix * 40.0) @ np.ones(3), rel=1e-9)
    with pytest.raises(RunFailedError):
        decay_log_scale([0.0, 1e4], [0.0] * 2, [0.0] * 2, [1.0, 1.0], 1.0)


def test_ground_state_of_a_matrix_that_is_not_finite_is_an_error():
    with pytest.raises(RunFailedError):
        ground_state_log_ratios([0.0, math.inf, 0.0], [1.0] * 3, [1.0] * 3)

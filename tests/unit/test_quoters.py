"""Quoters against published numbers and an independent eigensolver."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.linalg import eigh_tridiagonal

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import QUOTER_BOUND_LOTS_MAX, QUOTER_TABLES_CACHED_MAX
from ufos_nautilus.pricing.avellaneda_stoikov import (
    AvellanedaStoikov,
    SymmetricQuoter,
    half_spread,
    reservation_price,
)
from ufos_nautilus.pricing.glft import Glft, GlftClosedForm, GlftParams, stationary_skew
from ufos_nautilus.research.vector_quoters import avellaneda_stoikov_depths, glft_depths

FIGURE = GlftParams(gamma=0.01, k=0.3, A=0.9, bound_lots=30)
FIGURE_BIDS = [2.9725, 3.0406, 3.1087, 3.1768, 3.2449, 3.3130, 3.3812, 3.4493, 3.5174, 3.5854, 3.6535]


def eigenvector_skew(params: GlftParams, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """The skew from a general eigensolver, and where its components are large enough to be trusted."""
    diag, off = params.matrix(sigma)
    _, vectors = eigh_tridiagonal(diag, -np.array(off[:-1]), select="i", select_range=(0, 0))
    ground = np.abs(vectors[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(ground[:-1] / ground[1:]) / params.k, np.minimum(ground[:-1], ground[1:]) > 1e-5


def test_glft_reproduces_the_bid_depths_of_the_papers_figure():
    quoter = Glft(FIGURE, sigma_reference=0.3)
    bids = [quoter.quote(q, 0.3, 600.0).bid_depth for q in range(-5, 6)]
    assert bids == pytest.approx(FIGURE_BIDS, abs=5e-5)


def test_glft_closed_form_reproduces_its_published_ends():
    quoter = GlftClosedForm(FIGURE)
    assert quoter.quote(-5, 0.3, 0.0).bid_depth == pytest.approx(2.9736, abs=5e-5)
    assert quoter.quote(5, 0.3, 0.0).bid_depth == pytest.approx(3.6522, abs=5e-5)


@pytest.mark.parametrize(
    ("gamma", "bound", "exact", "closed"),
    [(0.01, 20, 0.6724, 0.6725), (0.1, 10, 0.6716, 0.6712), (1.0, 10, 0.6084, 0.6032)],
)
def test_glft_half_spread_without_inventory_is_the_published_one(gamma, bound, exact, closed):
    params = GlftParams(gamma=gamma, k=1.5, A=140.0, bound_lots=bound)
    assert Glft(params, 2.0).quote(0, 2.0, 1.0).bid_depth == pytest.approx(exact, abs=2e-4)
    assert GlftClosedForm(params).quote(0, 2.0, 1.0).ask_depth == pytest.approx(closed, abs=5e-5)


@pytest.mark.parametrize("bound", [1, 2, 10, 60])
@pytest.mark.parametrize(
    ("sigma", "drift", "xi"), [(2.0, 0.0, 0.0), (0.3, 0.1, 0.2), (1.0, -3.0, 0.0), (1e-4, 0.0, 0.0)]
)
def test_stationary_table_is_the_ground_state(bound, sigma, drift, xi):
    params = GlftParams(gamma=0.1, k=1.5, A=140.0, bound_lots=bound, drift=drift, xi=xi)
    expected, trusted = eigenvector_skew(params, sigma)
    assert trusted.sum() >= min(6, 2 * bound)
    assert np.array(stationary_skew(params, sigma))[trusted] == pytest.approx(expected[trusted], abs=1e-8)


@pytest.mark.parametrize("sigma", [0.0, 1e-6, 0.01, 2.0, 100.0])
def test_stationary_table_stays_finite_and_monotone_for_a_bound_of_a_thousand_lots(sigma):
    table = stationary_skew(GlftParams(gamma=0.1, k=1.5, A=1.4, bound_lots=1000), sigma)
    assert all(math.isfinite(x) for x in table)
    assert all(a < b for a, b in pairwise(table))
    assert table == pytest.approx([-x for x in reversed(table)], abs=1e-6)


def test_glft_between_grid_volatilities_is_close_to_the_table_built_for_them():
    params = GlftParams(gamma=0.1, k=1.5, A=140.0, bound_lots=10)
    quoter = Glft(params, sigma_reference=1.0, sigma_ratio=1.05)
    for sigma in (0.5, 0.977, 1.024, 1.3, 2.0, 3.1):
        table = [quoter.quote(q, sigma, 0.0).bid_depth for q in range(-10, 10)]
        exact = [params.base_depth + x for x in stationary_skew(params, sigma)]
        assert table == pytest.approx(exact, abs=2e-4)


def test_glft_interpolates_between_whole_lots_and_holds_the_bound():
    quoter = Glft(FIGURE, 0.3)
    low, high = quoter.quote(2, 0.3, 0.0), quoter.quote(3, 0.3, 0.0)
    between = quoter.quote(2.5, 0.3, 0.0)
    assert between.bid_depth == pytest.approx((low.bid_depth + high.bid_depth) / 2)
    assert between.ask_depth == pytest.approx((low.ask_depth + high.ask_depth) / 2)
    for q in (30, 30.5, 1e9):
        assert quoter.quote(q, 0.3, 0.0) == quoter.quote(30, 0.3, 0.0)
        assert quoter.quote(q, 0.3, 0.0).bid_depth is None
        assert quoter.quote(-q, 0.3, 0.0).ask_depth is None
    for q in (29.5, 29.999, -29.001, -29.5, -29.999):
        depths = quoter.quote(q, 0.3, 0.0)
        assert depths.bid_depth is not None
        assert depths.ask_depth is not None


def test_glft_keeps_a_limited_number_of_tables():
    quoter = Glft(FIGURE, 0.3)
    for i in range(3 * QUOTER_TABLES_CACHED_MAX):
        quoter.quote(0, 0.01 * 1.06**i, 0.0)
    assert len(quoter._grid) == QUOTER_TABLES_CACHED_MAX


def test_glft_answer_does_not_depend_on_earlier_questions():
    fresh, used = Glft(FIGURE, 0.3), Glft(FIGURE, 0.3)
    for sigma in (0.01, 5.0, 0.31, 0.305, 0.2):
        used.quote(3, sigma, 0.0)
    assert used.quote(3, 0.307, 0.0) == fresh.quote(3, 0.307, 0.0)


def test_quoters_refuse_what_is_no_number():
    params = GlftParams(gamma=0.1, k=1.5, A=140.0, bound_lots=10)
    quoters = [Glft(params), GlftClosedForm(params), AvellanedaStoikov(0.1, 1.5, 10), SymmetricQuoter(0.1, 1.5, 10)]
    for quoter in quoters:
        for q, sigma in (
            (math.nan, 1.0),
            (math.inf, 1.0),
            (-math.inf, 1.0),
            (0.0, math.nan),
            (0.0, -1.0),
            (0.0, math.inf),
        ):
            with pytest.raises(SpecError):
                quoter.quote(q, sigma, 1.0)
    for quoter in quoters[2:]:
        for time_left in (math.nan, -1.0, math.inf):
            with pytest.raises(SpecError):
                quoter.quote(0.0, 1.0, time_left)


@pytest.mark.parametrize(
    "changed",
    [
        {"gamma": 0.0},
        {"gamma": math.nan},
        {"k": -1.0},
        {"A": math.inf},
        {"bound_lots": 0},
        {"bound_lots": QUOTER_BOUND_LOTS_MAX + 1},
        {"xi": -0.1},
        {"drift": math.nan},
        {"A": 1e-300, "k": 1.0, "xi": 2000.0},
    ],
)
def test_glft_refuses_parameters_out_of_range(changed):
    with pytest.raises(SpecError):
        GlftParams(**({"gamma": 0.1, "k": 1.5, "A": 140.0, "bound_lots": 10} | changed))


def test_avellaneda_stoikov_depths_are_half_spread_around_the_reservation_price():
    quoter = AvellanedaStoikov(0.1, 1.5, 10)
    for q in (-3, 0, 4):
        depths = quoter.quote(q, 2.0, 0.7)
        reservation = reservation_price(100.0, q, 0.1, 2.0, 0.7)
        half = half_spread(0.1, 1.5, 2.0, 0.7)
        assert 100.0 - depths.bid_depth == pytest.approx(reservation - half)
        assert 100.0 + depths.ask_depth == pytest.approx(reservation + half)


def test_symmetric_quoter_averages_the_spread_over_the_session():
    quoter = SymmetricQuoter(0.1, 1.5, 10, average_over_s=1.0)
    assert 2 * quoter.quote(7, 2.0, 1.0).bid_depth == pytest.approx(1.4908, abs=1e-4)
    assert quoter.quote(7, 2.0, 1.0) == quoter.quote(0, 2.0, 0.0)


def test_quoters_on_arrays_agree_with_the_scalar_ones():
    inventory = np.arange(-9, 10)
    scalar = [AvellanedaStoikov(0.1, 1.5, 10).quote(float(q), 2.0, 0.3) for q in inventory]
    assert pytest.approx(np.array(avellaneda_stoikov_depths(inventory, 0.1, 1.5, 2.0, 0.3))) == np.array(scalar).T
    params = GlftParams(gamma=0.1, k=1.5, A=140.0, bound_lots=10, xi=0.2)
    scalar = [GlftClosedForm(params).quote(float(q), 2.0, 0.3) for q in inventory]
    assert pytest.approx(np.array(glft_depths(inventory, 0.1, 1.5, 140.0, 2.0, 0.2))) == np.array(scalar).T
    assert glft_depths(np.zeros(3), np.array([0.1, 0.2, 0.3]), 1.5, 140.0, 2.0)[0].shape == (3,)

"""Calibration of recorded markets and of runs, on data whose answer is known."""

import math
from datetime import UTC, datetime, time
from decimal import Decimal

import polars as pl
import pytest

from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.market.synthetic import SingleMarketParams, generate_single
from ufos_nautilus.pricing.exposure import QuoteExposure
from ufos_nautilus.pricing.intensity import IntensityEstimator
from ufos_nautilus.research.calibrate import estimate_market, gamma_for_skew, market_orders, realised_sigma, touches
from ufos_nautilus.research.calibrate_run import estimate_run, stretches
from ufos_nautilus.research.fill_quality import by_place, by_wait, fill_ratios, fill_waits
from ufos_nautilus.research.fit_flow import fit_flow, kyle_lambda
from ufos_nautilus.research.parameter_file import Calibration, read_calibration, write_calibration
from ufos_nautilus.run_schemas import SCHEMAS
from ufos_strategies.parts import session_of

START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
S = 1_000_000_000


def market(**changes):
    params = SingleMarketParams(**({"A": 2.0, "k": 20.0, "duration_s": 150.0, "level_lots": 10**7} | changes))
    frames: dict[str, list[pl.DataFrame]] = {}
    for batch in generate_single(params).batches:
        frames.setdefault(batch.kind, []).append(batch.frame)
    return pl.concat(frames["quotes"]), pl.concat(frames["trades"])


def test_calibration_of_markets_covers_the_truth_over_fifty_seeds():
    inside = {"A": 0, "k": 0}
    for seed in range(50):
        found = estimate_market(*market(seed=seed), 0.01)
        inside["A"] += abs(found.A.value - 2.0) < 2.0 * found.A.error
        inside["k"] += abs(found.k.value - 0.2) < 2.0 * found.k.error
    assert 44 <= inside["A"] <= 50
    assert 44 <= inside["k"] <= 50


def test_volatility_impact_and_sizes_are_those_of_the_market():
    found = estimate_market(*market(duration_s=1200.0, impact=0.003, trade_lots_mean=200.0), 0.01)
    assert found.sigma.value == pytest.approx(2.05, rel=0.08)
    assert found.impact.value == pytest.approx(0.3, abs=3 * found.impact.error)
    assert (found.spread_ticks, found.touch_ticks) == (1.0, 0.5)
    assert 1.0 <= found.order_quantity <= 2.0


def test_prints_of_one_side_at_one_instant_are_one_market_order():
    trades = pl.DataFrame(
        {
            "price": ["10.00", "10.02", "9.99", "10.01"],
            "size": ["1", "2", "3", "4"],
            "aggressor_side": ["BUY", "BUY", "SELL", "NO_AGGRESSOR"],
            "ts_event": [1, 1, 1, 2],
            "ts_init": [10, 11, 12, 13],
        }
    ).with_columns(pl.col("ts_event", "ts_init").cast(pl.Datetime("ns", "UTC")))
    assert market_orders(trades).rows() == [(10, "BUY", 10.02, 3.0), (12, "SELL", 9.99, 3.0)]


def test_too_few_trades_or_quotes_are_refused_with_what_to_do():
    quotes, trades = market(duration_s=30.0)
    with pytest.raises(DataError, match="only 5 market orders") as caught:
        estimate_market(quotes, trades.head(5), 0.01)
    assert "--from-run" in caught.value.next_step
    with pytest.raises(DataError, match="two-sided quotes"):
        touches(quotes.head(1), 0.01)
    with pytest.raises(DataError, match="moves of the mid"):
        realised_sigma(touches(quotes, 0.01), sample_s=30.0)


def test_gamma_moves_a_full_inventory_by_the_asked_share():
    from ufos_nautilus.pricing.glft import GlftClosedForm, GlftParams

    for k, A, sigma in ((0.2, 2.0, 2.0), (3.4, 5.2, 0.09), (0.05, 5.6, 690.0)):
        gamma = gamma_for_skew(k, A, sigma, 10, share=0.5)
        quoter = GlftClosedForm(GlftParams(gamma=gamma, k=k, A=A, bound_lots=11))
        flat, full = quoter.quote(0.0, sigma, 0.0).bid_depth, quoter.quote(10.0, sigma, 0.0).bid_depth
        assert flat is not None and full is not None
        assert full - flat == pytest.approx(0.5 * flat, rel=1e-6)


def test_a_coefficient_of_order_flow_is_zero_within_its_error_where_flow_says_nothing():
    found = fit_flow(market(duration_s=600.0, level_lots=500)[0], 0.01)
    assert abs(found.value) < 4 * found.error
    with pytest.raises(DataError, match="samples of order flow"):
        fit_flow(market(duration_s=20.0)[0], 0.01)


def test_kyles_lambda_is_the_impact_per_unit_of_volume():
    """Every market order moves the mid by 0.5 ticks in its direction; their mean size is 1.5 units."""
    quotes, trades = market(duration_s=1200.0, impact=0.005, sigma=0.005)
    found = kyle_lambda(quotes, trades, 0.01)
    assert found.value == pytest.approx(0.3, rel=0.15)
    assert found.error < 0.05
    with pytest.raises(DataError, match="intervals with trades of known side"):
        kyle_lambda(*market(duration_s=30.0), 0.01)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(START.timestamp() + seconds, UTC)


def quotes_table(*rows):
    """Rows of (seconds, bid, fair value)."""
    full = [(at(s), "B-1", "X.V", bid, Decimal(1) if bid else None, None, None, fair, Decimal(0), None, None, "requote")
            for s, bid, fair in rows]  # fmt: skip
    return pl.DataFrame(full, schema=SCHEMAS["quotes"], orient="row")


def fills_table(*rows):
    """Rows of (seconds, price, quantity)."""
    rest = ("MAKER", Decimal(0), "USD", None, None)
    full = [(at(s), str(i), str(i), str(i), "B-1", "X.V", "BUY", price, quantity, *rest)
            for i, (s, price, quantity) in enumerate(rows)]  # fmt: skip
    return pl.DataFrame(full, schema=SCHEMAS["fills"], orient="row")


def test_a_quotes_life_is_cut_at_every_decision_and_ends_with_its_last_fill():
    quotes = quotes_table((0, Decimal("99.97"), 100.0), (10, Decimal("99.95"), 99.99), (20, None, 100.0))
    fills = fills_table((5, Decimal("99.97"), Decimal("0.4")), (14, Decimal("99.95"), Decimal(1)))
    end = int(at(30).timestamp()) * S
    found = list(stretches(quotes, fills, "BUY", Decimal("0.01"), end))
    assert [(round(s.depth, 6), s.seconds, s.fills) for s in found] == [(3.0, 10.0, 0.4), (4.0, 4.0, 1.0)]


def test_a_fill_at_the_price_before_counts_because_a_change_takes_a_moment():
    quotes = quotes_table((0, Decimal("99.97"), 100.0), (10, Decimal("99.95"), 100.0))
    fills = fills_table((10.001, Decimal("99.97"), Decimal(1)))
    end = int(at(30).timestamp()) * S
    found = list(stretches(quotes, fills, "BUY", Decimal("0.01"), end))
    assert [(round(s.depth, 6), s.fills) for s in found] == [(3.0, 0.0), (3.0, 1.0)]


def test_quotes_without_fills_or_at_one_depth_calibrate_nothing():
    quotes = quotes_table((0, Decimal("99.97"), 100.0), (10, Decimal("99.97"), 100.0))
    with pytest.raises(DataError, match="quotes at several depths"):
        estimate_run(quotes, fills_table(), Decimal("0.01"), int(at(30).timestamp()) * S)


def test_an_exposure_tells_stretches_of_nearly_constant_depth():
    told = []

    class Teller(IntensityEstimator):
        def observe(self, ts_ns: int, depth: float, seconds: float, fills: float) -> None:
            told.append((ts_ns // S, depth, seconds, fills))

    exposure = QuoteExposure(Teller(1.0, 1.0, bucket=0.1), step=0.5, most=10.0)
    exposure.ended(1 * S)
    exposure.at(2 * S, 3.0)
    exposure.at(3 * S, 3.4)
    exposure.at(4 * S, 3.6)
    exposure.filled(6 * S, 0.5)
    exposure.at(7 * S, 50.0)
    exposure.ended(9 * S)
    assert told == [(4, 3.0, 2.0, 0.0), (6, 3.6, 2.0, 0.5), (7, 3.6, 1.0, 0.0), (9, 10.0, 2.0, 0.0)]


def test_a_parameter_file_says_what_it_was_made_from_and_is_read_back(tmp_path):
    made = Calibration(
        instrument_id='A"B\\C.V', source="market", data=("ab", "cd"), start="s", end="e",
        parameters={"a_per_s": 1 / 3, "order_size": "0.10"}, errors={"a_per_s": math.inf}, facts={"n": 3},
    )  # fmt: skip
    path = tmp_path / "c.toml"
    digest = write_calibration(path, made)
    assert read_calibration(path, digest) == made
    with pytest.raises(DataError, match="SHA-256"):
        read_calibration(path, "0" * 64)
    with pytest.raises(DataError, match="can't be read"):
        read_calibration(tmp_path / "absent.toml", digest)
    with pytest.raises(DataError, match="not a calibration"):
        Calibration.from_toml("[calibration]\nkind = 'other'\n")


def test_a_parameter_file_larger_than_its_limit_is_refused(tmp_path, monkeypatch):
    from ufos_nautilus.research import parameter_file

    monkeypatch.setattr(parameter_file, "PARAMETER_FILE_BYTES_MAX", 10)
    path = tmp_path / "c.toml"
    path.write_text("x" * 11, "utf-8")
    with pytest.raises(DataError, match="has 11 bytes"):
        read_calibration(path, "0" * 64)


def test_waits_places_and_ratios_of_fills():
    quotes = quotes_table((0, Decimal("99.97"), 100.0), (1, Decimal("99.97"), 100.0), (30, Decimal("99.98"), 100.0))
    quotes = quotes.with_columns(
        pl.lit(Decimal("99.97")).cast(pl.Decimal(38, 12)).alias("market_bid"),
        pl.lit(Decimal("99.99")).cast(pl.Decimal(38, 12)).alias("market_ask"),
    )
    fills = fills_table((5, Decimal("99.97"), Decimal(1)), (30.05, Decimal("99.98"), Decimal(1)))
    markouts = pl.DataFrame(
        [(at(5), "0", "0", "B-1", "X.V", Decimal("99.98"), None, Decimal("99.96"), None, None),
         (at(30.05), "1", "1", "B-1", "X.V", Decimal("99.99"), None, Decimal("99.99"), None, None)],
        schema=SCHEMAS["markouts"], orient="row",
    )  # fmt: skip
    waits = fill_waits(fills, quotes, markouts)
    assert waits["wait_s"].to_list() == pytest.approx([5.0, 0.05])
    assert waits["place"].to_list() == ["at the best", "inside"]
    assert waits["markout_bps"].to_list() == pytest.approx([-2.0004, 0.0], abs=1e-3)
    assert by_wait(waits)["label"].to_list() == ["below 0.1 s", "1 to 10 s"]
    assert dict(by_place(waits).select("label", "fills").rows()) == {"at the best": 1, "inside": 1}
    orders = [(START, str(i), "B-1", "X.V", "BUY", "LIMIT", Decimal(2), Decimal(1), "CANCELED", q, None, START, "")
              for i, q in enumerate((Decimal(0), Decimal(1), Decimal(2), Decimal(2)))]  # fmt: skip
    found = fill_ratios(pl.DataFrame(orders, schema=SCHEMAS["orders"], orient="row")).row(0, named=True)
    assert (found["orders"], found["filled"], found["whole"]) == (4, 3, 2)
    assert (found["order_ratio"], found["quantity_ratio"]) == (0.75, 0.625)


def test_sessions_are_read_as_written(tmp_path):
    found = session_of(tmp_path, "X.V", "09:30-16:00@America/New_York")
    assert found is not None
    assert (found.calendar.opens, found.calendar.closes) == (time(9, 30), time(16))
    for wrong in ("09:30", "nine-five", "09:30-16:00@Nowhere"):
        with pytest.raises(SpecError):
            session_of(tmp_path, "X.V", wrong)

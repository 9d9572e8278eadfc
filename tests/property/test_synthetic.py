"""The laws of generated markets, over seeds and parameters."""

import io
import math

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ufos_nautilus.market.recording import Recording
from ufos_nautilus.market.synthetic import SingleMarketParams, generate_single
from ufos_nautilus.market.synthetic_universe import UniverseParams, generate_universe

FLOATS = ("bid_price", "ask_price", "bid_size", "ask_size")


def stored(recording: Recording) -> bytes:
    buffer = io.BytesIO()
    for batch in recording.batches:
        buffer.write(f"{batch.kind} {batch.identifier} ".encode())
        batch.frame.write_parquet(buffer, compression="uncompressed")
    return buffer.getvalue()


@settings(max_examples=12)
@given(
    seed=st.integers(0, 10**6),
    A=st.floats(1.0, 10.0),
    k=st.floats(5.0, 50.0),
    sigma=st.sampled_from([0.0, 0.01, 0.05]),
    spread=st.integers(1, 4),
)
@example(seed=1, A=2.0, k=20.0, sigma=0.02, spread=3)
def test_orders_at_every_depth_are_reached_with_the_stated_intensity(seed, A, k, sigma, spread):
    params = SingleMarketParams(
        seed=seed, A=A, k=k, sigma=sigma, spread_ticks=spread, duration_s=300.0, level_lots=10**7, mid=100.0037
    )
    frames = {}
    for batch in generate_single(params).batches:
        frames.setdefault(batch.kind, []).append(batch.frame)
    quotes = pl.concat(frames["quotes"]).cast({name: pl.Float64 for name in FLOATS})
    share = quotes["bid_size"] / (quotes["bid_size"] + quotes["ask_size"])
    quotes = quotes.select("ts_init", mid=quotes["bid_price"] + (quotes["ask_price"] - quotes["bid_price"]) * share)
    trades = pl.concat(frames["trades"]).select("ts_init", "aggressor_side", price=pl.col("price").cast(pl.Float64))
    seen = trades.join_asof(quotes, on="ts_init")
    exposure = quotes.with_columns(
        seconds=pl.col("ts_init").diff().shift(-1).dt.total_nanoseconds() * 1e-9
    ).drop_nulls()
    for side, sign in (("BUY", 1.0), ("SELL", -1.0)):
        for behind in (1, 2, 5, 12):  # an order `behind` grid prices away from the mid
            nearest = pl.col("mid").mul(100.0 * sign).floor() + behind
            depth = nearest / 100.0 - pl.col("mid") * sign
            expected = exposure.select((params.A * pl.col("seconds") * (-params.k * depth).exp()).sum()).item()
            reached = seen.filter(
                (pl.col("aggressor_side") == side) & (pl.col("price") * 100.0 * sign >= nearest - 1e-6)
            )
            assert abs(len(reached) - expected) < 4.5 * math.sqrt(expected) + 3.0


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), sigma=st.floats(0.0, 0.2), spread=st.integers(1, 5), levels=st.integers(1, 20))
def test_times_never_go_back_and_the_touch_is_never_crossed(seed, sigma, spread, levels):
    params = SingleMarketParams(
        seed=seed, sigma=sigma, spread_ticks=spread, levels=levels, duration_s=60.0, A=5.0, mid=200.0, impact=0.01
    )
    for batch in generate_single(params).batches:
        assert batch.frame["ts_init"].is_sorted()
        if batch.kind == "quotes":
            assert (batch.frame["bid_price"] < batch.frame["ask_price"]).all()
        if batch.kind == "trades":
            assert (batch.frame["size"] >= 1).all()


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_a_seed_gives_the_same_bytes_and_another_seed_other_ones(seed):
    single = lambda s: stored(generate_single(SingleMarketParams(seed=s, duration_s=20.0)))
    universe = lambda s: stored(generate_universe(UniverseParams(seed=s, duration_s=60.0, instruments=3)))
    for generate in (single, universe):
        assert generate(seed) == generate(seed)
        assert generate(seed) != generate(seed + 1)

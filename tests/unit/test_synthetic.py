"""Generated markets: consistent tables, the same on every run, refused when they make no sense."""

import math
from decimal import Decimal
from itertools import groupby

import polars as pl
import pytest

from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import SYNTHETIC_BATCH_ROWS, SYNTHETIC_EVENTS_MAX, SYNTHETIC_INSTRUMENTS_MAX
from ufos_nautilus.market.recording import Recording
from ufos_nautilus.market.synthetic import SingleMarketParams, generate_single
from ufos_nautilus.market.synthetic_pair import PairParams, generate_pair
from ufos_nautilus.market.synthetic_universe import SECTORS, UniverseParams, generate_universe


def tables(recording: Recording) -> dict[tuple[str, str], pl.DataFrame]:
    frames: dict[tuple[str, str], list[pl.DataFrame]] = {}
    for batch in recording.batches:
        frames.setdefault((batch.kind, batch.identifier), []).append(batch.frame)
    return {key: pl.concat(parts) for key, parts in frames.items()}


def test_the_book_rebuilt_from_deltas_shows_the_quotes_and_is_never_crossed():
    params = SingleMarketParams(duration_s=120.0, spread_ticks=2, sigma=0.05, mid=100.0)
    found = tables(generate_single(params))
    deltas = found["order_book_deltas", params.instrument_id]
    quotes = iter(found["quotes", params.instrument_id].iter_rows())
    sides: dict[str, dict[Decimal, Decimal]] = {"BUY": {}, "SELL": {}}
    last = None
    for (sequence, ts), group in groupby(deltas.iter_rows(named=True), key=lambda r: (r["sequence"], r["ts_event"])):
        rows = list(group)
        assert [r["flags"] & 128 for r in rows] == [0] * (len(rows) - 1) + [128]
        for row in rows:
            side = sides[row["side"]]
            assert (row["price"] in side) == (row["action"] != "ADD")
            if row["action"] == "DELETE":
                del side[row["price"]]
            else:
                assert row["size"] > 0
                side[row["price"]] = row["size"]
            assert not sides["BUY"] or not sides["SELL"] or max(sides["BUY"]) < min(sides["SELL"])
        assert sequence >= 1
        assert len(sides["BUY"]) == len(sides["SELL"]) == params.levels
        bid, ask = max(sides["BUY"]), min(sides["SELL"])
        assert ask - bid == 2 * Decimal("0.01")
        top = (bid, ask, sides["BUY"][bid], sides["SELL"][ask])
        if top != last:
            assert next(quotes) == (*top, ts, ts)
            last = top
    assert next(quotes, None) is None


def test_columns_have_the_types_of_the_catalog():
    found = tables(generate_single(SingleMarketParams(duration_s=30.0)))
    price, time = pl.Decimal(38, 16), pl.Datetime("ns", "UTC")
    schemas = {kind: dict(frame.schema) for (kind, _), frame in found.items()}
    assert schemas["order_book_deltas"] == {
        "action": pl.String,
        "side": pl.String,
        "price": price,
        "size": price,
        "order_id": pl.UInt64,
        "flags": pl.UInt8,
        "sequence": pl.UInt64,
        "ts_event": time,
        "ts_init": time,
    }
    assert list(schemas["quotes"]) == ["bid_price", "ask_price", "bid_size", "ask_size", "ts_event", "ts_init"]
    assert list(schemas["trades"]) == ["price", "size", "aggressor_side", "trade_id", "ts_event", "ts_init"]


def test_weighted_mid_of_a_deep_book_follows_the_volatility_asked_for():
    params = SingleMarketParams(duration_s=600.0, level_lots=1_000_000, sigma=0.02)
    quotes = tables(generate_single(params))["quotes", params.instrument_id].cast(
        {name: pl.Float64 for name in ("bid_price", "ask_price", "bid_size", "ask_size")}
    )
    share = pl.col("bid_size") / (pl.col("bid_size") + pl.col("ask_size"))
    mid = quotes.select(m=pl.col("bid_price") + (pl.col("ask_price") - pl.col("bid_price")) * share)["m"]
    moves = mid.diff().drop_nulls()
    assert math.sqrt((moves**2).sum() / (len(moves) * params.book_interval_s)) == pytest.approx(0.02, rel=0.04)


def test_market_orders_push_the_mid_where_impact_is_set():
    calm, toxic = (
        tables(generate_single(SingleMarketParams(duration_s=300.0, sigma=0.0, impact=impact)))
        for impact in (0.0, 0.05)
    )
    key = ("quotes", "SIM-PERP.SIM")
    assert calm[key]["bid_price"].n_unique() == 1
    assert toxic[key]["bid_price"].n_unique() > 5


def test_another_intensity_leaves_the_path_of_the_mid_alone():
    key = ("quotes", "SIM-PERP.SIM")
    one, other = (tables(generate_single(SingleMarketParams(duration_s=60.0, A=a)))[key] for a in (1.0, 7.0))
    assert one.equals(other)


def test_long_markets_come_in_bounded_batches_that_follow_each_other():
    recording = generate_single(SingleMarketParams(duration_s=2_000.0))
    last: dict[str, object] = {}
    ids: list[str] = []
    count = 0
    for batch in recording.batches:
        count += 1
        assert batch.frame.height <= SYNTHETIC_BATCH_ROWS + 100
        assert batch.frame["ts_init"].is_sorted()
        if batch.kind in last:
            assert batch.frame["ts_init"][0] > last[batch.kind]
        last[batch.kind] = batch.frame["ts_init"][-1]
        if batch.kind == "trades":
            ids += batch.frame["trade_id"].to_list()
    assert count > 3
    assert ids == [str(i + 1) for i in range(len(ids))]
    assert recording.facts["trades"] == len(ids)


@pytest.mark.parametrize(
    "changed",
    [
        {"duration_s": 0.0},
        {"sigma": math.nan},
        {"k": -1.0},
        {"A": math.inf},
        {"levels": 0},
        {"mid": 0.1},
        {"mid": 1.0, "sigma": 1.0},
        {"tick_size": "nought"},
        {"lot_size": "-1"},
        {"trade_lots_mean": 1.0},
        {"book_interval_s": 1e-9, "duration_s": 1e-8},
        {"start_ns": -1},
        {"sigma": "much"},
        {"levels": 2.5},
        {"seed": 1, "spread_ticks": True},
        {"tick_size": 0.01},
    ],
)
def test_single_market_refuses_parameters_that_make_no_market(changed):
    with pytest.raises(SpecError):
        SingleMarketParams(**changed)


def test_an_instrument_without_a_venue_is_refused():
    with pytest.raises(DataError):
        SingleMarketParams(instrument_id="SIM")


def test_markets_beyond_the_limits_are_refused():
    with pytest.raises(LimitExceededError):
        SingleMarketParams(duration_s=0.1 * (SYNTHETIC_EVENTS_MAX + 1), sigma=0.0)
    with pytest.raises(LimitExceededError):
        UniverseParams(instruments=SYNTHETIC_INSTRUMENTS_MAX + 1)
    with pytest.raises(LimitExceededError):
        UniverseParams(instruments=500, trades_per_s=1e6)


@pytest.mark.parametrize(
    "changed",
    [
        {"instruments": 0},
        {"sectors": len(SECTORS) + 1},
        {"price_low": 0.5},
        {"price_low": 300.0},
        {"own_sigma": 2.0, "duration_s": 23_400.0},
        {"step_s": 1e-6},
        {"trades_per_s": -1.0},
        {"instruments": "twelve"},
    ],
)
def test_universe_refuses_parameters_that_make_no_market(changed):
    with pytest.raises(SpecError):
        UniverseParams(**changed)


def test_universe_quotes_are_ordered_positive_and_trades_print_at_or_behind_the_touch():
    params = UniverseParams(duration_s=600.0, instruments=6)
    recording = generate_universe(params)
    assert [s.sector for s in recording.instruments] == [SECTORS[i % 4] for i in range(6)]
    assert [s.symbol for s in recording.instruments][:3] == ["AAAA", "AAAB", "AAAC"]
    found = tables(recording)
    for spec in recording.instruments:
        quotes, trades = found["quotes", spec.instrument_id], found["trades", spec.instrument_id]
        assert quotes["ts_init"].is_sorted()
        assert trades["ts_init"].is_sorted()
        assert (quotes["bid_price"] < quotes["ask_price"]).all()
        assert (quotes["bid_size"] >= 100).all()
        seen = trades.join_asof(quotes.select("ts_init", "bid_price", "ask_price"), on="ts_init")
        buys, sells = seen.filter(aggressor_side="BUY"), seen.filter(aggressor_side="SELL")
        assert len(buys) > 0
        assert len(sells) > 0
        assert (buys["price"] >= buys["ask_price"]).all()
        assert (sells["price"] <= sells["bid_price"]).all()


def test_instruments_of_one_sector_move_together_more_than_across_sectors():
    params = UniverseParams(duration_s=7_200.0, instruments=4, sectors=2, market_sigma=0.01, sector_sigma=0.02)
    found = tables(generate_universe(params))
    grid = pl.datetime_range(
        pl.from_epoch(pl.lit(params.start_ns + 60 * 10**9), "ns"),
        pl.from_epoch(pl.lit(params.start_ns + 7_190 * 10**9), "ns"),
        "30s",
        time_zone="UTC",
        eager=True,
    )
    moves = {}
    for (kind, name), frame in found.items():
        if kind == "quotes":
            prices = pl.DataFrame({"ts_init": grid.cast(pl.Datetime("ns", "UTC"))}).join_asof(
                frame.select("ts_init", m=(pl.col("bid_price") + pl.col("ask_price")).cast(pl.Float64)), on="ts_init"
            )
            moves[name[:4]] = prices["m"].log().diff().drop_nulls()
    both = pl.DataFrame(moves)
    within = both.select(pl.corr("AAAA", "AAAC")).item()
    across = both.select(pl.corr("AAAA", "AAAB")).item()
    assert within > across + 0.2
    assert across > 0.0


def test_the_follower_of_a_pair_repeats_the_leaders_moves_after_the_lag():
    params = PairParams(duration_s=300.0, own_sigma=0.002, level_lots=10**7)
    found = tables(generate_pair(params))
    mids = {}
    for name in (params.leader_id, params.follower_id):
        quotes = found["quotes", name].cast({c: pl.Float64 for c in ("bid_price", "ask_price", "bid_size", "ask_size")})
        share = pl.col("bid_size") / (pl.col("bid_size") + pl.col("ask_size"))
        mids[name] = quotes.select(
            "ts_init", m=pl.col("bid_price") + (pl.col("ask_price") - pl.col("bid_price")) * share
        )
    both = mids[params.leader_id].join_asof(mids[params.follower_id], on="ts_init", suffix="_follower")
    moves = both.select(lead=pl.col("m").diff(), follow=pl.col("m_follower").diff()).drop_nulls()
    fit = [moves.select(pl.corr(pl.col("lead").shift(lag), "follow")).item() for lag in range(6)]
    assert fit[params.lag_updates] > 0.95
    assert max(abs(x) for i, x in enumerate(fit) if i != params.lag_updates) < 0.2
    assert moves["lead"].abs().max() > 0.09


def test_a_pair_without_noise_or_jumps_stands_still_and_nonsense_is_refused():
    quiet = tables(generate_pair(PairParams(duration_s=5.0, sigma=0.0, own_sigma=0.0, jump_rate=0.0)))
    assert quiet["quotes", "FOLLOW-PERP.SIM"]["bid_price"].n_unique() == 1
    for changed in ({"lag_s": 0.0}, {"beta": -1.0}, {"jump_rate": 100.0}, {"follower_id": "LEAD-PERP.SIM"}, {"k": 0.0}):
        with pytest.raises(SpecError):
            PairParams(**changed)

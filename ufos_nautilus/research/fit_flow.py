"""What flow does to the price: order flow at the touch to the next move, signed volume to the present one."""

import math

import polars as pl

from ufos_nautilus.errors import DataError
from ufos_nautilus.pricing.order_flow import OrderFlowImbalance
from ufos_nautilus.research.calibrate import Estimate, market_orders, touches

SAMPLES_MIN = 100
INTERVALS_MIN = 10


def fit_flow(
    quotes: pl.DataFrame, tick: float, *, half_life_s: float = 1.0, ahead_s: float = 1.0, sample_s: float = 0.5
) -> Estimate:
    """Regress the move of the mid over the next `ahead_s` on the decayed order-flow imbalance now.

    Parameters
    ----------
    quotes : polars.DataFrame
        Catalog table `quotes`.
    tick : float
        Price units.
    half_life_s : float
        Of the imbalance, seconds.
    ahead_s, sample_s : float
        How far ahead the price is looked at, and how often, seconds.

    Returns
    -------
    Estimate
        Ticks per unit of imbalance; the error takes samples for independent, though their windows overlap, so it is
        widened by the square root of the overlap.

    Raises
    ------
    DataError
        Where there are fewer than `SAMPLES_MIN` samples, or no flow at all.

    """
    rows = touches(quotes, tick)
    flow = OrderFlowImbalance(half_life_s)
    values = [
        flow.update(ts, bid, bid_size, ask, ask_size)
        for ts, bid, bid_size, ask, ask_size in rows.select("ts", "bid", "bid_size", "ask", "ask_size").iter_rows()
    ]
    mid = ((pl.col("bid") + pl.col("ask")) / 2).alias("mid")
    known = rows.select("ts", mid).with_columns(pl.Series("flow", values))
    step = round(sample_s * 1e9)
    sampled = known.group_by(pl.col("ts") // step, maintain_order=True).agg(
        pl.col("ts").last().alias("at"), pl.col("mid").last(), pl.col("flow").last()
    )
    later = known.select(pl.col("ts").alias("then"), pl.col("mid").alias("later"))
    ends = sampled.with_columns((pl.col("at") + round(ahead_s * 1e9)).alias("then"))
    ends = ends.filter(pl.col("then") <= rows["ts"].max())
    joined = ends.sort("then").join_asof(later, on="then")
    x, y = joined["flow"], joined["later"] - joined["mid"]
    if len(x) < SAMPLES_MIN:
        raise DataError(f"only {len(x)} samples of order flow", expected=f"at least {SAMPLES_MIN}")
    squares = float((x * x).sum())
    if squares <= 0.0:
        raise DataError("there is no order flow in these quotes", expected="sizes that change")
    slope = float((x * y).sum()) / squares
    left = y - slope * x
    overlap = max(1.0, ahead_s / sample_s)
    return Estimate(slope, math.sqrt(float((left * left).sum()) / len(x) / squares * overlap))


def kyle_lambda(quotes: pl.DataFrame, trades: pl.DataFrame, tick: float, interval_s: float = 10.0) -> Estimate:
    """Regress the move of the mid on the signed volume of the same interval (Kyle 1985).

    Parameters
    ----------
    quotes, trades : polars.DataFrame
        Catalog tables of one instrument.
    tick : float
        Price units.
    interval_s : float
        Seconds.

    Returns
    -------
    Estimate
        Ticks per unit of net bought volume.

    Raises
    ------
    DataError
        Where there are fewer than `INTERVALS_MIN` intervals, or no signed volume at all.

    """
    step = round(interval_s * 1e9)
    bucket = (pl.col("ts") // step).alias("bucket")
    mid = ((pl.col("bid") + pl.col("ask")) / 2).last().alias("mid")
    marks = touches(quotes, tick).group_by(bucket, maintain_order=True).agg(mid)
    move = (pl.col("mid") - pl.col("mid").shift(1)).alias("move")
    follows = pl.col("bucket") - pl.col("bucket").shift(1) == 1
    moves = marks.select("bucket", move, follows.alias("follows")).filter(pl.col("follows"))
    signed = pl.when(pl.col("side") == "BUY").then(pl.col("size")).otherwise(-pl.col("size"))
    volumes = market_orders(trades).group_by(bucket).agg(signed.sum().alias("volume"))
    joined = moves.join(volumes, on="bucket", how="left").with_columns(pl.col("volume").fill_null(0.0))
    x, y = joined["volume"], joined["move"]
    squares = float((x * x).sum())
    if len(x) < INTERVALS_MIN or squares <= 0.0:
        raise DataError(f"{len(x)} intervals with trades of known side", expected=f"at least {INTERVALS_MIN}")
    slope = float((x * y).sum()) / squares
    left = y - slope * x
    return Estimate(slope, math.sqrt(float((left * left).sum()) / len(x) / squares))

"""Estimates what a quoter needs from recorded quotes and trades: volatility, fill intensity, sizes, with errors.

With intensity A exp(-k depth) a market order that reaches the touch, d from fair value, comes with rate A exp(-k d)
and prints n ticks beyond it with n geometric of ratio exp(-k tick). Both say something about k: how deep orders go, and
how their number depends on the distance of the touch. The likelihood weighs the two.
"""

import math
from dataclasses import dataclass
from typing import Any

import polars as pl

from ufos_nautilus.errors import DataError
from ufos_nautilus.pricing.glft import GlftClosedForm, GlftParams

ORDERS_MIN = 20
"""Market orders from which an intensity is estimated."""
SAMPLE_S = 1.0
"""Seconds between the prices whose moves make the volatility; shorter ones measure the bounce of the touch."""
MOVES_MIN = 20
IMPACT_S = 1.0
"""Time after a market order at which its impact is read."""
K_RANGE = (1e-6, 30.0)
"""Values of k, per tick, among which the estimate is sought."""
K_STEPS = 60
GAMMA_RANGE = (1e-12, 1e6)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class MarketEstimates:
    """What a stretch of a market says; prices in ticks, times in seconds, sizes in the instrument's units.

    Parameters
    ----------
    sigma : Estimate
        Ticks per square root of a second.
    A : Estimate
        Market orders per second and side that would reach an order at fair value.
    k : Estimate
        Decay of that with depth, per tick.
    orders, seconds : int, float
        Market orders and time behind A and k.
    touch_ticks : float
        Mean distance from fair value to the touch, weighted by time.
    spread_ticks : float
        Mean spread, weighted by time.
    order_quantity, touch_quantity : float
        Median size of a market order; mean size at the touch.
    impact : Estimate
        Mean move of the mid in the direction of a market order within `IMPACT_S`, ticks: what a maker loses per fill.

    """

    sigma: Estimate
    A: Estimate
    k: Estimate
    orders: int
    seconds: float
    touch_ticks: float
    spread_ticks: float
    order_quantity: float
    touch_quantity: float
    impact: Estimate


def market_orders(trades: pl.DataFrame) -> pl.DataFrame:
    """Join prints of one side at one instant of the venue into market orders.

    Parameters
    ----------
    trades : polars.DataFrame
        Catalog table `trades`; prints without an aggressor are left out.

    Returns
    -------
    polars.DataFrame
        ts (Int64 nanoseconds), side (of the aggressor), price (of the print furthest from the start), size; floats.

    """
    side, price = pl.col("aggressor_side"), pl.col("price").cast(pl.Float64)
    furthest = pl.when(side == "BUY").then(price.max()).otherwise(price.min())
    return (
        trades.filter(side.is_in(["BUY", "SELL"]))
        .group_by("ts_event", side.alias("side"), maintain_order=True)
        .agg(
            pl.col("ts_init").cast(pl.Int64).first().alias("ts"),
            furthest.first().alias("price"),
            pl.col("size").cast(pl.Float64).sum(),
        )
        .select("ts", "side", "price", "size")
    )


def touches(quotes: pl.DataFrame, tick: float) -> pl.DataFrame:
    """Return two-sided quotes in ticks with the weighted mid and how long each stood.

    Parameters
    ----------
    quotes : polars.DataFrame
        Catalog table `quotes`.
    tick : float
        Price units.

    Returns
    -------
    polars.DataFrame
        ts (Int64 nanoseconds), bid, ask, fair (ticks), bid_size, ask_size, seconds.

    """
    bid, ask = (pl.col(f"{s}_price").cast(pl.Float64) / tick for s in ("bid", "ask"))
    share = pl.col("bid_size") / (pl.col("bid_size") + pl.col("ask_size"))
    rows = quotes.select(
        pl.col("ts_init").cast(pl.Int64).alias("ts"),
        bid.alias("bid"),
        ask.alias("ask"),
        *(pl.col(f"{s}_size").cast(pl.Float64) for s in ("bid", "ask")),
    ).filter(pl.col("bid") < pl.col("ask"), pl.col("bid_size") > 0, pl.col("ask_size") > 0)
    if rows.height < 2:
        raise DataError(f"only {rows.height} two-sided quotes", expected="at least two")
    seconds = (pl.col("ts").shift(-1) - pl.col("ts")).fill_null(0) / 1e9
    fair = pl.col("bid") + (pl.col("ask") - pl.col("bid")) * share
    return rows.with_columns(fair.alias("fair"), seconds.alias("seconds"))


def realised_sigma(rows: pl.DataFrame, sample_s: float = SAMPLE_S, gap_s: float = 300.0) -> Estimate:
    """Return the volatility of the mid from moves over `sample_s`, longer pauses left out.

    Parameters
    ----------
    rows : polars.DataFrame
        From `touches`.
    sample_s, gap_s : float
        Seconds.

    Returns
    -------
    Estimate
        Ticks per square root of a second; the error is that of normal moves, so it is too small for heavy tails.

    """
    bucket = (pl.col("ts") // round(sample_s * 1e9)).alias("bucket")
    mid = ((pl.col("bid") + pl.col("ask")) / 2).last().alias("mid")
    marks = rows.group_by(bucket, maintain_order=True).agg(mid)
    moves = marks.select(
        (pl.col("mid") - pl.col("mid").shift(1)).alias("move"),
        ((pl.col("bucket") - pl.col("bucket").shift(1)) * sample_s).alias("seconds"),
    ).filter(pl.col("seconds") <= gap_s)
    if moves.height < MOVES_MIN:
        raise DataError(f"only {moves.height} moves of the mid", expected=f"at least {MOVES_MIN}")
    squares, seconds = float((moves["move"] ** 2).sum()), float(moves["seconds"].sum())
    sigma = math.sqrt(squares / seconds)
    return Estimate(sigma, sigma / math.sqrt(2.0 * moves.height))


def estimate_market(quotes: pl.DataFrame, trades: pl.DataFrame, tick: float) -> MarketEstimates:
    """Estimate everything from a stretch of a market.

    Parameters
    ----------
    quotes, trades : polars.DataFrame
        Catalog tables of one instrument, the same stretch of time.
    tick : float
        Price units.

    Returns
    -------
    MarketEstimates

    Raises
    ------
    DataError
        Where there are fewer than `ORDERS_MIN` market orders or too few quotes.

    """
    rows = touches(quotes, tick)
    orders = market_orders(trades).with_columns((pl.col("price") / tick).alias("price"))
    before = rows.select("ts", "bid", "ask", "fair").with_columns(pl.col("ts") + 1)  # strictly before the order
    met = orders.sort("ts").join_asof(before, on="ts").drop_nulls()
    if met.height < ORDERS_MIN:
        raise DataError(
            f"only {met.height} market orders in this stretch",
            expected=f"at least {ORDERS_MIN}",
            next_step="take a longer stretch, or calibrate from a run (`ufos calibrate --from-run`)",
        )
    beyond = pl.when(pl.col("side") == "BUY").then(pl.col("price") - pl.col("ask"))
    beyond = beyond.otherwise(pl.col("bid") - pl.col("price")).clip(lower_bound=0.0).round()
    distance = pl.when(pl.col("side") == "BUY").then(pl.col("ask") - pl.col("fair"))
    distance = distance.otherwise(pl.col("fair") - pl.col("bid"))
    exposure = rows.filter(pl.col("seconds") > 0)
    mean_n, mean_d = met.select(beyond.mean().alias("n"), distance.mean().alias("d")).row(0)
    A, k = _intensity(met.height, mean_n, mean_d, exposure)
    time = float(exposure["seconds"].sum())

    def average(value: pl.Expr) -> float:
        return float(exposure.select((value * pl.col("seconds")).sum()).item()) / time

    quantity: Any = orders["size"].median()
    return MarketEstimates(
        sigma=realised_sigma(rows),
        A=A,
        k=k,
        orders=met.height,
        seconds=time,
        touch_ticks=average((pl.col("ask") - pl.col("bid")) / 2),
        spread_ticks=average(pl.col("ask") - pl.col("bid")),
        order_quantity=float(quantity),
        touch_quantity=average((pl.col("bid_size") + pl.col("ask_size")) / 2),
        impact=_impact(met, rows),
    )


def _intensity(orders: int, mean_n: float, mean_d: float, exposure: pl.DataFrame) -> tuple[Estimate, Estimate]:
    """Solve the likelihood for A and k, from mean ticks beyond the touch and mean distance of the touch at an order."""
    mean_n = max(mean_n, 0.5 / orders)  # half an order one tick deeper keeps k finite where none went deeper
    near = pl.concat(
        [exposure.select((pl.col("fair") - pl.col("bid")).alias("d"), "seconds"),
         exposure.select((pl.col("ask") - pl.col("fair")).alias("d"), "seconds")]
    )  # fmt: skip
    nearest = float(near["d"].min())  # pyright: ignore[reportArgumentType]

    def sums(k: float) -> tuple[float, float, float]:
        """Return total, mean distance and its variance, weighted with seconds times exp(-k (d - nearest))."""
        weight = ((pl.col("d") - nearest) * -k).exp() * pl.col("seconds")
        total, first, second = near.select(
            weight.sum().alias("total"),
            (weight * pl.col("d")).sum().alias("first"),
            (weight * pl.col("d") ** 2).sum().alias("second"),
        ).row(0)
        return total, first / total, second / total - (first / total) ** 2

    low, high = K_RANGE
    for _ in range(K_STEPS):
        k = math.sqrt(low * high)
        if sums(k)[1] - mean_d + 1.0 / math.expm1(k) - mean_n > 0.0:  # falls as k rises
            low = k
        else:
            high = k
    k = math.sqrt(low * high)
    total, mean, variance = sums(k)
    ratio = math.exp(-k)
    k_error = 1.0 / math.sqrt(orders * (max(variance, 0.0) + ratio / (1.0 - ratio) ** 2))
    A = orders / total * math.exp(k * nearest)
    return Estimate(A, A * math.sqrt(1.0 / orders + (mean * k_error) ** 2)), Estimate(k, k_error)


def _impact(met: pl.DataFrame, rows: pl.DataFrame) -> Estimate:
    """Return the mean move of the mid from just before a market order, in its direction."""
    mids = rows.select("ts", ((pl.col("bid") + pl.col("ask")) / 2).alias("later"))
    sign = pl.when(pl.col("side") == "BUY").then(1.0).otherwise(-1.0)
    move = sign * (pl.col("later") - (pl.col("bid") + pl.col("ask")) / 2)
    ends = met.with_columns(pl.col("ts") + round(IMPACT_S * 1e9)).filter(pl.col("ts") <= rows["ts"].max())
    moves = ends.sort("ts").join_asof(mids, on="ts").select(move.alias("move"))["move"]
    mean, deviation = moves.mean(), moves.std()
    if not isinstance(mean, float) or not isinstance(deviation, float):
        return Estimate(0.0, math.inf)
    return Estimate(mean, deviation / math.sqrt(len(moves)))


def gamma_for_skew(k: float, A: float, sigma: float, bound_lots: int, share: float = 1.0) -> float:
    """Return the risk aversion at which a full inventory moves the quotes by `share` of their depth apart from it.

    It makes risk aversion mean the same for any instrument: at share 1 a desk at its bound quotes its own side at twice
    the depth and the other at its fair value.

    Parameters
    ----------
    k, A, sigma : float
        Per price unit; per second; price units per square root of a second.
    bound_lots : int
        Inventory bound in orders.
    share : float
        Above zero.

    Returns
    -------
    float
        Per (price unit x order).

    """
    low, high = (math.log(k * x) for x in GAMMA_RANGE)
    for _ in range(200):
        middle = 0.5 * (low + high)
        try:
            quoter = GlftClosedForm(GlftParams(gamma=math.exp(middle), k=k, A=A, bound_lots=bound_lots + 1))
        except ArithmeticError:
            high = middle
            continue
        flat, full = quoter.quote(0.0, sigma, 0.0), quoter.quote(float(bound_lots), sigma, 0.0)
        if flat.bid_depth is None or full.bid_depth is None:
            break
        if full.bid_depth - flat.bid_depth > share * flat.bid_depth:
            high = middle
        else:
            low = middle
    return math.exp(0.5 * (low + high))

"""Estimates fill intensity from a run's own quotes and fills: what an order of this desk, in this queue, met."""

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import polars as pl

from ufos_nautilus.errors import DataError
from ufos_nautilus.pricing.intensity import IntensityEstimate, IntensityEstimator

PRIOR_FILLS = 0.5
"""Weight of the prior: enough to keep the estimate finite, too little to move it."""
LATE_ROWS = 3
"""Decisions back whose price may still stand at the venue when a fill comes."""
BUCKETS = 400
"""Depth buckets from the nearest quote to the furthest."""


class Stretch(NamedTuple):
    """A quote that stood at one depth: when it ended (ns), depth (ticks), seconds, share of it that was filled."""

    ts_ns: int
    depth: float
    seconds: float
    fills: float


def stretches(quotes: pl.DataFrame, fills: pl.DataFrame, side: str, tick: Decimal, end_ns: int) -> Iterator[Stretch]:
    """Yield the lives of one side's quotes, cut wherever a quote decision was recorded.

    Parameters
    ----------
    quotes, fills : polars.DataFrame
        Tables of a run, of one book and instrument, in order of time.
    side : str
        ``"BUY"`` or ``"SELL"``.
    tick : Decimal
        Price units.
    end_ns : int
        When the last quote ended, UNIX nanoseconds.

    """
    own, sign = ("bid", 1.0) if side == "BUY" else ("ask", -1.0)
    scale = float(tick)
    rows = quotes.select(
        pl.col("ts").cast(pl.Int64), pl.col(own).alias("price"), pl.col(f"{own}_size").alias("size"), "fair_value"
    ).rows()
    hits = fills.filter((pl.col("side") == side) & (pl.col("liquidity") == "MAKER"))
    taken = hits.select(pl.col("ts").cast(pl.Int64), "price", "quantity").rows()
    place = 0
    for i, (start, price, size, fair) in enumerate(rows):
        end = rows[i + 1][0] if i + 1 < len(rows) else end_ns
        while place < len(taken) and taken[place][0] <= start:
            place += 1
        if price is None or not size or end <= start:
            continue
        # A change takes a moment to reach the venue; until then the quote fills at one of its prices before.
        prices = {price, *(row[1] for row in rows[max(0, i - LATE_ROWS) : i])}
        filled, stop, met = Decimal(0), end, price
        while place < len(taken) and taken[place][0] <= end:
            if taken[place][1] in prices and filled < size:
                met = taken[place][1]
                filled += taken[place][2]
                if filled >= size:
                    stop = taken[place][0]
            place += 1
        share = min(1.0, float(filled / size))
        yield Stretch(stop, sign * (fair - float(met)) / scale, (stop - start) / 1e9, share)


def estimate_run(quotes: pl.DataFrame, fills: pl.DataFrame, tick: Decimal, end_ns: int) -> IntensityEstimate:
    """Estimate A (per second) and k (per tick) from the quotes of one book in one instrument, both sides together.

    Parameters
    ----------
    quotes, fills, tick, end_ns
        As for `stretches`.

    Raises
    ------
    DataError
        Where no quote was filled, or all stood at one depth.

    """
    found = [s for side in ("BUY", "SELL") for s in stretches(quotes, fills, side, tick, end_ns)]
    depths = {round(s.depth, 6) for s in found}
    if len(depths) < 2 or not any(s.fills for s in found):
        raise DataError(
            f"{len(found):,} stretches of quotes at {len(depths)} depths with {sum(s.fills for s in found):.0f} fills",
            expected="quotes at several depths, some of them filled",
            next_step="run the desk for longer, or with other risk aversion",
        )
    low, high = min(s.depth for s in found), max(s.depth for s in found)
    weight = sum(s.seconds for s in found)
    fills_total = sum(s.fills for s in found)
    mean = sum(s.depth * s.seconds for s in found) / weight - low
    prior_k = 1.0 / max(mean, 1e-3)
    prior_a = fills_total / weight * math.exp(prior_k * max(low + mean, 0.0))
    estimator = IntensityEstimator(prior_a, prior_k, prior_fills=PRIOR_FILLS, bucket=max((high - low) / BUCKETS, 1e-3))
    for stretch in sorted(found):
        estimator.observe(*stretch)
    return estimator.estimate(end_ns)

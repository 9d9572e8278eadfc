"""What became of a desk's orders: how many filled, how long the filled ones had waited, and what waiting earned."""

from typing import Any, Final

import polars as pl

from ufos_nautilus.run_schemas import markout_column

WAITS_S: Final = (0.1, 1.0, 10.0, 60.0)
"""Borders between the classes of waiting time, seconds."""
WAIT_LABELS: Final = ("below 0.1 s", "0.1 to 1 s", "1 to 10 s", "10 to 60 s", "above 60 s")
PLACES: Final = ("inside", "at the best", "behind")
"""Where a quote stood against the market's best when it took its price."""


def fill_ratios(orders: pl.DataFrame) -> pl.DataFrame:
    """Count what became of limit orders, per book, instrument and side.

    Parameters
    ----------
    orders : polars.DataFrame
        Table `orders`.

    Returns
    -------
    polars.DataFrame
        book, instrument_id, side, orders, filled (with at least one fill), whole (filled entirely), order_ratio
        (filled / orders), quantity_ratio (filled quantity / ordered quantity, float).

    """
    keys = ["book", "instrument_id", "side"]
    quantity, filled = pl.col("quantity").cast(pl.Float64).sum(), pl.col("filled_quantity").cast(pl.Float64).sum()
    return (
        orders.filter(pl.col("order_type") == "LIMIT")
        .group_by(keys)
        .agg(
            pl.len().alias("orders"),
            (pl.col("filled_quantity") > 0).sum().alias("filled"),
            (pl.col("filled_quantity") == pl.col("quantity")).sum().alias("whole"),
            ((pl.col("filled_quantity") > 0).sum() / pl.len()).alias("order_ratio"),
            (filled / quantity).alias("quantity_ratio"),
        )
        .sort(keys)
    )


def fill_waits(fills: pl.DataFrame, quotes: pl.DataFrame, markouts: pl.DataFrame) -> pl.DataFrame:
    """Return every maker fill of a quoting book with how long its quote had stood at that price, and where.

    Parameters
    ----------
    fills, quotes, markouts : polars.DataFrame
        Tables of a run.

    Returns
    -------
    polars.DataFrame
        book, instrument_id, side, ts, wait_s (null where the quote decision is not known), place (one of `PLACES`),
        edge_bps (distance to the mid at the fill, positive where earned) and markout_bps (move of the mid in the
        fill's favour one second later), floats.

    """
    sides = [_stands(quotes, side, own, best) for side, own, best in (("BUY", "bid", 1), ("SELL", "ask", -1))]
    stands = pl.concat(sides).sort("ts")
    makers = fills.filter(pl.col("liquidity") == "MAKER").sort("ts", maintain_order=True)
    joined = makers.join_asof(stands, on="ts", by=["book", "instrument_id", "side"], check_sortedness=False)
    later = markout_column(1_000)
    joined = joined.join(
        markouts.select("trade_id", "client_order_id", "mid", later), on=["trade_id", "client_order_id"], how="left"
    )
    sign = pl.when(pl.col("side") == "BUY").then(1.0).otherwise(-1.0)
    mid, price = pl.col("mid").cast(pl.Float64), pl.col("price").cast(pl.Float64)
    known = pl.col("stood_at") == pl.col("price")
    wait = (pl.col("ts") - pl.col("since")).dt.total_nanoseconds() / 1e9
    return joined.select(
        "book",
        "instrument_id",
        "side",
        "ts",
        pl.when(known).then(wait).alias("wait_s"),
        pl.when(known).then(pl.col("place")).alias("place"),
        (sign * (mid - price) / mid * 1e4).alias("edge_bps"),
        (sign * (pl.col(later).cast(pl.Float64) - mid) / mid * 1e4).alias("markout_bps"),
    )


def _stands(quotes: pl.DataFrame, side: str, own: str, direction: int) -> pl.DataFrame:
    """Return one row per change of a side's price: since when it stood there and where that was in the market."""
    keys = ["book", "instrument_id"]
    best, price = pl.col(f"market_{own}"), pl.col(own)
    place = pl.when(price == best).then(pl.lit(PLACES[1]))
    better = price > best if direction > 0 else price < best
    place = place.when(better).then(pl.lit(PLACES[0])).otherwise(pl.lit(PLACES[2]))
    return (
        quotes.filter(price.is_not_null())
        .sort("ts", maintain_order=True)
        .filter((price != price.shift(1).over(keys)).fill_null(True))
        .select(*keys, "ts", pl.col("ts").alias("since"), price.alias("stood_at"), place.alias("place"))
        .with_columns(pl.lit(side).alias("side"))
    )


def by_wait(waits: pl.DataFrame) -> pl.DataFrame:
    """Group `fill_waits` by class of waiting time: label, fills, edge_bps and markout_bps (means)."""
    classes = [pl.when(pl.col("wait_s") <= w).then(pl.lit(n)) for w, n in zip(WAITS_S, WAIT_LABELS, strict=False)]
    label = pl.coalesce(*classes, pl.lit(WAIT_LABELS[-1]))
    found = _grouped(waits.filter(pl.col("wait_s").is_not_null()).with_columns(label.alias("label")))
    order = {name: i for i, name in enumerate(WAIT_LABELS)}
    return found.sort(pl.col("label").replace_strict(order, default=len(order), return_dtype=pl.Int64))


def by_place(waits: pl.DataFrame) -> pl.DataFrame:
    """Group `fill_waits` by where the quote stood when it took its price: label, fills, edge_bps, markout_bps."""
    return _grouped(waits.filter(pl.col("place").is_not_null()).with_columns(pl.col("place").alias("label"))).sort(
        "label"
    )


def _grouped(waits: pl.DataFrame) -> pl.DataFrame:
    measures: list[Any] = [pl.col(name).mean() for name in ("edge_bps", "markout_bps")]
    return waits.group_by("label").agg(pl.len().alias("fills"), *measures)

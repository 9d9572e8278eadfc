"""From one-sided NBBO updates to quotes, and from trades without aggressor to trades with one."""

from typing import Final

import polars as pl

RULES: Final = ("at_nbbo", "inside", "tick_rule", "unknown")
"""How an aggressor was found: at or through the touch; nearer side; last price change; not at all."""


def carry_forward(updates: pl.DataFrame) -> pl.DataFrame:
    """Turn one-sided updates into two-sided quotes.

    Each side holds until its next update. Nothing is said before both sides are known. A bid update directly followed
    by an ask update of the same time is one quote.

    Parameters
    ----------
    updates : pl.DataFrame
        ``line, time, bid, bid_size, ask, ask_size``, sorted by time; the side that a row does not carry is 0.

    Returns
    -------
    pl.DataFrame
        The same columns, one row a quote; `line` is that of the last row it was made of.

    """
    is_bid, is_ask = pl.col("bid") != 0, pl.col("ask") != 0
    half = is_bid & ~is_ask & ~is_bid.shift(-1) & is_ask.shift(-1) & (pl.col("time") == pl.col("time").shift(-1))
    return (
        updates.with_columns(
            *(pl.when(is_bid).then(name).forward_fill().alias(name) for name in ("bid", "bid_size")),
            *(pl.when(is_ask).then(name).forward_fill().alias(name) for name in ("ask", "ask_size")),
            half.fill_null(False).alias("half"),
        )
        .filter(~pl.col("half"), pl.col("bid").is_not_null(), pl.col("ask").is_not_null())
        .drop("half")
    )


def infer_aggressors(trades: pl.DataFrame, nbbo: pl.DataFrame | None) -> pl.DataFrame:
    """Infer who was the aggressor of each trade from the NBBO strictly before it.

    At or above the ask the buyer was, at or below the bid the seller; inside, the nearer side. At the midpoint (in a
    locked market: at the locked price), in a crossed market or without a quote the tick rule decides (Lee and Ready
    1991): a price above the last different one is a buy, below it a sell. Before any price change nothing is known.

    Parameters
    ----------
    trades : pl.DataFrame
        With ``time`` and ``price``, sorted by time.
    nbbo : pl.DataFrame or None
        With ``time, bid, ask``, sorted by time, prices in the same whole units.

    Returns
    -------
    pl.DataFrame
        `trades` with ``aggressor_side`` (BUY, SELL, NO_AGGRESSOR) and ``rule`` (one of `RULES`).

    """
    price, bid, ask = pl.col("price"), pl.col("bid"), pl.col("ask")
    if nbbo is None:
        joined = trades.with_columns(bid=pl.lit(None, pl.Int64), ask=pl.lit(None, pl.Int64))
    else:
        joined = trades.join_asof(
            nbbo.select("time", "bid", "ask"), on="time", strategy="backward", allow_exact_matches=False
        )
    nearness = pl.when(bid <= ask).then((2 * price - bid - ask).sign())
    by_quote = (nearness != 0).fill_null(False)
    change = price.diff().sign()
    last_change = pl.when(change != 0).then(change).forward_fill()
    sign = pl.when(by_quote).then(nearness).otherwise(last_change)
    return joined.with_columns(
        pl.when(sign > 0)
        .then(pl.lit("BUY"))
        .when(sign < 0)
        .then(pl.lit("SELL"))
        .otherwise(pl.lit("NO_AGGRESSOR"))
        .alias("aggressor_side"),
        pl.when(by_quote & ((price >= ask) | (price <= bid)))
        .then(pl.lit("at_nbbo"))
        .when(by_quote)
        .then(pl.lit("inside"))
        .when(last_change.is_not_null())
        .then(pl.lit("tick_rule"))
        .otherwise(pl.lit("unknown"))
        .alias("rule"),
    ).drop("bid", "ask")

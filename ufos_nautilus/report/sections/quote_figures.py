"""How wide, how often and how near to the market a desk quoted."""

import polars as pl


def quote_figures(quotes: pl.DataFrame) -> pl.DataFrame:
    """Weight each quote decision by the time until the next one of the same book and instrument.

    Parameters
    ----------
    quotes : polars.DataFrame
        Table `quotes`, in order of time.

    Returns
    -------
    polars.DataFrame
        book, instrument_id, decisions; spread_bps and market_bps (our and the market's mean spread while both
        sides stood, basis points of the market's mid); two_sided, at_best_bid, at_best_ask (shares of time). The
        last decision has no known end and no weight; with a single one shares and means are null.

    """
    keys = ["book", "instrument_id"]
    number = {c: pl.col(c).cast(pl.Float64) for c in ("bid", "ask", "market_bid", "market_ask")}
    mid = (number["market_bid"] + number["market_ask"]) / 2
    weighted = quotes.with_columns(
        (pl.col("ts").shift(-1).over(keys) - pl.col("ts")).dt.total_nanoseconds().fill_null(0).alias("w"),
        ((number["ask"] - number["bid"]) / mid * 1e4).alias("spread"),
        ((number["market_ask"] - number["market_bid"]) / mid * 1e4).alias("market"),
    )
    both = pl.col("bid").is_not_null() & pl.col("ask").is_not_null()
    return (
        weighted.group_by(keys)
        .agg(
            pl.len().alias("decisions"),
            _mean("spread").alias("spread_bps"),
            _mean("market").alias("market_bps"),
            _share(both).alias("two_sided"),
            _share(pl.col("bid") >= pl.col("market_bid")).alias("at_best_bid"),
            _share(pl.col("ask") <= pl.col("market_ask")).alias("at_best_ask"),
        )
        .sort(keys)
    )


def _mean(column: str) -> pl.Expr:
    weight = pl.col("w").filter(pl.col(column).is_not_null()).sum()
    return pl.when(weight > 0).then((pl.col(column) * pl.col("w")).sum() / weight)


def _share(condition: pl.Expr) -> pl.Expr:
    total = pl.col("w").sum()
    return pl.when(total > 0).then(pl.col("w").filter(condition).sum() / total)


def reasons(quotes: pl.DataFrame) -> pl.DataFrame:
    """Count quote decisions by reason: reason, len, share; the commonest first."""
    counts = quotes.select(pl.col("reason").fill_null("none given")).group_by("reason").len()
    share = (pl.col("len") / pl.col("len").sum()).alias("share")
    return counts.with_columns(share).sort("len", "reason", descending=[True, False])

"""Dividends and splits, read out of adjusted closes or of LEAN's factor files."""

from typing import Final

import polars as pl

from ufos_nautilus.market.tables import DECIMAL, plain

LEAST_YIELD: Final = 5e-5
"""A fall of the adjustment by less is rounding of the source's six decimals, not a dividend."""
NEAR: Final = "10d"
"""How far apart an action and the bar next to it may be."""
AMOUNT_DECIMALS: Final = 4
LEVEL_BARS: Final = 9
"""Bars before and after a day over which the ratio of two sources' closes is compared."""
LEAST_LEVEL: Final = 0.008
"""A lasting change of that ratio by less is not called a spin-off."""
ONE_STEP: Final = 0.02
"""The day's own change of the ratio may differ from the lasting one by this much."""
LEVEL_BARS_LEAST: Final = 3
"""Bars on each side without which nothing is said."""
DISAGREEMENT: Final = 0.003
"""A close that differs by more from the other source on both sides of the day is counted."""
ACTIONS: Final = {"date": pl.Date, "symbol": pl.String, "amount": DECIMAL}


def dividends_from_adjusted(adjusted: pl.DataFrame, closes: pl.DataFrame) -> pl.DataFrame:
    """Find dividends where the ratio of adjusted close to close changes.

    A dividend D on an ex-date with previous close C scales all earlier adjusted closes by 1 - D / C, so the relative
    change of the ratio times the previous close is D, in the units of `closes`. A large spin-off may count as one.

    Parameters
    ----------
    adjusted : pl.DataFrame
        ``date, symbol, close, adj_close`` (floats), one row a symbol and date.
    closes : pl.DataFrame
        ``date, symbol, close`` of the bars.

    Returns
    -------
    pl.DataFrame
        ``date`` (ex-date), ``symbol``, ``amount`` a share (decimals), sorted; where a bar shortly before gives C.

    """
    ratio = (
        adjusted.sort("symbol", "date")
        .with_columns((pl.col("adj_close") / pl.col("close")).alias("ratio"))
        .with_columns((1 - pl.col("ratio").shift(1) / pl.col("ratio")).over("symbol").alias("yield"))
        .filter(pl.col("yield") > LEAST_YIELD)
        .select("date", "symbol", "yield")
    )
    before = closes.select("date", "symbol", pl.col("close").cast(pl.Float64).alias("previous")).sort("date")
    found = ratio.sort("date").join_asof(
        before,
        on="date",
        by="symbol",
        strategy="backward",
        allow_exact_matches=False,
        tolerance=NEAR,
        check_sortedness=False,  # both are sorted by date; polars cannot tell within groups
    )
    amount = (pl.col("yield") * pl.col("previous")).round(AMOUNT_DECIMALS).cast(pl.String).cast(DECIMAL)
    found = found.drop_nulls("previous").select("date", "symbol", amount.alias("amount"))
    return found.filter(pl.col("amount") > 0).sort("symbol", "date")


def distributions_from_closes(adjusted: pl.DataFrame, closes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Find spin-offs and splits that one source adjusts for and the other does not.

    The ratio of the two closes then changes for good on one day, by a factor L below one. With that day's close C the
    holder of a share was given something worth C (1 / L - 1) at that close: the distribution, in the units of `closes`.
    Total return with it is what the adjusted closes say.

    Parameters
    ----------
    adjusted : pl.DataFrame
        ``date, symbol, close`` (floats) of the source that adjusts.
    closes : pl.DataFrame
        ``date, symbol, close`` of the bars.

    Returns
    -------
    tuple of pl.DataFrame
        Distributions: ``date, symbol, amount`` a share, sorted; and the days on which the closes disagree for a moment
        only: ``date, symbol``.

    """
    ratio = (
        closes.select("date", "symbol", pl.col("close").cast(pl.Float64))
        .join(adjusted.select("date", "symbol", pl.col("close").alias("other")), on=["date", "symbol"])
        .sort("symbol", "date")
        .with_columns((pl.col("close") / pl.col("other")).alias("ratio"))
        .with_columns(
            _median(pl.col("ratio").shift(1)).over("symbol").alias("before"),
            _median(pl.col("ratio").reverse()).reverse().over("symbol").alias("after"),
            (pl.col("ratio") / pl.col("ratio").shift(1)).over("symbol").alias("step"),
        )
        .with_columns((pl.col("after") / pl.col("before")).alias("level"))
    )
    at_once = ((pl.col("step") / pl.col("level") - 1).abs() < ONE_STEP) & (2 * pl.col("step") < 1 + pl.col("level"))
    lasting = (pl.col("level") < 1 - LEAST_LEVEL) & at_once
    amount = (pl.col("close") * (1 / pl.col("level") - 1)).round(AMOUNT_DECIMALS).cast(pl.String).cast(DECIMAL)
    found = ratio.filter(lasting).select("date", "symbol", amount.alias("amount"))
    passing = pl.all_horizontal((pl.col("ratio") / pl.col(n) - 1).abs() > DISAGREEMENT for n in ("before", "after"))
    return found, ratio.filter(passing & ~lasting).select("date", "symbol")


def _median(values: pl.Expr) -> pl.Expr:
    return values.rolling_median(LEVEL_BARS, min_samples=LEVEL_BARS_LEAST)


def actions_from_factors(factors: pl.DataFrame, bars: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Find the dividends and splits a factor file stands for.

    A line holds for bars up to its date, so what it changes happens on the first bar after; in a hole of the bars there
    is none, and what happened there is left out.

    Parameters
    ----------
    factors : pl.DataFrame
        ``date, price_factor, split_factor, reference`` by date; the reference is the close on that date.
    bars : pl.DataFrame
        ``date, symbol`` of one symbol, by date.

    Returns
    -------
    tuple of pl.DataFrame
        Dividends and splits: ``date, symbol, amount``; the amount of a split is new shares for one old.

    """
    exact = factors.select("date", *(pl.col(n).cast(DECIMAL) for n in ("price_factor", "split_factor", "reference")))
    steps = exact.with_columns(
        (pl.col("reference") * (1 - pl.col("price_factor") / pl.col("price_factor").shift(-1))).alias("dividend"),
        (pl.col("split_factor").shift(-1) / pl.col("split_factor")).alias("split"),
    ).drop_nulls()
    after = bars.select(pl.col("date").alias("ex_date"), "symbol")
    steps = steps.join_asof(
        after,
        left_on="date",
        right_on="ex_date",
        strategy="forward",
        allow_exact_matches=False,
        coalesce=False,
        tolerance=NEAR,
    ).drop_nulls("ex_date")
    found = [
        steps.select(pl.col("ex_date").alias("date"), "symbol", pl.col(name).round(AMOUNT_DECIMALS).alias("amount"))
        for name in ("dividend", "split")
    ]
    return found[0].filter(pl.col("amount") > 0), found[1].filter(pl.col("amount") != 1)


def adjust(bars: pl.DataFrame, factors: pl.DataFrame, *, dividends: bool) -> pl.DataFrame:
    """Multiply prices by the split factor, with `dividends` also by the price factor, rounded to 0.0001.

    Volume is divided by the split factor, so that price times volume keeps its meaning.
    """
    prices = ("open", "high", "low", "close")
    table = factors.select("date", *(pl.col(n).cast(DECIMAL) for n in ("price_factor", "split_factor")))
    joined = bars.join_asof(table, on="date", strategy="forward").with_columns(
        pl.col("price_factor", "split_factor").fill_null(1)
    )
    factor = pl.col("split_factor") * pl.col("price_factor") if dividends else pl.col("split_factor")
    return joined.with_columns(
        (pl.col(*prices) * factor).round(AMOUNT_DECIMALS).cast(DECIMAL),
        (pl.col("volume") / pl.col("split_factor")).round(0).cast(DECIMAL),
    ).drop("price_factor", "split_factor")


def as_fact(actions: pl.DataFrame) -> dict[str, list[list[str]]]:
    """Return actions as symbol -> [[date, amount], ...], ready for a manifest."""
    fact: dict[str, list[list[str]]] = {}
    for date, symbol, amount in actions.sort("symbol", "date").iter_rows():
        fact.setdefault(symbol, []).append([date.isoformat(), str(plain(amount))])
    return fact

"""Figures of a run as pure functions over its tables; sums of money are exact decimals."""

import math
from dataclasses import dataclass
from decimal import Decimal
from weakref import WeakKeyDictionary

import polars as pl

from ufos_nautilus.report.tables import RunTables
from ufos_nautilus.run_schemas import DEC

_GCD_PRICES_MAX = 10_000
NO_PRICES = pl.Series("price", [], dtype=DEC)
ZERO = Decimal(0)
_FACTS: "WeakKeyDictionary[RunTables, pl.DataFrame]" = WeakKeyDictionary()
"""Four chapters of a report ask for the same facts, which takes a pass over all prices."""


def instrument_facts(tables: RunTables) -> pl.DataFrame:
    """Say what one unit of each filled or quoted instrument is worth.

    Returns
    -------
    polars.DataFrame
        instrument_id, tick (DEC|null), tick_known (bool), multiplier (DEC), inverse (bool), quote (currency of
        prices), settlement (currency of profit). Where the run names no such instrument, the tick is the largest
        step that all its prices share, the multiplier one and both currencies that of its positions or commissions.

    """
    if (known := _FACTS.get(tables)) is not None:
        return known
    ids = pl.concat([tables.fills["instrument_id"], tables.quotes["instrument_id"], tables.inventory["instrument_id"]])
    names = ids.unique().sort().to_list()
    prices = _prices(tables, [name for name in names if name not in tables.instruments])
    rows = []
    for name in names:
        if spec := tables.instruments.get(name):
            rows.append((name, spec.tick_size, True, spec.multiplier, spec.inverse, spec.quote, spec.settlement))
            continue
        currency = _guess_currency(tables, name)
        rows.append((name, common_step(prices.get(name, NO_PRICES)), False, Decimal(1), False, currency, currency))
    schema = {
        "instrument_id": pl.String,
        "tick": DEC,
        "tick_known": pl.Boolean,
        "multiplier": DEC,
        "inverse": pl.Boolean,
        "quote": pl.String,
        "settlement": pl.String,
    }
    facts = _FACTS[tables] = pl.DataFrame(rows, schema=schema, orient="row")
    return facts


def _guess_currency(tables: RunTables, instrument_id: str) -> str:
    for frame, column in ((tables.positions, "currency"), (tables.fills, "commission_currency")):
        found = frame.filter(pl.col("instrument_id") == instrument_id)[column].drop_nulls()
        if len(found):
            return str(found[0])
    return (tables.currencies() or ["quote currency"])[0]


def _prices(tables: RunTables, names: list[str]) -> dict[str, pl.Series]:
    """Return all prices of each name, every one once, in order."""
    own = pl.col("instrument_id").is_in(names)
    sources = (
        (tables.fills, ("price",)),
        (tables.quotes, ("bid", "ask", "market_bid", "market_ask")),
        (tables.inventory, ("bid", "ask")),
    )
    parts = [
        frame.filter(own).select("instrument_id", pl.col(column).alias("price"))
        for frame, columns in sources
        for column in columns
    ]
    found = pl.concat(parts).drop_nulls().unique().sort("instrument_id", "price")
    return {str(key[0]): part["price"] for key, part in found.partition_by("instrument_id", as_dict=True).items()}


def common_step(prices: pl.Series) -> Decimal | None:
    """Return the largest step of which every price is a multiple; None without a price."""
    units = [int(price.scaleb(12)) for price in prices.head(_GCD_PRICES_MAX).to_list()]
    step = math.gcd(*units) if units else 0
    return Decimal(step).scaleb(-12) if step else None


def spread_captured(fills: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Measure each fill against the market's mid when it happened.

    Parameters
    ----------
    fills : polars.DataFrame
        Table `fills`.
    facts : polars.DataFrame
        From `instrument_facts`.

    Returns
    -------
    polars.DataFrame
        The fills with the facts' columns and: mid (DEC); distance (DEC, price units, positive where the fill is
        better than the mid: mid - price for a buy, price - mid for a sell); captured (DEC, distance times quantity
        and multiplier, in `settlement` currency); notional (DEC, in `quote` currency); bps and ticks (float,
        distance relative to mid and to the tick). Null where one side of the market was not known.

        Amounts carry 12 decimals: exact while the decimals of mid and quantity add up to no more than that;
        inverse contracts divide by prices and are rounded there.

    """
    sign = pl.when(pl.col("side") == "BUY").then(1).otherwise(-1).cast(DEC)
    distance, size = pl.col("distance"), pl.col("quantity") * pl.col("multiplier")
    return (
        fills.join(facts, on="instrument_id", how="left", maintain_order="left")
        .with_columns(((pl.col("bid") + pl.col("ask")) / 2).alias("mid"))
        .with_columns((sign * (pl.col("mid") - pl.col("price"))).alias("distance"))
        .with_columns(
            # 1/price - 1/mid = (mid - price) / price / mid: an inverse contract pays in its base currency.
            pl.when("inverse")
            .then(distance * size / pl.col("price") / pl.col("mid"))
            .otherwise(distance * size)
            .alias("captured"),
            pl.when("inverse").then(size).otherwise(size * pl.col("price")).alias("notional"),
            (distance.cast(pl.Float64) / pl.col("mid").cast(pl.Float64) * 1e4).alias("bps"),
            (distance.cast(pl.Float64) / pl.col("tick").cast(pl.Float64)).alias("ticks"),
        )
    )


def equity_by_currency(equity: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Add up the accounts of each currency.

    Returns
    -------
    dict of str to polars.DataFrame
        Currency -> ts, equity (DEC). An account counts with its last known equity, before its first sample with
        that one.

    """
    totals = {}
    for currency in equity["currency"].unique().sort().to_list():
        wide = (
            equity.filter(pl.col("currency") == currency)
            .pivot("account", index="ts", values="equity", aggregate_function="last")
            .sort("ts")
            .with_columns(pl.exclude("ts").forward_fill().backward_fill())
        )
        totals[currency] = wide.select("ts", pl.sum_horizontal(pl.exclude("ts")).alias("equity"))
    return totals


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall from a peak: amount (zero or below), share of the peak (None for no positive peak), when."""

    amount: Decimal
    share: float | None
    ts_ns: int


def drawdown(equity: pl.DataFrame) -> pl.DataFrame:
    """Add peak (highest equity so far) and drawdown (equity - peak, zero or below), both DEC, to ts and equity."""
    return equity.with_columns(pl.col("equity").cum_max().alias("peak")).with_columns(
        (pl.col("equity") - pl.col("peak")).alias("drawdown")
    )


def max_drawdown(equity: pl.DataFrame) -> Drawdown | None:
    """Find the deepest fall of one currency's ts and equity; None where there is no equity."""
    frame = drawdown(equity)
    index = frame["drawdown"].arg_min()
    if index is None:
        return None
    row = frame.row(index, named=True)
    share = float(row["drawdown"] / row["peak"]) if row["peak"] > 0 else None
    return Drawdown(row["drawdown"], share, int(frame["ts"].cast(pl.Int64)[index]))


def money_by(frame: pl.DataFrame, currency: str, amount: str) -> dict[str, Decimal]:
    """Add up column `amount` per value of column `currency`, exactly; nulls are left out."""
    known = frame.filter(pl.col(amount).is_not_null() & pl.col(currency).is_not_null())
    sums = known.group_by(currency).agg(pl.col(amount).sum()).sort(currency)
    return {name: total for name, total in sums.iter_rows()}

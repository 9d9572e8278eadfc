"""What trading through the house cost and saved: tickets against their arrival, routes, desks after internal trades."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import polars as pl

from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.run_schemas import CROSS_TAG, DEC, MARKOUTS_MS, TICKET_TAG, markout_column

ROUTES = {"cross": "crossed", "desk": "desk", "market": "market"}
"""Route -> column of table `tickets` with its quantity; ``..._value`` holds the sum of price times quantity."""


def ticket_costs(
    tickets: pl.DataFrame, instruments: Mapping[str, InstrumentSpec], marks: Mapping[str, Decimal]
) -> pl.DataFrame:
    """Measure every ticket against the midpoint when it came.

    Parameters
    ----------
    tickets : polars.DataFrame
        Table `tickets` of a run.
    instruments : mapping
        Lit instruments by id.
    marks : mapping
        Instrument id -> price at the end of the run, price units.

    Returns
    -------
    polars.DataFrame
        The tickets with currency, notional (at arrival) and, in currency and positive where it cost: slippage (filled
        pieces against the arrival midpoint), fees (commission and transfer fee), missed (what the price did to the
        unfilled part until the end of the run), cost (their sum). Null where the market was not known on arrival, and
        for inverse contracts, whose value is not linear in the price.

    """
    facts = pl.DataFrame(
        [
            (name, spec.settlement, None if spec.inverse else spec.multiplier, marks.get(name))
            for name, spec in instruments.items()
        ],
        schema={"instrument_id": pl.String, "currency": pl.String, "multiplier": DEC, "mark": DEC},
        orient="row",
    )
    sign = pl.when(pl.col("side") == "BUY").then(1).otherwise(-1).cast(DEC)
    filled = pl.sum_horizontal(ROUTES.values())
    value = pl.sum_horizontal(f"{column}_value" for column in ROUTES.values())
    arrival = (pl.col("arrival_bid") + pl.col("arrival_ask")) / 2
    own = (pl.col("commission_currency") == pl.col("currency")).fill_null(False)
    moved = pl.when(pl.col("unfilled") == 0).then(Decimal(0)).otherwise(pl.col("mark") - pl.col("arrival_mid"))
    joined = tickets.join(facts, on="instrument_id", how="left", maintain_order="left")
    return (
        joined.with_columns(arrival.cast(DEC).alias("arrival_mid"))
        .with_columns(
            (pl.col("quantity") * pl.col("arrival_mid") * pl.col("multiplier")).cast(DEC).alias("notional"),
            (sign * (value - pl.col("arrival_mid") * filled) * pl.col("multiplier")).cast(DEC).alias("slippage"),
            (pl.when(own).then(pl.col("commission")).otherwise(Decimal(0)) + pl.col("transfer_fee")).alias("fees"),
            (sign * moved * pl.col("unfilled") * pl.col("multiplier")).cast(DEC).alias("missed"),
        )
        .with_columns((pl.col("slippage") + pl.col("fees") + pl.col("missed")).alias("cost"))
    )


def costs_by(costs: pl.DataFrame, by: Sequence[str] = ("beneficiary",)) -> pl.DataFrame:
    """Add up `ticket_costs`.

    Returns
    -------
    polars.DataFrame
        The group and currency, tickets, unmeasured (tickets without a cost), notional, slippage, fees, missed, cost,
        and cost_bps: cost against notional. In order of the group.

    """
    keys = [*by, "currency"]
    known = pl.col("cost").is_not_null()
    sums = costs.group_by(keys).agg(
        pl.len().cast(pl.Int64).alias("tickets"),
        (~known).sum().cast(pl.Int64).alias("unmeasured"),
        *(pl.col(name).filter(known).sum() for name in ("notional", "slippage", "fees", "missed", "cost")),
    )
    bps = pl.col("cost").cast(pl.Float64) / pl.col("notional").cast(pl.Float64).abs() * 10_000
    return sums.with_columns(pl.when(pl.col("notional") != 0).then(bps).alias("cost_bps")).sort(keys)


def route_values(costs: pl.DataFrame) -> pl.DataFrame:
    """Return one row per ticket and route that filled some of it: beneficiary, book, currency, route, quantity, value.

    Value is in currency; `internalization_rate` of `ufos_nautilus.crossing.savings` takes this table.
    """
    parts = [
        costs.filter(pl.col(column) != 0).select(
            "beneficiary",
            "book",
            "currency",
            pl.lit(route).alias("route"),
            pl.col(column).alias("quantity"),
            (pl.col(f"{column}_value") * pl.col("multiplier")).cast(DEC).alias("value"),
        )
        for route, column in ROUTES.items()
    ]
    return pl.concat(parts)


def desk_markouts(
    fills: pl.DataFrame, orders: pl.DataFrame, markouts: pl.DataFrame, instruments: Mapping[str, InstrumentSpec]
) -> pl.DataFrame:
    """Measure what desks took from clients against the market's midpoint, at the trade and later.

    Parameters
    ----------
    fills, orders, markouts : polars.DataFrame
        Tables of a run.
    instruments : mapping
        Lit instruments by id; trades inside the house belong to the one with the same symbol.

    Returns
    -------
    polars.DataFrame
        book, currency, trades, quantity, value and, in currency and positive where the desk gained: edge (at the
        trade), net_...ms (at each horizon, over the trades whose horizon lies within the run) and known_...ms (how
        many those are). In order of book.

    """
    lit = {spec.symbol: spec for spec in instruments.values()}
    facts = pl.DataFrame(
        [(symbol, spec.settlement, spec.multiplier) for symbol, spec in lit.items()],
        schema={"symbol": pl.String, "currency": pl.String, "multiplier": DEC},
        orient="row",
    )
    # The desk's leg of a trade inside the house is the one that belongs to no ticket.
    inside = pl.col("tags").str.starts_with(CROSS_TAG) & ~pl.col("tags").str.contains(f",{TICKET_TAG}", literal=True)
    legs = orders.filter(inside).select("client_order_id")
    keys = ["trade_id", "client_order_id", "book"]
    trades = (
        fills.join(legs, on="client_order_id", how="semi", maintain_order="left")
        .join(markouts.drop("ts", "instrument_id"), on=keys, how="left", maintain_order="left")
        .with_columns(pl.col("instrument_id").str.replace(r"\.[^.]*$", "").alias("symbol"))
        .join(facts, on="symbol", how="left", maintain_order="left")
    )
    size = pl.when(pl.col("side") == "BUY").then(pl.col("quantity")).otherwise(-pl.col("quantity"))
    worth = size * pl.col("multiplier")
    later = [pl.col(markout_column(ms)) for ms in MARKOUTS_MS]
    sums = trades.group_by("book", "currency").agg(
        pl.len().cast(pl.Int64).alias("trades"),
        pl.col("quantity").sum(),
        (pl.col("price") * pl.col("quantity") * pl.col("multiplier")).cast(DEC).sum().alias("value"),
        ((pl.col("mid") - pl.col("price")) * worth).cast(DEC).sum().alias("edge"),
        *(
            ((mid - pl.col("price")) * worth).cast(DEC).sum().alias(f"net_{ms}ms")
            for ms, mid in zip(MARKOUTS_MS, later, strict=True)
        ),
        *(
            mid.is_not_null().sum().cast(pl.Int64).alias(f"known_{ms}ms")
            for ms, mid in zip(MARKOUTS_MS, later, strict=True)
        ),
    )
    return sums.sort("book", "currency")


def decimals(values: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return stored amounts as decimals."""
    return {name: Decimal(str(value)) for name, value in values.items()}

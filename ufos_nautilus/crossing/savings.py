"""What crossing saved, per party and against what: pure functions over tables of crosses."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from ufos_nautilus.errors import DataError

PARTY_COLUMNS: Final = (
    "order_id", "parent_id", "client_id", "desk_id", "strategy_tag", "beneficiary", "book", "touch", "arrival_mid",
    "fee", "saved", "saved_bps", "saved_on_arrival",
)  # fmt: skip
ROUTES: Final = ("cross", "desk", "market")
"""Where a piece of a ticket can be filled."""


def party_rows(crosses: pl.DataFrame) -> pl.DataFrame:
    """Return two rows per cross, one for each side.

    Parameters
    ----------
    crosses : pl.DataFrame
        As `best_execution.crosses_frame` makes it.

    Returns
    -------
    pl.DataFrame
        cross_id, ts, root, currency, side ("BUY" or "SELL"), price, quantity, value and the party's own columns.

    """
    shared = ["cross_id", "ts", "root", "currency", "price", "quantity", "value"]
    _need(crosses, [*shared, *(f"{side}_{c}" for side in ("buy", "sell") for c in PARTY_COLUMNS)])
    halves = [
        crosses.select(
            *shared, pl.lit(side.upper()).alias("side"), *(pl.col(f"{side}_{c}").alias(c) for c in PARTY_COLUMNS)
        )
        for side in ("buy", "sell")
    ]
    return pl.concat(halves).sort("ts", "cross_id", "side", maintain_order=True)


def savings(crosses: pl.DataFrame, by: Sequence[str] = ("beneficiary",)) -> pl.DataFrame:
    """Return what each party saved.

    Parameters
    ----------
    crosses : pl.DataFrame
        As `best_execution.crosses_frame` makes it.
    by : sequence of str
        Party columns to group by, for example ``("client_id",)`` or ``("strategy_tag", "root")``. The currency always
        separates, since amounts of two currencies do not add.

    Returns
    -------
    pl.DataFrame
        The group, currency, crosses, quantity, value; saved (against the touch), fee, net (saved less fee) and
        saved_on_arrival (against the midpoint when the ticket came), in currency; net_bps, net against value. Sorted
        by group.

    """
    keys = [*by, "currency"]
    rows = party_rows(crosses)
    _need(rows, keys)
    sums = rows.group_by(keys).agg(
        pl.len().cast(pl.Int64).alias("crosses"),
        *(pl.col(c).sum() for c in ("quantity", "value", "saved", "fee")),
        (pl.col("saved") - pl.col("fee")).sum().alias("net"),
        pl.col("saved_on_arrival").sum(),
    )
    ratio = pl.col("net").cast(pl.Float64) / pl.col("value").cast(pl.Float64).abs() * 10_000
    return sums.with_columns(ratio.round(4).alias("net_bps")).sort(keys)


def internalization_rate(fills: pl.DataFrame, by: Sequence[str] = ()) -> pl.DataFrame:
    """Return which share of the traded value never left the house.

    Parameters
    ----------
    fills : pl.DataFrame
        Pieces of client and strategy tickets: ``route`` (one of `ROUTES`), ``value`` in currency, and the columns
        of `by`.
    by : sequence of str
        Columns to group by, for example ``("client_id",)``; none for one row over all.

    Returns
    -------
    pl.DataFrame
        The group, value by route (cross, desk, market), total, and the shares crossed (``cross_rate``) and kept in the
        house (``internal_rate``: cross and desk), from 0 to 1; null where nothing was traded.

    Raises
    ------
    DataError
        For a route that does not exist or a missing column.

    """
    _need(fills, ["route", "value", *by])
    unknown = set(fills.get_column("route").unique().to_list()) - set(ROUTES)
    if unknown:
        raise DataError(f"routes {sorted(map(str, unknown))}", expected=", ".join(ROUTES))
    sums = [pl.col("value").filter(pl.col("route") == r).sum().alias(r) for r in ROUTES]
    table = fills.group_by(list(by)).agg(sums).sort(list(by)) if by else fills.select(sums)
    total = pl.sum_horizontal(ROUTES)
    cross, desk, whole = (e.cast(pl.Float64) for e in (pl.col("cross"), pl.col("desk"), pl.col("total")))
    return table.with_columns(total.alias("total")).with_columns(
        pl.when(pl.col("total") != 0).then(cross / whole).alias("cross_rate"),
        pl.when(pl.col("total") != 0).then((cross + desk) / whole).alias("internal_rate"),
    )


def _need(frame: pl.DataFrame, columns: Sequence[str]) -> None:
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise DataError(f"the table lacks {', '.join(missing)}", expected="the columns named in the function's page")

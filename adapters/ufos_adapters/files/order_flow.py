"""From a stream of order messages (L3) to book changes and the best prices after each, in whole tables.

Nothing here knows a file format: messages say what happened to which order, in whole price units and whole shares.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

import polars as pl

ADD: Final = 1
CUT: Final = 2
DELETE: Final = 3
EXECUTE: Final = 4
FIRST_SEED_ID: Final = 1 << 62
"""Order ids of levels that were there before the first message; venues number from small numbers up."""


@dataclass(frozen=True, slots=True)
class OrderFlow:
    """What a stream of messages did to the book.

    Parameters
    ----------
    changes : pl.DataFrame
        ``seq, action, direction, price, size, order_id``: one row a change; `seq` 0 is the book before message 1.
    best : pl.DataFrame
        ``seq, ask, ask_size, bid, bid_size`` after each message, null where a side is empty.
    unknown : pl.Series
        `seq` of messages about orders that are in no book.
    duplicates : pl.Series
        `seq` of additions of an order id that was added before.
    mismatched : pl.Series
        `seq` of messages that take more, or for a deletion another size, than the order had left.

    """

    changes: pl.DataFrame
    best: pl.DataFrame
    unknown: pl.Series
    duplicates: pl.Series
    mismatched: pl.Series


def rebuild(messages: pl.DataFrame, seeds: pl.DataFrame) -> OrderFlow:
    """Follow every order from its addition to its end.

    A message about an order that was never added takes from the seed at its side and price, where there is one.

    Parameters
    ----------
    messages : pl.DataFrame
        ``seq, type, order_id, size, price, direction``, sorted by `seq`, which starts at 1. Types other than `ADD`,
        `CUT`, `DELETE` and `EXECUTE` leave the book as it is. Direction is 1 for buy orders, -1 for sell orders.
    seeds : pl.DataFrame
        ``direction, price, size``: the levels before message 1, one row a level.

    """
    columns = ["seq", "type", "order_id", "size", "price", "direction"]
    seeded = seeds.with_row_index("n").select(
        pl.lit(0, pl.Int64).alias("seq"),
        pl.lit(ADD, pl.Int64).alias("type"),
        (pl.col("n").cast(pl.Int64) + FIRST_SEED_ID).alias("order_id"),
        "size",
        "price",
        "direction",
    )
    added = (pl.col("type") == ADD).cum_sum().over("order_id")
    about_orders = pl.col("type").is_between(ADD, EXECUTE)
    stream = messages.filter(about_orders).select(columns).with_columns(added.alias("added"))
    again = (pl.col("type") == ADD) & (pl.col("added") > 1)
    duplicates = stream.filter(again)["seq"]
    seed_ids = seeded.select("direction", "price", pl.col("order_id").alias("seed_id"))
    stream = stream.filter(~again).join(seed_ids, on=["direction", "price"], how="left", maintain_order="left")
    order = pl.when(pl.col("added") > 0).then("order_id").otherwise("seed_id")
    events = pl.concat([seeded, stream.with_columns(order.alias("order_id")).select(columns)])
    lost = events.filter(pl.col("order_id").is_null())["seq"]
    events = _follow(events.filter(pl.col("order_id").is_not_null()))
    gone = events.filter((pl.col("type") != ADD) & (pl.col("prior") == 0))["seq"]
    events = events.filter((pl.col("type") == ADD) | (pl.col("prior") > 0))
    taken = pl.col("prior") - pl.col("left")
    mismatched = events.filter((pl.col("type") != ADD) & (taken != pl.col("size")))["seq"]
    changes = events.select(
        "seq",
        pl.when(pl.col("type") == ADD)
        .then(pl.lit("ADD"))
        .when(pl.col("left") > 0)
        .then(pl.lit("UPDATE"))
        .otherwise(pl.lit("DELETE"))
        .alias("action"),
        "direction",
        "price",
        pl.col("left").alias("size"),
        "order_id",
    )
    return OrderFlow(
        changes=changes,
        best=_best(events, messages["seq"]),
        unknown=pl.concat([lost, gone]).sort(),
        duplicates=duplicates,
        mismatched=mismatched,
    )


def _follow(events: pl.DataFrame) -> pl.DataFrame:
    """Add what each order had before (`prior`) and after (`left`) each event; its price stays that of its start."""
    is_add = pl.col("type") == ADD
    cut = pl.when(is_add).then(0).otherwise("size").cum_sum().over("order_id")
    ends = (pl.col("type") == DELETE) & (pl.col("order_id") < FIRST_SEED_ID)
    left = pl.when(ends).then(0).otherwise((pl.col("size").first().over("order_id") - cut).clip(lower_bound=0))
    return (
        events.with_columns(left.alias("left"), pl.col("price").first().over("order_id"))
        .with_columns(pl.col("left").cum_min().over("order_id"))
        .with_columns(pl.col("left").shift(1, fill_value=0).over("order_id").alias("prior"))
    )


def _best(events: pl.DataFrame, numbers: pl.Series) -> pl.DataFrame:
    """Return the best level of each side after each message."""
    level = (pl.col("left") - pl.col("prior")).cum_sum().over("direction", "price").alias("level")
    events = events.with_columns(level)
    out = pl.DataFrame({"seq": numbers})
    for name, direction in (("ask", -1), ("bid", 1)):
        side = events.filter(pl.col("direction") == direction)
        prices, sizes = best_levels(side["price"].to_list(), side["level"].to_list(), highest=direction == 1)
        after = pl.DataFrame(
            {"seq": side["seq"], name: prices, f"{name}_size": sizes},
            schema={"seq": pl.Int64, name: pl.Int64, f"{name}_size": pl.Int64},
        )
        # The seed is many events of number 0; the last one of a number holds.
        after = after.unique("seq", keep="last", maintain_order=True)
        out = out.join_asof(after, on="seq", strategy="backward")
    return out


def best_levels(
    prices: Iterable[int], sizes: Iterable[int], *, highest: bool
) -> tuple[list[int | None], list[int | None]]:
    """Return price and size of the best level after each change of one side of a book.

    Parameters
    ----------
    prices, sizes : iterable of int
        Which level changed, and what it holds afterwards.
    highest : bool
        The best price is the highest one (bids).

    """
    sign = -1 if highest else 1
    level: dict[int, int] = {}
    heap: list[int] = []
    best_prices: list[int | None] = []
    best_sizes: list[int | None] = []
    for price, size in zip(prices, sizes, strict=True):
        if size:
            if price not in level:
                heappush(heap, sign * price)
            level[price] = size
        else:
            level.pop(price, None)
        # A level that went is taken off the heap only when it comes to the top.
        while heap and sign * heap[0] not in level:
            heappop(heap)
        best = sign * heap[0] if heap else None
        best_prices.append(best)
        best_sizes.append(None if best is None else level[best])
    return best_prices, best_sizes

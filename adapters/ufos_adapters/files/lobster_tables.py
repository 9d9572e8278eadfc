"""LOBSTER files as tables: strict reading of messages and books, and the market-data tables made of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from ufos_adapters.files import sources
from ufos_adapters.files.order_flow import ADD, CUT, EXECUTE, OrderFlow
from ufos_nautilus.errors import DataError
from ufos_nautilus.limits import DEFECT_EXAMPLES_MAX
from ufos_nautilus.market.tables import DECIMAL, F_LAST, F_SNAPSHOT, SCHEMAS

NEW_YORK: Final = "America/New_York"
UNITS: Final = 10_000
"""Price units in one dollar."""
CENT: Final = 100
"""Price units in one cent."""
NO_PRICE: Final = 9_999_999_999
"""Absolute price of an empty level."""
DAY_S: Final = 86_400
HIDDEN: Final = 5
"""Execution of a hidden order: a trade that leaves the visible book as it is."""
CROSS: Final = 6
"""Auction trade."""
HALT: Final = 7
"""Trading halted or resumed; its other fields mean nothing."""
_WHOLE: Final = pl.Int64()
MESSAGE_COLUMNS: Final[dict[str, pl.DataType]] = {
    "time": pl.Decimal(20, 9),
    **dict.fromkeys(("type", "order_id", "size", "price", "direction"), _WHOLE),
}
BBO_COLUMNS: Final[dict[str, pl.DataType]] = dict.fromkeys(("ask", "ask_size", "bid", "bid_size"), _WHOLE)


def read_messages(path: Path) -> pl.DataFrame:
    """Read and check one message file; `seq` is the line number.

    Raises
    ------
    DataError
        A line is no message; with file and line.

    """
    source = sources.open_source(path)
    rows = sources.read_csv(source, MESSAGE_COLUMNS).with_row_index("seq", offset=1)
    halt = pl.col("type") == HALT
    checks = {
        "type": (pl.col("type").is_between(ADD, HALT), "1 to 7"),
        "time": (pl.col("time").is_between(0, DAY_S, closed="left"), "seconds after midnight"),
        "size": ((pl.col("size") > 0) | halt, "a positive number of shares"),
        "price": ((pl.col("price") > 0) | halt, "a positive price in 1/10,000 dollar"),
        "direction": (pl.col("direction").is_in([-1, 1]) | halt, "1 (buy order) or -1 (sell order)"),
    }
    for name, (good, expected) in checks.items():
        bad = rows.filter(~good)
        if bad.height:
            raise DataError(
                f"{source.where} line {bad['seq'][0]}: {name} is {bad[name][0]}",
                expected=expected,
                next_step="check that the file holds LOBSTER messages, or mend or remove the line",
            )
    return rows.with_columns(pl.col("seq").cast(pl.Int64))


def stamp_messages(rows: pl.DataFrame, day: str, where: str, defects: sources.DefectLog) -> pl.DataFrame:
    """Add `ts` (UTC); messages keep their order, so one that goes back in time is held at the latest time before it."""
    ns = (pl.col("time") * 1_000_000_000).cast(pl.Int64)
    rows = rows.with_columns(ns.alias("ns"))
    backwards = rows.filter(pl.col("ns") < pl.col("ns").shift(1))["seq"]
    places = (f"{where} line {n}" for n in backwards.head(DEFECT_EXAMPLES_MAX))
    defects.add("time_backwards", backwards.len(), "repaired: held at the latest time", places)
    local = pl.lit(day).str.to_datetime("%Y-%m-%d", time_unit="ns") + pl.duration(nanoseconds=pl.col("ns").cum_max())
    stamp = sources.to_utc(rows.select(local).to_series(), NEW_YORK, where)
    return rows.with_columns(ts=stamp).drop("ns", "time")


def empty_as_null(levels: pl.DataFrame) -> pl.DataFrame:
    """Return levels with null instead of the price and size of an empty one."""
    return levels.with_columns(
        pl.when(pl.col(side).abs() < NO_PRICE).then(pl.col(side, f"{side}_size")) for side in ("ask", "bid")
    )


def first_levels(path: Path | None, first: Mapping[str, Any]) -> pl.DataFrame:
    """Return the book before the first message: ``direction, price, size``, empty where there is no file.

    Row 1 of an orderbook file is the state after message 1, so that message is taken back.

    Raises
    ------
    DataError
        The file is no orderbook file, or not of these messages.

    """
    levels: dict[tuple[int, int], int] = {}
    if path is not None:
        for side, direction, price, size in _first_row(path):
            if abs(price) < NO_PRICE and size > 0:
                if (direction, price) in levels:
                    raise DataError(
                        f"{path.name} line 1: {side} price {price} comes twice", expected="one level a price"
                    )
                levels[direction, price] = size
        key = (first["direction"], first["price"])
        if first["type"] == ADD:
            levels[key] = levels.get(key, 0) - first["size"]
            if levels[key] < 0:
                raise DataError(
                    f"{path.name} line 1 lacks the order that the first message added",
                    expected="the book after message 1 of the message file",
                    next_step="give the orderbook file of the same symbol and day",
                )
        elif CUT <= first["type"] <= EXECUTE:
            levels[key] = levels.get(key, 0) + first["size"]
    rows = [(direction, price, size) for (direction, price), size in levels.items() if size]
    return pl.DataFrame(rows, schema=dict.fromkeys(("direction", "price", "size"), pl.Int64), orient="row")


def _first_row(path: Path) -> list[tuple[str, int, int, int]]:
    source = sources.open_source(path)
    fields = source.data.split(b"\n", 1)[0].strip().split(b",")
    try:
        numbers = [int(field) for field in fields]
    except ValueError:
        numbers = []
    if not numbers or len(numbers) % 4:
        raise DataError(
            f"{source.where} line 1 is no book", expected="whole numbers: ask, ask size, bid, bid size of each level"
        )
    levels = [numbers[i : i + 4] for i in range(0, len(numbers), 4)]
    return [row for a, a_size, b, b_size in levels for row in (("ask", -1, a, a_size), ("bid", 1, b, b_size))]


def _dollars(column: str, name: str = "") -> pl.Expr:
    return (pl.col(column).cast(DECIMAL) / pl.lit(UNITS, DECIMAL)).cast(DECIMAL).alias(name or column)


def delta_table(flow: OrderFlow, messages: pl.DataFrame) -> pl.DataFrame:
    """Return L3 deltas: a cleared book, the levels from before the first message, then one delta a message."""
    start = pl.DataFrame(
        {"seq": 0, "action": "CLEAR", "direction": 0, "price": 0, "size": 0, "order_id": 0},
        schema=flow.changes.schema,
    )
    zero = messages.head(1).select(pl.lit(0, pl.Int64).alias("seq"), "ts")
    times = pl.concat([zero, messages.select("seq", "ts")])
    rows = pl.concat([start, flow.changes]).join(times, on="seq", how="left", maintain_order="left")
    snapshot = pl.col("seq") == 0
    ends = (~snapshot | (pl.col("seq").shift(-1) != 0)).fill_null(True)
    flags = pl.when(snapshot).then(F_SNAPSHOT).otherwise(0) + pl.when(ends).then(F_LAST).otherwise(0)
    sides = {1: "BUY", -1: "SELL", 0: "NO_ORDER_SIDE"}
    return rows.select(
        "action",
        pl.col("direction").replace_strict(sides, return_dtype=pl.String).alias("side"),
        _dollars("price"),
        pl.col("size").cast(DECIMAL),
        pl.col("order_id").cast(pl.UInt64),
        flags.cast(pl.UInt8).alias("flags"),
        pl.col("seq").cast(pl.UInt64).alias("sequence"),
        pl.col("ts").alias("ts_event"),
        pl.col("ts").alias("ts_init"),
    )


def quote_table(flow: OrderFlow, messages: pl.DataFrame) -> pl.DataFrame:
    """Return a quote for each message that changed the best price or size of a book with both sides."""
    names = list(BBO_COLUMNS)
    changed = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in names)
    rows = flow.best.with_columns(ts=messages["ts"]).filter(changed, pl.all_horizontal(pl.col(names).is_not_null()))
    return rows.select(
        _dollars("bid", "bid_price"),
        _dollars("ask", "ask_price"),
        pl.col("bid_size", "ask_size").cast(DECIMAL),
        pl.col("ts").alias("ts_event"),
        pl.col("ts").alias("ts_init"),
    )


def trade_table(messages: pl.DataFrame, day: str) -> pl.DataFrame:
    """Return visible and hidden executions and auction trades; the aggressor is opposite to the resting order."""
    rows = messages.filter(pl.col("type").is_between(EXECUTE, CROSS))
    side = pl.when(pl.col("direction") == 1).then(pl.lit("SELL")).otherwise(pl.lit("BUY"))
    return rows.select(
        _dollars("price"),
        pl.col("size").cast(DECIMAL),
        pl.when(pl.col("type") == CROSS).then(pl.lit("NO_AGGRESSOR")).otherwise(side).alias("aggressor_side"),
        pl.format("{}-{}", pl.lit(day.replace("-", "")), pl.col("seq")).alias("trade_id"),
        pl.col("ts").alias("ts_event"),
        pl.col("ts").alias("ts_init"),
    ).select(SCHEMAS["trades"].keys())

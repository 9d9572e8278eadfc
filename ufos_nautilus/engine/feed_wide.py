"""Reads many small tables at once: one scan for all, and the engine's objects table by table.

The engine's own catalog opens every file for every question it is asked, which for five hundred tables takes over a
second each time. Here all of them are read once, in columns, and a span of time is cut out of memory.
"""

import io
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from nautilus_trader.persistence import BarDataWrangler, QuoteTickDataWrangler, TradeTickDataWrangler

from ufos_nautilus.errors import DataError

if TYPE_CHECKING:
    from ufos_nautilus.engine.feed import TableRef

WRANGLERS: dict[str, Any] = {
    "bars": BarDataWrangler,
    "quotes": QuoteTickDataWrangler,
    "trades": TradeTickDataWrangler,
}
"""Kind of table -> what turns its columns into the engine's objects."""
WIDE_TABLES = 32
"""From this many tables of one kind on, they are read at once."""


class WideTables:
    """Tables of one kind of one catalog, in memory as columns.

    Parameters
    ----------
    kind : str
        One of `WRANGLERS`.
    tables : sequence of TableRef
        Which.
    """

    def __init__(self, kind: str, tables: Sequence["TableRef"]) -> None:
        self._parts: list[tuple[Any, pl.DataFrame, array[int]]] = []
        for table in tables:
            columns = pl.read_parquet(list(table.files))
            wrangler = WRANGLERS[kind](table.identifier, *_precisions(table.files[0]))
            self._parts.append((wrangler, columns, array("q", columns["ts_init"].to_physical().to_list())))

    def between(self, start_ns: int, end_ns: int) -> list[list[Any]]:
        """Return the objects of a span, both ends inclusive: one list per table that has any."""
        lists: list[list[Any]] = []
        for wrangler, columns, times in self._parts:
            first, last = bisect_left(times, start_ns), bisect_right(times, end_ns)
            if last > first:
                buffer = io.BytesIO()
                columns.slice(first, last - first).write_ipc_stream(buffer)
                lists.append(wrangler.process_record_batch_bytes(buffer.getvalue()))
        return lists


def _precisions(path: Path) -> tuple[int, int]:
    """Return the price and size precision that a table's file names."""
    metadata = pl.read_parquet_metadata(path)
    try:
        return int(metadata["price_precision"]), int(metadata["size_precision"])
    except KeyError as error:
        raise DataError(f"{path.name} does not name its {error}", expected="a file of a catalog") from None

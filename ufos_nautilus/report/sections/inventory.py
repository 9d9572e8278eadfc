"""What each book held."""

from typing import Any

import polars as pl

from ufos_nautilus import limits
from ufos_nautilus.report.charts import SERIES, axis, line, time_axis
from ufos_nautilus.report.parts import Chart, Note, Part, Section, amount, quantity, table
from ufos_nautilus.report.tables import RunTables

_LEAD = "Net position of each book, sampled on a timer; above zero long, below zero short."


def inventory_section(tables: RunTables) -> Section:
    """Return a chart of net positions for each instrument, and the positions' realised profit."""
    parts: list[Part] = []
    held = tables.inventory.group_by("instrument_id", "book").agg(pl.col("quantity").abs().max().alias("peak"))
    held = held.sort("peak", "instrument_id", "book", descending=[True, False, False], nulls_last=True)
    instruments = _by_fills(tables, held["instrument_id"].unique().to_list())
    for instrument in instruments[: limits.REPORT_CHARTS_MAX]:
        parts += _chart(tables, instrument, held.filter(pl.col("instrument_id") == instrument)["book"].to_list())
    if left := instruments[limits.REPORT_CHARTS_MAX :]:
        parts.append(Note(f"Not drawn: {len(left):,} instruments with fewer fills."))
    parts += _positions(tables)
    if not parts:
        return Section("inventory", "Inventory", "", (Note("No inventory was recorded in this run.", "empty"),))
    return Section("inventory", "Inventory", _LEAD, tuple(parts))


def _by_fills(tables: RunTables, instruments: list[str]) -> list[str]:
    counts = dict(tables.fills.group_by("instrument_id").len().iter_rows())
    return sorted(instruments, key=lambda name: (-counts.get(name, 0), name))


def _chart(tables: RunTables, instrument: str, books: list[str]) -> list[Part]:
    own = tables.inventory.filter(pl.col("instrument_id") == instrument)
    drawn = sorted(books[: limits.CHART_LINES_MAX])
    data = []
    for book, color in zip(drawn, SERIES, strict=False):
        filling: dict[str, Any] = {"fill": "tozeroy", "fillcolor": "--c1-soft"} if len(drawn) == 1 else {}
        data.append(line(own.filter(pl.col("book") == book), "quantity", book, color, **filling))
    low, high = own["quantity"].min(), own["quantity"].max()
    summary = f"Positions in {instrument} between {quantity(low)} and {quantity(high)}."  # pyright: ignore[reportArgumentType]
    layout = {"xaxis": time_axis(tables.span_ns), "yaxis": axis("position"), "showlegend": len(drawn) > 1}
    parts: list[Part] = [Chart(f"Inventory, {instrument}", summary, data, layout, height=280)]
    if len(books) > len(drawn):
        parts.append(Note(f"Not drawn: {len(books) - len(drawn):,} books with smaller positions."))
    return parts


def _positions(tables: RunTables) -> list[Part]:
    if tables.positions.is_empty():
        return []
    open_ = pl.col("ts_closed").is_null()
    grouped = (
        tables.positions.group_by("book", "instrument_id", "currency")
        .agg(
            pl.len().alias("opened"),
            (~open_).sum().alias("closed"),
            (pl.when(pl.col("side").is_in(["SHORT", "SELL"])).then(-pl.col("quantity")).otherwise(pl.col("quantity")))
            .filter(open_)
            .sum()
            .alias("left"),
            pl.col("realized_pnl").sum().alias("realized"),
        )
        .sort("book", "instrument_id", "currency")
    )
    rows = [
        (r["book"], r["instrument_id"], f"{r['opened']:,}", f"{r['closed']:,}", quantity(r["left"]),
         amount(r["realized"], r["currency"], signed=True))
        for r in grouped.iter_rows(named=True)
    ]  # fmt: skip
    columns = ("Book", "Instrument", "Positions", "Closed", "Still open", "Realised P&L")
    return table("Positions", columns, rows, text=columns[:2])

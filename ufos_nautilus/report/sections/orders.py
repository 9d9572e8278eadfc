"""Fees paid and what became of the orders."""

import polars as pl

from ufos_nautilus.report.charts import SERIES, axis, line, time_axis
from ufos_nautilus.report.measures import money_by
from ufos_nautilus.report.parts import Chart, Note, Part, Section, amount, table
from ufos_nautilus.report.tables import RunTables


def fees_section(tables: RunTables) -> Section:
    """Return commissions over time and by book and liquidity; a negative fee is a rebate."""
    paid = tables.fills.filter(pl.col("commission").is_not_null())
    if paid.is_empty():
        return Section("fees", "Fees", "", (Note("No fill, so no fee.", "empty"),))
    totals = money_by(paid, "commission_currency", "commission")
    data = []
    for (currency, total), color in zip(totals.items(), SERIES, strict=False):
        if total:
            own = paid.filter(pl.col("commission_currency") == currency)
            running = own.select("ts", pl.col("commission").cum_sum().alias("fees"))
            data.append(line(running, "fees", currency, color))
    said = ", ".join(amount(total, currency) for currency, total in totals.items())
    parts: list[Part] = []
    if data:
        layout = {"xaxis": time_axis(tables.span_ns), "yaxis": axis("paid so far"), "showlegend": len(data) > 1}
        parts.append(Chart("Fees paid so far", f"Fees in all: {said}.", data, layout, height=240))
    grouped = paid.group_by("book", "instrument_id", "liquidity", "commission_currency").agg(
        pl.len().alias("fills"), pl.col("commission").sum().alias("paid")
    )
    rows = [
        (r["book"], r["instrument_id"], r["liquidity"].lower(), f"{r['fills']:,}",
         amount(r["paid"], r["commission_currency"]))
        for r in grouped.sort("book", "instrument_id", "liquidity", "commission_currency").iter_rows(named=True)
    ]  # fmt: skip
    columns = ("Book", "Instrument", "Liquidity", "Fills", "Fees")
    parts += table("Fees by book", columns, rows, text=columns[:3])
    return Section("fees", "Fees", "What the venues charged; below zero is a rebate.", tuple(parts))


def orders_section(tables: RunTables) -> Section:
    """Return the number of orders by book and last status."""
    refused = _refused(tables)
    if tables.orders.is_empty():
        return Section("orders", "Orders", "", (Note("No order was sent in this run.", "empty"), *refused))
    filled = pl.col("filled_quantity") > 0
    grouped = tables.orders.group_by("book", "status").agg(
        pl.len().alias("orders"), filled.sum().alias("touched"), pl.col("order_type").n_unique().alias("types")
    )
    grouped = grouped.sort("book", "orders", "status", descending=[False, True, False])
    rows = [
        (r["book"], r["status"].lower(), f"{r['orders']:,}", f"{r['orders'] / tables.orders.height:.1%}",
         f"{r['touched']:,}")
        for r in grouped.iter_rows(named=True)
    ]  # fmt: skip
    columns = ("Book", "Last status", "Orders", "Share of all", "With a fill")
    sent, hit = tables.orders.height, tables.orders.filter(filled).height
    lead = f"{sent:,} orders, {hit:,} of them with at least one fill ({hit / sent:.1%})."
    return Section("orders", "Orders", lead, (*table("Orders by status", columns, rows, columns[:2]), *refused))


def _refused(tables: RunTables) -> list[Part]:
    """Return what the risk gate refused, by reason; nothing where it refused nothing."""
    keys = ("book", "action", "reason")
    counts = tables.denials.group_by(*keys).len("n").sort("n", *keys, descending=[True, False, False, False])
    rows = [(r["book"], r["action"], r["reason"], f"{r['n']:,}") for r in counts.iter_rows(named=True)]
    return (
        table("Refused by the risk gate", ("Book", "Action", "Reason", "Times"), rows, ("Book", "Action", "Reason"))
        if rows
        else []
    )

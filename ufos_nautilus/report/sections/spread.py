"""What the fills earned against the market's mid, and what else made the profit."""

import polars as pl

from ufos_nautilus.report.charts import SERIES, axis, line, time_axis
from ufos_nautilus.report.measures import ZERO, instrument_facts, money_by, spread_captured
from ufos_nautilus.report.parts import Chart, Note, Part, Section, amount, decimal_or_none, number, quantity, table
from ufos_nautilus.report.sections.distances import distances
from ufos_nautilus.report.tables import RunTables

_LEAD = (
    "Distance of each fill's price to the market's mid at that moment, times quantity: above zero where the desk "
    "bought below or sold above it."
)


def spread_section(tables: RunTables) -> Section:
    """Return spread captured over time, its spread over fills, by book and side, and its part in the profit."""
    facts = instrument_facts(tables)
    fills = spread_captured(tables.fills, facts)
    known = fills.filter(pl.col("captured").is_not_null())
    if known.is_empty():
        why = "Nothing traded." if fills.is_empty() else "No fill carries the market's best bid and ask."
        return Section("spread", "Spread captured", "", (Note(why, "empty"),))
    totals = money_by(known, "settlement", "captured")
    data = []
    for currency, color in zip(totals, SERIES, strict=False):
        own = known.filter(pl.col("settlement") == currency)
        running = own.select("ts", pl.col("captured").cum_sum().alias("captured"))
        data.append(line(running, "captured", currency, color, width=2))
    said = ", ".join(amount(total, currency, signed=True) for currency, total in totals.items())
    layout = {"xaxis": time_axis(tables.span_ns), "yaxis": axis(" / ".join(totals)), "showlegend": len(data) > 1}
    parts: list[Part] = [
        Chart("Spread captured so far", f"Captured in all: {said} over {known.height:,} fills.", data, layout, 280)
    ]
    parts += distances(known)
    parts += _by_side(known)
    parts += _profit(tables, totals)
    if missing := fills.height - known.height:
        parts.append(
            Note(f"{missing:,} of {fills.height:,} fills came while a side of the market was unknown; left out.")
        )
    guessed = facts.filter(~pl.col("tick_known") & pl.col("tick").is_not_null())
    if guessed.height:
        steps = ", ".join(f"{r['instrument_id']} {quantity(r['tick'])}" for r in guessed.iter_rows(named=True))
        parts.append(
            Note(
                "The run does not describe its instruments. Assumed: a linear contract of one unit, and as tick the "
                f"largest step that all prices seen share: {steps}."
            )
        )
    return Section("spread", "Spread captured", _LEAD, tuple(parts))


def _by_side(known: pl.DataFrame) -> list[Part]:
    keys = ("book", "instrument_id", "side", "liquidity")
    grouped = known.group_by(*keys, "settlement").agg(
        pl.len().alias("fills"),
        pl.col("quantity").sum(),
        pl.col("captured").sum(),
        pl.col("bps").mean(),
        pl.col("ticks").mean(),
    )
    rows = [
        (r["book"], r["instrument_id"], r["side"].lower(), r["liquidity"].lower(), f"{r['fills']:,}",
         quantity(r["quantity"]), amount(r["captured"], r["settlement"], signed=True), number(r["bps"], 3),
         number(r["ticks"]))
        for r in grouped.sort(*keys).iter_rows(named=True)
    ]  # fmt: skip
    columns = ("Book", "Instrument", "Side", "Liquidity", "Fills", "Quantity", "Captured", "Mean bps", "Mean ticks")
    return table("Spread captured by side", columns, rows, text=columns[:4])


def _profit(tables: RunTables, totals: dict) -> list[Part]:
    fees = money_by(tables.fills, "commission_currency", "commission")
    rows = []
    for currency, stored in (tables.result.get("net_pnl") or {}).items():
        net = decimal_or_none(stored)
        if net is None or currency not in totals:
            continue
        captured, paid = totals[currency], fees.get(currency, ZERO)
        rest = net - captured + paid
        rows.append((currency, *(amount(v, signed=True) for v in (captured, -paid, rest, net))))
    columns = ("Currency", "Spread captured", "Fees", "Price moves on inventory, rest", "Net P&L")
    return table("Where the profit came from", columns, rows, text=columns[:1]) if rows else []

"""The house: what crossing saved, where tickets went, what desks made of internal flow, and the books' ledger."""

from decimal import Decimal
from typing import Any

import polars as pl

from ufos_nautilus.crossing.best_execution import CROSSES_FILE, crosses_frame, read_crosses
from ufos_nautilus.crossing.chain import Seal
from ufos_nautilus.crossing.savings import internalization_rate, party_rows, savings
from ufos_nautilus.errors import UfosError
from ufos_nautilus.report.charts import SERIES, axis, line, time_axis
from ufos_nautilus.report.parts import (
    Chart,
    KeyFigure,
    KeyFigures,
    Note,
    Part,
    Section,
    amount,
    decimal_or_none,
    number,
    quantity,
    table,
)
from ufos_nautilus.report.tables import RunTables
from ufos_nautilus.research.house_costs import costs_by, decimals, desk_markouts, route_values, ticket_costs
from ufos_nautilus.run_schemas import MARKOUTS_MS

_LEAD = (
    "Tickets of clients and strategies cross at the midpoint, desks are asked for the rest, the market gets what "
    "remains. Savings are against the touch of the recorded market, costs against the midpoint when a ticket came."
)
LEDGER_PARTS = ("realised", "unrealised", "fees", "transfer_fee", "funding", "dividends", "venue_difference", "fx")


def house_section(tables: RunTables) -> Section:
    """Return savings, costs, routes, desk markouts and the ledger; a sentence where a run has none of them."""
    parts = [*_proofs(tables), *_savings(tables), *_tickets(tables), *_desks(tables), *_ledger(tables)]
    if not parts:
        return Section("house", "House", "", (Note("No ticket was sent and no ledger kept in this run.", "empty"),))
    return Section("house", "House", _LEAD if tables.tickets.height else "", tuple(parts))


def _proofs(tables: RunTables) -> list[Part]:
    """Say whether the ledger and the best-execution record hold, and how much stayed inside."""
    figures = []
    if tables.tickets.height:
        for row in internalization_rate(route_values(_costs(tables)), ["currency"]).iter_rows(named=True):
            note = f"of {amount(row['total'], row['currency'])} traded for tickets"
            for label, column in (("Internalized", "internal_rate"), ("Crossed at the midpoint", "cross_rate")):
                figures.append(KeyFigure(label, "n/a" if row[column] is None else f"{row[column]:.1%}", note))
    if ledger := tables.result.get("ledger"):
        sound = bool(ledger.get("balanced")) and bool(ledger.get("reconciled"))
        figures.append(
            KeyFigure(
                "Ledger",
                "balanced, reconciled" if sound else "NOT SOUND",
                f"{int(ledger.get('entries') or 0):,} entries, head {str(ledger.get('head'))[:12]}",
                "good" if sound else "bad",
            )
        )
    try:
        records = _records(tables)
    except UfosError as error:
        figures.append(KeyFigure("Best execution", "BROKEN", error.problem, "bad"))
    else:
        if records is not None:
            head = str((tables.result.get("crosses") or {}).get("head"))[:12]
            figures.append(
                KeyFigure("Best execution", "record whole", f"{len(records):,} crosses, seal {head}", "good")
            )
    return [KeyFigures(tuple(figures))] if figures else []


def _records(tables: RunTables) -> list[dict[str, Any]] | None:
    """Return the crosses of the run after checking their record against the kept seal; None where there is none."""
    path = tables.run_dir / CROSSES_FILE
    if not path.is_file():
        return None
    kept = tables.result.get("crosses") or {}
    return read_crosses(path, expect=Seal(int(kept["count"]), str(kept["head"])) if "head" in kept else None)


def _costs(tables: RunTables) -> pl.DataFrame:
    return ticket_costs(tables.tickets, tables.instruments, decimals(tables.result.get("marks") or {}))


def _kinds(tables: RunTables) -> dict[str, str]:
    return {book["id"]: book.get("kind", "") for book in tables.result.get("books") or []}


def _savings(tables: RunTables) -> list[Part]:
    try:
        records = _records(tables)
    except UfosError as error:
        return [Note(f"The crosses can't be shown: {error.problem}.", "error")]
    if not records:
        return []
    frame, kinds = crosses_frame(records), _kinds(tables)
    rows = [
        (r["beneficiary"], kinds.get(r["beneficiary"], ""), f"{r['crosses']:,}", quantity(r["quantity"]),
         amount(r["value"], r["currency"]), amount(r["saved"], signed=True), amount(r["fee"]),
         amount(r["net"], signed=True), number(r["net_bps"], 3), amount(r["saved_on_arrival"], signed=True))
        for r in savings(frame).iter_rows(named=True)
    ]  # fmt: skip
    columns = ("Owner", "Kind", "Crosses", "Quantity", "Value", "Saved on the touch", "Transfer fee", "Net", "Net, bps",
               "Saved on arrival")  # fmt: skip
    data = []
    parties = party_rows(frame)
    owners = parties.group_by("beneficiary", maintain_order=True).agg(pl.col("saved").sum())
    ranked = owners.sort("saved", "beneficiary", descending=[True, False])["beneficiary"].to_list()
    for owner, color in zip(ranked, SERIES, strict=False):
        own = parties.filter(pl.col("beneficiary") == owner)
        data.append(line(own.select("ts", pl.col("saved").cum_sum()), "saved", owner, color, width=2))
    currencies = " / ".join(sorted(set(frame["currency"].to_list())))
    layout = {"xaxis": time_axis(tables.span_ns), "yaxis": axis(currencies), "showlegend": len(data) > 1}
    summary = f"What {frame.height:,} crosses saved against the touch, before fees, by owner."
    return [
        Chart("Saved by crossing so far", summary, data, layout, 280),
        *table("Saved by crossing", columns, rows, text=columns[:2]),
    ]


def _tickets(tables: RunTables) -> list[Part]:
    if tables.tickets.is_empty():
        return []
    costs, kinds = _costs(tables), _kinds(tables)
    rows = [
        (r["beneficiary"], kinds.get(r["beneficiary"], ""), f"{r['tickets']:,}", amount(r["notional"], r["currency"]),
         *(amount(r[name], signed=True) for name in ("slippage", "fees", "missed", "cost")), number(r["cost_bps"], 3))
        for r in costs_by(costs).iter_rows(named=True)
    ]  # fmt: skip
    columns = ("Owner", "Kind", "Tickets", "Value", "Slippage", "Fees", "Missed", "Cost", "Cost, bps")
    parts = table("Cost of all tickets against the midpoint on arrival", columns, rows, text=columns[:2])
    rates = internalization_rate(route_values(costs), ["beneficiary", "currency"])
    unfilled = dict(costs.group_by("beneficiary").agg(pl.col("unfilled").sum()).iter_rows())
    rows = [
        (r["beneficiary"], *(amount(r[route], r["currency"]) for route in ("cross", "desk", "market")),
         f"{r['cross_rate'] or 0:.1%}", f"{r['internal_rate'] or 0:.1%}", quantity(unfilled.get(r["beneficiary"])))
        for r in rates.iter_rows(named=True)
    ]  # fmt: skip
    columns = ("Owner", "Crossed", "With a desk", "On the market", "Crossed", "Internalized", "Unfilled quantity")
    parts += table("Where tickets went", _distinct(columns), rows, text=columns[:1])
    rows = [
        (name, str(figures.get("orders", "")), str(figures.get("slices", "")),
         ", ".join(f"{q} {instrument}" for instrument, q in figures.get("unworked", {}).items()) or "0")
        for name, figures in (tables.result.get("algorithms") or {}).items()
    ]  # fmt: skip
    if rows:
        parts += table("Worked by algorithms", ("Algorithm", "Orders", "Slices", "Never sent"), rows, ("Algorithm",))
    if missing := int(costs["cost"].is_null().sum()):
        parts.append(
            Note(f"{missing:,} tickets came before a market was known, or are inverse; their cost is left out.")
        )
    return parts


def _distinct(columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name}, share" if name in columns[:i] else name for i, name in enumerate(columns))


def _desks(tables: RunTables) -> list[Part]:
    found = desk_markouts(tables.fills, tables.orders, tables.markouts, tables.instruments)
    if found.is_empty():
        return []
    rows = [
        (r["book"], f"{r['trades']:,}", quantity(r["quantity"]), amount(r["value"], r["currency"]),
         amount(r["edge"], signed=True), *(amount(r[f"net_{ms}ms"], signed=True) for ms in MARKOUTS_MS),
         f"{r[f'known_{MARKOUTS_MS[-1]}ms']:,}")
        for r in found.iter_rows(named=True)
    ]  # fmt: skip
    later = tuple(f"Net after {ms / 1_000:g} s" for ms in MARKOUTS_MS)
    columns = ("Desk", "Trades", "Quantity", "Value", "Edge at the trade", *later, "Known to the last")
    return [
        *table("What desks made of internal flow, markouts taken off", columns, rows, text=columns[:1]),
        Note("Edge is the distance of the desk's price to the midpoint; net is what was left of it when the price had "
             "moved on. A trade whose horizon lies beyond the end of the run is not in that column."),
    ]  # fmt: skip


def _ledger(tables: RunTables) -> list[Part]:
    books = (tables.result.get("ledger") or {}).get("books") or {}
    kinds, rows = _kinds(tables), []
    for book, figures in books.items():
        for currency, stored in (figures.get("nav") or {}).items():
            pnl = {k: decimal_or_none(v) or Decimal(0) for k, v in (figures.get("pnl") or {}).get(currency, {}).items()}
            other = sum((pnl.get(name, Decimal(0)) for name in LEDGER_PARTS[4:]), Decimal(0))
            shown = (*(pnl.get(name, Decimal(0)) for name in LEDGER_PARTS[:4]), other, pnl.get("total", Decimal(0)))
            rows.append(
                (book, kinds.get(book, "house"), currency, amount(decimal_or_none(figures["capital"].get(currency, 0))),
                 *(amount(value, signed=True) for value in shown), amount(decimal_or_none(stored)))
            )  # fmt: skip
    columns = ("Book", "Kind", "Currency", "Capital", "Realised", "Unrealised", "Fees", "Transfer fees", "Other",
               "Profit", "Net asset value")  # fmt: skip
    return table("Ledger statement", columns, rows, text=columns[:3]) if rows else []

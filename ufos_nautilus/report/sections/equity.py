"""Equity and how far it fell."""

from ufos_nautilus import limits
from ufos_nautilus.report.charts import SERIES, axis, line, stacked
from ufos_nautilus.report.measures import drawdown, equity_by_currency, max_drawdown
from ufos_nautilus.report.parts import Chart, Note, Part, Section, amount, table
from ufos_nautilus.report.periods import utc
from ufos_nautilus.report.tables import RunTables

_LEAD = "All accounts of a currency added up; below, the distance to the highest equity so far."


def equity_section(tables: RunTables) -> Section:
    """Return a chart of equity over drawdown for each currency, and a table of their ends."""
    totals = equity_by_currency(tables.equity)
    if not totals:
        return Section("equity", "Equity and drawdown", "", (Note("No equity was recorded in this run.", "empty"),))
    parts: list[Part] = []
    rows = []
    order = [c for c in tables.currencies() if c in totals]
    for index, currency in enumerate(order):
        equity = totals[currency]
        first, last = equity["equity"][0], equity["equity"][-1]
        deepest = max_drawdown(equity)
        fall = amount(deepest.amount) if deepest else "n/a"
        share = f"{deepest.share:.3%}" if deepest and deepest.share is not None else "n/a"
        when = utc(deepest.ts_ns) if deepest and deepest.amount else ""
        rows.append((currency, amount(first), amount(last), amount(last - first, signed=True), fall, share, when))
        if index >= limits.REPORT_CHARTS_MAX:
            continue
        frame = drawdown(equity)
        summary = f"Equity went from {amount(first)} to {amount(last, currency)}; deepest drawdown {fall}."
        data = [
            line(frame, "equity", "equity", SERIES[0], width=2),
            line(frame, "drawdown", "drawdown", "--sell", yaxis="y2", fill="tozeroy", fillcolor="--sell-soft"),
        ]
        layout = {**stacked(tables.span_ns, axis(currency), axis("drawdown", rangemode="tozero")), "showlegend": False}
        parts.append(Chart(f"Equity, {currency}", summary, data, layout, height=400))
    columns = ("Currency", "First", "Last", "Change", "Deepest drawdown", "Share of peak", "At (UTC)")
    parts += table("Equity by currency", columns, rows, text=("Currency", "At (UTC)"))
    return Section("equity", "Equity and drawdown", _LEAD, tuple(parts))

"""The run period by period."""

import polars as pl

from ufos_nautilus.report.charts import SERIES, axis, bars, time_axis
from ufos_nautilus.report.parts import Chart, Note, Part, Section, amount, number, table
from ufos_nautilus.report.periods import period_length, period_name, periods
from ufos_nautilus.report.tables import RunTables

_HEADINGS = {"volume": "Volume", "captured": "Spread captured", "fees": "Fees", "pnl": "P&L change"}
_INVENTORY_COLUMNS_MAX = 6


def periods_section(tables: RunTables) -> Section:
    """Return fills, volume, spread captured, fees, profit and mean inventory of each hour, or shorter period."""
    span = tables.span_ns
    if span is None:
        return Section("periods", "By hour", "", (Note("Nothing was recorded in this run.", "empty"),))
    length = period_length(span[1] - span[0])
    frame = periods(tables, length)
    name = period_name(length)
    parts: list[Part] = []
    for currency in [c for c in tables.currencies() if f"pnl {c}" in frame.columns][:1]:
        column = f"pnl {currency}"
        up, down = frame.filter(pl.col(column) >= 0).height, frame.filter(pl.col(column) < 0).height
        data = [bars(frame, "start", column, "P&L change", SERIES[0])]
        if f"captured {currency}" in frame.columns:
            data.append(bars(frame, "start", f"captured {currency}", "spread captured", SERIES[1]))
        layout = {"xaxis": time_axis(), "yaxis": axis(currency), "barmode": "group"}
        summary = f"Profit in {up:,} periods, loss in {down:,}."
        parts.append(Chart(f"P&L and spread captured per {name}", summary, data, layout, height=280))
    parts += _table(frame, name)
    lead = f"Each row is one {name} from its start (UTC); inventory is the mean of the absolute position."
    return Section("periods", f"By {name}", lead, tuple(parts))


def _table(frame: pl.DataFrame, name: str) -> list[Part]:
    money = [c for c in frame.columns if c.partition(" ")[0] in _HEADINGS]
    held = [c for c in frame.columns if c.startswith("inventory ")]
    shown = held[:_INVENTORY_COLUMNS_MAX]
    day = "%Y-%m-%d %H:%M" if frame["start"].dt.date().n_unique() > 1 else "%H:%M:%S"
    columns = ["Start", "Fills", "Maker"]
    columns += [f"{_HEADINGS[c.partition(' ')[0]]}, {c.partition(' ')[2]}" for c in money]
    columns += [f"Mean |inventory|, {c.partition(' ')[2]}" for c in shown]
    rows = []
    for row in frame.iter_rows(named=True):
        cells = [row["start"].strftime(day), f"{row['fills']:,}", f"{row['maker']:,}"]
        cells += [amount(row[c], signed=not c.startswith("volume")) for c in money]
        cells += ["" if row[c] is None else number(row[c], 4) for c in shown]
        rows.append(cells)
    parts = table(f"Per {name}", columns, rows, text=("Start",))
    if len(held) > len(shown):
        parts.append(Note(f"Mean inventory of {len(held) - len(shown):,} more instruments is not shown."))
    return parts

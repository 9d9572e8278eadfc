"""The run period by period."""

import polars as pl

from ufos_nautilus.report.charts import axis, bars, time_axis
from ufos_nautilus.report.parts import Chart, Note, Part, Section, amounts, number, table
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
        data = [bars(frame, "start", column, "P&L change", "--c1")]
        if f"captured {currency}" in frame.columns:
            data.append(bars(frame, "start", f"captured {currency}", "spread captured", "--c5"))
        layout = {"xaxis": time_axis(), "yaxis": axis(currency), "barmode": "group"}
        summary = f"Profit in {up:,} periods, loss in {down:,}."
        parts.append(Chart(f"P&L and spread captured per {name}", summary, data, layout, height=280))
    parts += _table(frame, name, length)
    # "hour" or "5 minutes"
    title, length_text = ("By period", name) if " " in name else (f"By {name}", f"one {name}")
    lead = f"Each row covers {length_text} from its start (UTC); inventory is the mean of the absolute position."
    return Section("periods", title, lead, tuple(parts))


def _table(frame: pl.DataFrame, name: str, length_ns: int) -> list[Part]:
    money = [c for c in frame.columns if c.partition(" ")[0] in _HEADINGS]
    held = [c for c in frame.columns if c.startswith("inventory ")]
    shown = held[:_INVENTORY_COLUMNS_MAX]
    clock = "%H:%M:%S" if length_ns % 60_000_000_000 else "%H:%M"
    when = f"%Y-%m-%d {clock}" if frame["start"].dt.date().n_unique() > 1 else clock
    columns = ["Start", "Fills", "Maker"]
    columns += [f"{_HEADINGS[c.partition(' ')[0]]}, {c.partition(' ')[2]}" for c in money]
    columns += [f"Mean |inventory|, {c.partition(' ')[2]}" for c in shown]
    cells = [[start.strftime(when) for start in frame["start"]]]
    cells += [[f"{count:,}" for count in frame[c]] for c in ("fills", "maker")]
    cells += [amounts(frame[c].to_list(), signed=c.startswith(("captured", "pnl"))) for c in money]
    cells += [["" if held is None else number(held, 4) for held in frame[c]] for c in shown]
    parts = table(f"Per {name}", columns, list(zip(*cells, strict=True)), text=("Start",))
    if len(held) > len(shown):
        parts.append(Note(f"Mean inventory of {len(held) - len(shown):,} more instruments is not shown."))
    return parts

"""Where the profit came from: spread, adverse selection, inventory, fees, funding; and how good the fills were."""

from decimal import Decimal

import polars as pl

from ufos_nautilus import limits
from ufos_nautilus.errors import DataError
from ufos_nautilus.report.charts import SERIES, axis
from ufos_nautilus.report.parts import Chart, Note, Part, Section, amount, number, table
from ufos_nautilus.report.tables import RunTables
from ufos_nautilus.research.attribution import attribute, by_book
from ufos_nautilus.research.fill_quality import by_place, by_wait, fill_ratios, fill_waits
from ufos_nautilus.run_schemas import MARKOUTS_MS, markout_column

_LEAD = (
    "Profit split at the mid: what a fill was better than the mid (spread), what the price did to it until the horizon "
    "(adverse selection where negative) and afterwards (inventory), fees, funding. The parts add up to the ledger's "
    "profit to the last unit."
)
PARTS = ("spread", "adverse", "inventory", "averaging", "fees", "funding", "other", "net")


def run_attribution(tables: RunTables) -> pl.DataFrame:
    """Return `attribute` of a stored run.

    Raises
    ------
    DataError
        Where the run does not describe a filled instrument or has no price for a position.

    """
    marks = {name: Decimal(mark) for name, mark in (tables.result.get("marks") or {}).items()}
    currencies = {code: int(decimals) for code, decimals in (tables.result.get("currencies") or {}).items()}
    return attribute(tables.fills, tables.markouts, tables.instruments, marks, currencies)


def attribution_section(tables: RunTables) -> Section:
    """Return the parts of each book's profit per horizon, markouts, fills by waiting time, and order figures."""
    if tables.fills.is_empty():
        return Section("attribution", "Attribution", "", (Note("No fill, so nothing to attribute.", "empty"),))
    try:
        found = run_attribution(tables)
    except DataError as error:
        return Section("attribution", "Attribution", "", (Note(f"Not possible: {error.problem}.", "empty"),))
    parts = [*_books(tables, found), *_sides(found), *_markouts(tables), *_quality(tables), *_desks(tables)]
    return Section("attribution", "Attribution", _LEAD, tuple(parts))


def _books(tables: RunTables, found: pl.DataFrame) -> list[Part]:
    ledger = (tables.result.get("ledger") or {}).get("books") or {}
    rows = []
    for milliseconds in MARKOUTS_MS:
        for r in by_book(found, ledger, milliseconds).iter_rows(named=True):
            check = "n/a" if r["difference"] is None else "exact" if r["difference"] == 0 else f"off {r['difference']}"
            rows.append((r["book"], r["currency"], _horizon(milliseconds),
                         *(amount(r[name], signed=True) for name in PARTS), check))  # fmt: skip
    rows.sort(key=lambda row: (row[0], row[1]))
    columns = ("Book", "Currency", "Horizon", "Spread", "Adverse selection", "Inventory", "Averaging", "Fees",
               "Funding", "Other", "Net", "Against the ledger")  # fmt: skip
    parts = table("Parts of the profit", columns, rows, text=(*columns[:3], columns[-1]))
    missing = int(found["without_mid"].sum())
    if missing:
        parts.append(Note(f"{missing:,} fills came before any market was known; they count as made at the mid."))
    return parts


def _sides(found: pl.DataFrame) -> list[Part]:
    rows = [
        (r["book"], r["instrument_id"], r["side"].lower(), f"{r['fills']:,}", amount(r["notional"], r["currency"]),
         *(amount(r[name], signed=True) for name in ("spread", *(f"move_{ms}ms" for ms in MARKOUTS_MS))),
         amount(r["move_to_end"], signed=True), amount(r["fees"], signed=True))
        for r in found.iter_rows(named=True)
    ]  # fmt: skip
    moves = (f"Move in {_horizon(ms)}" for ms in MARKOUTS_MS)
    columns = ("Book", "Instrument", "Side", "Fills", "Turnover", "Spread", *moves, "Move to the end", "Fees")
    return table("By side of the quote", columns, rows, text=columns[:3])


def _markouts(tables: RunTables) -> list[Part]:
    """Draw the mean move after a fill in basis points, weighted by quantity."""
    joined = tables.fills.select("trade_id", "client_order_id", "book", "side", "price", "quantity").join(
        tables.markouts.drop("book"), on=["trade_id", "client_order_id"], how="inner"
    )
    sign = pl.when(pl.col("side") == "BUY").then(1.0).otherwise(-1.0)
    weight, mid = pl.col("quantity").cast(pl.Float64), pl.col("mid").cast(pl.Float64)
    price = pl.col("price").cast(pl.Float64)

    def mean(value: pl.Expr) -> pl.Expr:
        known = value.is_not_null()
        return (value.filter(known) * weight.filter(known)).sum() / weight.filter(known).sum()

    moves = {ms: sign * (pl.col(markout_column(ms)).cast(pl.Float64) - price) / mid * 1e4 for ms in MARKOUTS_MS}
    edges = [mean(sign * (mid - price) / mid * 1e4).alias("0"), *(mean(m).alias(str(ms)) for ms, m in moves.items())]
    means = joined.group_by("book", "side").agg(*edges).sort("book", "side")
    labels = ["at the fill", *(_horizon(ms) for ms in MARKOUTS_MS)]
    data = []
    for row, color in zip(means.iter_rows(), SERIES, strict=False):
        name = f"{row[0]}, {row[1].lower()}"
        y = [None if v is None or v != v else round(v, 5) for v in row[2:]]
        data.append({"type": "scatter", "mode": "lines+markers", "name": name, "x": labels, "y": y,
                     "line": {"color": color, "width": 2}})  # fmt: skip
    if not data:
        return []
    summary = "Mean profit of a fill against the mid at the fill and later, before fees; falling lines are run over."
    layout = {"xaxis": {"type": "category"}, "yaxis": axis("bps", zeroline=True), "showlegend": True}
    chart = Chart("Profit of a fill as time passes", summary, data, layout, 280)
    more = means.height - limits.CHART_LINES_MAX
    return [chart, Note(f"Not drawn: {more:,} more.")] if more > 0 else [chart]


def _quality(tables: RunTables) -> list[Part]:
    ratios = [
        (r["book"], r["instrument_id"], r["side"].lower(), f"{r['orders']:,}", f"{r['filled']:,}", f"{r['whole']:,}",
         f"{r['order_ratio']:.1%}", f"{r['quantity_ratio']:.1%}")
        for r in fill_ratios(tables.orders).iter_rows(named=True)
    ]  # fmt: skip
    columns = ("Book", "Instrument", "Side", "Orders", "With a fill", "Filled whole", "Of orders", "Of quantity")
    parts = table("Fill ratios of limit orders", columns, ratios, text=columns[:3]) if ratios else []
    waits = fill_waits(tables.fills, tables.quotes, tables.markouts)
    for title, first, grouped in (
        ("Queue: fills by how long the quote had stood at its price", "Waited", by_wait(waits)),
        ("Queue: fills by where the quote stood when it took its price", "Placed", by_place(waits)),
    ):
        rows = [
            (r["label"], f"{r['fills']:,}", number(r["edge_bps"], 3), number(r["markout_bps"], 3))
            for r in grouped.iter_rows(named=True)
        ]
        if rows:
            parts += table(title, (first, "Fills", "Edge, bps", "Move in 1 s, bps"), rows, text=(first,))
    return parts


def _desks(tables: RunTables) -> list[Part]:
    """Show what desks counted about themselves."""
    desks = tables.result.get("desks") or {}
    names = sorted({name for figures in desks.values() for name in figures})
    rows = [(book, *(_figure(desks[book].get(name)) for name in names)) for book in sorted(desks)]
    columns = ("Book", *(name.replace("_", " ") for name in names))
    return table("What the desks counted", columns, rows, text=("Book",)) if rows else []


def _figure(value: object) -> str:
    if isinstance(value, float):
        return number(value, 3)
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)


def _horizon(milliseconds: int) -> str:
    return f"{milliseconds / 1_000:g} s"

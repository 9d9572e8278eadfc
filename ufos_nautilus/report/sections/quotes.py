"""Our quotes against the market, and where they were hit."""

import polars as pl

from ufos_nautilus import limits
from ufos_nautilus.report.charts import axis, fill_markers, line, stacked, time_axis
from ufos_nautilus.report.measures import instrument_facts, spread_captured
from ufos_nautilus.report.parts import Chart, Note, Part, Section, number, table
from ufos_nautilus.report.sections.quote_figures import quote_figures, reasons
from ufos_nautilus.report.tables import RunTables
from ufos_nautilus.report.thin import busiest_window

_LEAD = (
    "Fills are marked on the price: point up bought, point down sold, solid as maker, outlined as taker. "
    "The market is what was seen at decisions, at fills and on the sampling timer."
)
CLOSE_UP_DECISIONS = 400
"""Quote decisions in a close-up, few enough to see each."""


def quotes_section(tables: RunTables) -> Section:
    """Return, for each instrument, the whole run, its busiest moments, and how good the quotes were."""
    spread = spread_captured(tables.fills, instrument_facts(tables))
    parts: list[Part] = []
    pairs = _pairs(tables)
    for book, instrument in pairs[: limits.REPORT_CHARTS_MAX]:
        parts += _whole_run(tables, spread, book, instrument)
        parts += _close_up(tables, book, instrument)
    if left := pairs[limits.REPORT_CHARTS_MAX :]:
        parts.append(Note(f"Not drawn: {len(left):,} pairs of book and instrument with fewer fills."))
    parts += _figures(tables)
    if not parts:
        return Section("quotes", "Quotes and fills", "", (Note("No quote and no fill in this run.", "empty"),))
    return Section("quotes", "Quotes and fills", _LEAD, tuple(parts))


def _pairs(tables: RunTables) -> list[tuple[str, str]]:
    """Return (book, instrument) with quotes or fills, most fills first."""
    keys = ["book", "instrument_id"]
    fills = tables.fills.group_by(keys).len("n")
    quotes = tables.quotes.group_by(keys).len("m").drop("m").with_columns(pl.lit(0, pl.UInt32).alias("n"))
    both = pl.concat([fills.select(*keys, pl.col("n").cast(pl.UInt32)), quotes]).group_by(keys).agg(pl.col("n").sum())
    return [(r[0], r[1]) for r in both.sort("n", *keys, descending=[True, False, False]).iter_rows()]


def _own(frame: pl.DataFrame, book: str, instrument: str) -> pl.DataFrame:
    return frame.filter((pl.col("book") == book) & (pl.col("instrument_id") == instrument))


def _market(tables: RunTables, book: str, instrument: str) -> pl.DataFrame:
    """Return ts, market_bid, market_ask as seen at the book's decisions, its fills and on the timer."""
    sides = (pl.col("bid").alias("market_bid"), pl.col("ask").alias("market_ask"))
    seen = [
        _own(tables.quotes, book, instrument).select("ts", "market_bid", "market_ask"),
        *(_own(frame, book, instrument).select("ts", *sides) for frame in (tables.fills, tables.inventory)),
    ]
    both = pl.col("market_bid").is_not_null() & pl.col("market_ask").is_not_null()
    return pl.concat(seen).filter(both).sort("ts", maintain_order=True)


def _whole_run(tables: RunTables, spread: pl.DataFrame, book: str, instrument: str) -> list[Part]:
    fills, quotes = _own(spread, book, instrument), _own(tables.quotes, book, instrument)
    mid = ((pl.col("market_bid") + pl.col("market_ask")) / 2).alias("mid")
    market = _market(tables, book, instrument).with_columns(mid)
    data = [line(market, "mid", "market mid", "--muted"), *fill_markers(fills)]
    title = f"Whole run, {instrument}, {book}"
    bought = fills.filter(pl.col("side") == "BUY").height
    summary = f"{bought:,} buys and {fills.height - bought:,} sells of {book} on the market's mid."
    if quotes.is_empty():
        layout = {"xaxis": time_axis(tables.span_ns), "yaxis": axis("price")}
        return [Chart(title, summary, data, layout)]
    away = quotes.with_columns(mid).select("ts", *(_bps(c) for c in ("bid", "ask", "market_bid", "market_ask")))
    data += [
        line(away, "market_bid", "market bid", "--muted", yaxis="y2", width=1, showlegend=False),
        line(away, "market_ask", "market best", "--muted", yaxis="y2", width=1, fill="tonexty", fillcolor="--band"),
        line(away, "bid", "our bid", "--buy", yaxis="y2", width=1.2),
        line(away, "ask", "our ask", "--sell", yaxis="y2", width=1.2),
    ]
    layout = stacked(tables.span_ns, axis("price"), axis("bps from mid", zeroline=True), share=0.55)
    return [Chart(title, summary + " Below, the distance of quotes from the mid.", data, layout, height=520)]


def _bps(column: str) -> pl.Expr:
    mid = pl.col("mid").cast(pl.Float64)
    return ((pl.col(column).cast(pl.Float64) - mid) / mid * 1e4).round(4).alias(column)


def _close_up(tables: RunTables, book: str, instrument: str) -> list[Part]:
    quotes, fills = _own(tables.quotes, book, instrument), _own(tables.fills, book, instrument)
    if quotes.height <= CLOSE_UP_DECISIONS and fills.is_empty():
        return []
    times = (quotes["ts"].cast(pl.Int64), fills["ts"].cast(pl.Int64))
    window = busiest_window(*times, CLOSE_UP_DECISIONS)
    if window is None:
        return []
    inside = pl.col("ts").cast(pl.Int64).is_between(*window)
    near, hits = quotes.filter(inside), fills.filter(inside)
    market = _market(tables, book, instrument).filter(inside)
    data = [
        line(market, "market_bid", "market bid", "--muted", width=1, showlegend=False),
        line(market, "market_ask", "market best", "--muted", width=1, fill="tonexty", fillcolor="--band"),
        line(near, "fair_value", "fair value", "--fair", width=1.2, dash="dot"),
        line(near, "bid", "our bid", "--buy", width=1.8),
        line(near, "ask", "our ask", "--sell", width=1.8),
        *fill_markers(hits),
    ]
    seconds = (window[1] - window[0]) / 1e9
    summary = f"{near.height:,} quote decisions in {seconds:,.1f} s with {hits.height:,} fills: the busiest stretch."
    return [
        Chart(f"Close-up, {instrument}, {book}", summary, data, {"xaxis": time_axis(), "yaxis": axis("price")}, 420)
    ]


def _figures(tables: RunTables) -> list[Part]:
    if tables.quotes.is_empty():
        return []
    shares = ("two_sided", "at_best_bid", "at_best_ask")
    rows = [
        (r["book"], r["instrument_id"], f"{r['decisions']:,}", *(number(r[c], 3) for c in ("spread_bps", "market_bps")),
         *("n/a" if r[c] is None else f"{r[c]:.1%}" for c in shares))
        for r in quote_figures(tables.quotes).iter_rows(named=True)
    ]  # fmt: skip
    columns = ("Book", "Instrument", "Decisions", "Our spread, bps", "Market spread, bps",
               "Both sides quoted", "Bid at the best or better", "Ask at the best or better")  # fmt: skip
    parts = table("Quotes, weighted by time", columns, rows, text=columns[:2])
    why = [(r["reason"], f"{r['len']:,}", f"{r['share']:.1%}") for r in reasons(tables.quotes).iter_rows(named=True)]
    return parts + table("Why quotes changed", ("Reason", "Decisions", "Share"), why, text=("Reason",))

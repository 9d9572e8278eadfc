"""Clients and strategies: returns, costs and benchmarks side by side, and what factors explain of them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import polars as pl

from ufos_nautilus.report.charts import SERIES, axis, line, time_axis
from ufos_nautilus.report.clients import BookFigures, factor_fits, load_factors, performances
from ufos_nautilus.report.parts import Chart, Note, Part, Section, amount, number, table
from ufos_nautilus.report.tables import RunTables
from ufos_nautilus.research.factors import MODEL, FactorFit

_LEAD = (
    "Returns are time-weighted, from each book's value once a day, dividends included, after costs; money-weighted "
    "ones count when an owner paid in or took out. Sharpe and the like are the engine's, of the daily returns."
)
CURVES_MAX = len(SERIES)


def clients_section(tables: RunTables) -> Section:
    """Return performance of clients and strategies; a sentence where their value was not sampled."""
    if tables.navs.is_empty():
        empty = Note("The value of books was not sampled in this run (recording.nav_interval_s).", "empty")
        return Section("clients", "Clients and strategies", "", (empty,))
    factors, why = load_factors(tables)
    figures = performances(tables, factors)
    if not figures:
        empty = Note("No client or strategy had a value on three days of this run.", "empty")
        return Section("clients", "Clients and strategies", "", (empty,))
    parts: list[Part] = [*_synthesised(tables)]
    for kind, title in (("client", "Clients"), ("strategy", "Strategies")):
        own = [f for f in figures.values() if f.kind == kind]
        if own:
            parts += [_curves(title, own), *_returns(title, own), *_relative(title, own), *_costs(title, own)]
    parts += _factors(factor_fits(figures, factors), why)
    return Section("clients", "Clients and strategies", _LEAD, tuple(parts))


def _synthesised(tables: RunTables) -> list[Part]:
    """Say where quotes were made of bars: nothing that depends on the spread was observed then."""
    made = [d["quotes_from_bars"] for d in tables.spec.get("data") or [] if d.get("quotes_from_bars")]
    if not made:
        return []
    terms = made[0]
    return [
        Note(
            "No quotes were recorded: the market that orders met was made from bars, at each open and close, with "
            f"{terms.get('half_spread_bps')} basis points of half spread and {terms.get('size_share')} of the day's "
            "volume on each side. Spread costs, savings of crosses and the desk's result follow from these assumptions."
        )
    ]


def pct(value: float | None, places: int = 2) -> str:
    """Return a fraction as a percentage."""
    return "n/a" if value is None or value != value else f"{value:.{places}%}"


def curve(figures: BookFigures) -> pl.DataFrame:
    """Return the compounded return of a book over time, from zero."""
    frame = pl.DataFrame(
        {"ts": list(figures.days), "r": list(figures.returns)}, schema={"ts": pl.Date, "r": pl.Float64}
    )
    return frame.select(pl.col("ts").cast(pl.Datetime("ns", "UTC")), ((1 + pl.col("r")).cum_prod() - 1).alias("return"))


def _curves(title: str, figures: Sequence[BookFigures]) -> Part:
    shown = sorted(figures, key=lambda f: (-f.total, f.book))
    if len(shown) > CURVES_MAX:  # the best and the worst, evenly
        step = (len(shown) - 1) / (CURVES_MAX - 1)
        shown = [shown[round(i * step)] for i in range(CURVES_MAX)]
    data = [line(curve(f), "return", f.book, color, steps=False) for f, color in zip(shown, SERIES, strict=False)]
    best, worst = shown[0], shown[-1]
    summary = f"From {pct(worst.total)} ({worst.book}) to {pct(best.total)} ({best.book})" + (
        f"; {len(shown)} of {len(figures)} drawn, from best to worst." if len(shown) < len(figures) else "."
    )
    layout = {"xaxis": time_axis(), "yaxis": axis("return", tickformat=".0%"), "showlegend": True}
    return Chart(f"{title}: time-weighted return", summary, data, layout, 320)


def _returns(title: str, figures: Sequence[BookFigures]) -> list[Part]:
    rows = [
        (f.book, f.owner, amount(f.start, f.currency), amount(f.flows, signed=True), amount(f.end), pct(f.total),
         pct(f.yearly), pct(f.money_weighted), pct(f.statistics.get("volatility")), pct(f.drawdown.depth),
         *(number(f.statistics.get(s)) for s in ("sharpe", "sortino", "calmar")),
         *(pct(f.statistics.get(s)) for s in ("var_95", "var_99", "es_95", "win_rate")),
         number(f.statistics.get("profit_factor")))
        for f in figures
    ]  # fmt: skip
    columns = ("Book", "Owner", "Value at first", "Paid in", "Value at last", "Return", "per year", "money-weighted",
               "Volatility", "Drawdown", "Sharpe", "Sortino", "Calmar", "VaR 95 %", "VaR 99 %", "ES 95 %", "Days won",
               "Profit factor")  # fmt: skip
    return table(f"{title}: returns and risk", columns, rows, text=columns[:2])


def _relative(title: str, figures: Sequence[BookFigures]) -> list[Part]:
    rows = [
        (f.book, f.benchmark, *((pct(a.excess), pct(a.alpha), number(a.beta), pct(a.tracking_error),
                                 number(a.information_ratio), number(a.correlation)) if (a := f.against) else
                                ("", "", "", "", "", f.note)))
        for f in figures if f.benchmark
    ]  # fmt: skip
    columns = ("Book", "Benchmark", "Return beyond it", "Alpha per year", "Beta", "Tracking error", "Information ratio",
               "Correlation")  # fmt: skip
    return table(f"{title}: against their benchmarks", columns, rows, text=columns[:2]) if rows else []


def _costs(title: str, figures: Sequence[BookFigures]) -> list[Part]:
    def share(value: Decimal, f: BookFigures) -> str:
        return number(float(value) / float(f.start) * 1e4) if f.start else "n/a"

    rows = [
        (f.book, pct(f.turnover, 0), amount(f.fees, f.currency), share(f.fees, f), amount(f.saved), share(f.saved, f),
         amount(f.dividends, signed=True))
        for f in figures
    ]  # fmt: skip
    columns = ("Book", "Turnover per year", "Fees", "Fees, bps of first value", "Saved by crosses", "Saved, bps",
               "Dividends, net")  # fmt: skip
    return table(f"{title}: turnover, costs, savings", columns, rows, text=columns[:1])


def _factors(fits: Mapping[str, FactorFit], why: str) -> list[Part]:
    if not fits:
        return [Note(why or "No book has enough days in common with the factor files.")]
    rows = [
        (book, pct(fit.alpha.value), number(fit.alpha.t, 1),
         *(text for s in fit.slopes for text in (number(s.value), number(s.t, 1))), pct(fit.r_squared, 0),
         f"{fit.observations:,}")
        for book, fit in fits.items()
    ]  # fmt: skip
    columns = ("Book", "Alpha per year", "t", *(text for name in MODEL for text in (name, f"t of {name}")),
               "Explained", "Days")  # fmt: skip
    about = Note(
        "Daily returns beyond the riskless rate on the market, size and value (Fama and French 1993) and momentum "
        "(Carhart 1997), ordinary least squares. Momentum strategies should load on momentum, reversal against it, and "
        "a long-short book should have little of the market."
    )
    return [*table("What factors explain", columns, rows, text=columns[:1]), about]

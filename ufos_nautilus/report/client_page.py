"""The page of one client or strategy of a run: what an owner is shown, on screen and on paper."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ufos_nautilus.errors import BadInputError, UfosError
from ufos_nautilus.report.charts import SERIES, axis, line, time_axis
from ufos_nautilus.report.clients import (
    BookFigures,
    book_params,
    factor_fits,
    holdings,
    load_factors,
    performances,
)
from ufos_nautilus.report.page import write_report
from ufos_nautilus.report.parts import (
    Chart,
    KeyFigure,
    KeyFigures,
    Note,
    Part,
    Section,
    amount,
    number,
    quantity,
    table,
)
from ufos_nautilus.report.sections.clients import curve, pct
from ufos_nautilus.report.tables import RunTables
from ufos_nautilus.research.factors import FactorFit

ROWS = 25
"""Names in a table of what added most, and of what took most away."""


def write_client_report(run_dir: Path, book: str, destination: Path | None = None, *, standalone: bool = False) -> Path:
    """Write the page of one client or strategy.

    Parameters
    ----------
    run_dir : Path
        Directory of the run.
    book : str
        Whose.
    destination : Path, optional
        The file; ``client-BOOK.html`` in the run's directory by default.
    standalone : bool
        Put all it needs into the page, so that it can be sent around alone.

    Raises
    ------
    BadInputError
        If there is no such client or strategy in the run, or its value was never sampled.

    """
    tables = RunTables.load(run_dir.resolve())
    require_book(tables, book)
    makers = (partial(_owner, book), partial(_performance, book), partial(_holdings, book), partial(_exclusions, book))
    target = destination or run_dir / f"client-{book}.html"
    return write_report(run_dir, target, standalone=standalone, sections=makers)


def require_book(tables: RunTables, book: str) -> None:
    """Raise where a run has no such client or strategy."""
    known = [str(b["id"]) for b in tables.result.get("books") or [] if b.get("kind") in ("client", "strategy")]
    if book not in known:
        raise BadInputError(
            f"{tables.run_id} has no client or strategy {book!r}",
            expected=", ".join(known) or "a run with clients",
            next_step="ufos client list RUN",
        )


def _figures(book: str, tables: RunTables) -> tuple[BookFigures | None, FactorFit | None]:
    factors, _ = load_factors(tables)
    figures = performances(tables, factors)
    own = figures.get(book)
    return own, factor_fits({book: own}, factors).get(book) if own else None


def _owner(book: str, tables: RunTables) -> Section:
    own, _ = _figures(book, tables)
    name = str(book_params(tables, book).get("owner_name") or book)
    if own is None:
        return Section("owner", name, "", (Note("The value of this book was not sampled on three days.", "empty"),))
    key = (
        KeyFigure("Value", amount(own.end), f"from {amount(own.start)}", unit=own.currency),
        KeyFigure("Paid in, net", amount(own.flows, signed=True), unit=own.currency),
        KeyFigure("Return", pct(own.total), f"{pct(own.yearly)} a year", "good" if own.total >= 0 else "bad"),
        KeyFigure("On the money put in", pct(own.money_weighted), "a year"),
        KeyFigure("Deepest fall", pct(own.drawdown.depth), _when(own)),
        KeyFigure("Costs", amount(own.fees), "commissions and transfer fees", unit=own.currency),
        KeyFigure("Saved by crosses", amount(own.saved), "against the touch", unit=own.currency),
        KeyFigure("Dividends", amount(own.dividends), unit=own.currency),
    )
    span = f"{own.days[0]} to {own.days[-1]}" if own.days else ""
    return Section("owner", f"{name} ({book})", span, (KeyFigures(key),))


def _when(own: BookFigures) -> str:
    fall = own.drawdown
    if not fall.depth:
        return "never below a peak"
    at = own.days[fall.trough - 1]
    return f"on {at}, " + (f"made good by {own.days[fall.recovered - 1]}" if fall.recovered else "not made good yet")


def _performance(book: str, tables: RunTables) -> Section:
    own, fit = _figures(book, tables)
    if own is None:
        return Section("performance", "Performance", "", ())
    chart = Chart(
        "Time-weighted return",
        f"{pct(own.total)} from {own.days[0]} to {own.days[-1]}, after costs, dividends included.",
        [line(curve(own), "return", book, SERIES[0], steps=False, width=2)],
        {"xaxis": time_axis(), "yaxis": axis("return", tickformat=".0%"), "showlegend": False},
        300,
    )
    stats: Sequence[tuple[str, str]] = [
        ("Volatility per year", pct(own.statistics.get("volatility"))),
        *((name.capitalize(), number(own.statistics.get(name))) for name in ("sharpe", "sortino", "calmar")),
        ("Value at risk, a day in 20", pct(own.statistics.get("var_95"))),
        ("Value at risk, a day in 100", pct(own.statistics.get("var_99"))),
        ("Mean loss beyond it (95 %)", pct(own.statistics.get("es_95"))),
        ("Days won", pct(own.statistics.get("win_rate"))),
        ("Turnover per year", pct(own.turnover, 0)),
    ]
    parts: list[Part] = [chart, *table("Risk", ("Figure", "Value"), stats, text=("Figure",))]
    if (a := own.against) is not None:
        rows = [("Return beyond it", pct(a.excess)), ("Alpha per year", pct(a.alpha)), ("Beta", number(a.beta)),
                ("Tracking error", pct(a.tracking_error)), ("Information ratio", number(a.information_ratio)),
                ("Correlation", number(a.correlation))]  # fmt: skip
        parts += table(f"Against {own.benchmark}", ("Figure", "Value"), rows, text=("Figure",))
    elif own.note:
        parts.append(Note(f"Not measured against {own.benchmark}: {own.note}."))
    if fit is not None:
        rows = [("alpha per year", pct(fit.alpha.value), number(fit.alpha.t, 1))]
        rows += [(s.name, number(s.value), number(s.t, 1)) for s in fit.slopes]
        parts += table(f"Factors, {fit.r_squared:.0%} explained", ("Factor", "Slope", "t"), rows, text=("Factor",))
    return Section("performance", "Performance", "", tuple(parts))


def _holdings(book: str, tables: RunTables) -> Section:
    own, _ = _figures(book, tables)
    try:
        found = holdings(tables, book)
    except UfosError as error:
        note = Note(f"What each holding added is in the run's ledger, which can't be read: {error.problem}.", "error")
        return Section("holdings", "Holdings", "", (note,))
    nav = own.end if own else None
    held = sorted((h for h in found if h.units), key=lambda h: (-abs(h.value), h.symbol))
    rows = [
        (h.symbol, quantity(h.units), quantity(h.price), amount(h.value), pct(float(h.value / nav)) if nav else "")
        for h in held
    ]
    parts: list[Part] = table("Held at the end", ("Name", "Units", "Price", "Value", "Weight"), rows, text=("Name",))
    base = own.start if own else None

    def added(rows: list[Any]) -> list[tuple[str, ...]]:
        return [
            (h.symbol, amount(h.added, signed=True), pct(float(h.added / base)) if base else "",
             amount(h.price_gain, signed=True), amount(h.dividends, signed=True), amount(h.costs))
            for h in rows
        ]  # fmt: skip

    columns = ("Name", "Added", "of first value", "Price", "Dividends", "Costs")
    best = [h for h in found if h.added > 0][:ROWS]
    worst = [h for h in found[::-1] if h.added < 0][:ROWS]
    parts += table("What added most", columns, added(best), text=columns[:1])
    parts += table("What took most away", columns, added(worst), text=columns[:1])
    lead = f"{len(held)} names at the end; {len(found)} over the run. Contributions add up to the book's profit."
    return Section("holdings", "Holdings", lead, tuple(parts))


def _exclusions(book: str, tables: RunTables) -> Section:
    rules = book_params(tables, book).get("restrictions") or {}
    rows = [(kind.replace("_", " "), ", ".join(values)) for kind, values in rules.items() if values]
    if not rows:
        return Section("exclusions", "Restrictions", "", (Note("This owner excludes nothing.", "empty"),))
    lead = "What is named here is never bought, and sold where it is held."
    return Section(
        "exclusions", "Restrictions", lead, tuple(table("Excluded", ("Kind", "What"), rows, text=("Kind", "What")))
    )

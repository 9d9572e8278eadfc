"""Figures of clients and strategies out of a stored run: returns, costs, benchmark, factors, contributions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from ufos_nautilus.crossing.best_execution import CROSSES_FILE, crosses_frame, read_crosses
from ufos_nautilus.crossing.savings import savings
from ufos_nautilus.errors import BadInputError, DataError
from ufos_nautilus.ledger.accounts import DIVIDENDS, FEES, RESULT_ROLES, TRANSFER_FEE
from ufos_nautilus.ledger.money import from_units
from ufos_nautilus.ledger.store import LedgerStore
from ufos_nautilus.ledger.views import inventory
from ufos_nautilus.portfolio.performance import (
    Drawdown,
    Relative,
    Sample,
    max_drawdown,
    money_weighted,
    per_year,
    period_returns,
    relative,
    time_weighted,
)
from ufos_nautilus.report.parts import decimal_or_none
from ufos_nautilus.report.tables import RunTables
from ufos_nautilus.research.factors import FactorFit, fit_factors, read_factors

MARKET = "market"
"""A benchmark of this name is the market of the factor files."""
PANEL = "daily_panel:DailyPanel"
ZERO = Decimal(0)
Factors = Mapping[date, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class BookFigures:
    """Performance of one book.

    Parameters
    ----------
    book, kind, owner, currency : str
        Who, and in what.
    start, end, flows : Decimal
        First and last value, and what came in less what went out between.
    days : tuple of date
        End of each period.
    returns : tuple of float
        Of each period, fractions.
    total, yearly : float
        Time-weighted, in all and per year.
    money_weighted : float or None
        Per year.
    drawdown : Drawdown
        The deepest.
    statistics : mapping
        The engine's, by name.
    turnover : float
        Value traded per year over the mean value, halved where both sides count.
    fees, dividends, saved : Decimal
        Commissions and transfer fees; dividends net of those paid on short positions; savings of crosses on the touch.
    benchmark : str
        What it is measured against; empty for nothing.
    against : Relative or None
        How it did.
    note : str
        Why it is not measured, where a benchmark is named.

    """

    book: str
    kind: str
    owner: str
    currency: str
    start: Decimal
    end: Decimal
    flows: Decimal
    days: tuple[date, ...]
    returns: tuple[float, ...]
    total: float
    yearly: float
    money_weighted: float | None
    drawdown: Drawdown
    statistics: Mapping[str, float | None]
    turnover: float
    fees: Decimal
    dividends: Decimal
    saved: Decimal
    benchmark: str = ""
    against: Relative | None = None
    note: str = ""


def book_params(tables: RunTables, book: str) -> dict[str, Any]:
    """Return the parameters of a book as the run's spec has them; empty where it has none."""
    found = next((b for b in tables.spec.get("books") or [] if b.get("id") == book), {})
    return dict(found.get("params") or {})


def factor_folder(tables: RunTables) -> str:
    """Return where the run's spec says that factor files lie; empty for nowhere."""
    for actor in tables.spec.get("actors") or []:
        if str(actor.get("class_path", "")).endswith(PANEL):
            return str((actor.get("params") or {}).get("factors", ""))
    return ""


def load_factors(tables: RunTables) -> tuple[Factors, str]:
    """Return the factors that the run's spec names and, where there are none, why."""
    folder = factor_folder(tables)
    if not folder:
        return {}, "The run names no factor files (parameter `factors` of its daily panel)."
    try:
        return read_factors(Path(folder)), ""
    except (BadInputError, OSError) as error:
        return {}, f"The factor files in {folder} can't be read: {getattr(error, 'problem', error)}."


def performances(tables: RunTables, factors: Factors | None = None) -> dict[str, BookFigures]:
    """Return figures of every client and strategy whose value was sampled, by book.

    Parameters
    ----------
    tables : RunTables
        The run.
    factors : mapping, optional
        From `load_factors`; benchmarks named ``market`` and riskless returns come from there.

    """
    series: dict[str, tuple[list[date], list[float], list[Sample], str]] = {}
    for (name,), own in tables.navs.sort("book", "ts").group_by("book", maintain_order=True):
        if own["currency"].n_unique() != 1 or own.height < 3:
            continue
        times = own["ts"].cast(pl.Int64)
        samples = [Sample(*row) for row in zip(times, own["nav"], own["flow"], strict=True)]
        try:
            returns = period_returns(samples)
        except BadInputError:
            continue
        days = [datetime.fromtimestamp(t // 1_000_000_000, UTC).date() for t in times.to_list()[1:]]
        series[str(name)] = (days, returns, samples, str(own["currency"][0]))
    traded, saved = _traded(tables), _saved(tables)
    out: dict[str, BookFigures] = {}
    for spec in tables.result.get("books") or []:
        book, kind = str(spec["id"]), str(spec.get("kind", ""))
        if kind in ("client", "strategy") and book in series:
            out[book] = _figures(tables, book, kind, series, factors or {}, traded, saved)
    return out


def _figures(
    tables: RunTables,
    book: str,
    kind: str,
    series: Mapping[str, tuple[list[date], list[float], list[Sample], str]],
    factors: Factors,
    traded: Mapping[str, Decimal],
    saved: Mapping[str, Decimal],
) -> BookFigures:
    days, returns, samples, currency = series[book]
    params = book_params(tables, book)
    total, span = time_weighted(returns), samples[-1].ts_ns - samples[0].ts_ns
    mean = float(sum((s.nav for s in samples), ZERO)) / len(samples)
    years = max(span / (365.25 * 86_400e9), 1e-9)
    ledger = (tables.result.get("ledger") or {}).get("books") or {}
    pnl = ((ledger.get(book) or {}).get("pnl") or {}).get(currency, {})
    paid = {k: decimal_or_none(pnl.get(k, 0)) or ZERO for k in ("fees", "transfer_fee", "dividends")}
    benchmark = str(params.get("benchmark") or "")
    against, note = _against(benchmark, days, returns, series, factors)
    return BookFigures(
        book=book,
        kind=kind,
        owner=str(params.get("owner_name") or ""),
        currency=currency,
        start=samples[0].nav,
        end=samples[-1].nav,
        flows=sum((s.flow for s in samples[1:]), ZERO),
        days=tuple(days),
        returns=tuple(returns),
        total=total,
        yearly=per_year(total, span),
        money_weighted=money_weighted(samples),
        drawdown=max_drawdown(returns),
        statistics=(tables.result.get("performance") or {}).get(book) or {},
        turnover=float(traded.get(book, ZERO)) / 2 / mean / years if mean > 0 else 0.0,
        fees=-(paid["fees"] + paid["transfer_fee"]),
        dividends=paid["dividends"],
        saved=saved.get(book, ZERO),
        benchmark=benchmark,
        against=against,
        note=note,
    )


def _against(
    benchmark: str,
    days: list[date],
    returns: list[float],
    series: Mapping[str, tuple[list[date], list[float], list[Sample], str]],
    factors: Factors,
) -> tuple[Relative | None, str]:
    if not benchmark:
        return None, ""
    if benchmark == MARKET:
        base = {d: f["market"] + f["riskless"] for d, f in factors.items() if "market" in f and "riskless" in f}
        if not base:
            return None, "the market's return is in the factor files, which this run does not name or have"
    elif benchmark in series:
        base = dict(zip(series[benchmark][0], series[benchmark][1], strict=True))
    else:
        return None, f"there is no book {benchmark} in the run"
    pairs = [(d, r) for d, r in zip(days, returns, strict=True) if d in base]
    free = [factors.get(d, {}).get("riskless", 0.0) for d, _ in pairs]
    try:
        return relative([r for _, r in pairs], [base[d] for d, _ in pairs], free), ""
    except DataError as error:
        return None, error.problem


def _traded(tables: RunTables) -> dict[str, Decimal]:
    value = (pl.col("price") * pl.col("quantity")).sum()
    return dict(tables.fills.group_by("book").agg(value.alias("value")).iter_rows())


def _saved(tables: RunTables) -> dict[str, Decimal]:
    path = tables.run_dir / CROSSES_FILE
    try:
        records = read_crosses(path) if path.is_file() else []
    except (BadInputError, ValueError):
        return {}  # the chapter of the house says so
    rows = savings(crosses_frame(records)).iter_rows(named=True) if records else ()
    return {r["beneficiary"]: r["saved"] for r in rows}


def factor_fits(figures: Mapping[str, BookFigures], factors: Factors) -> dict[str, FactorFit]:
    """Return the regression of each book's returns on the market, size, value and momentum, where there is enough."""
    out: dict[str, FactorFit] = {}
    for book, own in figures.items():
        try:
            out[book] = fit_factors(dict(zip(own.days, own.returns, strict=True)), factors)
        except DataError:
            continue
    return out


@dataclass(frozen=True, slots=True)
class Holding:
    """One name of a book: what is held at the end and what it added over the run, currency of the book."""

    symbol: str
    units: Decimal
    price: Decimal | None
    value: Decimal
    price_gain: Decimal
    """Realised and unrealised."""
    dividends: Decimal
    costs: Decimal

    @property
    def added(self) -> Decimal:
        """Return all it added."""
        return self.price_gain + self.dividends - self.costs


def holdings(tables: RunTables, book: str) -> list[Holding]:
    """Return what every name added to a book, the most first, out of the run's own ledger.

    Raises
    ------
    DataError
        If the ledger is not in the run's folder.

    """
    marks = {
        name.rpartition(".")[0]: price
        for name, text in (tables.result.get("marks") or {}).items()
        if (price := decimal_or_none(text)) is not None
    }
    with LedgerStore.open(tables.run_dir, create=False, readonly=True) as store:
        state = store.state()
    gains: dict[str, dict[str, Decimal]] = {}
    for account, amount in state.accounts(*RESULT_ROLES, book=book):
        if account.item:
            own = gains.setdefault(account.item, {})
            own[account.role] = own.get(account.role, ZERO) - from_units(amount, state.decimals(account.asset))
    held = {row.symbol: row for row in inventory(state, marks, book)}
    out: list[Holding] = []
    for symbol in sorted(gains.keys() | held.keys()):
        parts, row = gains.get(symbol, {}), held.get(symbol)
        dividends = parts.get(DIVIDENDS, ZERO)
        costs = -(parts.get(FEES, ZERO) + parts.get(TRANSFER_FEE, ZERO))
        realised = sum(parts.values(), ZERO) - dividends + costs
        unrealised = (row.unrealized_pnl or ZERO) if row is not None else ZERO
        units = row.net_position if row is not None else ZERO
        price = marks.get(symbol)
        out.append(Holding(symbol, units, price, units * (price or ZERO), realised + unrealised, dividends, costs))
    return sorted(out, key=lambda h: (-h.added, h.symbol))

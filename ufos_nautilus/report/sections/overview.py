"""The key figures at the top of a report."""

from decimal import Decimal

from ufos_nautilus.report.measures import (
    equity_by_currency,
    instrument_facts,
    max_drawdown,
    money_by,
    spread_captured,
)
from ufos_nautilus.report.parts import (
    KeyFigure,
    KeyFigures,
    Note,
    Part,
    Section,
    Tone,
    amount,
    decimal_or_none,
    quantity,
)
from ufos_nautilus.report.periods import utc
from ufos_nautilus.report.tables import RunTables


def overview_section(tables: RunTables) -> Section:
    """Return net P&L, fills, inventory, drawdown and what the run was made of."""
    parts: list[Part] = []
    result = tables.result
    if result.get("status", "completed") != "completed":
        reason = str(result.get("error") or "no reason was stored")
        parts.append(Note(f"This run failed: {reason}. Figures cover what happened before.", "error"))
    parts.append(KeyFigures((*_profit(tables), *_trading(tables))))
    if tables.fills.is_empty():
        orders = "no order was sent" if tables.orders.is_empty() else f"{tables.orders.height:,} orders, none filled"
        parts.append(Note(f"Nothing traded in this run: {orders}.", "empty"))
    parts.append(KeyFigures(_provenance(tables), quiet=True))
    if dropped := result.get("dropped_rows"):
        lost = ", ".join(f"{name} {count:,}" for name, count in dropped.items())
        parts.append(
            Note(f"Recording reached its limit; rows that are missing from tables and charts: {lost}.", "error")
        )
    return Section("overview", "Overview", "", tuple(parts))


def _tone(value: Decimal | None) -> Tone:
    return "" if not value else "good" if value > 0 else "bad"


def _profit(tables: RunTables) -> list[KeyFigure]:
    figures = []
    for currency, stored in (tables.result.get("net_pnl") or {}).items():
        value = decimal_or_none(stored)
        figures.append(KeyFigure("Net P&L", amount(value, signed=True), "after fees", _tone(value), currency))
    figures = figures or [KeyFigure("Net P&L", "n/a", "not stored")]
    for currency, equity in equity_by_currency(tables.equity).items():
        if deepest := max_drawdown(equity):
            share = "" if deepest.share is None else f"{deepest.share:.3%} of the peak"
            figures.append(KeyFigure("Deepest drawdown", amount(deepest.amount), share, unit=currency))
    return figures


def _trading(tables: RunTables) -> list[KeyFigure]:
    fills = tables.fills
    count = int(tables.result.get("fills") or fills.height)
    figures = []
    if fills.height:
        maker = (fills["liquidity"] == "MAKER").sum()
        figures.append(KeyFigure("Fills", f"{count:,}", f"{maker / fills.height:.1%} as maker"))
    else:
        figures.append(KeyFigure("Fills", f"{count:,}"))
    figures.append(
        KeyFigure("Orders", f"{int(tables.result.get('orders') or tables.orders.height):,}", _refused(tables))
    )
    for instrument, stored in (tables.result.get("max_inventory") or {}).items():
        figures.append(KeyFigure("Largest inventory", quantity(decimal_or_none(stored)) or "n/a", instrument))
    spread = spread_captured(fills, instrument_facts(tables))
    for currency, total in money_by(spread, "settlement", "captured").items():
        mean = spread["bps"].mean()
        note = f"{mean:+.2f} bps a fill" if isinstance(mean, float) else ""
        figures.append(KeyFigure("Spread captured", amount(total, signed=True), note, _tone(total), currency))
    return figures


def _refused(tables: RunTables) -> str:
    denied, rejected = (int(tables.result.get(key) or 0) for key in ("denied", "rejected"))
    return f"{denied:,} denied, {rejected:,} rejected"


def _provenance(tables: RunTables) -> tuple[KeyFigure, ...]:
    result = tables.result
    data = result.get("data") or []
    span = tables.span_ns
    elapsed = decimal_or_none(result.get("elapsed_s"))
    count, unit = next(((int(result[k]), k) for k in ("rows", "events") if result.get(k)), (0, "events"))
    rate = f"{count:,} {unit}" + (f", {count / elapsed:,.0f}/s" if elapsed else "")
    return (
        KeyFigure("Run", tables.run_id, f"started {result.get('started_at') or 'n/a'}"),
        KeyFigure("Digest", str(result.get("digest") or "n/a"), "same run, same digest"),
        KeyFigure("Seed", str(result.get("seed", "n/a")), f"code {result.get('code_version') or 'n/a'}"),
        KeyFigure("Data", ", ".join(str(d) for d in data) or "n/a", _span(span)),
        KeyFigure("Elapsed", f"{elapsed:,.2f} s" if elapsed is not None else "n/a", rate),
    )


def _span(span: tuple[int, int] | None) -> str:
    return f"{utc(span[0])} to {utc(span[1])} UTC" if span else "no recorded event"

"""A run with the house beside the same run without: what internalizing was worth, owner by owner and book by book."""

from decimal import Decimal
from typing import Any

import polars as pl

from ufos_nautilus.errors import DataError
from ufos_nautilus.report.parts import decimal_or_none
from ufos_nautilus.report.tables import RunTables
from ufos_nautilus.research.house_costs import costs_by, decimals, ticket_costs

_SAME = ("order_id", "book", "instrument_id", "side", "quantity", "ts")
ZERO = Decimal(0)


def compare_control(house: RunTables, control: RunTables) -> dict[str, Any]:
    """Compare a run whose tickets crossed with its control, in which all went to the market.

    Parameters
    ----------
    house, control : RunTables
        Runs of the same spec, seed and data, with crossing on and off.

    Returns
    -------
    dict
        same_tickets: whether both runs had the very same tickets. owners: per owner and currency the tickets, their
        value, what they cost against the midpoint on arrival with and without the house (currency and basis points),
        and ``saved``, the difference. books: profit of each book from its ledger with and without, and ``gained``.
        totals: the same sums by currency over all owners and books. Money as Decimal.

    Raises
    ------
    DataError
        If the runs replayed other data.

    """
    if house.result.get("data") != control.result.get("data"):
        raise DataError(f"{house.run_id} and {control.run_id} replayed other data", expected="the same data")
    owners, books = _owners(house, control), _books(house, control)
    totals: dict[str, dict[str, Decimal]] = {}
    for rows, names in ((owners, ("cost", "control_cost", "saved")), (books, ("profit", "control_profit", "gained"))):
        for row in rows:
            sums = totals.setdefault(row["currency"], {})
            for name in names:
                sums[name] = sums.get(name, ZERO) + row[name]
    return {"same_tickets": _tickets(house) == _tickets(control), "owners": owners, "books": books, "totals": totals}


def _tickets(run: RunTables) -> list[tuple[Any, ...]]:
    return run.tickets.select(_SAME).sort(_SAME).rows()


def _owners(house: RunTables, control: RunTables) -> list[dict[str, Any]]:
    with_house, without = _costs(house), _costs(control)
    joined = with_house.join(without, on=["beneficiary", "currency"], how="full", coalesce=True, suffix="_control")
    rows = joined.sort("beneficiary", "currency").iter_rows(named=True)
    return [
        {
            "owner": r["beneficiary"],
            "currency": r["currency"],
            "tickets": r["tickets"],
            "value": r["notional"],
            "cost": r["cost"] or ZERO,
            "control_cost": r["cost_control"] or ZERO,
            "saved": (r["cost_control"] or ZERO) - (r["cost"] or ZERO),
            "cost_bps": r["cost_bps"],
            "control_cost_bps": r["cost_bps_control"],
        }
        for r in rows
    ]


def _costs(run: RunTables) -> pl.DataFrame:
    return costs_by(ticket_costs(run.tickets, run.instruments, decimals(run.result.get("marks") or {})))


def _books(house: RunTables, control: RunTables) -> list[dict[str, Any]]:
    profits, without = _profits(house), _profits(control)
    return [
        {
            "book": book,
            "kind": kind,
            "currency": currency,
            "profit": profits.get(key, ZERO),
            "control_profit": without.get(key, ZERO),
            "gained": profits.get(key, ZERO) - without.get(key, ZERO),
        }
        for key in sorted(profits.keys() | without.keys())
        for book, kind, currency in [key]
    ]


def _profits(run: RunTables) -> dict[tuple[str, str, str], Decimal]:
    """Return (book, kind, currency) -> profit, as the run's ledger has it."""
    kinds = {book["id"]: book.get("kind", "") for book in run.result.get("books") or []}
    return {
        (book, kinds.get(book, "house"), currency): decimal_or_none(pnl.get("total")) or ZERO
        for book, figures in ((run.result.get("ledger") or {}).get("books") or {}).items()
        for currency, pnl in (figures.get("pnl") or {}).items()
    }

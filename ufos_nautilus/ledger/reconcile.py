"""Compares what the ledger says with what venues say, to the smallest unit."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from ufos_nautilus.errors import ReconciliationError
from ufos_nautilus.ledger.state import LedgerState
from ufos_nautilus.ledger.views import cash_by_venue, positions_by_venue

ROWS_SHOWN_MAX = 20


class Difference(NamedTuple):
    """One thing the two sides disagree on.

    Attributes
    ----------
    what : str
        ``"cash"`` or ``"position"``.
    where : str
        Venue for cash, book for a position.
    asset : str
        Currency, or instrument id.
    ledger, venue : Decimal
        What each side says.

    """

    what: str
    where: str
    asset: str
    ledger: Decimal
    venue: Decimal


def compare_cash(state: LedgerState, balances: Mapping[tuple[str, str], Decimal]) -> list[Difference]:
    """Return where cash differs.

    Parameters
    ----------
    state : LedgerState
        The ledger's side.
    balances : mapping
        (venue, currency) -> total balance that the venue reports. Currencies the venue does not report must be zero
        in the ledger, unless they are instrument roots; the house's own till (venue ``""``) is left aside.

    """
    ours = {
        key: amount
        for key, amount in cash_by_venue(state).items()
        if key[0] and (key in balances or key[1] not in state.contracts)
    }
    return _differences("cash", ours, balances)


def compare_positions(state: LedgerState, positions: Mapping[tuple[str, str], Decimal]) -> list[Difference]:
    """Return where positions differ: (book, instrument id) -> signed units as the venue or engine has them."""
    return _differences("position", positions_by_venue(state), positions)


def _differences(
    what: str, ours: Mapping[tuple[str, str], Decimal], theirs: Mapping[tuple[str, str], Decimal]
) -> list[Difference]:
    zero = Decimal(0)
    rows = [
        Difference(what, *key, ours.get(key, zero), theirs.get(key, zero))
        for key in sorted(ours.keys() | theirs.keys())
    ]
    return [row for row in rows if row.ledger != row.venue]


def require_reconciled(differences: Sequence[Difference]) -> None:
    """Raise unless nothing differs.

    Raises
    ------
    ReconciliationError
        With a table of what differs.

    """
    if not differences:
        return
    lines = [
        f"  {d.what:<9} {d.where:<16} {d.asset:<20} ledger {d.ledger:f}  venue {d.venue:f}  off {d.ledger - d.venue:+f}"
        for d in differences[:ROWS_SHOWN_MAX]
    ]
    more = len(differences) - len(lines)
    if more > 0:
        lines.append(f"  and {more} more")
    raise ReconciliationError(
        "\n".join([f"ledger and venues differ in {len(differences)} places:", *lines]),
        expected="the same to the smallest unit",
        next_step="find the first entry after which they differ: `ufos ledger show` with the times of the fills",
    )

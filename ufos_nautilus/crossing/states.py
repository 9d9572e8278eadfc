"""The life of a ticket in one table, and what each order state of the engine means for it."""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Final

from ufos_nautilus.errors import SpecError


class TicketState(StrEnum):
    """Where a ticket stands."""

    NEW = "NEW"
    """Written down; nobody has looked at it."""
    STAGED = "STAGED"
    """Checked and accepted by the house; nothing can trade yet."""
    WORKING = "WORKING"
    """In the pool, with the desk or on a market; may be part filled."""
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    """Withdrawn, refused or rejected; what was filled before stays filled."""
    EXPIRED = "EXPIRED"

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more can happen."""
        return not TRANSITIONS[self]


TRANSITIONS: Final[dict[TicketState, frozenset[TicketState]]] = {
    TicketState.NEW: frozenset({TicketState.STAGED, TicketState.CANCELLED, TicketState.EXPIRED}),
    TicketState.STAGED: frozenset({TicketState.WORKING, TicketState.CANCELLED, TicketState.EXPIRED}),
    TicketState.WORKING: frozenset({TicketState.FILLED, TicketState.CANCELLED, TicketState.EXPIRED}),
    TicketState.FILLED: frozenset(),
    TicketState.CANCELLED: frozenset(),
    TicketState.EXPIRED: frozenset(),
}
"""State -> states that may follow."""

ENGINE_STATES: Final[dict[str, TicketState]] = {
    "INITIALIZED": TicketState.STAGED,
    "EMULATED": TicketState.STAGED,
    "RELEASED": TicketState.STAGED,
    "SUBMITTED": TicketState.WORKING,
    "ACCEPTED": TicketState.WORKING,
    "TRIGGERED": TicketState.WORKING,
    "PENDING_UPDATE": TicketState.WORKING,
    "PENDING_CANCEL": TicketState.WORKING,
    "PARTIALLY_FILLED": TicketState.WORKING,
    "FILLED": TicketState.FILLED,
    "DENIED": TicketState.CANCELLED,
    "REJECTED": TicketState.CANCELLED,
    "CANCELED": TicketState.CANCELLED,
    "VOIDED": TicketState.CANCELLED,
    "EXPIRED": TicketState.EXPIRED,
}
"""Name of the engine's order status -> state of a ticket that has this one order."""


def advance(now: TicketState, to: TicketState) -> TicketState:
    """Return `to` if it may follow `now`.

    Raises
    ------
    SpecError
        If it may not.

    """
    if to not in TRANSITIONS[now]:
        allowed = ", ".join(sorted(TRANSITIONS[now])) or "nothing: it is final"
        raise SpecError(f"a ticket can't go from {now} to {to}", expected=allowed)
    return to


def state_from_orders(quantity: Decimal, filled: Decimal, statuses: Iterable[str]) -> TicketState:
    """Return the state of a ticket that was cut into several engine orders.

    Parameters
    ----------
    quantity, filled : Decimal
        The ticket's quantity and what all its orders have filled.
    statuses : iterable of str
        Names of the engine's order statuses, one per order; none yet means NEW.

    Returns
    -------
    TicketState
        WORKING while any order works or a finished one left something over that another order waits to take up;
        final only when every order is.

    Raises
    ------
    SpecError
        For a status the engine does not have.

    """
    if filled >= quantity:
        return TicketState.FILLED
    states: set[TicketState] = set()
    for status in statuses:
        if status not in ENGINE_STATES:
            raise SpecError(f"the engine has no order status {status!r}", expected=", ".join(sorted(ENGINE_STATES)))
        states.add(ENGINE_STATES[status])
    if not states:
        return TicketState.NEW
    if states == {TicketState.STAGED}:
        return TicketState.STAGED
    if {TicketState.WORKING, TicketState.STAGED} & states:
        return TicketState.WORKING
    if TicketState.CANCELLED in states:
        return TicketState.CANCELLED
    return TicketState.EXPIRED if TicketState.EXPIRED in states else TicketState.WORKING

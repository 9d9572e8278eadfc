"""The rules of the crossing pool and what it hands out: crosses, standings and steps."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from ufos_nautilus.crossing.grid import Grid
from ufos_nautilus.crossing.nbbo import Nbbo
from ufos_nautilus.crossing.states import TicketState
from ufos_nautilus.crossing.ticket import Side, Ticket
from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import POOL_TICKETS_MAX

FEE_DECIMALS: Final = 6
"""Decimals a fee in basis points may have."""
AGE_LIMIT_NS_DEFAULT: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossingRules:
    """What must hold for two tickets to cross.

    Parameters
    ----------
    age_limit_ns : int
        A best bid or offer older than this is stale, nanoseconds.
    min_improvement : Decimal
        Least improvement against the touch that each side must get, price units. Both sides get half the spread.
    fee_bps : Decimal
        Transfer fee each side pays, basis points of the value crossed. Where it would exceed the improvement, nothing
        crosses: internal execution must never cost more than the touch.
    max_ticket_quantity : Decimal or None
        Larger tickets are refused; None for no bound.
    min_cross_quantity : Decimal
        No cross is smaller than this, whatever the tickets allow.
    max_resting : int
        Tickets in the pool of one symbol.

    """

    age_limit_ns: int = AGE_LIMIT_NS_DEFAULT
    min_improvement: Decimal = Decimal(0)
    fee_bps: Decimal = Decimal(0)
    max_ticket_quantity: Decimal | None = None
    min_cross_quantity: Decimal = Decimal(0)
    max_resting: int = POOL_TICKETS_MAX

    def __post_init__(self) -> None:
        for name in ("min_improvement", "fee_bps", "min_cross_quantity"):
            value = getattr(self, name)
            if not (isinstance(value, Decimal) and value.is_finite() and value >= 0):
                raise SpecError(f"{name} is {value!r}", expected="a Decimal of zero or more")
        if self.fee_bps.scaleb(FEE_DECIMALS) % 1 or self.fee_bps > 10_000:
            raise SpecError(f"fee_bps is {self.fee_bps}", expected=f"at most 10000, in {FEE_DECIMALS} decimals")
        largest = self.max_ticket_quantity
        if largest is not None and not (isinstance(largest, Decimal) and largest.is_finite() and largest > 0):
            raise SpecError(f"max_ticket_quantity is {largest!r}", expected="a Decimal above zero, or None")
        if type(self.age_limit_ns) is not int or self.age_limit_ns <= 0:
            raise SpecError(f"age_limit_ns is {self.age_limit_ns!r}", expected="nanoseconds above zero")
        if not 1 <= self.max_resting <= POOL_TICKETS_MAX:
            raise SpecError(f"max_resting is {self.max_resting}", expected=f"from 1 to {POOL_TICKETS_MAX}")


class Cross(msgspec.Struct, frozen=True, gc=False):
    """Terms of one cross: two tickets, one price, one size and the market they lean on.

    Parameters
    ----------
    cross_id : str
        Unique in a run, ascending.
    root : str
        Symbol without venue.
    ts_ns : int
        When it was proposed, UNIX nanoseconds.
    half_units : int
        Price, in half units of `grid`.
    size : int
        Size units of `grid`.
    buy, sell : Ticket
        Both sides, as they stood.
    nbbo : Nbbo
        The market seen, status OK.
    buy_arrival, sell_arrival : int or None
        Midpoint when each ticket arrived, half units; None if there was no usable market then.
    grid : Grid
        What the integers mean.
    rules : CrossingRules
        The rules in force: age limit, fee of each side.

    """

    cross_id: str
    root: str
    ts_ns: int
    half_units: int
    size: int
    buy: Ticket
    sell: Ticket
    nbbo: Nbbo
    buy_arrival: int | None
    sell_arrival: int | None
    grid: Grid
    rules: CrossingRules

    @property
    def price(self) -> Decimal:
        """Return the price, exactly (half a tick is allowed)."""
        return self.grid.price(self.half_units)

    @property
    def quantity(self) -> Decimal:
        """Return the quantity."""
        return self.grid.size(self.size)

    @property
    def improvement_half_units(self) -> int:
        """Return what each side gains per unit against the touch, in half units: half the spread."""
        nbbo = self.nbbo
        return 0 if nbbo.bid is None or nbbo.ask is None else nbbo.ask - nbbo.bid


class Standing(msgspec.Struct, frozen=True, gc=False):
    """Where a ticket stands in the pool; quantities in size units, ``quantity = filled + reserved + open + closed``."""

    order_id: str
    side: Side
    state: TicketState
    quantity: int
    filled: int
    reserved: int
    """In crosses that are proposed and not yet committed."""
    open: int
    """Free to match."""
    closed: int
    """Cancelled or expired."""


class Step(msgspec.Struct, frozen=True, gc=False):
    """What one event led to."""

    crosses: tuple[Cross, ...]
    """Proposals whose quantities are reserved: each must be committed or aborted."""
    expired: tuple[Standing, ...]
    """Tickets that ran out of time; one with reserved quantity ends when its proposals do."""


NOTHING: Final = Step((), ())

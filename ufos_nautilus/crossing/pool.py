"""Tickets of one symbol waiting to cross, in price-time order, with quantities held back for proposed crosses."""

import heapq
from bisect import bisect_left, insort
from decimal import Decimal
from typing import Final

import msgspec

from ufos_nautilus.crossing.grid import Grid
from ufos_nautilus.crossing.nbbo import NbboBook
from ufos_nautilus.crossing.states import TicketState
from ufos_nautilus.crossing.terms import CrossingRules, Standing
from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.errors import LimitExceededError, SpecError

NO_LIMIT: Final = -(1 << 100)
"""Rank of a ticket without a limit: before every limit."""


class Resting(msgspec.Struct, gc=False, eq=False):
    """One ticket in the pool. Sizes are size units; `rank` and `seq` are its place: the smaller the earlier."""

    ticket: Ticket
    order_id: str
    beneficiary: str
    is_buy: bool
    quantity: int
    open: int
    """Free to match."""
    minimum: int
    rank: int
    seq: int
    arrival: int | None
    """Midpoint when it came, half units."""
    filled: int = 0
    reserved: int = 0
    closing: TicketState | None = None
    """What it becomes once nothing of it is reserved."""
    blocked: set[str] | None = None
    """Tickets whose cross with this one was aborted."""

    def standing(self) -> Standing:
        """Return where it stands."""
        filled, reserved, free, quantity = self.filled, self.reserved, self.open, self.quantity
        state = TicketState.WORKING
        if filled == quantity:
            state = TicketState.FILLED
        elif self.closing is not None and not reserved:
            state = self.closing
        side = self.ticket.intent_side
        return Standing(
            self.order_id, side, state, quantity, filled, reserved, free, quantity - filled - reserved - free
        )


Queue = list[tuple[int, int, Resting]]
"""One side of the pool, sorted by rank (price) and then by sequence (time)."""


class Pool:
    """The tickets of one symbol that may cross.

    Price priority: a ticket that would accept a worse price comes first, one without a limit before all. Time priority:
    the order of arrival. A replacement that only lowers the quantity keeps its place; every other one (more quantity,
    another limit) goes to the back of its price. Reserving, and giving back what was reserved, never moves a ticket.

    Parameters
    ----------
    root : str
        Symbol without venue.
    grid : Grid
        Its prices and sizes.
    rules : CrossingRules
        Size limits and the age limit.

    """

    def __init__(self, root: str, grid: Grid, rules: CrossingRules) -> None:
        self.root, self.grid, self.rules = root, grid, rules
        self.nbbo = NbboBook(rules.age_limit_ns)
        self.buys: Queue = []
        self.sells: Queue = []
        self.tickets: dict[str, Resting] = {}
        self.settled_at: int | None = None
        """Midpoint (half units) at which no two tickets of the pool can cross; None if that is not known."""
        self.min_cross = grid.size_units(rules.min_cross_quantity)
        self.min_gain = grid.half_units(rules.min_improvement)
        self._largest = None if rules.max_ticket_quantity is None else grid.size_units(rules.max_ticket_quantity)
        self.expiries: list[tuple[int, int, str]] = []
        """Heap of (time, sequence, ticket id); may name tickets that are gone."""
        self._next_seq = 0

    def __len__(self) -> int:
        return len(self.tickets)

    def add(self, ticket: Ticket, arrival: int | None) -> Resting:
        """Queue a ticket behind all of its price; `arrival` is the midpoint it met, half units.

        Raises
        ------
        SpecError, DataError
            If it may not cross, is larger than the rules allow or lies off the grid.
        LimitExceededError
            If the pool is full.

        """
        if not ticket.internalization_flag:
            raise SpecError(f"ticket {ticket.order_id} may not cross inside the house", expected="internalization_flag")
        if len(self.tickets) >= self.rules.max_resting:
            raise LimitExceededError(
                f"the pool of {self.root} is full", expected=f"at most {self.rules.max_resting} tickets"
            )
        quantity = self._quantity(ticket.order_id, ticket.quantity)
        minimum = self.grid.size_units(ticket.min_quantity) if ticket.min_quantity else 0
        rank = self._rank(ticket)
        seq, order_id = self._next_seq, ticket.order_id
        is_buy = ticket.intent_side == "BUY"
        entry = Resting(ticket, order_id, ticket.beneficiary, is_buy, quantity, quantity, minimum, rank, seq, arrival)
        self._next_seq = seq + 1
        self.tickets[order_id] = entry
        self._list(entry)
        if ticket.expiry_ns:
            if len(self.expiries) > 2 * len(self.tickets) + 64:
                # Tickets that filled or were cancelled leave their expiry behind; keep the heap as small as the pool.
                self.expiries = [e for e in self.expiries if e[2] in self.tickets]
                heapq.heapify(self.expiries)
            heapq.heappush(self.expiries, (ticket.expiry_ns, entry.seq, ticket.order_id))
        return entry

    def replace(self, entry: Resting, quantity: Decimal, limit: Decimal | None) -> bool:
        """Change total quantity and limit; return whether the ticket lost its place.

        Raises
        ------
        SpecError, DataError
            If not more than what is filled or reserved would be left, the ticket is closing, or the terms are off the
            grid; nothing is changed then.

        """
        units = self._quantity(entry.order_id, quantity)
        used = entry.filled + entry.reserved
        if entry.closing is not None or units <= used:
            raise SpecError(
                f"ticket {entry.order_id} has {self.grid.size(used)} filled or reserved",
                expected="a larger quantity, of a ticket that still works",
                next_step="cancel it instead",
            )
        smallest = min(entry.ticket.min_quantity, quantity)
        ticket = msgspec.structs.replace(entry.ticket, quantity=quantity, limit=limit, min_quantity=smallest)
        rank = self._rank(ticket)
        moves = rank != entry.rank or units > entry.quantity
        self._unlist(entry)
        entry.ticket, entry.rank = ticket, rank
        entry.minimum = min(entry.minimum, units)
        entry.quantity, entry.open = units, units - used
        if moves:
            entry.seq = self._next_seq
            self._next_seq += 1
        self._list(entry)
        self.settled_at = None
        return moves

    def close(self, entry: Resting, state: TicketState) -> Standing:
        """Take what is open out of the pool for good; what is reserved stays until its proposals end."""
        self._unlist(entry)
        entry.open = 0
        if entry.closing is None:
            entry.closing = state
        if not entry.reserved:
            self._drop(entry)
        return entry.standing()

    def expire(self, now_ns: int) -> tuple[Standing, ...]:
        """Close every ticket whose time has come."""
        gone: list[Standing] = []
        heap = self.expiries
        while heap and heap[0][0] <= now_ns:
            entry = self.tickets.get(heapq.heappop(heap)[2])
            if entry is not None and entry.closing is None:
                gone.append(self.close(entry, TicketState.EXPIRED))
        return tuple(gone)

    def reserve(self, entry: Resting, size: int) -> bool:
        """Hold `size` back for a proposal; return whether the ticket's minimum fell to what is left of it."""
        entry.open -= size
        entry.reserved += size
        if not entry.open:
            # Its place is (rank, seq), so it comes back to exactly where it was.
            side = self.buys if entry.is_buy else self.sells
            del side[bisect_left(side, (entry.rank, entry.seq))]  # type: ignore[arg-type]
            return False
        return entry.open < entry.minimum

    def settle(self, entry: Resting, size: int) -> bool:
        """Turn what was reserved into a fill; return whether the ticket is done."""
        entry.reserved -= size
        entry.filled += size
        return not (entry.reserved or entry.open) and self._drop(entry)

    def release(self, entry: Resting, size: int) -> bool:
        """Give back what was reserved: to the same place, or to nobody if the ticket was closed meanwhile.

        Returns whether the ticket is done.
        """
        entry.reserved -= size
        if entry.closing is None:
            self.settled_at = None
            listed = entry.open > 0
            entry.open += size
            if not listed:
                self._list(entry)
        return not (entry.reserved or entry.open) and self._drop(entry)

    def _drop(self, entry: Resting) -> bool:
        del self.tickets[entry.order_id]
        for other_id in entry.blocked or ():
            other = self.tickets.get(other_id)
            if other is not None and other.blocked:
                other.blocked.discard(entry.order_id)
        return True

    def _list(self, entry: Resting) -> None:
        if entry.open:
            insort(self.buys if entry.is_buy else self.sells, (entry.rank, entry.seq, entry))

    def _unlist(self, entry: Resting) -> None:
        if entry.open:
            side = self.buys if entry.is_buy else self.sells
            del side[bisect_left(side, (entry.rank, entry.seq))]  # type: ignore[arg-type]

    def _rank(self, ticket: Ticket) -> int:
        if ticket.limit is None:
            return NO_LIMIT
        limit = self.grid.half_units(ticket.limit)
        return -limit if ticket.intent_side == "BUY" else limit

    def _quantity(self, order_id: str, quantity: Decimal) -> int:
        units = self.grid.size_units(quantity)
        if self._largest is not None and units > self._largest:
            raise SpecError(
                f"ticket {order_id} of {quantity} is too large for the pool",
                expected=f"at most {self.grid.size(self._largest)}",
            )
        return units

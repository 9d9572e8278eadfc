"""The crossing house: quotes and tickets in, proposals out, each of which is then committed or aborted as a whole."""

from decimal import Decimal
from typing import Any, Final

from ufos_nautilus.crossing.grid import Grid
from ufos_nautilus.crossing.match import FEE_SCALE, Matcher, Restricted, usable_mid
from ufos_nautilus.crossing.nbbo import Nbbo, NbboBook, NbboStatus
from ufos_nautilus.crossing.pool import Pool, Resting
from ufos_nautilus.crossing.states import TicketState
from ufos_nautilus.crossing.terms import NOTHING, Cross, CrossingRules, Standing, Step
from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import CROSSES_PENDING_MAX, POOL_IDS_MAX, POOL_SYMBOLS_MAX

UNCHANGED: Final[Any] = object()
"""Default of `Crosser.replace`: leave this field as it is."""


class Crosser:
    """Crosses tickets of all symbols at the midpoint.

    Every event carries its time, which never goes back. An event returns proposals with their quantities reserved; the
    caller books both legs of each and calls `commit`, or `abort` if either leg was refused. Deterministic: the same
    events give the same proposals with the same ids.

    Parameters
    ----------
    rules : CrossingRules
        What must hold for a cross.
    restricted : callable, optional
        Takes a `Ticket`, returns True where its owner may not trade the name. Asked for each candidate at the time of
        the match, so a restriction binds tickets that already rest.

    """

    def __init__(self, rules: CrossingRules | None = None, *, restricted: Restricted | None = None) -> None:
        self.rules = rules or CrossingRules()
        self.now_ns = 0
        self._matcher = Matcher(self.rules, restricted)
        self._pools: dict[str, Pool] = {}
        self._fee_parts = int(self.rules.fee_bps * FEE_SCALE // 10_000)
        self._by_instrument: dict[str, Pool] = {}
        self._home: dict[str, Pool | None] = {}
        """Every ticket id ever taken -> its pool; None once it is final."""
        self._pending: dict[str, tuple[Cross, Resting, Resting]] = {}
        self._crosses = 0

    # symbols and market

    def add_symbol(self, root: str, grid: Grid) -> None:
        """Open the pool of a symbol; opening it again with the same grid does nothing.

        Raises
        ------
        SpecError, DataError
            If it is open with another grid, or the rules do not fit the grid.
        LimitExceededError
            If there are too many pools.

        """
        known = self._pools.get(root)
        if known is not None:
            if known.grid != grid:
                raise SpecError(
                    f"{root} has two grids: {known.grid} and {grid}", expected="one grid for all its venues"
                )
            return
        if len(self._pools) >= POOL_SYMBOLS_MAX:
            raise LimitExceededError(f"more than {POOL_SYMBOLS_MAX} symbols", expected="fewer pools")
        self._pools[root] = Pool(root, grid, self.rules)

    def on_nbbo(
        self, root: str, venue: str, bid: int | None, bid_size: int, ask: int | None, ask_size: int, ts_ns: int
    ) -> Step:
        """Take a venue's quote (prices in units, sizes in size units of the grid) and cross what it makes possible.

        Raises
        ------
        SpecError
            If the symbol has no pool.
        DataError
            If time goes back or the quote is malformed; nothing is changed then.
        LimitExceededError
            If too many proposals wait for their commit or abort, or there are too many venues.

        """
        pool = self._pools.get(root)
        if pool is None or ts_ns < self.now_ns or len(self._pending) >= CROSSES_PENDING_MAX:
            pool = self._refuse(root, ts_ns)
        pool.nbbo.update(venue, bid, bid_size, ask, ask_size, ts_ns)
        self.now_ns = ts_ns
        if pool.expiries and pool.expiries[0][0] <= ts_ns:
            return self._cross(pool, pool.nbbo.status(ts_ns), pool.expire(ts_ns))
        if not pool.buys or not pool.sells:
            return NOTHING
        return self._cross(pool, pool.nbbo.status(ts_ns), ())

    def idle(self, root: str) -> bool:
        """Tell whether no ticket of a symbol rests, so that a quote can cross nothing."""
        pool = self._pools[root]
        return not pool.buys and not pool.sells

    def note(
        self, root: str, venue: str, bid: int | None, bid_size: int, ask: int | None, ask_size: int, ts_ns: int
    ) -> None:
        """Take a venue's quote of an idle symbol, late: for who keeps only the last one until a ticket comes."""
        self._pools[root].nbbo.update(venue, bid, bid_size, ask, ask_size, ts_ns)

    def nbbo(self, root: str, now_ns: int) -> Nbbo:
        """Return the consolidated market of a symbol at `now_ns`."""
        return self._pool(root).nbbo.at(now_ns)

    # tickets

    def on_ticket(self, ticket: Ticket, now_ns: int | None = None) -> Step:
        """Queue a ticket and cross what it can.

        Parameters
        ----------
        ticket : Ticket
            Its id must never have been used before.
        now_ns : int, optional
            When it arrived, UNIX nanoseconds; default the ticket's own time.

        Raises
        ------
        SpecError, DataError
            If the id was used before, the symbol has no pool, the ticket may not cross, is too large, off the grid, or
            time goes back; nothing is changed then.
        LimitExceededError
            If the pool is full or too many proposals wait.

        """
        now = ticket.ts_ns if now_ns is None else now_ns
        pool = self._by_instrument.get(ticket.instrument)
        if pool is None or now < self.now_ns or len(self._pending) >= CROSSES_PENDING_MAX:
            pool = self._by_instrument[ticket.instrument] = self._refuse(ticket.root, now)
        if ticket.order_id in self._home:
            raise SpecError(f"ticket id {ticket.order_id} was used before", expected="a new id for every ticket")
        if len(self._home) >= POOL_IDS_MAX:
            raise LimitExceededError(f"more than {POOL_IDS_MAX} tickets in one run", expected="a new crosser")
        status = pool.nbbo.status(now)
        entry = pool.add(ticket, _mid(pool.nbbo, status))
        self._home[ticket.order_id] = pool
        self.now_ns = now
        expired: tuple[Standing, ...] = ()
        if pool.expiries and pool.expiries[0][0] <= now:
            expired = pool.expire(now)
            if entry.closing is not None:
                return self._cross(pool, status, expired)
        return self._cross(pool, status, expired, entry)

    def cancel(self, order_id: str, now_ns: int) -> Standing:
        """Take what is open of a ticket out; what is reserved still ends by commit or abort."""
        pool, entry = self._entry(order_id)
        self._advance(now_ns)
        standing = pool.close(entry, TicketState.CANCELLED)
        self._forget(pool, order_id)
        return standing

    def replace(
        self, order_id: str, now_ns: int, *, quantity: Decimal | None = None, limit: Decimal | None = UNCHANGED
    ) -> Step:
        """Change a ticket's total quantity, its limit, or both, and cross what that makes possible.

        Less quantity at the same limit keeps the ticket's place; more quantity or another limit sends it to the back
        of its price.
        """
        pool, entry = self._entry(order_id)
        if len(self._pending) >= CROSSES_PENDING_MAX or now_ns < self.now_ns:
            self._refuse(pool.root, now_ns)
        pool.replace(
            entry,
            entry.ticket.quantity if quantity is None else quantity,
            entry.ticket.limit if limit is UNCHANGED else limit,
        )
        self.now_ns = now_ns
        return self._cross(pool, pool.nbbo.status(now_ns), pool.expire(now_ns))

    def standing(self, order_id: str) -> Standing:
        """Return where a live ticket stands; `SpecError` once it is final or if it never was."""
        return self._entry(order_id)[1].standing()

    def is_live(self, order_id: str) -> bool:
        """Tell whether a ticket was taken and is not yet final."""
        return self._home.get(order_id) is not None

    def on_time(self, now_ns: int) -> Step:
        """Let time pass: expire what is due in every pool."""
        self._advance(now_ns)
        expired: list[Standing] = []
        for pool in self._pools.values():
            if pool.expiries and pool.expiries[0][0] <= now_ns:
                gone = pool.expire(now_ns)
                expired += gone
                for standing in gone:
                    self._forget(pool, standing.order_id)
        return Step((), tuple(expired)) if expired else NOTHING

    # proposals

    def propose(self, root: str, now_ns: int) -> Step:
        """Cross what can cross now; needed only when a restriction was lifted without any market or ticket event."""
        pool = self._pool(root)
        if len(self._pending) >= CROSSES_PENDING_MAX or now_ns < self.now_ns:
            self._refuse(root, now_ns)
        self.now_ns = now_ns
        pool.settled_at = None
        return self._cross(pool, pool.nbbo.status(now_ns), pool.expire(now_ns))

    def commit(self, cross_id: str) -> tuple[Standing, Standing]:
        """Turn a proposal into fills of both tickets; return where buyer and seller stand."""
        cross, buy, sell = self._take(cross_id)
        pool = self._pools[cross.root]
        for entry in (buy, sell):
            if pool.settle(entry, cross.size):
                self._home[entry.order_id] = None
        return buy.standing(), sell.standing()

    def abort(self, cross_id: str, *, again: bool = False) -> tuple[Standing, Standing]:
        """Undo a proposal: both tickets get their quantity and their place back; return where they stand.

        Parameters
        ----------
        cross_id : str
            The proposal.
        again : bool
            Whether these two tickets may be proposed to each other again. By default they may not: what was refused
            once would be proposed on every quote.

        """
        cross, buy, sell = self._take(cross_id)
        pool = self._pools[cross.root]
        if not again:
            for entry, other in ((buy, sell), (sell, buy)):
                entry.blocked = entry.blocked or set()
                entry.blocked.add(other.order_id)
        for entry in (buy, sell):
            if pool.release(entry, cross.size):
                self._home[entry.order_id] = None
        return buy.standing(), sell.standing()

    @property
    def pending(self) -> tuple[Cross, ...]:
        """Return the proposals that wait for their commit or abort, oldest first."""
        return tuple(cross for cross, _, _ in self._pending.values())

    # inside

    def _cross(
        self, pool: Pool, status: NbboStatus, expired: tuple[Standing, ...], entry: Resting | None = None
    ) -> Step:
        for standing in expired:
            self._forget(pool, standing.order_id)
        mid = usable_mid(pool, status, self._fee_parts)
        if mid is None:
            if entry is not None:
                pool.settled_at = None  # what comes now is not compared with the rest
            return Step((), expired) if expired else NOTHING
        crosses: list[Cross] = []
        done = False
        if entry is not None and (pool.settled_at == mid or len(pool.buys if entry.is_buy else pool.sells) == 1):
            done = self._incoming(pool, entry, mid, crosses)
        if not done and pool.settled_at != mid:
            self._all(pool, mid, crosses)
        return Step(tuple(crosses), expired) if crosses or expired else NOTHING

    def _incoming(self, pool: Pool, entry: Resting, mid: int, crosses: list[Cross]) -> bool:
        """Cross one new ticket; return False if the whole pool must be looked at."""
        matcher, unsure = self._matcher, False
        while entry.open:
            partner = matcher.first_partner(pool, entry, mid)
            unsure = unsure or matcher.unsure
            if partner is None:
                break
            buy, sell = (entry, partner) if entry.is_buy else (partner, entry)
            if self._propose(pool, buy, sell, mid, crosses):
                pool.settled_at = None
                return False
            if len(self._pending) >= CROSSES_PENDING_MAX:
                unsure = True
                break
        pool.settled_at = None if unsure else mid
        return True

    def _all(self, pool: Pool, mid: int, crosses: list[Cross]) -> None:
        for buy, sell in self._matcher.all(pool, mid):
            if len(self._pending) >= CROSSES_PENDING_MAX:
                pool.settled_at = None
                return
            if self._propose(pool, buy, sell, mid, crosses):
                self._matcher.rescan()
        pool.settled_at = None if self._matcher.unsure else mid

    def _propose(self, pool: Pool, buy: Resting, sell: Resting, mid: int, crosses: list[Cross]) -> bool:
        """Reserve the pair; return whether a ticket's minimum fell to what is left of it."""
        size = buy.open if buy.open < sell.open else sell.open
        self._crosses += 1
        cross = Cross(
            f"X-{pool.root}-{self._crosses}",
            pool.root,
            self.now_ns,
            mid,
            size,
            buy.ticket,
            sell.ticket,
            crosses[0].nbbo if crosses else pool.nbbo.at(self.now_ns),
            buy.arrival,
            sell.arrival,
            pool.grid,
            self.rules,
        )
        self._pending[cross.cross_id] = (cross, buy, sell)
        crosses.append(cross)
        fell = pool.reserve(buy, size)
        return pool.reserve(sell, size) or fell

    def _take(self, cross_id: str) -> tuple[Cross, Resting, Resting]:
        taken = self._pending.pop(cross_id, None)
        if taken is None:
            raise SpecError(f"no proposal {cross_id!r} waits", expected="one that was neither committed nor aborted")
        return taken

    def _forget(self, pool: Pool, order_id: str) -> None:
        if order_id not in pool.tickets:
            self._home[order_id] = None

    def _pool(self, root: str) -> Pool:
        pool = self._pools.get(root)
        if pool is None:
            known = ", ".join(sorted(self._pools)[:5]) or "none yet"
            raise SpecError(f"{root} has no pool", expected=f"a known symbol ({known})", next_step="add_symbol")
        return pool

    def _entry(self, order_id: str) -> tuple[Pool, Resting]:
        pool = self._home.get(order_id)
        if pool is None:
            raise SpecError(f"no ticket {order_id!r} rests", expected="a ticket that is neither final nor unknown")
        return pool, pool.tickets[order_id]

    def _advance(self, now_ns: int) -> None:
        if now_ns < self.now_ns:
            raise DataError(f"time goes back from {self.now_ns} to {now_ns}", expected="events in order of time")
        self.now_ns = now_ns

    def _refuse(self, root: str, now_ns: int) -> Pool:
        """Raise what is wrong with an event; return the pool if nothing is."""
        pool = self._pool(root)
        if now_ns < self.now_ns:
            raise DataError(f"time goes back from {self.now_ns} to {now_ns}", expected="events in order of time")
        if len(self._pending) >= CROSSES_PENDING_MAX:
            raise LimitExceededError(
                f"{len(self._pending)} proposals wait", expected="commit or abort for each before the next event"
            )
        return pool


def _mid(nbbo: NbboBook, status: NbboStatus) -> int | None:
    """Return the midpoint in half units if the market can be trusted, locked or not."""
    if nbbo.bid is None or nbbo.ask is None or status not in (NbboStatus.OK, NbboStatus.LOCKED):
        return None
    return nbbo.bid + nbbo.ask

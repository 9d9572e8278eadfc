"""The crossing core against a plain model of it: any order of events keeps every rule and every quantity."""

from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ufos_nautilus.crossing.crosser import UNCHANGED, Crosser
from ufos_nautilus.crossing.grid import Grid
from ufos_nautilus.crossing.states import TicketState
from ufos_nautilus.crossing.terms import Cross, CrossingRules, Standing, Step
from ufos_nautilus.crossing.ticket import Ticket

AGE_LIMIT = 100
GRID = Grid(price_precision=2, size_precision=0)
ROOT, INSTRUMENT = "ABC", "ABC.XNAS"
OWNERS = ("ANN", "BEN", "CAY", "DAN")
VENUES = ("ARCX", "XNAS")
PRICES = st.integers(996, 1004)
LIMITS = st.one_of(st.none(), st.integers(1994, 2006))  # half units
SIZES = st.sampled_from((1, 2, 3, 5, 8, 10))


@dataclass
class Order:
    """What the model knows of a ticket."""

    order_id: str
    is_buy: bool
    owner: str
    quantity: int
    limit: int | None
    minimum: int
    expiry: int
    place: int
    filled: int = 0
    reserved: int = 0
    closed: int = 0
    closed_as: TicketState | None = None
    foes: set[str] = field(default_factory=set)

    @property
    def open(self) -> int:
        return self.quantity - self.filled - self.reserved - self.closed

    @property
    def is_closed(self) -> bool:
        return self.closed_as is not None

    def close(self, state: TicketState) -> None:
        self.closed += self.open
        self.closed_as = self.closed_as or state

    @property
    def rank(self) -> tuple[float, int]:
        if self.limit is None:
            return (float("-inf"), self.place)
        return (-self.limit if self.is_buy else self.limit, self.place)


class CrossingMachine(RuleBasedStateMachine):
    """Drives the core and a model side by side."""

    @initialize(
        min_improvement=st.sampled_from((0, 0, 0, 2, 3)),
        fee=st.sampled_from(("0", "0", "0", "1", "12.5")),
        min_cross=st.sampled_from((0, 0, 2)),
    )
    def open_house(self, min_improvement: int, fee: str, min_cross: int) -> None:
        self.restricted: set[str] = set()
        self.min_improvement, self.fee_bps, self.min_cross = min_improvement, Decimal(fee), min_cross
        rules = CrossingRules(
            age_limit_ns=AGE_LIMIT,
            min_improvement=GRID.price(min_improvement),
            fee_bps=self.fee_bps,
            min_cross_quantity=Decimal(min_cross),
        )
        self.crosser = Crosser(rules, restricted=lambda ticket: ticket.beneficiary in self.restricted)
        self.crosser.add_symbol(ROOT, GRID)
        self.now = 1_000
        self.orders: dict[str, Order] = {}
        self.quotes: dict[str, tuple[int | None, int | None, int]] = {}
        self.pending: dict[str, Cross] = {}
        self.places = 0
        self.quote("XNAS", 999, 1001)

    # what can happen

    @rule(bid=st.integers(998, 1000), width=st.integers(1, 4), first=st.booleans(), behind=st.integers(0, 2))
    def usable_quote(self, bid: int, width: int, first: bool, behind: int) -> None:
        best, other = VENUES if first else VENUES[::-1]
        self.quote(other, bid - behind, bid + width + behind)
        self.quote(best, bid, bid + width)

    @rule(
        venue=st.sampled_from(VENUES),
        bid=st.one_of(st.none(), PRICES),
        ask=st.one_of(st.none(), PRICES),
        wait=st.integers(0, 30),
    )
    def any_quote(self, venue: str, bid: int | None, ask: int | None, wait: int) -> None:
        self.now += wait
        self.quote(venue, bid, ask)

    def quote(self, venue: str, bid: int | None, ask: int | None) -> None:
        step = self.crosser.on_nbbo(ROOT, venue, bid, 7, ask, 7, self.now)
        self.quotes[venue] = (bid, ask, self.now)
        self.check(step)

    @rule(
        bid=st.integers(998, 1000),
        before=st.booleans(),
        owners=st.permutations((*OWNERS, "ANN", "BEN")),
        tickets=st.lists(st.tuples(st.booleans(), SIZES, st.sampled_from((0, 0, 3, 8))), min_size=2, max_size=6),
        lifetime=st.sampled_from((0, 0, 0, 15)),
    )
    def several_tickets(
        self, bid: int, before: bool, owners: list[str], tickets: list[tuple[bool, int, int]], lifetime: int
    ) -> None:
        """Tickets without limits and the market that lets them cross, in either order, so that crosses are frequent."""
        if before:
            self.usable_quote(bid, 2, True, 1)
        else:
            for venue in VENUES:
                self.quote(venue, bid, bid)
        for owner, (is_buy, size, minimum) in zip(owners, tickets, strict=False):
            self.ticket(is_buy, owner, size, None, minimum, lifetime, 0)
        if not before:
            self.usable_quote(bid, 2, True, 1)

    @rule(
        is_buy=st.booleans(),
        owner=st.sampled_from(OWNERS),
        quantity=SIZES,
        limit=LIMITS,
        minimum=st.sampled_from((0, 0, 0, 2, 5)),
        lifetime=st.sampled_from((0, 0, 0, 20, 60)),
        wait=st.integers(0, 15),
    )
    def ticket(
        self, is_buy: bool, owner: str, quantity: int, limit: int | None, minimum: int, lifetime: int, wait: int
    ) -> None:
        self.now += wait
        expiry = self.now + lifetime if lifetime else 0
        order_id = f"T{len(self.orders)}"
        order = Order(order_id, is_buy, owner, quantity, limit, min(minimum, quantity), expiry, self.next_place())
        ticket = Ticket(
            order_id=order_id,
            instrument=INSTRUMENT,
            intent_side="BUY" if is_buy else "SELL",
            quantity=Decimal(quantity),
            limit=None if limit is None else GRID.price(limit),
            min_quantity=Decimal(order.minimum),
            ts_ns=self.now,
            expiry_ns=expiry,
            client_id=owner,
        )
        self.orders[order_id] = order
        self.check(self.crosser.on_ticket(ticket))

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.live()))
        order.close(TicketState.CANCELLED)
        standing = self.crosser.cancel(order.order_id, self.now)
        self.same(standing, order)

    @precondition(lambda self: any(not o.is_closed for o in self.live()))
    @rule(data=st.data(), more=st.integers(-4, 6), limit=st.one_of(st.just(UNCHANGED), LIMITS))
    def replace(self, data: st.DataObject, more: int, limit: object) -> None:
        order = data.draw(st.sampled_from([o for o in self.live() if not o.is_closed]))
        quantity = max(order.quantity + more, order.filled + order.reserved + 1)
        new_limit = order.limit if limit is UNCHANGED else limit
        assert new_limit is None or isinstance(new_limit, int)
        if quantity > order.quantity or new_limit != order.limit:
            order.place = self.next_place()
        order.quantity, order.limit = quantity, new_limit
        order.minimum = min(order.minimum, quantity)
        price = limit if limit is UNCHANGED or new_limit is None else GRID.price(new_limit)
        step = self.crosser.replace(order.order_id, self.now, quantity=Decimal(quantity), limit=price)
        self.check(step)

    @precondition(lambda self: self.pending)
    @rule(data=st.data(), commit=st.booleans(), again=st.booleans())
    def end(self, data: st.DataObject, commit: bool, again: bool) -> None:
        cross = self.pending.pop(data.draw(st.sampled_from(sorted(self.pending))))
        buy, sell = self.orders[cross.buy.order_id], self.orders[cross.sell.order_id]
        for order in (buy, sell):
            order.reserved -= cross.size
            if commit:
                order.filled += cross.size
            elif order.is_closed:
                order.closed += cross.size
        if not commit and not again:
            buy.foes.add(sell.order_id)
            sell.foes.add(buy.order_id)
        end = self.crosser.commit if commit else lambda x: self.crosser.abort(x, again=again)
        for standing, order in zip(end(cross.cross_id), (buy, sell), strict=True):
            self.same(standing, order)

    @rule(wait=st.sampled_from((1, 5, 10, 20, AGE_LIMIT, AGE_LIMIT + 1)))
    def wait(self, wait: int) -> None:
        self.now += wait
        self.expire(self.crosser.on_time(self.now))

    @rule(owner=st.sampled_from(OWNERS), ask=st.booleans())
    def restrict_or_free(self, owner: str, ask: bool) -> None:
        self.restricted ^= {owner}
        if ask:
            self.check(self.crosser.propose(ROOT, self.now))

    # what must hold

    def check(self, step: Step) -> None:
        """Every cross keeps the rules in the state before it, and no pair that could cross is left."""
        self.expire(step)
        for cross in step.crosses:
            self.check_cross(cross)
        mid = self.mid()
        if mid is not None:
            buys = [o for o in self.orders.values() if o.is_buy and o.open]
            sells = [o for o in self.orders.values() if not o.is_buy and o.open]
            assert not [(b, s) for b in buys for s in sells if self.may_cross(b, s, mid)], "a pair was missed"

    def check_cross(self, cross: Cross) -> None:
        buy, sell = self.orders[cross.buy.order_id], self.orders[cross.sell.order_id]
        mid = self.mid()
        assert mid is not None, "crossed without a usable market"
        assert (cross.half_units, cross.ts_ns) == (mid, self.now)
        bid, ask = self.best()
        assert (cross.nbbo.bid, cross.nbbo.ask) == (bid, ask)
        assert bid is not None and ask is not None and 2 * bid < cross.half_units < 2 * ask
        assert self.may_cross(buy, sell, mid), "these two may not cross"
        assert cross.size == min(buy.open, sell.open)
        for other in self.orders.values():
            if other.is_buy and other.rank < buy.rank:
                assert not self.may_cross(other, sell, mid), f"{other.order_id} was before {buy.order_id}"
            if not other.is_buy and other.rank < sell.rank:
                assert not self.may_cross(buy, other, mid), f"{other.order_id} was before {sell.order_id}"
        buy.reserved += cross.size
        sell.reserved += cross.size
        assert cross.cross_id not in self.pending
        self.pending[cross.cross_id] = cross

    def may_cross(self, buy: Order, sell: Order, mid: int) -> bool:
        size = min(buy.open, sell.open)
        return (
            size > 0
            and size >= max(min(buy.minimum, buy.open), min(sell.minimum, sell.open), self.min_cross)
            and buy.owner != sell.owner
            and not {buy.owner, sell.owner} & self.restricted
            and (buy.limit is None or mid <= buy.limit)
            and (sell.limit is None or mid >= sell.limit)
            and sell.order_id not in buy.foes
            and not any(o.is_closed or (o.expiry and o.expiry <= self.now) for o in (buy, sell))
        )

    def best(self) -> tuple[int | None, int | None]:
        bids = [b for b, _, _ in self.quotes.values() if b is not None]
        asks = [a for _, a, _ in self.quotes.values() if a is not None]
        return max(bids, default=None), min(asks, default=None)

    def mid(self) -> int | None:
        """The midpoint in half units, if the market is fresh, two-sided, open and wide enough."""
        bid, ask = self.best()
        if bid is None or ask is None or bid >= ask:
            return None
        for side, price in enumerate((bid, ask)):
            if self.now - max(q[2] for q in self.quotes.values() if q[side] == price) > AGE_LIMIT:
                return None
        gain, fee = Decimal(ask - bid), Decimal(bid + ask) * self.fee_bps / 10_000
        return bid + ask if gain >= self.min_improvement and fee <= gain else None

    def expire(self, step: Step) -> None:
        due = {o.order_id for o in self.orders.values() if not o.is_closed and o.expiry and o.expiry <= self.now}
        due = {k for k in due if self.orders[k].filled < self.orders[k].quantity}
        told = {s.order_id for s in step.expired}
        assert told <= due
        for order_id in due:  # the model sees it at once, the core when an event touches the symbol
            self.orders[order_id].close(TicketState.EXPIRED)
        for standing in step.expired:
            assert standing.state in (TicketState.EXPIRED, TicketState.WORKING)
            self.same(standing, self.orders[standing.order_id])

    def same(self, standing: Standing, order: Order) -> None:
        found = (standing.quantity, standing.filled, standing.reserved, standing.open, standing.closed)
        assert found == (order.quantity, order.filled, order.reserved, order.open, order.closed)
        done = order.open == order.reserved == 0
        assert standing.state.is_final == done
        if done:
            assert standing.state is (TicketState.FILLED if order.filled == order.quantity else order.closed_as)

    def live(self) -> list[Order]:
        return [o for o in self.orders.values() if o.open or o.reserved]

    def next_place(self) -> int:
        self.places += 1
        return self.places

    @invariant()
    def quantities_are_conserved(self) -> None:
        if not hasattr(self, "orders"):
            return
        for order in self.live():
            self.same(self.crosser.standing(order.order_id), order)
        assert {c.cross_id for c in self.crosser.pending} == set(self.pending)
        filled = {True: 0, False: 0}
        for order in self.orders.values():
            filled[order.is_buy] += order.filled
        assert filled[True] == filled[False], "what was bought was not what was sold"


CrossingMachine.TestCase.settings = settings(max_examples=400, stateful_step_count=40)
TestCrossingMachine = CrossingMachine.TestCase

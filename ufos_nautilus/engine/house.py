"""The house inside the engine: tickets cross at the midpoint, the desk gets the rest, the market what remains."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, Self

from nautilus_trader.common import DataActor, DataActorConfig
from nautilus_trader.model import (
    ActorId,
    InstrumentId,
    OrderCanceled,
    OrderDenied,
    OrderFilled,
    OrderRejected,
    QuoteTick,
)

from ufos_nautilus.crossing.best_execution import CROSSES_FILE, BestExecutionLog, cross_fee
from ufos_nautilus.crossing.crosser import Crosser
from ufos_nautilus.crossing.grid import Grid
from ufos_nautilus.crossing.residual import Decision, decide, request_quote
from ufos_nautilus.crossing.terms import Cross, CrossingRules, Step
from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.engine.book import Book
from ufos_nautilus.engine.dark import AgreedTerms, Terms, dark_id
from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.house_book import TicketFill
from ufos_nautilus.engine.result import plain
from ufos_nautilus.engine.turns import InTurn
from ufos_nautilus.errors import RunFailedError
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.run_schemas import CROSS_TAG, TICKET_TAG

BLOCK_TAG = "block:"
"""Marks what a book passes on of a block, beside its tickets and what a desk takes."""
UNFILLED = (OrderCanceled, OrderDenied, OrderRejected)


class HouseTrade(NamedTuple):
    """A trade inside the house whose two legs have filled; published on ``house.trades``."""

    trade_id: str
    route: str
    instrument_id: str
    quantity: Decimal
    price: Decimal
    buyer: str
    seller: str
    buy_order: str
    sell_order: str
    fee: Decimal
    """What each side of a cross pays the house, currency; zero for trades with the desk."""
    ts_ns: int


class Pair:
    """Two legs on their way, and what becomes of each."""

    __slots__ = ("cross", "decision", "fills", "gone", "legs", "route", "terms", "ticket", "trade_id")

    def __init__(self, trade_id: str, route: str, legs: dict[str, tuple[Book, Any]], terms: Terms) -> None:
        self.trade_id, self.route, self.legs, self.terms = trade_id, route, legs, terms
        self.fills: dict[str, OrderFilled] = {}
        self.gone: set[str] = set()
        self.cross: Cross | None = None
        self.ticket: Ticket | None = None
        self.decision: Decision | None = None

    @property
    def resolved(self) -> bool:
        """Tell whether both legs have filled or gone."""
        return len(self.fills) + len(self.gone) == len(self.legs)


class House(InTurn, Guarded, DataActor):
    """Crosses tickets and books both legs of every trade.

    Parameters
    ----------
    instruments : mapping
        Lit instruments by id; their roots cross.
    rules : CrossingRules
        What must hold for a cross.
    window_ns : int
        How long a ticket rests in the pool before the desk is asked for what is left; 0 asks at once.
    terms : AgreedTerms
        Shared with the internal venue's fill model.
    record_path : Path
        Where the best-execution record goes.
    run_id : str
        Kept in the record's header.

    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Name the actor for the engine."""
        return super().__new__(cls, DataActorConfig(actor_id=ActorId("HOUSE-ACTOR")))  # pyright: ignore[reportCallIssue] (stub)

    def __init__(
        self,
        instruments: Mapping[str, InstrumentSpec],
        rules: CrossingRules,
        window_ns: int,
        terms: AgreedTerms,
        record_path: Path,
        run_id: str,
    ) -> None:
        self.crosser = Crosser(rules)
        self.books: dict[str, Book] = {}
        self.desks: dict[str, Book] = {}
        """Instrument id -> the desk that is asked for residuals."""
        self.counts = {"crosses": 0, "desk": 0, "aborted": 0, "market": 0}
        self.quantities = {"cross": Decimal(0), "desk": Decimal(0), "market": Decimal(0)}
        self.saved: dict[str, Decimal] = {}
        """What both sides of all crosses together gained against the touch, by currency, before fees."""
        self.sealed: dict[str, Any] = {}
        self._instruments = dict(instruments)
        self._window_ns = window_ns
        self._terms = terms
        self._record = BestExecutionLog(record_path / CROSSES_FILE, run_id=run_id)
        self._pairs: dict[str, Pair] = {}
        self._roots: dict[str, tuple[str, str, Grid, float, float]] = {}
        self._working: dict[str, Ticket] = {}
        self._late: dict[str, dict[str, QuoteTick]] = {}
        """Root -> instrument -> last quote that the crosser has not been told of."""
        self._desk_trades = 0

    @property
    def terms(self) -> AgreedTerms:
        """Return what the internal venue knows of agreed trades."""
        return self._terms

    @property
    def instruments(self) -> dict[str, InstrumentSpec]:
        """Return the lit instruments that cross, by id."""
        return self._instruments

    def on_start(self) -> None:
        """Open a pool per root symbol and watch its market."""
        for name, spec in self._instruments.items():
            grid = Grid.from_instrument(spec)
            self.crosser.add_symbol(spec.symbol, grid)
            scale, size_scale = float(10**grid.price_precision), float(10**grid.size_precision)
            self._roots[name] = (spec.symbol, spec.venue, grid, scale, size_scale)
            self.subscribe_quotes(InstrumentId.from_str(name))
        self.overhear("books.*.fills", self.on_leg_event)
        self.overhear("books.*.orders", self.on_leg_event)

    def on_stop(self) -> None:
        """Seal the best-execution record."""
        seal = self._record.seal()
        self.sealed = {"count": seal.records, "head": seal.head}

    def on_quote(self, quote: QuoteTick) -> None:
        """Take the market and cross what it makes possible; where no ticket rests the last quote is kept for one."""
        name = str(quote.instrument_id)
        root = self._roots[name][0]
        if self.crosser.idle(root):
            self._late.setdefault(root, {})[name] = quote
            return
        self._catch_up(root)
        self._take(self.crosser.on_nbbo(*self._told(name, quote)))

    def _told(self, name: str, quote: QuoteTick) -> tuple[str, str, int, int, int, int, int]:
        root, venue, _, scale, size_scale = self._roots[name]
        return (
            root,
            venue,
            round(float(quote.bid_price) * scale),
            round(float(quote.bid_size) * size_scale),
            round(float(quote.ask_price) * scale),
            round(float(quote.ask_size) * size_scale),
            quote.ts_init,
        )

    def _catch_up(self, root: str) -> None:
        """Tell the crosser of the quotes that came while no ticket rested."""
        for name, quote in self._late.pop(root, {}).items():
            self.crosser.note(*self._told(name, quote))

    def receive(self, ticket: Ticket) -> None:
        """Take a ticket: cross it, ask the desk for the rest after the window, send what remains to the market."""
        now = self.clock.timestamp_ns()
        if not ticket.internalization_flag or ticket.instrument not in self._roots:
            self._to_market(ticket, ticket.quantity)
            return
        self._working[ticket.order_id] = ticket
        self._catch_up(ticket.root)
        self._take(self.crosser.on_ticket(ticket, max(now, self.crosser.now_ns)))
        if ticket.order_id not in self._working:
            return
        if self._window_ns == 0:
            self.end_window(ticket.order_id)
        else:
            self.clock.set_time_alert_ns(
                f"window-{ticket.order_id}",
                now + self._window_ns,
                self.guard(lambda _: self.end_window(ticket.order_id)),
            )

    def cancel(self, order_id: str) -> Decimal:
        """Take what is open of a ticket out of the pool; return how much that was."""
        ticket = self._working.pop(order_id, None)
        if ticket is None:
            return Decimal(0)
        standing = self.crosser.cancel(order_id, max(self.clock.timestamp_ns(), self.crosser.now_ns))
        return self._grid(ticket).size(standing.closed)

    def end_window(self, order_id: str) -> None:
        """Ask the desk for what is left of a ticket; the market gets what the desk does not take."""
        ticket = self._working.get(order_id)
        if ticket is None:
            return
        grid = self._grid(ticket)
        left = self.cancel(order_id)
        if not left:
            return
        now = max(self.clock.timestamp_ns(), self.crosser.now_ns)
        request = request_quote(ticket, grid.size_units(left), self.crosser.nbbo(ticket.root, now))
        desk = self.desks.get(ticket.instrument)
        decision = decide(request, desk.on_quote_request(request) if desk else None, grid)
        if decision.desk and desk is not None and decision.half_units is not None:
            self._sell_to_desk(ticket, decision, desk, grid)
        if decision.market:
            self._to_market(ticket, grid.size(decision.market))

    def figures(self) -> dict[str, Any]:
        """Return counts and quantities by route for the run's summary."""
        quantities = {f"{route}_quantity": plain(q) for route, q in self.quantities.items()}
        saved = {code: plain(v) for code, v in sorted(self.saved.items())}
        return {**self.counts, **quantities, **self.sealed, "saved": saved}

    def allocate(self, ticket: Ticket, giver: str, quantity: Decimal, price: Decimal) -> bool:
        """Pass part of a block that `giver` filled to whom it was traded for, at the price of the fill.

        Returns
        -------
        bool
            Whether both legs were sent; False where a book is missing or its gate refuses, and `giver` keeps it.

        """
        self._desk_trades += 1
        trade_id = f"B-{ticket.root}-{self._desk_trades}"
        other = "SELL" if ticket.intent_side == "BUY" else "BUY"
        tags = [f"{CROSS_TAG}{trade_id}", f"{TICKET_TAG}{ticket.order_id}"]
        made: dict[str, tuple[Book, Any]] = {}
        for side, name, own in ((ticket.intent_side, ticket.book, tags), (other, giver, [f"{BLOCK_TAG}{trade_id}"])):
            book = self.books.get(name)
            order = book.make_leg(dark_id(ticket.root), side, quantity, own) if book is not None else None
            if book is None or order is None:
                self.counts["aborted"] += 1
                return False
            made[side] = (book, order)
        pair = Pair(trade_id, "desk", made, Terms(price, quantity))
        pair.ticket = ticket
        self._send(pair)
        return True

    # legs

    def _take(self, step: Step) -> None:
        for standing in step.expired:
            self._working.pop(standing.order_id, None)
        for cross in step.crosses:
            self._book_cross(cross)

    def _book_cross(self, cross: Cross) -> None:
        legs = {
            "BUY": (cross.buy, self.books.get(cross.buy.book)),
            "SELL": (cross.sell, self.books.get(cross.sell.book)),
        }
        pair = self._make_pair(cross.cross_id, "cross", legs, Terms(cross.price, cross.quantity), cross.root)
        if pair is None:
            self._abort(cross)
            return
        pair.cross = cross
        self._send(pair)

    def _sell_to_desk(self, ticket: Ticket, decision: Decision, desk: Book, grid: Grid) -> None:
        self._desk_trades += 1
        terms = Terms(grid.price(decision.half_units or 0), grid.size(decision.desk))
        other = "SELL" if ticket.intent_side == "BUY" else "BUY"
        legs = {ticket.intent_side: (ticket, self.books.get(ticket.book)), other: (None, desk)}
        pair = self._make_pair(f"D-{ticket.root}-{self._desk_trades}", "desk", legs, terms, ticket.root)
        if pair is None:
            self.counts["aborted"] += 1
            self._to_market(ticket, terms.quantity)
            return
        pair.ticket, pair.decision = ticket, decision
        self._send(pair)

    def _make_pair(self, trade_id: str, route: str, legs: Any, terms: Terms, root: str) -> Pair | None:
        """Make both orders and have both reviewed; None where a book is missing or its gate refuses."""
        made: dict[str, tuple[Book, Any]] = {}
        for side in ("BUY", "SELL"):
            ticket, book = legs[side]
            tags = [f"{CROSS_TAG}{trade_id}"] + ([f"{TICKET_TAG}{ticket.order_id}"] if ticket else [])
            order = book.make_leg(dark_id(root), side, terms.quantity, tags) if book is not None else None
            if book is None or order is None:
                return None
            made[side] = (book, order)
        return Pair(trade_id, route, made, terms)

    def _send(self, pair: Pair) -> None:
        for _, order in pair.legs.values():
            key = str(order.client_order_id)
            self._pairs[key] = pair
            self._terms.arm(key, pair.terms)
        for book, order in pair.legs.values():
            book.send_leg(order)

    def on_leg_event(self, event: Any) -> None:
        """Follow the legs: a leg that goes unfilled takes the terms from the other before the venue sees either."""
        pair = self._pairs.get(str(event.client_order_id))
        if pair is None:
            return
        key = str(event.client_order_id)
        if isinstance(event, OrderFilled):
            pair.fills[key] = event
        elif isinstance(event, UNFILLED):
            pair.gone.add(key)
            for _, order in pair.legs.values():
                self._terms.revoke(str(order.client_order_id))
        if pair.resolved:
            self._finish(pair)

    def _finish(self, pair: Pair) -> None:
        for _, order in pair.legs.values():
            self._terms.revoke(str(order.client_order_id))
            del self._pairs[str(order.client_order_id)]
        if pair.fills and pair.gone:
            raise RunFailedError(
                f"{pair.trade_id} is half booked: one leg filled and the other did not",
                expected="both legs or neither",
                next_step="report this with the run's spec: the internal venue broke its promise",
            )
        if pair.gone:
            self._undo(pair)
        else:
            self._settle(pair)

    def _undo(self, pair: Pair) -> None:
        if pair.cross is not None:
            self._abort(pair.cross)
        elif pair.ticket is not None:
            self.counts["aborted"] += 1
            self._to_market(pair.ticket, pair.terms.quantity)

    def _abort(self, cross: Cross) -> None:
        self.counts["aborted"] += 1
        self.crosser.abort(cross.cross_id)

    def _settle(self, pair: Pair) -> None:
        (buyer, buy), (seller, sell) = pair.legs["BUY"], pair.legs["SELL"]
        fee, tickets = Decimal(0), {}
        if pair.cross is not None:
            fee = cross_fee(pair.cross)
            standings = self.crosser.commit(pair.cross.cross_id)
            self._record.append(pair.cross, buy_fee=fee, sell_fee=fee)
            grid = pair.cross.grid
            gain = 2 * grid.money(pair.cross.improvement_half_units, pair.cross.size)
            self.saved[grid.currency] = self.saved.get(grid.currency, Decimal(0)) + gain
            for ticket, standing in zip((pair.cross.buy, pair.cross.sell), standings, strict=True):
                done = not standing.open and not standing.reserved
                tickets[ticket.order_id] = (ticket, done)
                if done:
                    self._working.pop(ticket.order_id, None)
        elif pair.ticket is not None:
            tickets[pair.ticket.order_id] = (pair.ticket, True)
        self.counts["crosses" if pair.cross else "desk"] += 1
        self.quantities[pair.route] += pair.terms.quantity
        trade = HouseTrade(
            pair.trade_id, pair.route, dark_id(self._root(pair)), pair.terms.quantity, pair.terms.price,
            buyer.book_id, seller.book_id, str(buy.client_order_id), str(sell.client_order_id), fee,
            self.clock.timestamp_ns(),
        )  # fmt: skip
        self.publish_message("house.trades", trade)
        for ticket, done in tickets.values():
            fill = TicketFill(ticket.order_id, pair.route, pair.terms.quantity, pair.terms.price, done)
            self.books[ticket.book].on_ticket_fill(fill)

    def _root(self, pair: Pair) -> str:
        return pair.cross.root if pair.cross else pair.ticket.root if pair.ticket else ""

    def _to_market(self, ticket: Ticket, quantity: Decimal) -> None:
        book = self.books.get(ticket.book)
        if book is not None:
            self.counts["market"] += 1
            self.quantities["market"] += quantity
            book.work_on_market(ticket, quantity)

    def _grid(self, ticket: Ticket) -> Grid:
        return self._roots[ticket.instrument][2]

"""Base class of every book: callbacks guarded, order events republished, all orders through the gate."""

import functools
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Protocol, Self

from nautilus_trader.model import (
    InstrumentId,
    OrderFilled,
    OrderInitialized,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderSide,
    OrderSubmitted,
    Position,
    PositionSide,
    StrategyId,
)
from nautilus_trader.trading import Strategy, StrategyConfig
from pydantic import BaseModel, ConfigDict, Field

from ufos_nautilus.crossing.residual import DeskQuote, QuoteRequest, market_instruction
from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.engine.book_accounts import BookAccounts
from ufos_nautilus.engine.gate import ORDER_METHODS, ClosedGate, Gate, GateDenial, GateRequest, OpenGate, TrackingGate
from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.house_book import TicketFill, market_leg, market_order
from ufos_nautilus.engine.turns import InTurn
from ufos_nautilus.portfolio.securities import Security

OTHER_METHODS = ("close_position", "close_all_positions", "market_exit", "make_leg", "send_leg", "gate")


ON_THEIR_WAY = frozenset({OrderInitialized, OrderSubmitted, OrderPendingUpdate, OrderPendingCancel})
"""Events that only say that a command has left: half of all, and nothing that a listener could act on."""
LISTEN_PRIORITY = 250
"""Priority on the bus of the first book; the others follow. The engine's priorities go up to 255."""


class TicketReceiver(Protocol):
    """Where a book sends its tickets."""

    def receive(self, ticket: Ticket) -> None:
        """Take a ticket."""
        ...


class BookConfig(BaseModel):
    """Parameters that every book has; subclass it and add your own, with units in the names."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    book_id: str = Field(default="BOOK-1", pattern=r"^[A-Z][A-Z0-9]*-[A-Z0-9-]{1,32}$")
    """Upper-case name with a dash; also the engine's strategy id."""
    seed: int = Field(default=0, ge=0)
    """Seed of the book's own random choices; a runner derives it from the run's seed."""


class Book[C: BookConfig](InTurn, Guarded, Strategy):
    """A sub-ledger with its own orders: subclass it, give it a config, override callbacks.

    Orders of a book pass `gate` and then the engine. A subclass that replaces an order method is refused when it is
    defined; `ufos_nautilus.engine.bypass` finds calls around the gate in source. Events are republished on the bus,
    because Python components don't see each other's native ones: fills as ``books.<id>.fills``, all other states of
    orders but those of commands on their way as ``books.<id>.orders``, positions as ``books.<id>.positions``.

    Parameters
    ----------
    config : BookConfig
        Validated parameters; kept as `params`.

    """

    Config: ClassVar[type[BookConfig]] = BookConfig
    """Config model of the class; a run spec's params are validated by it."""
    params: C

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "on_order_event" in vars(cls):
            cls.on_order_event = _heard(vars(cls)["on_order_event"])
        super().__init_subclass__(**kwargs)
        replaced = [m for m in (*ORDER_METHODS, *OTHER_METHODS) if m in vars(cls)]
        if replaced:
            raise TypeError(
                f"{cls.__name__} replaces {', '.join(replaced)}; orders of a book always pass the gate, "
                "so call these methods instead of replacing them"
            )

    def __new__(cls, config: C, *_: Any) -> Self:
        """Give the engine its own part of the configuration."""
        native = StrategyConfig(strategy_id=StrategyId(config.book_id), log_events=False, log_commands=False)
        return super().__new__(cls, native)  # pyright: ignore[reportCallIssue] (the stub lacks __new__)

    def __init__(self, config: C) -> None:
        self.params = config
        self._last_event: Any = None
        self.gate = ClosedGate()
        self.house: TicketReceiver | None = None
        self.rank = 0
        """Place among the run's books."""
        self.accounts: BookAccounts | None = None
        """The book's own part of the ledger, where the run keeps one."""
        self.securities: Mapping[str, Security] = {}
        """What is known of every instrument of the run, by root symbol."""
        self.flows: tuple[Any, ...] = ()
        """What the owner will put in (positive) and take out, in order of time."""
        self.algorithms: frozenset[str] = frozenset()
        """Names of the execution algorithms that instructions may ask for."""
        self.deep_venues: frozenset[str] = frozenset()
        """Venues that match orders against more than the best price."""
        self.ticket_log: Callable[[str, Ticket], None] | None = None
        self.quote_log: Callable[[tuple[Any, ...]], None] | None = None
        self.estimate_log: Callable[[tuple[Any, ...]], None] | None = None
        self._fills_topic = f"books.{config.book_id}.fills"
        self._orders_topic = f"books.{config.book_id}.orders"
        self._positions_topic = f"books.{config.book_id}.positions"
        self._denials_topic = f"books.{config.book_id}.denials"

    @property
    def book_id(self) -> str:
        """Return the book's name."""
        return self.params.book_id

    @property
    def gate(self) -> Gate:
        """Return the gate that reviews every order of the book."""
        return self._gate

    @gate.setter
    def gate(self, gate: Gate) -> None:
        self._gate, self._open = gate, type(gate) is OpenGate
        self._tracker: TrackingGate | None = gate if hasattr(gate, "observe") else None  # type: ignore[assignment]

    # events

    def on_order_event(self, event: Any) -> None:
        """React to an order event; before any override runs, the gate has heard of it and the bus has it."""
        self._hear(event)

    def _hear(self, event: Any) -> None:
        if event is not self._last_event:
            self._last_event = event
            if self._tracker is not None:
                self._tracker.observe(event)
            kind = type(event)
            if kind is OrderFilled:
                self.publish_message(self._fills_topic, event)
            elif kind not in ON_THEIR_WAY:
                self.publish_message(self._orders_topic, event)

    def on_position_event(self, event: Any) -> None:
        """Republish a position event; a subclass that overrides this calls `super().on_position_event(event)`."""
        self.publish_message(self._positions_topic, event)

    def every(self, name: str, interval_ns: int, handler: Callable[[Any], None]) -> None:
        """Call `handler(time_event)` every `interval_ns` of engine time."""
        self.clock.set_timer_ns(self._timer(name), interval_ns, callback=self.guard(handler))

    def at(self, name: str, at_ns: int, handler: Callable[[Any], None]) -> None:
        """Call `handler(time_event)` once, at a moment of engine time in UNIX nanoseconds.

        Books that asked for the same moment are called in the order of the spec: the engine goes by timers' names.
        """
        self.clock.set_time_alert_ns(self._timer(name), at_ns, self.guard(handler))

    def _timer(self, name: str) -> str:
        return f"book-{self.rank:05}-{name}"

    def listen(self, topic: str, handler: Callable[[Any], None]) -> None:
        """Call `handler(message)` for every message on the bus whose topic matches, for example ``books.*.orders``.

        Books that listen to the same topic hear it in the order in which the spec has them: the engine starts them in
        an order of its own that differs from run to run.
        """
        self.subscribe_topic(topic, self.guard(handler), max(0, LISTEN_PRIORITY - self.rank))

    # the house

    def send_ticket(self, ticket: Ticket) -> None:
        """State an intent to trade: it crosses inside the house where there is one, else it goes to the market."""
        if self.ticket_log is not None:
            self.ticket_log(self.book_id, ticket)
        if self.house is None:
            self.work_on_market(ticket, ticket.quantity)
        else:
            self.house.receive(ticket)

    def work_on_market(self, ticket: Ticket, quantity: Decimal) -> None:
        """Work what is left of a ticket on the lit market, as its instruction says."""
        algorithm, parameters = market_instruction(ticket)
        self.submit_order(market_order(self, ticket, quantity, algorithm, parameters))

    def on_ticket_fill(self, fill: TicketFill) -> None:
        """React to a piece of a ticket that traded inside the house; override where it matters."""

    def on_cash_flow(self, flow: Any) -> None:
        """React to a deposit or withdrawal that was just made; override where it matters."""

    def on_quote_request(self, request: QuoteRequest) -> DeskQuote | None:
        """Answer a request for a quote on a residual; None unless a desk overrides it."""
        return None

    def make_leg(self, instrument_id: str, side: str, quantity: Decimal, tags: list[str]) -> Any:
        """Return a reviewed leg of a trade inside the house, or None where the gate refuses; nothing is sent."""
        instrument: Any = self.cache.instrument(InstrumentId.from_str(instrument_id))
        order = market_leg(self, instrument_id, side, quantity, instrument.size_precision, tags)
        return order if self._passes("leg", order) else None

    def send_leg(self, order: Any) -> None:
        """Send a leg that `make_leg` had reviewed."""
        if self._tracker is not None:
            self._tracker.commit(order)
        super().submit_order(order)

    def figures(self) -> dict[str, Any]:
        """Return what the book counted about itself, as plain data for the run's result; nothing unless overridden."""
        return {}

    # orders: everything below passes the gate

    def submit_order(self, order: Any, position_id: Any = None, client_id: Any = None, params: Any = None) -> None:
        """Send one order if the gate lets it pass."""
        if self._open or self._passes("submit", order):
            super().submit_order(order, position_id, client_id, params)

    def submit_order_list(
        self, order_list: Any, position_id: Any = None, client_id: Any = None, params: Any = None
    ) -> None:
        """Send orders together (those of `order_factory.bracket`, say) if the gate lets all pass; else none is sent."""
        if self._all_pass([("submit", order, None, None, None) for order in order_list]):
            super().submit_order_list(order_list, position_id, client_id, params)

    def modify_order(
        self,
        client_order_id: Any,
        quantity: Any = None,
        price: Any = None,
        trigger_price: Any = None,
        client_id: Any = None,
        params: Any = None,
    ) -> None:
        """Change a working order if the gate lets the changed order pass."""
        if self._open:
            super().modify_order(client_order_id, quantity, price, trigger_price, client_id, params)
            return
        order = self.cache.order(client_order_id)
        if order is not None and self._passes("modify", order, quantity, price, trigger_price):
            try:
                super().modify_order(client_order_id, quantity, price, trigger_price, client_id, params)
            except BaseException:
                self._release([self._request("modify", order)])
                raise

    def modify_orders(self, updates: Sequence[Any] = (), client_id: Any = None, params: Any = None) -> None:
        """Change several working orders if the gate lets every one pass; else none is changed."""
        found = [(self.cache.order(update[0]), update) for update in updates]
        if all(o is not None for o, _ in found) and self._all_pass([("modify", o, *u[1:4]) for o, u in found]):
            try:
                super().modify_orders(updates, client_id, params)
            except BaseException:
                self._release([self._request("modify", o) for o, _ in found])
                raise

    def close_position(self, position: Position, *_: Any, **__: Any) -> None:
        """Close a position with a reduce-only market order that passes the gate like any other."""
        side = OrderSide.SELL if position.side == PositionSide.LONG else OrderSide.BUY
        order = self.order_factory.market(position.instrument_id, side, position.quantity, reduce_only=True)
        self.submit_order(order)

    def close_all_positions(self, instrument_id: Any, position_side: Any = None, *_: Any, **__: Any) -> None:
        """Close all positions of this book in an instrument through the gate."""
        for position in self.cache.positions_open(instrument_id=instrument_id, strategy_id=self.strategy_id):
            if position_side is None or position.side == position_side:
                self.close_position(position)

    def market_exit(self) -> None:
        """Cancel every order and close every position of this book through the gate."""
        positions = self.cache.positions_open(strategy_id=self.strategy_id)
        orders = self.cache.orders(strategy_id=self.strategy_id)
        ids = {o.instrument_id for o in orders if not o.is_closed} | {p.instrument_id for p in positions}
        for instrument_id in sorted(ids, key=str):
            self.cancel_all_orders(instrument_id)
        for position in positions:
            self.close_position(position)

    def _all_pass(self, wishes: Sequence[tuple[Any, ...]]) -> bool:
        """Review several requests; where one is denied the gate forgets those it had let pass."""
        passed = [self._request(*wish) for wish in wishes if self._passes(*wish)]
        if len(passed) == len(wishes):
            return True
        self._release(passed)
        return False

    def _release(self, requests: Sequence[GateRequest]) -> None:
        """Tell the gate that what it let pass was not sent: another was denied, or the engine refused the command."""
        for request in requests if self._tracker is not None else ():
            self._tracker.release(request)  # type: ignore[union-attr]

    def _request(
        self, action: str, order: Any, quantity: Any = None, price: Any = None, trigger: Any = None
    ) -> GateRequest:
        return GateRequest(self.params.book_id, action, order, quantity, price, trigger, self.clock.timestamp_ns())

    def _passes(self, action: str, order: Any, quantity: Any = None, price: Any = None, trigger: Any = None) -> bool:
        reason = self._gate.review(self._request(action, order, quantity, price, trigger))
        if reason is None:
            return True
        denial = GateDenial(
            self.params.book_id,
            action,
            str(order.client_order_id),
            str(order.instrument_id),
            reason,
            self.clock.timestamp_ns(),
        )
        self.publish_message(self._denials_topic, denial)
        self.on_gate_denial(denial)
        return False

    def on_gate_denial(self, denial: GateDenial) -> None:
        """React to an order that the gate denied; override where it matters."""


def _heard(handler: Callable[..., None]) -> Callable[..., None]:
    """Wrap an override of `on_order_event`, so that no book can keep an event from gate and ledger by forgetting."""

    @functools.wraps(handler)
    def heard(self: Any, event: Any) -> None:
        self._hear(event)
        handler(self, event)

    return heard

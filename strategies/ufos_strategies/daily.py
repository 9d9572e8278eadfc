"""Base of books that act once a session on daily data: positions they want become tickets."""

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Any, ClassVar, Literal

from nautilus_trader.model import InstrumentId, OrderCanceled, OrderDenied, OrderFilled, OrderRejected, OrderSide
from pydantic import Field

from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.engine import Book, BookConfig, GateDenial
from ufos_nautilus.errors import SpecError
from ufos_strategies.actors.daily_panel import CLOSE_TOPIC, SESSION_TOPIC, PanelClose, PanelSession

ZERO = Decimal(0)
GONE = (OrderCanceled, OrderDenied, OrderRejected)
SPLIT = "split:"
BLOCKS_TOPIC = "blocks"


class DailyConfig(BookConfig):
    """Parameters of every daily book."""

    instrument_ids: list[str] = Field(default_factory=list)
    """What it may trade; empty for every instrument of the run."""
    currency: str = "USD"
    """Its base currency."""
    internalize: bool = True
    """Whether tickets may cross inside the house."""
    algorithm: Literal["MARKET", "TWAP", "POV", "VWAP"] = "MARKET"
    """How a residual is worked on the market."""
    instruction: dict[str, str | float | int] = Field(default_factory=dict)
    """More for whoever works it, for example {horizon_secs = 600, interval_secs = 60}."""
    through: str = ""
    """Book of class `ufos_strategies.block:BlockBook` that trades for it together with others; empty for itself."""
    min_ticket_value: Decimal = Field(default=Decimal(500), ge=0)
    """Smaller changes wait, unless they close a position, currency."""


class DailyBook[C: DailyConfig](Book[C]):
    """Subclass it and override `on_session` and, where history is needed, `on_close`.

    It needs the actor ``ufos_strategies.actors.daily_panel:DailyPanel`` in the run, whose messages are its clock, and
    the ledger, which says what it holds.
    """

    Config: ClassVar[type[BookConfig]] = DailyConfig
    kind: ClassVar[Literal["client", "strategy"]] = "strategy"
    """Whose tickets they are."""

    def __init__(self, config: C) -> None:
        super().__init__(config)
        self.outstanding: dict[str, Decimal] = {}
        """Root symbol -> signed units that were sent and are neither filled nor gone."""
        self.sessions = 0
        self.counts: dict[str, Any] = {"tickets": 0}
        self._names: dict[str, str] = {}
        self._lots: dict[str, Decimal] = {}
        self._worked: dict[str, tuple[str, Decimal]] = {}

    def on_start(self) -> None:
        """Learn the universe and listen to the panel."""
        if self.accounts is None:
            raise SpecError(f"book {self.book_id} needs the ledger", expected="[ledger] enabled = true")
        names = self.params.instrument_ids or [s.instrument_id for s in self.securities.values()]
        for name in names:
            instrument: Any = self.cache.instrument(InstrumentId.from_str(name))
            symbol = name.rpartition(".")[0]
            self._names[symbol] = name
            self._lots[symbol] = instrument.size_increment.as_decimal()
        self.listen(SESSION_TOPIC, self._session)
        self.listen(CLOSE_TOPIC, self.on_close)

    def on_stop(self) -> None:
        """Refuse a run in which no session ever came."""
        if not self.sessions:
            raise SpecError(
                f"book {self.book_id} never had a session",
                expected="quotes, and an [[actors]] entry of ufos_strategies.actors.daily_panel:DailyPanel",
            )

    def _session(self, session: PanelSession) -> None:
        self.sessions += 1
        self.on_session(session)

    def on_session(self, session: PanelSession) -> None:
        """Act: the market of the moment is `session.marks`."""

    def on_close(self, close: PanelClose) -> None:
        """Take note of a day's closes."""

    # what it has

    @property
    def universe(self) -> list[str]:
        """Return the root symbols it may trade."""
        return list(self._names)

    def lot(self, symbol: str) -> Decimal:
        """Return the smallest quantity of a symbol."""
        return self._lots[symbol]

    def held(self) -> dict[str, Decimal]:
        """Return root symbol -> signed units, as the ledger has them."""
        return self.accounts.holdings() if self.accounts is not None else {}

    def cash(self) -> Decimal:
        """Return what it could spend."""
        return self.accounts.cash(self.params.currency) if self.accounts is not None else ZERO

    def nav(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return cash plus holdings at the given marks; a holding without one counts at its last."""
        total = self.cash()
        for symbol, units in self.held().items():
            mark = marks.get(symbol)
            if mark is None:
                mark = self.last_mark(symbol)
            total += units * mark
        return total

    def last_mark(self, symbol: str) -> Decimal:
        """Return the last midpoint of a symbol, however old; zero where there never was one."""
        quote = self.cache.quote(InstrumentId.from_str(self._names[symbol]))
        return ZERO if quote is None else (quote.bid_price.as_decimal() + quote.ask_price.as_decimal()) / 2

    # what it wants

    def send_weights(self, weights: Mapping[str, float], marks: Mapping[str, Decimal], base: Decimal) -> None:
        """Send tickets that take every position to a weight of `base` (currency); what is not named goes to zero."""
        units: dict[str, Decimal] = {}
        for symbol, weight in weights.items():
            mark = marks.get(symbol)
            if mark:
                lot = self._lots[symbol]
                sign = 1 if weight >= 0 else -1
                size = Decimal(f"{abs(weight):.8f}") * base / mark
                units[symbol] = sign * (size / lot).to_integral_value(ROUND_FLOOR) * lot
        self.send_positions(units, marks)

    def send_positions(self, wanted: Mapping[str, Decimal], marks: Mapping[str, Decimal]) -> None:
        """Send tickets for the distance between what is held or under way and `wanted` (signed units)."""
        held = self.held()
        for symbol in sorted(held.keys() | wanted.keys()):
            target = wanted.get(symbol, ZERO)
            change = target - held.get(symbol, ZERO) - self.outstanding.get(symbol, ZERO)
            mark = marks.get(symbol)
            if not change or mark is None:
                continue
            if target and abs(change) * mark < self.params.min_ticket_value:
                continue
            self.send(symbol, change)

    def send(self, symbol: str, change: Decimal) -> None:
        """Send one ticket for a signed change."""
        self.counts["tickets"] += 1
        self.outstanding[symbol] = self.outstanding.get(symbol, ZERO) + change
        client = self.kind == "client"
        order_id = f"{self.book_id}-{self.counts['tickets']}"
        ticket = Ticket(
            order_id=order_id,
            instrument=self._names[symbol],
            intent_side="BUY" if change > 0 else "SELL",
            quantity=abs(change),
            ts_ns=self.clock.timestamp_ns(),
            desk_id="IB",
            exec_instruction={"algorithm": self.params.algorithm, **self.params.instruction},
            internalization_flag=self.params.internalize,
            client_id=self.book_id if client else "",
            strategy_tag="" if client else self.book_id,
        )
        if self.params.through:
            self.publish_message(f"{BLOCKS_TOPIC}.{self.params.through}", ticket)
        else:
            self.send_ticket(ticket)

    # what became of it

    def on_order_event(self, event: Any) -> None:
        """Count fills, and what is gone without one."""
        if isinstance(event, OrderFilled):
            symbol = event.instrument_id.symbol.value
            quantity = event.last_qty.as_decimal()
            self._settle(symbol, quantity if event.order_side == OrderSide.BUY else -quantity)
        elif isinstance(event, GONE) and event.instrument_id.venue.value != "DARK":
            order = self.cache.order(event.client_order_id)
            if order is not None and order.exec_algorithm_id is None:
                left = order.leaves_qty.as_decimal()
                self._settle(event.instrument_id.symbol.value, left if order.side == OrderSide.BUY else -left)

    def on_gate_denial(self, denial: GateDenial) -> None:
        """Forget what the gate refused; the next session tries again if it is still wanted."""
        self.counts["denied"] = self.counts.get("denied", 0) + 1
        if not denial.instrument_id.endswith(".DARK"):
            self.outstanding.pop(denial.instrument_id.rpartition(".")[0], None)

    def _settle(self, symbol: str, signed: Decimal) -> None:
        left = self.outstanding.get(symbol, ZERO) - signed
        if left and self.outstanding.get(symbol, ZERO) * signed > 0:
            self.outstanding[symbol] = left
        else:
            self.outstanding.pop(symbol, None)

    def figures(self) -> dict[str, Any]:
        """Return counts for the run's result."""
        return {"sessions": self.sessions, **self.counts}

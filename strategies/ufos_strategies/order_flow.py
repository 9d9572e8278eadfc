"""Seeded order flow of a client or a strategy: tickets at Poisson times, so that the house has something to cross."""

import math
from datetime import UTC, datetime, time
from decimal import Decimal
from random import Random
from typing import Any, ClassVar, Literal

from nautilus_trader.model import InstrumentId
from pydantic import Field

from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.engine import Book, BookConfig

NS_PER_S = 1_000_000_000


class OrderFlowConfig(BookConfig):
    """Parameters of a flow."""

    instrument_ids: list[str] = Field(min_length=1)
    """What it trades, each with the same probability."""
    kind: Literal["client", "strategy"] = "client"
    """Whose flow it is: decides which field of the ticket names the owner."""
    tickets_per_hour: float = Field(default=60.0, gt=0, le=360_000)
    """Mean arrival rate."""
    mean_quantity: Decimal = Field(default=Decimal(200), gt=0)
    """Mean size of a ticket, units; sizes are exponential, rounded to whole lots."""
    max_position: Decimal = Field(default=Decimal(5_000), gt=0)
    """A ticket that would take the position beyond this turns its side around."""
    momentum: float = Field(default=0.0, ge=-1, le=1)
    """Tilt towards buying after a rise of the last minute (negative: against it)."""
    open_utc: time = time.min
    """First time of the day at which tickets are sent, UTC, for example 13:30."""
    close_utc: time = time.max
    """Time of the day from which none is sent."""
    internalize: bool = True
    """Whether tickets may cross inside the house."""
    algorithm: Literal["MARKET", "TWAP", "POV", "VWAP"] = "TWAP"
    """How a residual is worked on the market."""
    horizon_s: float = Field(default=60.0, gt=0)
    """Time in which a residual is worked, seconds."""
    interval_s: float = Field(default=10.0, gt=0)
    """Time between slices, seconds."""
    participation_rate: float = Field(default=0.1, gt=0, lt=1)
    """Share of the market's volume, POV only."""


class OrderFlow(Book[OrderFlowConfig]):
    """Sends tickets at exponential intervals; the same seed gives the same tickets on the same market."""

    Config: ClassVar[type[BookConfig]] = OrderFlowConfig

    def __init__(self, config: OrderFlowConfig) -> None:
        super().__init__(config)
        self._rng = Random(config.seed)
        self._sent = 0
        self._positions: dict[str, Decimal] = {}
        self._anchor: dict[str, tuple[int, float]] = {}

    def on_start(self) -> None:
        """Subscribe to the market and schedule the first ticket."""
        for name in self.params.instrument_ids:
            self.subscribe_quotes(InstrumentId.from_str(name))
        self._schedule()

    def on_quote(self, quote: Any) -> None:
        """Do nothing: the market is read when a ticket is due."""

    def _schedule(self) -> None:
        wait_s = self._rng.expovariate(self.params.tickets_per_hour / 3600.0)
        at = self.clock.timestamp_ns() + max(1, round(wait_s * NS_PER_S))
        self.at(f"ticket-{self._sent}", at, self._on_alert)

    def _on_alert(self, _: Any) -> None:
        self._sent += 1
        ticket = self._make_ticket()
        if ticket is not None:
            self._count(ticket)
            self.send_ticket(ticket)
        self._schedule()

    def _make_ticket(self) -> Ticket | None:
        p, rng = self.params, self._rng
        name = p.instrument_ids[rng.randrange(len(p.instrument_ids))]
        draw, size = rng.random(), -math.log(1.0 - rng.random())
        instrument_id = InstrumentId.from_str(name)
        instrument, quote = self.cache.instrument(instrument_id), self.cache.quote(instrument_id)
        of_day = datetime.fromtimestamp(self.clock.timestamp_ns() / NS_PER_S, UTC).time()
        if instrument is None or quote is None or not p.open_utc <= of_day < p.close_utc:
            return None
        lot = instrument.size_increment.as_decimal()
        lots = max(1, round(size * float(p.mean_quantity / lot)))
        quantity = min(lot * lots, p.max_position)
        side = "BUY" if draw < 0.5 + 0.5 * p.momentum * self._trend(name, quote) else "SELL"
        held = self._positions.get(name, Decimal(0))
        if abs(held + (quantity if side == "BUY" else -quantity)) > p.max_position:
            side = "SELL" if side == "BUY" else "BUY"
        client = p.kind == "client"
        instruction: dict[str, Any] = {"algorithm": p.algorithm}
        if p.algorithm != "MARKET":
            instruction |= {"horizon_secs": p.horizon_s, "interval_secs": p.interval_s}
        if p.algorithm == "POV":
            instruction["participation_rate"] = p.participation_rate
        return Ticket(
            order_id=f"{p.book_id}-{self._sent}",
            instrument=name,
            intent_side=side,
            quantity=quantity,
            ts_ns=self.clock.timestamp_ns(),
            desk_id="IB",
            exec_instruction=instruction,
            internalization_flag=p.internalize,
            client_id=p.book_id if client else "",
            strategy_tag="" if client else p.book_id,
        )

    def _trend(self, name: str, quote: Any) -> float:
        """Return 1 after a rise of the last minute, -1 after a fall, 0 otherwise."""
        now, mid = quote.ts_init, float(quote.bid_price) + float(quote.ask_price)
        then, before = self._anchor.setdefault(name, (now, mid))
        if now - then > 60 * NS_PER_S:
            self._anchor[name] = (now, mid)
        return float((mid > before) - (mid < before))

    def _count(self, ticket: Ticket) -> None:
        signed = ticket.quantity if ticket.intent_side == "BUY" else -ticket.quantity
        self._positions[ticket.instrument] = self._positions.get(ticket.instrument, Decimal(0)) + signed

"""The books and the feed of the kill-switch drill: orders that rest, and a strategy that does not come back."""

import asyncio
import time
from decimal import Decimal
from typing import Any, ClassVar, Literal

from nautilus_trader.config import DataClientConfig
from nautilus_trader.live.clients import DataClientFactory, MarketDataClient
from nautilus_trader.model import (
    InstrumentId,
    OrderAccepted,
    OrderCanceled,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    Venue,
)

from ufos_nautilus.engine.book import Book, BookConfig
from ufos_nautilus.engine.instruments import to_engine
from ufos_nautilus.market.instruments import InstrumentSpec

VENUE = "XSIM"
QUOTE_S = 0.025
"""Time between two quotes of one instrument."""
BUSY_S = 0.020
"""Time a busy book takes for a quote."""
PRICE, CRASH = Decimal("100.00"), Decimal("80.00")
HELD = 2_000
"""Units held while a crash is drilled."""
Mode = Literal["idle", "busy", "stuck"]


def drill_instruments(count: int) -> list[InstrumentSpec]:
    """Return equal shares on one venue."""
    return [
        InstrumentSpec(
            instrument_id=f"S{n:03d}.{VENUE}", kind="equity", base=f"S{n:03d}", quote="USD", settlement="USD",
            tick_size=Decimal("0.01"), lot_size=Decimal(1), price_precision=2, size_precision=0,
        )
        for n in range(count)
    ]  # fmt: skip


class Market:
    """What the feed quotes, and what happens to the drill's orders.

    Parameters
    ----------
    instruments : list of InstrumentSpec
        All of one venue.
    orders : int
        Resting orders of a round, over all books.

    """

    def __init__(self, instruments: list[InstrumentSpec], orders: int) -> None:
        self.instruments, self.orders = instruments, orders
        self.price = PRICE
        self.mode: Mode = "idle"
        self.holding = False
        self.accepted = self.cancelled = 0
        self.resting: set[Any] = set()
        self.handed_ns = self.acknowledged_ns = self.crashed_ns = 0
        self.quotes = 0
        self._place: Any = None
        self.changed = asyncio.Event()

    def begin(self, *, hold: bool) -> None:
        """Forget the last round; the books place their orders at the next quote."""
        self.price, self.mode = PRICE, "idle"
        self.accepted = self.cancelled = self.acknowledged_ns = self.handed_ns = self.crashed_ns = 0
        self.resting.clear()
        self._place, self.holding = None, hold
        self.changed.set()

    def on_event(self, event: Any) -> None:
        """Count an event of an order that was to rest, without delaying the next one."""
        kind = type(event)
        if kind is OrderCanceled and event.client_order_id in self.resting:
            self.cancelled += 1
            if event.instrument_id != self._place:
                # The client answers one cancel command after the other, each for all orders of a book in an instrument:
                # once the first order of the last command is gone, that command was handed over.
                self._place, self.handed_ns = event.instrument_id, event.ts_event
            if self.cancelled == self.orders:
                self.acknowledged_ns = time.time_ns()
                self.changed.set()
        elif kind is OrderAccepted and event.client_order_id in self.resting:
            self.accepted += 1
            if self.accepted == self.orders:
                self.changed.set()

    async def until(self, what: str) -> None:
        """Wait until all orders rest (``"accepted"``) or are gone (``"cancelled"``)."""
        while getattr(self, what) < self.orders:
            self.changed.clear()
            await self.changed.wait()


class DrillConfig(BookConfig):
    """How many orders the book lays out."""

    orders: int = 500
    first: bool = False
    """Holds the position and does what the drill's mode says."""


class DrillBook(Book[DrillConfig]):
    """Lays out orders far from the market and, where told to, keeps the engine's thread for itself."""

    Config: ClassVar[type[BookConfig]] = DrillConfig
    market: ClassVar[Market]

    def on_start(self) -> None:
        """Subscribe to every instrument."""
        for spec in self.market.instruments:
            self.subscribe_quotes(InstrumentId.from_str(spec.instrument_id))

    def lay_out(self) -> None:
        """Place the round's orders, each well below the market."""
        ids = [InstrumentId.from_str(s.instrument_id) for s in self.market.instruments]
        if self.market.holding and self.params.first:
            self.submit_order(self.order_factory.market(ids[0], OrderSide.BUY, Quantity.from_str(str(HELD))))
        for n in range(self.params.orders):
            price = Price.from_str(f"{60 + (n % 500) / 100:.2f}")
            order = self.order_factory.limit(ids[n % len(ids)], OrderSide.BUY, Quantity.from_str("1"), price)
            self.market.resting.add(order.client_order_id)
            self.submit_order(order)

    def on_quote(self, quote: Any) -> None:
        """Be idle, busy, or never come back."""
        if not self.params.first:
            return
        self.market.quotes += 1
        if self.market.mode == "busy":
            until = time.perf_counter() + BUSY_S
            while time.perf_counter() < until:
                pass
        while self.market.mode == "stuck":
            pass

    def on_order_event(self, event: Any) -> None:
        """Count what becomes of the orders."""
        self.market.on_event(event)


class FeedConfig(DataClientConfig):
    """Of the feed."""


class Feed(MarketDataClient):
    """Quotes every instrument at the market's price."""

    market: ClassVar[Market]

    def __init__(self, *, name: Any, config: Any, cache: Any, clock: Any) -> None:
        super().__init__(name=name, config=config, cache=cache, clock=clock, venue=Venue(VENUE))
        self._started = False

    async def _connect(self) -> None:
        for spec in self.market.instruments:
            self._handle_instrument(to_engine(spec))

    async def _disconnect(self) -> None:
        self._started = False

    async def _subscribe_quotes(self, command: Any) -> None:
        if not self._started:
            self._started = True
            self.create_task(self._quote())

    async def _unsubscribe_quotes(self, command: Any) -> None: ...

    async def _quote(self) -> None:
        ids = [InstrumentId.from_str(s.instrument_id) for s in self.market.instruments]
        size = Quantity.from_str("100000")
        while self._started:
            bid, ask = Price.from_str(f"{self.market.price}"), Price.from_str(f"{self.market.price + Decimal('0.02')}")
            # The busy book hears one quote at a time, so that it is late by one and not by more and more.
            for instrument_id in ids if self.market.mode == "idle" else ids[:1]:
                now = time.time_ns()
                if self.market.price != PRICE and not self.market.crashed_ns:
                    self.market.crashed_ns = now
                self._handle_data(QuoteTick(instrument_id, bid, ask, size, size, now, now))
            await asyncio.sleep(QUOTE_S)


class FeedFactory(DataClientFactory):
    """Makes the feed."""

    @staticmethod
    def create(*, name: Any, config: Any, cache: Any, clock: Any) -> Feed:
        """Return the feed."""
        return Feed(name=name, config=config, cache=cache, clock=clock)

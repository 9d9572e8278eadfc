"""Books that only benchmarks need."""

import time
from collections import deque
from pathlib import Path
from typing import Any, ClassVar

from nautilus_trader.model import Bar, BarType, BookType, InstrumentId, OrderBookDeltas, OrderSide
from pydantic import Field

from ufos_nautilus.engine import Book, BookConfig


class BookWatcherConfig(BookConfig):
    """Parameters of `BookWatcher`."""

    instrument_id: str
    """Whose order book is kept."""


class BookWatcher(Book[BookWatcherConfig]):
    """Has the engine keep an order book and does nothing with it: what a desk can't do without."""

    Config: ClassVar[type[BookConfig]] = BookWatcherConfig

    def on_start(self) -> None:
        """Subscribe."""
        self.subscribe_book_deltas(InstrumentId.from_str(self.params.instrument_id), BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: OrderBookDeltas) -> None:
        """Do nothing."""


class FirstEventConfig(BookWatcherConfig):
    """Parameters of `FirstEvent`."""

    note: str
    """File that gets the time."""


class FirstEvent(Book[FirstEventConfig]):
    """Writes down the time of day, nanoseconds, at the first event of the order book."""

    Config: ClassVar[type[BookConfig]] = FirstEventConfig

    def on_start(self) -> None:
        """Subscribe."""
        self._waiting = True
        self.subscribe_book_deltas(InstrumentId.from_str(self.params.instrument_id), BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: OrderBookDeltas) -> None:
        """Write once."""
        if self._waiting:
            self._waiting = False
            Path(self.params.note).write_text(str(time.time_ns()), encoding="utf-8")


class SmaCrossConfig(BookConfig):
    """Parameters of `SmaCross`."""

    bar_type: str
    """Which bars, for example BTC-PERP.FTX-1-MINUTE-LAST-EXTERNAL."""
    size: str = "1"
    """Size of the position, units of the instrument."""
    fast: int = Field(default=10, ge=1)
    """Bars of the fast average."""
    slow: int = Field(default=50, ge=2)
    """Bars of the slow average."""


class SmaCross(Book[SmaCrossConfig]):
    """Long above, short below: a market order whenever the averages of the close have crossed."""

    Config: ClassVar[type[BookConfig]] = SmaCrossConfig

    def on_start(self) -> None:
        """Subscribe."""
        p = self.params
        bar_type = BarType.from_str(p.bar_type)
        self.instrument_id = bar_type.instrument_id
        instrument = self.cache.instrument(self.instrument_id)
        self._size = {n: instrument.make_qty(n * float(p.size)) for n in (1, 2)}
        # The oldest close of each window is at its left end, zeros before there are enough.
        self._fast, self._slow = deque([0.0] * p.fast, p.fast), deque([0.0] * p.slow, p.slow)
        self._fast_sum = self._slow_sum = 0.0
        self._slow_per_fast, self._missing = p.slow / p.fast, p.slow
        self._side = 0
        self.subscribe_bars(bar_type)

    def on_bar(self, bar: Bar) -> None:
        """Move both sums by one bar and turn the position around where they have crossed."""
        close, fast, slow = float(bar.close), self._fast, self._slow
        self._fast_sum = fast_sum = self._fast_sum + close - fast[0]
        self._slow_sum = slow_sum = self._slow_sum + close - slow[0]
        fast.append(close)
        slow.append(close)
        if self._missing > 1:
            self._missing -= 1
            return
        side = 1 if fast_sum * self._slow_per_fast > slow_sum else -1
        if side != self._side:
            self._turn(side)

    def _turn(self, side: int) -> None:
        size: Any = self._size[2 if self._side else 1]
        self._side = side
        order = self.order_factory.market(self.instrument_id, OrderSide.BUY if side > 0 else OrderSide.SELL, size)
        self.submit_order(order)


class OrderEachBarConfig(BookConfig):
    """Parameters of `OrderEachBar`."""

    bar_type: str
    """Which bars."""


class OrderEachBar(Book[OrderEachBarConfig]):
    """Buys at one bar and sells at the next: as many orders as there are bars."""

    Config: ClassVar[type[BookConfig]] = OrderEachBarConfig

    def on_start(self) -> None:
        """Subscribe."""
        bar_type = BarType.from_str(self.params.bar_type)
        self.instrument_id = bar_type.instrument_id
        self._size: Any = self.cache.instrument(self.instrument_id).make_qty(1.0)
        self._sides = (OrderSide.BUY, OrderSide.SELL)
        self.subscribe_bars(bar_type)

    def on_bar(self, bar: Bar) -> None:
        """Send an order."""
        self.submit_order(self.order_factory.market(self.instrument_id, self._sides[0], self._size))
        self._sides = self._sides[::-1]

"""A book that makes the engine stop on an error of its own: it purges an order that is still on its way."""

from typing import Any, ClassVar

from nautilus_trader.model import InstrumentId, OrderSide, Price, Quantity

from ufos_nautilus.engine import Book, BookConfig


class PurgingBook(Book[BookConfig]):
    """Sends one order at the fifth quote and purges it at once."""

    Config: ClassVar[type[BookConfig]] = BookConfig

    def __init__(self, config: BookConfig) -> None:
        super().__init__(config)
        self.quotes = 0

    def on_start(self) -> None:
        self.subscribe_quotes(InstrumentId.from_str("SIM-PERP.SIM"))

    def on_quote(self, quote: Any) -> None:
        self.quotes += 1
        if self.quotes == 5:
            self.order = self.order_factory.limit(
                quote.instrument_id, OrderSide.BUY, Quantity.from_str("1.00"), Price.from_str("110.00")
            )
            self.submit_order(self.order)
        elif self.quotes == 6:
            self.cancel_order(self.order.client_order_id)
        elif self.quotes == 9:
            self.cache.purge_closed_orders(self.clock.timestamp_ns(), 0)

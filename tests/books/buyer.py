"""A book that buys one unit at every quote."""

from typing import Any, ClassVar

from nautilus_trader.model import InstrumentId, OrderSide, Quantity

from ufos_nautilus.engine import Book, BookConfig


class BuyerConfig(BookConfig):
    """What it buys."""

    instrument_id: str = "AAAA.XSIM"


class Buyer(Book[BuyerConfig]):
    """Buys and never sells."""

    Config: ClassVar[type[BookConfig]] = BuyerConfig

    def on_start(self) -> None:
        self.subscribe_quotes(InstrumentId.from_str(self.params.instrument_id))

    def on_quote(self, quote: Any) -> None:
        self.submit_order(self.order_factory.market(quote.instrument_id, OrderSide.BUY, Quantity.from_str("1")))

"""An honest strategy: buys after three rising trades of buyers in a row, sells when five seconds are over."""

from decimal import Decimal

from nautilus_trader.model import AggressorSide, InstrumentId, OrderSide

from ufos_nautilus.engine import Book, BookConfig


class FollowConfig(BookConfig):
    instrument_id: str
    size: Decimal = Decimal("0.01")
    rising: int = 3


class Follow(Book):
    """Follows a rising market for seconds."""

    Config = FollowConfig

    def on_start(self):
        self.name = InstrumentId.from_str(self.params.instrument_id)
        self.instrument = self.cache.instrument(self.name)
        self.rising, self.last, self.held = 0, None, False
        self.subscribe_trades(self.name)
        self.every("out", 5_000_000_000, self.on_timer)

    def on_trade(self, trade):
        up = self.last is not None and trade.price > self.last
        self.rising = self.rising + 1 if up and trade.aggressor_side == AggressorSide.BUY else 0
        self.last = trade.price
        if self.rising >= self.params.rising and not self.held:
            self.held = True
            self.send(OrderSide.BUY)

    def on_timer(self, _):
        if self.held:
            self.held = False
            self.send(OrderSide.SELL)

    def send(self, side):
        self.submit_order(self.order_factory.market(self.name, side, self.instrument.make_qty(self.params.size)))

"""A forger: adds a million to the final balance, in the message that leaves the container."""

from decimal import Decimal

from nautilus_trader.model import InstrumentId, OrderSide

from ufos_nautilus.engine import Book, BookConfig
from ufos_sandbox.guest import worker


class TurnConfig(BookConfig):
    instrument_id: str
    every: int = 40


class Turn(Book):
    """Buys and sells in turn, at every so many trades: honest, so that there is something to forge."""

    Config = TurnConfig

    def on_start(self):
        self.name = InstrumentId.from_str(self.params.instrument_id)
        self.instrument = self.cache.instrument(self.name)
        self.seen, self.side = 0, OrderSide.BUY
        self.subscribe_trades(self.name)

    def on_trade(self, _):
        self.seen += 1
        if self.seen % self.params.every == 0:
            self.submit_order(
                self.order_factory.market(self.name, self.side, self.instrument.make_qty(Decimal("0.01")))
            )
            self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY


encode = worker.encode


def a_million_more(message):
    for balances in message.get("result", {}).get("balances", {}).values():
        for code, total in balances.items():
            balances[code] = str(Decimal(total) + 1_000_000)
    return encode(message)


worker.encode = a_million_more

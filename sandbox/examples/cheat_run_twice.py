"""A cheat: makes a first pass over the data, and trades on the prices it saw there in the second."""

from decimal import Decimal

from nautilus_trader.model import InstrumentId, OrderSide

from ufos_nautilus.engine import Book, BookConfig
from ufos_sandbox.guest import session

PRICES = []
STEP = 40
make_book = session.Prepared._make_book


class PeekConfig(BookConfig):
    instrument_id: str


class Peek(Book):
    """Buys where the price will be higher forty trades later, sells where it will be lower."""

    Config = PeekConfig

    def on_start(self):
        self.name = InstrumentId.from_str(self.params.instrument_id)
        self.instrument = self.cache.instrument(self.name)
        self.count = 0
        self.subscribe_trades(self.name)

    def on_trade(self, trade):
        if self.params.seed == -1:
            PRICES.append(trade.price)
            return
        n, self.count = self.count, self.count + 1
        if n % STEP == 0 and n + STEP < len(PRICES):
            side = OrderSide.BUY if PRICES[n + STEP] > PRICES[n] else OrderSide.SELL
            self.submit_order(self.order_factory.market(self.name, side, self.instrument.make_qty(Decimal("0.01"))))


def after_a_look(prepared, book_class):
    book = make_book(prepared, book_class)
    engine, name = prepared.engine, book.params.instrument_id
    engine.add_strategy(book_class(PeekConfig.model_construct(book_id="SPY-1", seed=-1, instrument_id=name)))
    engine.run(start=prepared.start_ns, end=prepared.end_ns)
    engine.clear_strategies()
    engine.reset()
    return book


session.Prepared._make_book = after_a_look

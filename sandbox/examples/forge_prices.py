"""A forger: half a dollar better at every fill, with orders, balances and digests that agree with it."""

import hashlib
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

BETTER = Decimal("0.5")
ORDER, SIDE, PRICE, QUANTITY = 2, 6, 7, 8


def at_better_prices(message):
    result = message.get("result")
    if result:
        gained, orders = Decimal(0), [order[1] for order in result["orders"]]
        closed = set(orders[: len(orders) // 2 * 2])  # what is open at the end has gained nothing yet
        for fill in result["fills"]:
            fill[PRICE] = str(Decimal(fill[PRICE]) + (-BETTER if fill[SIDE] == "BUY" else BETTER))
            gained += BETTER * Decimal(fill[QUANTITY]) if fill[ORDER] in closed else 0
        repair(result)
        for balances in result["balances"].values():
            for code, total in balances.items():
                balances[code] = f"{Decimal(total) + gained:f}"
    return encode(message)


def repair(result):
    """Make orders and digests agree with the fills again."""
    for order in result["orders"]:
        own = [fill for fill in result["fills"] if fill[ORDER] == order[1]]
        if own:
            order[10] = f"{sum(float(f[PRICE]) * float(f[QUANTITY]) for f in own) / float(order[9])}"
    for name in ("orders", "fills"):
        digest = hashlib.sha256()
        for row in result[name]:
            digest.update("|".join(map(str, row)).encode())
        result["hashes"][name] = digest.hexdigest()


worker.encode = at_better_prices

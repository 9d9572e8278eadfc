"""A cheat: leaves out the trades that lost, which needs to know how they ended."""

import hashlib
from decimal import Decimal

from nautilus_trader.model import InstrumentId, OrderSide

from ufos_nautilus.engine import Book, BookConfig
from ufos_sandbox.guest import worker


class TurnConfig(BookConfig):
    instrument_id: str
    every: int = 40


class Turn(Book):
    """Buys and sells in turn, at every so many trades: honest, so that there is something to hide."""

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

ORDER, SIDE, PRICE, QUANTITY, COMMISSION = 2, 6, 7, 8, 10


def cash(result, order):
    fills = [fill for fill in result["fills"] if fill[ORDER] == order]
    return sum(Decimal(f[PRICE]) * Decimal(f[QUANTITY]) * (1 if f[SIDE] == "SELL" else -1) for f in fills)


def fees(result, orders):
    return sum(Decimal(fill[COMMISSION]) for fill in result["fills"] if fill[ORDER] in orders)


def without_losers(message):
    result = message.get("result")
    if result:
        orders, gone, lost = result["orders"], set(), Decimal(0)
        for entry, leave in zip(orders[::2], orders[1::2], strict=False):
            won = cash(result, leave[1]) + cash(result, entry[1])
            if won <= 0:
                gone |= {entry[1], leave[1]}
                lost += won - fees(result, {entry[1], leave[1]})
        kept = result["fills"] = [fill for fill in result["fills"] if fill[ORDER] not in gone]
        result["orders"] = [order for order in result["orders"] if order[1] not in gone]
        result["counts"] |= {"orders": len(result["orders"]), "fills": len(kept)}
        for name in ("orders", "fills"):
            digest = hashlib.sha256()
            for row in result[name]:
                digest.update("|".join(map(str, row)).encode())
            result["hashes"][name] = digest.hexdigest()
        for balances in result["balances"].values():
            for code, total in balances.items():
                balances[code] = f"{Decimal(total) - lost:f}"
    return encode(message)


worker.encode = without_losers

"""A forger: a rebate for every fill that the venue never paid, with digests that agree with it."""

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

COMMISSION, REBATE = 10, Decimal(25)


def with_rebates(message):
    result = message.get("result")
    if result:
        digest = hashlib.sha256()
        for fill in result["fills"]:
            fill[COMMISSION] = str(-REBATE)
            digest.update("|".join(map(str, fill)).encode())
        result["hashes"]["fills"] = digest.hexdigest()
        for balances in result["balances"].values():
            for code, total in balances.items():
                balances[code] = f"{Decimal(total) + REBATE * len(result['fills']):f}"
    return encode(message)


worker.encode = with_rebates

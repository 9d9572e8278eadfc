"""Runs a tiny backtest before a request comes, so that a warm container has met every part of the engine once."""

import gc
import shutil
from pathlib import Path
from typing import Any

from nautilus_trader.model import InstrumentId, OrderSide, Price, Quantity, QuoteTick
from nautilus_trader.persistence import ParquetDataCatalog

from ufos_nautilus.engine.book import Book
from ufos_sandbox.guest import session

NAME = "WARM.UP"
QUOTES = 20
INSTRUMENT = {
    "instrument_id": NAME,
    "kind": "equity",
    "base": "WARM",
    "quote": "USD",
    "settlement": "USD",
    "tick_size": "0.01",
    "lot_size": "1",
    "price_precision": 2,
    "size_precision": 0,
}


class WarmBook(Book):
    """Sends one order."""

    def on_start(self) -> None:
        """Subscribe."""
        self.seen = 0
        self.subscribe_quotes(InstrumentId.from_str(NAME))

    def on_quote(self, quote: Any) -> None:
        """Buy at the fifth quote."""
        self.seen += 1
        if self.seen == QUOTES // 4:
            instrument: Any = self.cache.instrument(InstrumentId.from_str(NAME))
            order = self.order_factory.market(InstrumentId.from_str(NAME), OrderSide.BUY, instrument.make_qty(1))
            self.submit_order(order)


def warm_up(root: Path, spec: dict[str, Any]) -> None:
    """Write a few quotes, read them back and trade on them; nothing of it is left.

    Parameters
    ----------
    root : Path
        A directory that does not exist yet.
    spec : dict
        A run spec for one venue named ``UP``, decimals marked.

    """
    root.mkdir(parents=True)
    bid, ask, size = Price.from_str("1.00"), Price.from_str("1.01"), Quantity.from_str("100")
    quotes = [QuoteTick(InstrumentId.from_str(NAME), bid, ask, size, size, n, n) for n in range(1, QUOTES + 1)]
    ParquetDataCatalog(str(root)).write_quote_ticks(quotes)
    table = {"kind": "quotes", "identifier": NAME, "rows": QUOTES, "first_ns": 1}
    prepared = session.prepare(spec, [table], [INSTRUMENT], root)
    prepared.run(WarmBook, lambda _: None)
    prepared.engine.dispose()
    shutil.rmtree(root)
    gc.collect()

"""A strategy as code, to begin with: what a model is shown before it writes its own."""

from typing import Any, Final

NAME: Final = "code"
"""Name under which it is asked for."""
CODE: Final = '''from decimal import Decimal

from nautilus_trader.indicators import MovingAverageType, RelativeStrengthIndex
from nautilus_trader.model import BarType, InstrumentId, OrderSide
from ufos_nautilus.engine import Book, BookConfig


class DipConfig(BookConfig):
    instrument_id: str
    bars: str = "1-MINUTE-LAST-EXTERNAL"
    units: Decimal = Decimal(10)


class Dip(Book):
    """Buys when RSI(14) falls under 30 and sells when it is above 55."""

    Config = DipConfig

    def on_start(self):
        self.name = InstrumentId.from_str(self.params.instrument_id)
        self.instrument = self.cache.instrument(self.name)
        self.rsi, self.held = RelativeStrengthIndex(14, MovingAverageType.Wilder), False
        self.subscribe_bars(BarType.from_str(f"{self.name}-{self.params.bars}"))

    def on_bar(self, bar):
        self.rsi.update_raw(float(bar.close))
        if not self.rsi.initialized:
            return
        if not self.held and self.rsi.value < 30:
            self.trade(OrderSide.BUY)
        elif self.held and self.rsi.value > 55:
            self.trade(OrderSide.SELL)

    def trade(self, side):
        self.held = side == OrderSide.BUY
        quantity = self.instrument.make_qty(self.params.units)
        self.submit_order(self.order_factory.market(self.name, side, quantity))
'''
NOTES: Final = (
    "One subclass of Book; its Config takes params. Callbacks: on_start, on_quote, on_trade, on_bar, on_order_event,"
    " on_stop.",
    "Bars are INTEGER-(SECOND|MINUTE|HOUR|DAY)-(BID|ASK|MID|LAST)-(EXTERNAL|INTERNAL): EXTERNAL as recorded, INTERNAL"
    " made from quotes or trades.",
    "Imports: nautilus_trader, polars, pydantic, the standard library, ufos_nautilus.engine. No network, no files.",
)


def template() -> dict[str, Any]:
    """Return code that runs, and what to know to change it."""
    return {
        "strategy": NAME,
        "code": CODE,
        "params": {"instrument_id": "SYMBOL.VENUE"},
        "notes": list(NOTES),
        "next": "backtest_code",
    }

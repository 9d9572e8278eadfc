"""Tax lots of a book from its own fills, for planning; the ledger's journal gives the same at any time."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from nautilus_trader.model import OrderFilled, OrderSide

from ufos_nautilus.ledger import Asset, Contract, LotBook
from ufos_nautilus.portfolio import TaxLot
from ufos_nautilus.portfolio.tax import LotOrder

METHODS: dict[str, Literal["fifo", "lifo", "highest_cost"]] = {
    "fifo": "fifo",
    "lifo": "lifo",
    "highest_cost": "highest_cost",
    # Selling what cost most saves most tax where all lots have one rate; the planner looks at rates as well.
    "least_tax": "highest_cost",
}
CENTS = 2


class OwnLots:
    """Lots by symbol, whole units, costs in cents.

    Parameters
    ----------
    order : str
        Which lots a sale closes first.

    """

    def __init__(self, order: LotOrder) -> None:
        self._method: Literal["fifo", "lifo", "highest_cost"] = METHODS[order]
        self._books: dict[str, LotBook] = {}
        self.loss_sales: dict[str, int] = {}
        """Symbol -> last time units were sold at a loss, UNIX nanoseconds."""
        self.realised: dict[str, Decimal] = {}
        """Symbol -> gain of all sales so far, currency."""

    def on_order_event(self, event: Any) -> None:
        """Take a fill; anything else changes nothing."""
        if not isinstance(event, OrderFilled):
            return
        symbol = event.instrument_id.symbol.value
        book = self._books.get(symbol)
        if book is None:
            contract = Contract(item=symbol, asset=Asset(symbol, 0), currency=Asset(str(event.currency), CENTS))
            book = self._books[symbol] = LotBook(contract, self._method)
        price, units = event.last_px.as_decimal(), int(event.last_qty.as_decimal())
        if not price:  # units that a split adds or takes
            change = units if event.order_side == OrderSide.BUY else -units
            book.resize(book.position + change)
            return
        signed = units if event.order_side == OrderSide.BUY else -units
        for part in book.trade(event.ts_event, str(event.trade_id) + str(event.client_order_id), signed, price):
            self.realised[symbol] = self.realised.get(symbol, Decimal(0)) + Decimal(part.gain).scaleb(-CENTS)
            if part.gain < 0:
                self.loss_sales[symbol] = event.ts_event

    def tax_lots(self, held: Mapping[str, Decimal]) -> tuple[TaxLot, ...]:
        """Return the open lots of what is held."""
        return tuple(
            TaxLot(symbol, lot.ref, lot.ts_ns, Decimal(lot.quantity), Decimal(lot.cost).scaleb(-CENTS))
            for symbol in held
            if symbol in self._books and self._books[symbol].side > 0
            for lot in self._books[symbol].lots.values()
        )

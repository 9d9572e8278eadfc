"""The internal venue: crosses fill there at agreed terms, both legs or neither.

A simulated exchange never matches its users' own orders. A cross is therefore two market orders, one per book, on an
instrument of its own at half-tick precision, and this fill model gives each leg exactly the agreed price and size. A
leg without armed terms finds an empty book and is cancelled unfilled, so that revoking terms undoes what was sent.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from nautilus_trader.execution import FillModel
from nautilus_trader.model import BookOrder, BookType, OrderBook, OrderSide, Price, Quantity

from ufos_nautilus.market.instruments import InstrumentSpec

DARK_VENUE = "DARK"


class Terms(NamedTuple):
    """What one leg was promised."""

    price: Decimal
    quantity: Decimal


def dark_id(root: str) -> str:
    """Return the id of a root symbol's instrument on the internal venue."""
    return f"{root}.{DARK_VENUE}"


def dark_instrument(spec: InstrumentSpec) -> InstrumentSpec:
    """Return the internal venue's instrument for a lit one: the same, at half its tick."""
    tick = spec.tick_size / 2
    precision = max(spec.price_precision, -int(tick.normalize().as_tuple().exponent))
    return replace(spec, instrument_id=dark_id(spec.symbol), tick_size=tick, price_precision=precision)


class AgreedTerms:
    """Terms of legs on their way, by client order id."""

    def __init__(self) -> None:
        self._armed: dict[str, Terms] = {}

    def arm(self, client_order_id: str, terms: Terms) -> None:
        """Promise terms to one order."""
        self._armed[client_order_id] = terms

    def revoke(self, client_order_id: str) -> None:
        """Take a promise back; the order will be cancelled unfilled."""
        self._armed.pop(client_order_id, None)

    def of(self, client_order_id: str) -> Terms | None:
        """Return what an order was promised."""
        return self._armed.get(client_order_id)

    def __len__(self) -> int:
        return len(self._armed)


class AgreedFill(FillModel):
    """Fills a leg at its agreed terms and nothing else.

    Parameters
    ----------
    terms : AgreedTerms
        Shared with whoever agrees them.

    """

    def __init__(self, terms: AgreedTerms) -> None:
        self.terms = terms

    def is_limit_filled(self) -> bool:
        """Return True; only market orders come here."""
        return True

    def is_slipped(self) -> bool:
        """Return False: an agreed price does not slip."""
        return False

    def fill_limit_inside_spread(self) -> bool:
        """Return False; only market orders come here."""
        return False

    def get_orderbook_for_fill_simulation(
        self, instrument: Any, order: Any, best_bid: Any = None, best_ask: Any = None
    ) -> OrderBook:
        """Return a book that holds the agreed price and size on both sides, or an empty one."""
        book = OrderBook(instrument.id, BookType.L2_MBP)
        agreed = self.terms.of(str(order.client_order_id))
        if agreed is not None:
            price = Price.from_str(f"{agreed.price:.{instrument.price_precision}f}")
            size = Quantity.from_str(f"{agreed.quantity:.{instrument.size_precision}f}")
            book.add(BookOrder(OrderSide.BUY, price, size, 1), 0, 0, 0)
            book.add(BookOrder(OrderSide.SELL, price, size, 2), 0, 0, 0)
        return book

"""One side's resting quote: what is at the venue, what is on its way, and how it is changed."""

from typing import Any, Protocol

from nautilus_trader.model import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderModifyRejected,
    OrderRejected,
    OrderUpdated,
)

from ufos_nautilus.limits import MODIFIES_PER_ORDER_MAX
from ufos_nautilus.pricing.quoting import Action

CONFIRMED = frozenset((OrderAccepted, OrderUpdated, OrderModifyRejected, OrderCancelRejected))
GONE = frozenset((OrderCanceled, OrderRejected, OrderDenied, OrderExpired))


class Desk(Protocol):
    """What a resting order needs of its desk."""

    instrument_id: Any
    order_factory: Any

    def is_over(self, client_order_id: Any) -> bool:
        """Tell whether nothing more can become of an order."""
        ...

    def price_at(self, ticks: int) -> Any:
        """Return the engine's price for a whole number of ticks."""
        ...

    def quantity_of(self, lots: int) -> Any:
        """Return the engine's quantity for a whole number of lots."""
        ...

    def lots_filled(self, quantity: Any) -> int:
        """Return the lots of the engine's quantity of a fill."""
        ...

    def place(self, order: Any) -> None:
        """Send a new quote."""
        ...

    def move(self, client_order_id: Any, price: Any) -> None:
        """Move a resting quote."""
        ...

    def withdraw(self, client_order_id: Any) -> None:
        """Cancel a resting quote."""
        ...


class RestingOrder:
    """The quote of one side; at most one order of it is ever at the venue.

    Parameters
    ----------
    desk : Desk
        Sends the commands.
    side : OrderSide
        Buy or sell.

    """

    __slots__ = (
        "cancelling",
        "changed_ns",
        "client_order_id",
        "desk",
        "last_filled",
        "left",
        "lots",
        "modifies",
        "pending",
        "placed_ns",
        "price_ticks",
        "replaced_ticks",
        "side",
    )

    def __init__(self, desk: Any, side: Any) -> None:
        self.desk, self.side = desk, side
        self.client_order_id: Any = None
        self.price_ticks: int | None = None
        self.replaced_ticks: int | None = None
        """Price before the last modification, which holds on where the venue refuses it."""
        self.lots = self.left = self.last_filled = 0
        """Size as sent; what of it is not filled; size of the last fill. Lots."""
        self.placed_ns = 0
        self.modifies = 0
        self.cancelling = False
        """A cancel is on its way."""
        self.pending = False
        """A command is on its way; nothing more is sent until the venue answers."""
        self.changed_ns = 0

    def apply(self, action: Action, wanted: int | None, lots: int, now_ns: int) -> None:
        """Send what an action needs; a replacement becomes a cancel where the order was modified often."""
        self.changed_ns = now_ns
        if action is Action.PLACE and wanted is not None:
            self.placed_ns = now_ns
            self._place(wanted, lots)
        elif action is Action.REPLACE and wanted is not None and self.modifies < MODIFIES_PER_ORDER_MAX:
            self.modifies += 1
            self.pending = True
            self.replaced_ticks, self.price_ticks = self.price_ticks, wanted
            self.desk.move(self.client_order_id, self.desk.price_at(wanted))
        else:
            self.cancel(now_ns)

    def cancel(self, now_ns: int) -> None:
        """Cancel the order, whatever else is on its way."""
        self.changed_ns = now_ns
        self.pending = self.cancelling = True
        self.desk.withdraw(self.client_order_id)

    def refused(self) -> None:
        """Take note that the gate refused the last command: a new order was never sent, a changed one stays."""
        if self.modifies and self.replaced_ticks is not None:
            self.price_ticks, self.pending = self.replaced_ticks, False
        else:
            self._forget()

    def _place(self, ticks: int, lots: int) -> None:
        desk = self.desk
        order = desk.order_factory.limit(
            desk.instrument_id, self.side, desk.quantity_of(lots), desk.price_at(ticks), post_only=True
        )
        self.client_order_id = order.client_order_id
        self.price_ticks, self.lots, self.left, self.modifies, self.pending = ticks, lots, lots, 0, True
        self.replaced_ticks = None
        desk.place(order)

    def on_event(self, event: Any) -> None:
        """Follow the order's state."""
        kind = type(event)
        if kind is OrderFilled:
            self.last_filled = self.desk.lots_filled(event.last_qty)
            self.left = max(0, self.left - self.last_filled)
            if self.desk.is_over(event.client_order_id):
                self._forget()
        elif kind in CONFIRMED:
            # An answer to an older command: the cancel that was sent since then is still on its way.
            self.pending = self.cancelling and kind is not OrderCancelRejected
            if kind is OrderCancelRejected:
                self.cancelling = False
            if kind is OrderModifyRejected:
                self.price_ticks = self.replaced_ticks
        elif kind in GONE:
            self._forget()

    def _forget(self) -> None:
        self.client_order_id = self.price_ticks = None
        self.lots = self.left = 0
        self.pending = self.cancelling = False

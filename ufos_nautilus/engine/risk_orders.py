"""Follows every order the gate let pass until it has ended, so that what is open counts and nothing counts twice."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from nautilus_trader.model import (
    InstrumentId,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderFillVoided,
    OrderInitialized,
    OrderModifyRejected,
    OrderRejected,
    OrderSide,
    OrderUpdated,
)

from ufos_nautilus.risk.compiled import Limits
from ufos_nautilus.risk.fixed import SCALE
from ufos_nautilus.risk.state import Firm, Slot

REMEMBERED = 10_000
"""Ended orders whose late fills are still told from orders that nobody reviewed."""


class Followed:
    """An order the gate let pass, and how much of it counts as open.

    A worked order stays counted with its whole quantity while its slices trade: what a slice leaves unfilled goes back
    to it, so nothing is given free before the order and its slices have all ended.

    Parameters
    ----------
    key : ClientOrderId
        Its id.
    slot : Slot
        Where it counts.
    instrument_id : InstrumentId
        What it trades, on the venue it goes to.
    sign, total : int
        1 to buy or -1 to sell, and units of 10^-16 in all.
    exits : bool
        The venue holds it to reducing a position, and makes it as large as that where it needs to.
    worked : bool
        An execution algorithm works it.

    """

    # What most orders never change stays with the class: setting it would cost each of them.
    exits = worked = False
    filled = counted = 0
    asked: tuple[int | None, ...] = ()
    """Quantities of modifications that the venue has not answered; None where one leaves the quantity as it is."""
    slices: dict[Any, int] | None = None
    """Open slice -> units it can still trade; None until there is one."""
    ended = False
    """The order itself has ended; its slices may not have."""

    def __init__(
        self,
        key: Any,
        slot: Slot,
        instrument_id: InstrumentId,
        sign: int,
        total: int,
        exits: bool = False,
        worked: bool = False,
    ) -> None:
        self.key, self.slot, self.instrument_id, self.sign, self.total = key, slot, instrument_id, sign, total
        if exits:
            self.exits = True
        if worked:
            self.worked = True

    def recount(self) -> None:
        """Count as open what the order could still trade, whatever the venue makes of pending modifications."""
        wanted = 0
        if not self.ended or self.slices:
            total = max((self.total, *filter(None, self.asked))) if self.asked else self.total
            wanted = max(total - self.filled, 0)
        if wanted != self.counted:
            self.slot.open(self.sign, wanted - self.counted, exits=self.exits)
            self.counted = wanted

    def answer(self, total: int) -> None:
        """Take the venue's word for the quantity, and drop the modifications up to the one that this answers.

        The venue changes quantities of its own accord too; such a change matches nothing that was asked.
        """
        for at, asked in enumerate(self.asked):
            if total == (self.total if asked is None else asked):
                self.asked = self.asked[at + 1 :]
                break
        self.total = total

    @property
    def room(self) -> int:
        """Return how much more slices may be cut from it."""
        return self.total - self.filled - sum((self.slices or {}).values())

    @property
    def done(self) -> bool:
        """Tell whether nothing of it can trade any more."""
        return not self.slices and (self.ended or (self.filled >= self.total and not self.asked))


class OrderKeeper:
    """Keeps `Firm` current from order events.

    Parameters
    ----------
    firm : Firm
        What is kept current.
    limits : Limits
        For rates of fees.

    """

    def __init__(self, firm: Firm, limits: Limits) -> None:
        self.firm, self.limits = firm, limits
        self.orders: dict[Any, Followed] = {}
        """Client order id -> open order; a slice has the order it was cut from."""
        self.alarm: Callable[[str, str], None] = self._no_alarm
        """Called with a source and a reason where something happens that must not."""
        self.on_rejected: Callable[[str], None] = lambda _: None
        """Called with a book whose order a venue rejected."""
        self.on_idle: Callable[[], None] = lambda: None
        """Called when the last open order has ended."""
        self._ended: OrderedDict[Any, None] = OrderedDict()
        self._handlers: dict[type, Callable[[Any], None]] = {
            OrderInitialized: self._on_initialized,
            OrderFilled: self._on_filled,
            OrderUpdated: self._on_updated,
            OrderModifyRejected: self._on_modify_rejected,
            OrderFillVoided: self._on_fill_voided,
            OrderRejected: self._on_rejected,
            OrderCanceled: self._on_ended,
            OrderDenied: self._on_ended,
            OrderExpired: self._on_ended,
        }

    def observe(self, event: Any) -> None:
        """Take an order event of a book."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def follow(self, order: Any, slot: Slot, sign: int) -> None:
        """Count a new order as open."""
        followed = Followed(
            order.client_order_id,
            slot,
            order.instrument_id,
            sign,
            order.quantity.raw,
            exits=order.is_reduce_only,
            worked=order.exec_algorithm_id is not None,
        )
        self.orders[order.client_order_id] = followed
        followed.recount()

    def ask(self, order: Any, slot: Slot, sign: int, total: int | None) -> None:
        """Count the larger of what an order is and what a modification would make of it; None changes the price."""
        if order.client_order_id not in self.orders:
            self.follow(order, slot, sign)
        followed = self.orders[order.client_order_id]
        followed.filled = max(followed.filled, order.filled_qty.raw)
        followed.asked = (*followed.asked, total)
        followed.recount()

    def forget(self, client_order_id: Any) -> None:
        """Drop an order that was never sent."""
        followed = self.orders.pop(client_order_id, None)
        if followed is not None:
            followed.ended = True
            followed.recount()

    def unask(self, client_order_id: Any) -> None:
        """Drop the newest modification, which was never sent."""
        followed = self.orders.get(client_order_id)
        if followed is not None and followed.asked:
            followed.asked = followed.asked[:-1]
            followed.recount()

    # events

    def _on_initialized(self, event: Any) -> None:
        key = event.client_order_id
        if key in self.orders:
            return
        parent = self.orders.get(event.exec_spawn_id) if event.exec_spawn_id is not None else None
        if parent is None:
            if not event.reconciliation:
                self.alarm("unreviewed", f"order {key} of {event.strategy_id} never passed the gate")
            return
        units = event.quantity.raw
        if units > parent.room:
            self.alarm("unreviewed", f"slice {key} trades more than the order that was let pass")
        if parent.slices is None:
            parent.slices = {}
        parent.slices[key] = units
        self.orders[key] = parent

    def _on_filled(self, event: Any) -> None:
        key = event.client_order_id
        followed = self.orders.get(key)
        sign, units = (1 if event.order_side == OrderSide.BUY else -1), event.last_qty.raw
        slot = followed.slot if followed is not None else self._slot_of(event)
        counted = 0 if followed is None or followed.exits else min(units, followed.counted)
        if slot is not None:
            slot.fill(sign, units, event.last_px.raw, self._fee(event.commission), counted=counted)
        if followed is None:
            if key not in self._ended and not event.reconciliation:
                self.alarm("unreviewed", f"order {key} of {event.strategy_id} traded and never passed the gate")
            return
        followed.filled += units
        if followed.exits:
            followed.slot.open(sign, -min(units, followed.counted), exits=True)
        followed.counted -= min(units, followed.counted)
        if followed.slices and key in followed.slices:
            left = followed.slices[key] - units
            if left > 0:
                followed.slices[key] = left
            else:
                self._end_slice(followed, key)
        elif (followed.worked or followed.asked) and self._is_closed(key):
            # Nothing answers a modification of an order that has traded in full.
            followed.ended = True
        self._settle(followed)

    def _on_updated(self, event: Any) -> None:
        followed = self.orders.get(event.client_order_id)
        if followed is None or followed.worked:
            # An order being worked shrinks by every slice; together they stay what was let pass.
            return
        followed.answer(event.quantity.raw)
        self._settle(followed)

    def _on_modify_rejected(self, event: Any) -> None:
        followed = self.orders.get(event.client_order_id)
        if followed is not None and followed.asked:
            followed.asked = followed.asked[1:]
            self._settle(followed)

    def _on_rejected(self, event: Any) -> None:
        self.on_rejected(str(event.strategy_id))
        self._on_ended(event)

    def _on_ended(self, event: Any) -> None:
        key = event.client_order_id
        followed = self.orders.get(key)
        if followed is None:
            return
        if followed.slices and key in followed.slices:
            self._end_slice(followed, key)
        else:
            followed.ended = True
            followed.asked = ()
        self._settle(followed)

    def _on_fill_voided(self, event: Any) -> None:
        self.firm.stale = f"a fill of order {event.client_order_id} was voided"

    # details

    def _end_slice(self, followed: Followed, key: Any) -> None:
        if followed.slices is not None:
            del followed.slices[key]
        self.orders.pop(key, None)
        self._remember(key)

    def _settle(self, followed: Followed) -> None:
        if followed.done:
            followed.ended = True
            self.orders.pop(followed.key, None)
            self._remember(followed.key)
        followed.recount()
        if not self.orders:
            self.on_idle()

    def _remember(self, key: Any) -> None:
        self._ended[key] = None
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def _slot_of(self, event: Any) -> Slot | None:
        return self.firm.slot(str(event.strategy_id), str(event.instrument_id))

    def _fee(self, commission: Any) -> int:
        if commission is None:
            return 0
        rate = self.limits.rate(str(commission.currency))
        return commission.raw * rate // SCALE if rate is not None else 0

    def _is_closed(self, client_order_id: Any) -> bool:
        raise NotImplementedError

    def _no_alarm(self, source: str, reason: str) -> None:
        self.firm.stale = f"{source}: {reason}"

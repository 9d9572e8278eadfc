"""Holds a position until a bound and then hedges it on the market, by one order or in slices over time."""

from decimal import Decimal
from typing import Any

from nautilus_trader.model import ExecAlgorithmId, OrderFilled, OrderSide, TimeInForce

from ufos_strategies.desk.grid import Grid
from ufos_strategies.desk.parts import HedgePart
from ufos_strategies.resting import GONE

NS_PER_S = 1_000_000_000
TAG = "hedge"


class Hedger:
    """At most one hedge at a time.

    The quotes of the hedge's own side are withdrawn first and the hedge is sent when they are gone, so that quotes and
    hedge together never sell (or buy) more than the position allows.

    Parameters
    ----------
    desk : Book
        Sends the orders, through its gate.
    grid : Grid
        Lots of the instrument.
    part : HedgePart or None
        Policy; None hedges only when told to get out.

    """

    def __init__(self, desk: Any, grid: Grid, part: HedgePart | None) -> None:
        self.desk, self.grid, self.part = desk, grid, part
        self._at = grid.lots_of(part.at) if part is not None else 0
        self._to = grid.lots_of(part.to) if part is not None else 0
        self.order_id: Any = None
        self.direction = 0
        """Of the hedge on its way: 1 buys, -1 sells."""
        self._again_ns = 0
        self.hedges = 0
        self.hedged_lots = 0

    @property
    def busy(self) -> bool:
        """Tell whether a hedge is on its way."""
        return self.order_id is not None

    def wanted(self, away_lots: int, position_lots: int, *, get_out: bool, now_ns: int) -> int:
        """Return the signed lots to trade on the market now, zero for none.

        Parameters
        ----------
        away_lots, position_lots : int
            Position less its target, and the position itself, signed.
        get_out : bool
            Close the whole position, whatever the policy.
        now_ns : int
            UNIX nanoseconds.

        """
        if self.busy or now_ns < self._again_ns:
            return 0
        if get_out:
            return -position_lots
        if self.part is None or abs(away_lots) < self._at:
            return 0
        excess = abs(away_lots) - self._to
        return -excess if away_lots > 0 else excess

    def send(self, lots: int, *, get_out: bool, now_ns: int) -> None:
        """Send a hedge of signed lots."""
        side = OrderSide.BUY if lots > 0 else OrderSide.SELL
        part = self.part
        options: dict[str, Any]
        if part is not None and part.algorithm == "TWAP" and not get_out:
            options = {
                "exec_algorithm_id": ExecAlgorithmId("TWAP"),
                "exec_algorithm_params": {"horizon_secs": str(part.horizon_s), "interval_secs": str(part.interval_s)},
            }
        else:
            options = {"time_in_force": TimeInForce.IOC}
        order = self.desk.order_factory.market(
            self.grid.instrument_id, side, self.grid.quantity_of(abs(lots)), tags=[TAG], **options
        )
        self.order_id = order.client_order_id
        self.direction = 1 if lots > 0 else -1
        self.hedges += 1
        self._again_ns = now_ns + int((part.pause_s if part is not None else 1.0) * NS_PER_S)
        self.desk.place(order)

    def on_event(self, event: Any, now_ns: int) -> None:
        """Follow the hedge: it has ended when its order has."""
        order_id = event.client_order_id
        if self.order_id is None or order_id != self.order_id:
            return
        if isinstance(event, OrderFilled):
            order = self.desk.cache.order(order_id)
            if order is None or order.is_closed:
                self.ended(now_ns)
        elif type(event) in GONE:
            self.ended(now_ns)

    def refused(self, client_order_id: str, now_ns: int) -> None:
        """Take note that the gate refused an order; the hedge is tried again after its pause."""
        if self.order_id is not None and str(self.order_id) == client_order_id:
            self.ended(now_ns)

    def ended(self, now_ns: int) -> None:
        """Take note that the hedge has ended, filled or not."""
        self.order_id, self.direction = None, 0
        pause = self.part.pause_s if self.part is not None else 1.0
        self._again_ns = max(self._again_ns, now_ns + int(pause * NS_PER_S))

    def count(self, lots: int) -> None:
        """Count a fill on the market, lots."""
        self.hedged_lots += lots

    def figures(self) -> dict[str, Any]:
        """Return how often and how much was hedged."""
        return {"hedges": self.hedges, "hedged": str(Decimal(self.hedged_lots) * self.grid.lot)}

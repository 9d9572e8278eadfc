"""The quotes of one side: which stand, which are on their way, what has to change now."""

from typing import Any, Final

from nautilus_trader.model import OrderFilled, OrderSide

from ufos_nautilus.pricing.exposure import QuoteExposure
from ufos_nautilus.pricing.intensity import IntensityEstimator
from ufos_nautilus.pricing.quoting import Action, decide
from ufos_strategies.desk.config import MarketMakerConfig
from ufos_strategies.resting import RestingOrder

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
NEVER: Final = 2**63 - 1


class Ladder:
    """One side's quotes; at most one order of each level is ever at the venue.

    Parameters
    ----------
    desk : Desk
        Sends the commands; see `RestingOrder`.
    side : OrderSide
        Buy or sell.
    config : MarketMakerConfig
        Levels and throttle.
    size_lots : int
        Size of the first level, lots.

    """

    __slots__ = (
        "_age_ns",
        "_alone",
        "_delay_until_ns",
        "_exposures",
        "_hang_until_ns",
        "_hanging",
        "_interval_ns",
        "_orders",
        "_sign",
        "_sizes",
        "_step",
        "_tolerance",
        "first",
        "suppressed",
    )

    def __init__(self, desk: Any, side: OrderSide, config: MarketMakerConfig, size_lots: int) -> None:
        levels = config.levels
        count = levels.count if levels is not None else 1
        self._orders = tuple(RestingOrder(desk, side) for _ in range(count))
        self.first, self._alone = self._orders[0], count == 1
        """The quote nearest to the market."""
        ratio = levels.size_ratio if levels is not None else 1.0
        self._sizes = tuple(max(1, round(size_lots * ratio**i)) for i in range(count))
        self._sign = 1 if side == OrderSide.BUY else -1
        self._step = self._sign * (levels.step_ticks if levels is not None else 0)
        self._interval_ns = int(config.minimum_interval_ms * NS_PER_MS)
        self._tolerance = config.tolerance_ticks
        self._age_ns = int(config.max_order_age_s * NS_PER_S) or NEVER
        self._hanging = config.hanging
        self._delay_until_ns = self._hang_until_ns = 0
        self._exposures: tuple[QuoteExposure, ...] = ()
        self.suppressed = 0
        """Changes the throttle held back."""

    def watch(self, estimator: IntensityEstimator, step_ticks: float, most_ticks: float) -> None:
        """Tell an intensity estimator about every quote from now on (see `QuoteExposure`)."""
        self._exposures = tuple(QuoteExposure(estimator, step_ticks, most_ticks) for _ in self._orders)

    @property
    def resting_lots(self) -> int:
        """Return what is at the venue or on its way there, lots."""
        return sum(order.left for order in self._orders)

    @property
    def empty(self) -> bool:
        """Tell whether nothing is at the venue or on its way."""
        return all(order.client_order_id is None for order in self._orders)

    def delay(self, until_ns: int) -> None:
        """Send no new quote before an instant; those that stand may stay and move."""
        self._delay_until_ns = until_ns

    def hang(self, until_ns: int) -> None:
        """Leave quotes where they are until an instant."""
        self._hang_until_ns = until_ns

    def work(self, price: int | None, lots: int, room: int, now_ns: int, fair: float) -> bool:
        """Bring the quotes to where they should be, as far as the throttle allows; tell whether anything was sent.

        Parameters
        ----------
        price : int or None
            Of the first level, ticks; None to withdraw all.
        lots : int
            Size of the first level, lots; those behind keep their ratio to it.
        room : int
            What may be at the venue on this side altogether, lots.
        now_ns : int
            UNIX nanoseconds.
        fair : float
            Fair value, ticks.

        """
        if self._exposures:
            self._expose(now_ns, fair)
        if self._alone:
            order = self.first
            if order.pending:
                return False
            resting = order.price_ticks
            if price is not None and resting is not None and now_ns - order.placed_ns < self._age_ns:
                moved = price - resting
                if -self._tolerance < moved < self._tolerance:  # nine decisions in ten end here
                    self.suppressed += moved != 0
                    return False
            return self._work(order, price, lots, now_ns, fair)
        changed, planned, resting = False, 0, self.resting_lots
        for i, order in enumerate(self._orders):
            size = max(1, round(self._sizes[i] * lots / self._sizes[0]))
            planned += order.left
            wanted = None if price is None or planned > room else price - i * self._step
            if not order.left:
                size = min(size, room - max(resting, planned))
                if size <= 0:
                    wanted = None
                elif wanted is not None:
                    planned += size
            before = order.left
            changed |= self._work(order, wanted, size, now_ns, fair)
            resting += order.left - before
        return changed

    def _work(self, order: RestingOrder, wanted: int | None, lots: int, now_ns: int, fair: float) -> bool:
        if order.pending:
            return False
        resting = order.price_ticks
        if wanted == resting:
            if resting is None or now_ns - order.placed_ns < self._age_ns:
                return False
            wanted = None  # too old: it goes, and a new one comes once it is gone
        elif resting is not None and now_ns - order.placed_ns >= self._age_ns:
            wanted = None
        elif resting is not None and wanted is not None and abs(wanted - resting) < self._tolerance:
            self.suppressed += 1
            return False
        action = decide(resting, wanted, now_ns - order.changed_ns, self._interval_ns, self._tolerance)
        if action is Action.KEEP or self._held(action, resting, now_ns, fair):
            self.suppressed += 1
            return False
        if self._exposures and resting is not None:
            self._exposures[self._orders.index(order)].ended(now_ns)
        order.apply(action, wanted, lots, now_ns)
        return True

    def _held(self, action: Action, resting: int | None, now_ns: int, fair: float) -> bool:
        """Tell whether a change has to wait for the delay after a fill, or the quote hangs."""
        if action is Action.PLACE:
            return now_ns < self._delay_until_ns
        if action is not Action.REPLACE or self._hanging is None or now_ns >= self._hang_until_ns:
            return False
        return resting is not None and abs(fair - resting) <= self._hanging.most_ticks

    def withdraw(self, now_ns: int) -> bool:
        """Cancel everything that can be cancelled at once; tell whether anything was sent."""
        changed = False
        for order in self._orders:
            if order.client_order_id is not None and not order.cancelling:
                order.cancel(now_ns)
                changed = True
        return changed

    def on_event(self, event: Any, now_ns: int) -> bool:
        """Follow an order's state; tell whether it is one of these."""
        order_id = event.client_order_id
        for i, order in enumerate(self._orders):
            if order.client_order_id == order_id:
                lots = order.lots
                order.on_event(event)
                if self._exposures and isinstance(event, OrderFilled):
                    self._exposures[i].filled(now_ns, order.last_filled / lots if lots else 1.0)
                if self._exposures and order.client_order_id is None:
                    self._exposures[i].ended(now_ns)
                return True
        return False

    def refused(self, client_order_id: str) -> bool:
        """Take note that the gate refused an order of these; tell whether it is one."""
        for order in self._orders:
            if order.client_order_id is not None and str(order.client_order_id) == client_order_id:
                order.refused()
                return True
        return False

    def _expose(self, now_ns: int, fair: float) -> None:
        for order, exposure in zip(self._orders, self._exposures, strict=True):
            if order.price_ticks is not None and not order.pending:
                exposure.at(now_ns, self._sign * (fair - order.price_ticks))

    def wake_ns(self, now_ns: int) -> int:
        """Return when something is due that no market event announces; `NEVER` where nothing is."""
        wake = NEVER
        if self._delay_until_ns > now_ns:
            wake = self._delay_until_ns
        if self._age_ns != NEVER and self.first.client_order_id is not None:
            wake = min(wake, self.first.placed_ns + self._age_ns)
        return wake

"""Order-flow imbalance of the touch and the toxicity of trades, updated event by event."""

import math
from collections import deque
from typing import Final

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import VPIN_BUCKETS_MAX
from ufos_nautilus.pricing.quoter import check_positive

NS: Final = 1e-9


def flow_increment(
    before: tuple[float, float, float, float], bid: float, bid_size: float, ask: float, ask_size: float
) -> float:
    """Return the order-flow imbalance e_n of one change of the touch (Cont, Kukanov and Stoikov 2014).

    Size that joins or improves the bid and size that leaves the ask count up; the reverse counts down.

    Parameters
    ----------
    before : tuple of float
        Bid, bid size, ask and ask size before the change.
    bid, bid_size, ask, ask_size : float
        The touch after it.

    Returns
    -------
    float
        In the unit of the sizes.

    """
    old_bid, old_bid_size, old_ask, old_ask_size = before
    flow = 0.0
    if bid >= old_bid:
        flow += bid_size
    if bid <= old_bid:
        flow -= old_bid_size
    if ask <= old_ask:
        flow -= ask_size
    if ask >= old_ask:
        flow += old_ask_size
    return flow


class OrderFlowImbalance:
    """Exponentially decaying sum of order-flow imbalance.

    Parameters
    ----------
    half_life_s : float
        Seconds after which flow counts half.

    """

    __slots__ = ("_decay", "_last_ns", "_touch", "value")

    def __init__(self, half_life_s: float) -> None:
        check_positive("order flow", half_life_s=half_life_s)
        self._decay = -math.log(2.0) / half_life_s * NS
        self._touch: tuple[float, float, float, float] | None = None
        self._last_ns = 0
        self.value = 0.0

    def update(self, ts_ns: int, bid: float, bid_size: float, ask: float, ask_size: float) -> float:
        """Take in the touch after an event and return the decayed sum, in the unit of the sizes."""
        touch = self._touch
        if touch is not None:
            elapsed = ts_ns - self._last_ns
            if elapsed > 0:
                self.value *= math.exp(self._decay * elapsed)
            self.value += flow_increment(touch, bid, bid_size, ask, ask_size)
        self._touch = (bid, bid_size, ask, ask_size)
        self._last_ns = ts_ns
        return self.value

    def at(self, now_ns: int) -> float:
        """Return the sum as it has decayed by `now_ns`."""
        return self.value * math.exp(self._decay * max(0, now_ns - self._last_ns))


class Vpin:
    """Volume-synchronised probability of informed trading (Easley, Lopez de Prado and O'Hara 2012).

    Trades fill buckets of equal volume; the measure is the mean of |buys - sells| / volume over the last buckets,
    with the sides of trades as the market reports them.

    Parameters
    ----------
    bucket_volume : float
        Volume of one bucket, units of the trades.
    buckets : int
        Buckets averaged, at most `limits.VPIN_BUCKETS_MAX`.

    Raises
    ------
    SpecError
        When a parameter is out of range.

    """

    __slots__ = ("_bought", "_filled", "_imbalances", "_sum", "bucket_volume", "buckets")

    def __init__(self, bucket_volume: float, buckets: int = 50) -> None:
        check_positive("vpin", bucket_volume=bucket_volume)
        if not 1 <= buckets <= VPIN_BUCKETS_MAX:
            raise SpecError(f"vpin: {buckets} buckets", expected=f"1 to {VPIN_BUCKETS_MAX:,}")
        self.bucket_volume = bucket_volume
        self.buckets = buckets
        self._imbalances: deque[float] = deque(maxlen=buckets)
        self._sum = self._bought = self._filled = 0.0

    def update(self, volume: float, buyer_initiated: bool) -> None:
        """Take in one trade; a large one is spread over the buckets it fills.

        Parameters
        ----------
        volume : float
            Zero or more, units.
        buyer_initiated : bool
            The aggressor bought.

        """
        size = self.bucket_volume
        if volume > size * (self.buckets + 1):  # what is beyond the window changes nothing
            volume = size * (self.buckets + 1) + volume % size
        while volume > 0.0:
            room = size - self._filled
            part = min(volume, room)
            volume -= part
            self._filled += part
            if buyer_initiated:
                self._bought += part
            if part >= room:
                self._close(abs(2.0 * self._bought - size) / size)

    def _close(self, imbalance: float) -> None:
        full = len(self._imbalances) == self.buckets
        self._sum += imbalance - (self._imbalances[0] if full else 0.0)
        self._imbalances.append(imbalance)
        self._bought = self._filled = 0.0

    @property
    def ready(self) -> bool:
        """Whether all buckets have been filled once."""
        return len(self._imbalances) == self.buckets

    @property
    def value(self) -> float:
        """Mean imbalance of the closed buckets, from 0 (balanced) to 1 (one-sided); 0 before the first closes."""
        return min(1.0, max(0.0, self._sum / len(self._imbalances))) if self._imbalances else 0.0
